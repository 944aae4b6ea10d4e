"""A version's worker as its parent sees it: started, told what to run, never left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from harness.gate.trial import TrialFailed
from harness.host_environment import child_environment
from harness.processes.guard import MARK
from harness.processes.supervision import tail
from harness.signals import signals_held

PASS_SECONDS = 120.0
"""After so long a pass has failed; the longest takes half a second."""


@dataclass(frozen=True)
class Pass:
    """One pass of a version through all events of a unit. Times are nanoseconds; `cpu_ns` has children's in it and the
    services' answering taken off, `waited_ns` is time in which the process neither ran nor stood in the run queue."""

    cpu_ns: int
    waited_ns: int
    requests: Mapping[str, int]
    entries: Mapping[str, int]
    unknown: Sequence[str]
    answers: Sequence[Any]
    kept: Sequence[tuple[str, str]]

    @property
    def cost_ns(self) -> int:
        """What the pass took of whoever waits for it, were the processor its own."""
        return self.cpu_ns + self.waited_ns


class Unanswered(TrialFailed):
    """A version asked services for something that the replay does not answer; the message names it."""


class WorkerProcess:
    """The worker of one version; `side` is how errors call it. Files go to folder `work`, which has `pids`.

    `code` is the folder that holds the version's `handlers`. `core` is the processor to stay on, None for any; `seed`
    that of string hashes, and what tells the files of one pair from those of another.

    `load` and `run` are steps: they yield the worker while they wait for it (see `harness.gate.replay.steps`).
    """

    def __init__(
        self, side: str, code: Path, work: Path, *, objects: Mapping[str, Path], core: int | None, seed: int
    ) -> None:
        self._side = side
        name = f"{side}-{seed}"
        self._errors = work / f"{name}.stderr"
        spec = {
            "code": str(code.resolve()),
            "core": core,
            "objects": {key: str(path) for key, path in objects.items()},
            "shared": str(work / f"{name}.requests"),
        }
        path = work / f"{name}.json"
        path.write_text(json.dumps(spec), "utf-8")
        # The guard finds what carries the mark of the workspace.
        variables = child_environment(os.environ, fixed={MARK: str(work), "PYTHONHASHSEED": str(seed)})
        with self._errors.open("wb") as stderr, signals_held():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.gate.replay.worker", str(path)],
                env=variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
            self._registered = work / "pids" / str(self._process.pid)
            self._registered.write_text(name)
        self._pending = b""
        self._doing = ""
        self.deadline = 0.0
        """When, in monotonic seconds, an answer is late."""

    def load(self, unit: str, handler: str, variables: Mapping[str, str], events: Sequence[bytes]) -> Steps[int]:
        """Import a handler and give it the events of `unit`; returns the CPU time of the import in nanoseconds."""
        texts = [event.decode("utf-8") for event in events]
        answer = yield from self._ask(
            {"load": unit, "handler": handler, "variables": dict(variables), "events": texts}, f"importing {handler}"
        )
        return int(answer["cpu_ns"])

    def run(self, unit: str, *, record: bool = False) -> Steps[Pass]:
        """Run all events of a unit once; raises TrialFailed where the handler raises or dies, and Unanswered."""
        answer = yield from self._ask({"run": unit, "record": record}, f"replaying {unit}")
        return Pass(**answer)

    def close(self) -> None:
        """End the process and whatever it started; safe to call twice."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._registered.unlink(missing_ok=True)

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the descriptor on which answers arrive."""
        return _pipe(self._process.stdout).fileno()

    def late(self) -> TrialFailed:
        """Return the error of a worker that does not answer."""
        return TrialFailed(
            f"{self._side}, {self._doing}: no end after {PASS_SECONDS:g} s", hint="does its handler hang?"
        )

    def _ask(self, command: Mapping[str, Any], doing: str) -> Steps[dict[str, Any]]:
        self._doing, self.deadline = doing, time.monotonic() + PASS_SECONDS
        try:
            _pipe(self._process.stdin).write(json.dumps(command).encode() + b"\n")
            _pipe(self._process.stdin).flush()
        except BrokenPipeError:
            raise self._died() from None
        while b"\n" not in self._pending:
            yield self
            read = os.read(self.fileno(), 1 << 20)
            if not read:
                raise self._died()
            self._pending += read
        line, _, self._pending = self._pending.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if unknown := answer.get("unknown"):
            asked = ", ".join(sorted(set(unknown)))
            raise Unanswered(
                f"{self._side}, {doing}: it asks for {asked}, which the replay does not answer",
                hint="compare these versions with `harness gate`, without --replay",
            )
        if "error" in answer:
            raise TrialFailed(f"{self._side}, {doing}: {answer['error']}")
        return answer

    def _died(self) -> TrialFailed:
        code = self._process.wait()
        return TrialFailed(f"{self._side}, {self._doing}: its process ended with {code}: {tail(self._errors, 6)}")


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise AssertionError("workers are started with pipes")
    return stream


Result = TypeVar("Result")
Steps = Generator[WorkerProcess, None, Result]
"""Work that yields the worker for whose answer it waits, and returns its result."""
