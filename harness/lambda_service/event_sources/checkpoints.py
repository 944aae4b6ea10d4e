"""How far a stream mapping has processed its shards, kept in a file where the service is to go on after a restart.

A shard's checkpoint is the sequence number of a record up to which every record was processed, given up or filtered
out. It never runs ahead of the work, so what was in hand when the service ended is read again: delivery is at least
once, as Lambda's is.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.errors import EngineError

_log = logging.getLogger(__name__)
WRITE_SECONDS = 1.0
"""Shortest pause between two writes of one file: so much of a stream is read again after a kill."""

Save = Callable[[str], None]
"""Called with a sequence number up to which a shard is processed."""


class Watermark:
    """Follows one shard whose records are spread over lanes that each keep their order.

    A page that was read is done when every lane has finished as many records as it had been given by then.
    """

    def __init__(self, save: Save) -> None:
        self._save = save
        self._pages: deque[tuple[str, tuple[int, ...]]] = deque()

    def read(self, last: str, given: Sequence[int]) -> None:
        """Note a page that ends with sequence number `last`; `given` is what each lane was given so far, with it."""
        self._pages.append((last, tuple(given)))

    def finished(self, counts: Sequence[int]) -> None:
        """Note how many records each lane has finished; saves the end of the last page that is done."""
        reached = ""
        while self._pages and all(done >= given for done, given in zip(counts, self._pages[0][1], strict=True)):
            reached = self._pages.popleft()[0]
        if reached:
            self._save(reached)


class Checkpoints:
    """The checkpoints of one mapping, read from `path` and written back; with `path` None they are kept in memory.

    `clock` gives monotonic seconds. Raises EngineError for a file that is not one of these.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._written = float("-inf")
        self._changed = False
        self.resumed = False
        """Whether an earlier process had begun to read: whatever the starting position, reading goes on behind it."""
        self.since = 0.0
        """Unix seconds before which a mapping that began at the latest position wants no record."""
        self._begun = False
        self.shards: dict[str, str] = {}
        """The last sequence number by shard, of shards that are not finished."""
        self.finished: set[str] = set()
        """Shards that were processed to their end."""
        if path is not None and path.exists():
            self._load(path)

    @staticmethod
    def of_mapping(folder: str, stream_arn: str, function: str) -> Checkpoints:
        """Return the checkpoints of a function's mapping on a stream, kept in `folder` (in memory where it is "").

        A table that was made anew has another stream, and so begins anew.
        """
        if not folder:
            return Checkpoints(None)
        name = hashlib.sha256(f"{stream_arn} {function}".encode()).hexdigest()[:32]
        return Checkpoints(Path(folder) / f"{name}.json")

    def reach(self, shard: str, sequence_number: str) -> None:
        """Note that a shard is processed up to a record."""
        self.shards[shard] = sequence_number
        self._changed = True
        self._write_in_time()

    def finish(self, shard: str) -> None:
        """Note that a shard is processed to its end."""
        self.shards.pop(shard, None)
        self.finished.add(shard)
        self._changed = True
        self._write_in_time()

    def begin(self, since: float) -> None:
        """Note that the mapping begins to read what is created from `since` on (Unix seconds), unless it had begun."""
        if not self.resumed and not self._begun:
            self._begun = self._changed = True
            self.since = since
            self.write()

    def write(self) -> None:
        """Write what has changed now. A file that cannot be written costs reading again, and is logged."""
        if self._path is None or not self._changed:
            return
        text = json.dumps({"since": self.since, "shards": self.shards, "finished": sorted(self.finished)})
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(text, "utf-8")
            new.replace(self._path)
        except OSError as error:
            _log.error("the position of a stream cannot be kept: %s", error)
        else:
            self._changed = False
        self._written = self._clock()

    def _write_in_time(self) -> None:
        if self._clock() - self._written >= WRITE_SECONDS:
            self.write()

    def _load(self, path: Path) -> None:
        try:
            found: Any = json.loads(path.read_text("utf-8"))
            self.shards = {str(shard): str(number) for shard, number in found["shards"].items()}
            self.finished = {str(shard) for shard in found["finished"]}
            self.since = float(found["since"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise EngineError(
                f"{path} does not say how far a stream was read: {error!r}",
                hint="remove the file: the stream is then read again from its oldest record",
            ) from error
        self.resumed = True
