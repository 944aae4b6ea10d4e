"""What Locust tells the harness, one JSON line an event: a load's start, every file's upload, its end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from handlers.record_batch import Source
from harness.errors import HarnessError
from harness.load.schedule import LoadSpec

EVENTS_FILE = "events.jsonl"
COMPLETIONS_FILE = "completions.jsonl"


def key_of(prefix: str, number: int) -> str:
    """Return the key of a file of the schedule."""
    return f"{prefix}{number:06d}.csv"


def number_in(key: str) -> int:
    """Return the number of the file in a key that `key_of` made."""
    return int(key.rsplit("/", 1)[-1].removesuffix(".csv"))


@dataclass(frozen=True)
class Sample:
    """One upload. Times are Unix seconds; `intended` is when the schedule meant it to start, `started` when it did,
    `uploaded` when the answer came. `file` is the file of the pool, `error` what the client saw ("" if the upload
    succeeded, else `version` is empty)."""

    number: int
    file: int
    key: str
    version: str
    rows: int
    bytes: int
    intended: float
    started: float
    uploaded: float
    error: str = ""

    def source(self, bucket: str) -> Source:
        """Return the object version it made."""
        return Source(bucket, self.key, self.version)

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `Sample(**data)` gives the sample back."""
        return asdict(self)


@dataclass(frozen=True)
class LoadStart:
    """A load began: the Unix time that offsets count from, the prefix of all its keys, its spec, and how many Locust
    users and worker processes there were (0 where one process does everything)."""

    origin: float
    prefix: str
    spec: LoadSpec
    users: int
    workers: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "spec": self.spec.to_json()}


@dataclass(frozen=True)
class LoadStop:
    """A load ended: no more uploads come. `unsent` arrivals were never tried."""

    unsent: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


Event = LoadStart | Sample | LoadStop


class EventWriter:
    """Appends events to a file, a line each, at once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def write(self, event: Event) -> None:
        """Append one event."""
        kind = {LoadStart: "start", Sample: "sample", LoadStop: "stop"}[type(event)]
        self._file.write(json.dumps({"event": kind, **event.to_json()}) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class LineFollower:
    """Reads what another process appends to a file of lines; a line counts once it is complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def read(self) -> list[dict[str, Any]]:
        """Return the lines that are new, decoded; none while the file is not there. Raises HarnessError for a line
        that is not JSON."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                data = file.read()
        except FileNotFoundError:
            return []
        complete = data[: data.rfind(b"\n") + 1]
        self._position += len(complete)
        try:
            return [dict(json.loads(line)) for line in complete.splitlines()]
        except ValueError as error:
            raise HarnessError(f"{self._path} holds a line that is no event: {error}") from error


def event_of(line: Mapping[str, Any]) -> Event:
    """Return the event of one decoded line; raises HarnessError for anything else."""
    fields = dict(line)
    kind = fields.pop("event", None)
    try:
        if kind == "start":
            return LoadStart(**{**fields, "spec": LoadSpec(**fields["spec"])})
        if kind == "sample":
            return Sample(**fields)
        if kind == "stop":
            return LoadStop(**fields)
    except (TypeError, KeyError) as error:
        raise HarnessError(f"Locust sent a {kind} event with wrong fields: {error}") from error
    raise HarnessError(f"Locust sent an event of an unknown kind {kind!r}")
