"""Runs of the whole pipeline with something going wrong in the middle."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from harness.corpus import CorpusSpec
from harness.engines.embedded import EmbeddedEngine
from harness.experiments.lifecycle import STACK, Setting, conduct
from harness.experiments.reporter import Reporter
from harness.experiments.upload_run import UploadExperiment, UploadRun, generated_input, own_input
from tests.contract.support import eventually

QUIET = Reporter(Console(quiet=True), quiet=True)

QUICK = {"RetryDelaySeconds": "1", "VisibilityTimeout": "24", "WorkerTimeout": "20"}
"""Template parameters that make retries quick; a fault then costs seconds rather than minutes."""

KILLED = {"RetryDelaySeconds": "1", "VisibilityTimeout": "12", "WorkerTimeout": "10"}
"""For functions that are killed: their messages are in flight until the visibility timeout, which is waited out."""

PATIENT = {"VisibilityTimeout": "72", "WorkerTimeout": "60"}
"""For faults that slow functions down and do not end them: three receives must not run out of time on a machine whose
host is busy (seen with 45% of the CPU time withheld)."""


def run_pipeline(
    engine: EmbeddedEngine,
    folder: Path,
    spec: CorpusSpec | None = None,
    *,
    file: Path | None = None,
    parameters: dict[str, str] | None = None,
    meanwhile: Callable[[], None] | None = None,
    stall_timeout: float = 240.0,
) -> UploadRun:
    """Run the main job quietly; `meanwhile` runs beside it, and its failure fails the run."""
    setting = Setting({**QUICK, **(parameters or {})}, stall_timeout, folder / "cache")
    if file is not None:
        uploaded = own_input(file, setting, QUIET, room_here=True)
    else:
        uploaded = generated_input(spec or CorpusSpec(rows=0), setting, QUIET, room_here=True)
    failures: list[BaseException] = []

    def disturb() -> None:
        try:
            if meanwhile is not None:
                meanwhile()
        except (AssertionError, OSError) as error:
            failures.append(error)

    thread = threading.Thread(target=disturb, daemon=True)
    thread.start()
    out = folder / "run"
    out.mkdir()
    finished = conduct(UploadExperiment(uploaded, setting, baseline=False), engine, out, QUIET)
    thread.join(120)
    if failures:
        raise failures[0]
    assert not thread.is_alive(), "the disturbance never came"
    return finished


def items_in_table(engine: EmbeddedEngine) -> int:
    """Return the number of items, 0 before the stack is deployed."""
    client = engine.client("dynamodb")
    names = [n for n in client.list_tables()["TableNames"] if n.startswith(STACK)]
    return int(client.describe_table(TableName=names[0])["Table"]["ItemCount"]) if names else 0


def wait_for_items(engine: EmbeddedEngine, count: int, seconds: float = 180.0) -> None:
    """Return when the table holds at least `count` items."""
    deadline = time.monotonic() + seconds
    while items_in_table(engine) < count:
        assert time.monotonic() < deadline, f"no {count} items within {seconds:g} s"
        time.sleep(0.02)


def wait_for_rows(runs: Path, stage: str, seconds: float = 90.0) -> None:
    """Return when the time series of the newest run in `runs` has rows of a stage.

    The console says so only every five seconds.
    """
    series = runs / "latest" / "timeseries.jsonl"

    def moved() -> bool:
        lines = series.read_text().splitlines(keepends=True) if series.is_file() else []
        samples = [json.loads(line) for line in lines if line.endswith("\n")]
        return any(s["name"] == stage and s["rows"] > 0 for sample in samples[-1:] for s in sample["stages"])

    eventually(f"rows of {stage}", moved, seconds=seconds)


def environment_pids(engine: EmbeddedEngine, function: str) -> list[int]:
    """Return the process ids of a function's execution environments."""
    found = []
    for path in (engine.work_dir / "pids").iterdir():
        try:
            if path.read_text().startswith(f"{STACK}-{function}-"):
                found.append(int(path.name))
        except FileNotFoundError:
            continue
    return found
