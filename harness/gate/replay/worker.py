"""The process of one version: imports its handlers, then runs what it is told to, one line of JSON at a time.

`python -m harness.gate.replay.worker SPEC` reads commands from standard input and answers on standard output. Standard
library alone, so that both versions begin with the same modules and nothing of the harness is among their garbage.

SPEC is JSON: `code` is the folder with the version's `handlers`, `core` the processor to stay on (None: any), `objects`
files by "bucket/key", `shared` a file for what forked children note. Commands:

  {"load": NAME, "handler": "handlers.insert.handler", "variables": {...}, "events": ["...", ...]}
  {"run": NAME, "record": false}
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.gate.replay.stub import Ledger, Services, install

REMAINING_MS = 60_000


class Context:
    """What a handler may ask of its invocation."""

    aws_request_id = "00000000-0000-0000-0000-000000000000"
    function_name = "replay"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:replay"
    memory_limit_in_mb = 512

    def get_remaining_time_in_millis(self) -> int:
        """Return the same time always, so that no pass is hurried."""
        return REMAINING_MS


@dataclass(frozen=True)
class Loaded:
    """A handler with its events as text, and its function's environment variables."""

    handler: Callable[[Any, Any], Any]
    variables: dict[str, str]
    events: Sequence[str]


class Clock:
    """CPU time, and time spent waiting without being kept from the processor, in nanoseconds."""

    def __init__(self) -> None:
        try:
            self._scheduler = os.open("/proc/self/schedstat", os.O_RDONLY)
            self._queued_ns()
            self.sees_waits = True
        except (OSError, ValueError, IndexError):
            self.sees_waits = False

    def _queued_ns(self) -> int:
        return int(os.pread(self._scheduler, 100, 0).split()[1])

    def now(self) -> tuple[int, int, int, int]:
        """Return CPU time of this process and of ended children, time since some moment, and time in the run queue."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        ended = int((children.ru_utime + children.ru_stime) * 1e9)
        queued = self._queued_ns() if self.sees_waits else 0
        return time.process_time_ns(), ended, time.perf_counter_ns(), queued


class Worker:
    """Runs loaded events and measures them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._clock = Clock()
        self._loaded: dict[str, Loaded] = {}

    def load(self, command: dict[str, Any]) -> dict[str, Any]:
        """Import a handler under its function's variables; returns the CPU time of it in nanoseconds."""
        os.environ.update(command["variables"])
        began = time.process_time_ns()
        module, _, name = command["handler"].rpartition(".")
        handler = getattr(importlib.import_module(module), name)
        self._loaded[command["load"]] = Loaded(handler, command["variables"], command["events"])
        return {"cpu_ns": time.process_time_ns() - began}

    def run(self, command: dict[str, Any]) -> dict[str, Any]:
        """Run all events of a name once; returns times in nanoseconds, what was asked of services, and the answers."""
        unit = self._loaded[command["run"]]
        os.environ.update(unit.variables)
        events = [json.loads(event) for event in unit.events]
        ledger, context = self._ledger, Context()
        ledger.clear()
        ledger.recording = command.get("record", False)
        gc.collect()
        before = self._clock.now()
        answers = [unit.handler(event, context) for event in events]
        after = self._clock.now()
        ledger.children()
        own, ended, wall, queued = (b - a for a, b in zip(before, after, strict=True))
        # While children run, their parent waits for them, and that is no waiting.
        waited = max(0, wall - own - queued) if self._clock.sees_waits and not ended else 0
        return {
            "cpu_ns": own + ended - ledger.taken_ns,
            "waited_ns": waited,
            "requests": dict(ledger.requests),
            "entries": dict(ledger.entries),
            "unknown": ledger.unknown,
            "answers": answers,
            "kept": ledger.kept,
        }


def main() -> None:
    """Serve commands until standard input ends."""
    spec = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    if spec["core"] is not None:
        os.sched_setaffinity(0, {spec["core"]})
    commands = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What handlers print goes nowhere, as quickly as into a pipe.
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    sys.path.insert(0, spec["code"])
    ledger = Ledger(Path(spec["shared"]))
    objects = {name: Path(path).read_bytes() for name, path in spec["objects"].items()}
    install(Services(ledger, objects))
    worker = Worker(ledger)
    for line in commands:
        command = json.loads(line)
        try:
            answer = worker.load(command) if "load" in command else worker.run(command)
        except Exception as error:  # noqa: BLE001  whatever a handler raises ends the gate, told by the other side
            unknown = ledger.unknown
            answer = {"error": f"{type(error).__name__}: {error}", "unknown": unknown}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
