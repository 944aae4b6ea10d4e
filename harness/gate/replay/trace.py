"""Records what is replayed: the base's own handlers clean, insert, capture, process and update a few hundred rows."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.corpus import CorpusSpec, generate
from harness.gate.replay.events import (
    UnknownTraffic,
    object_created,
    queue_events,
    sent_bodies,
    stream_events,
    written_items,
)
from harness.gate.replay.functions import Functions, functions_of
from harness.gate.replay.process import WorkerProcess
from harness.gate.replay.steps import alone
from harness.gate.trial import TrialFailed

KEY = "record_id"

BATCHED_ROWS = 400
"""Rows that travel in record batches: one or two events of each stage."""

CLEAN_ROWS = 2_000
"""Rows of the object that clean is given: enough for its rows to count beside its calls of S3."""

SINGLE_ROWS = 50
"""Rows that travel one a message, as in the published design: five events of each queue."""

POOL_ROWS, _POOL_ROW_BYTES = 2_500, 1_700
"""An object of 4.25 MB, more than one block of 4 MiB, for which clean starts processes: few rows and long ones, so that
the processes count and not the rows."""

_DIRTY, _QUARANTINED = 0.05, 0.005


@dataclass(frozen=True)
class Unit:
    """What is measured together: `events` of one stage, with `rows` rows in them, in one round of `every`."""

    name: str
    stage: str
    rows: int
    events: Sequence[bytes]
    every: int = 1


@dataclass(frozen=True)
class Trace:
    """What both versions are given: units, and S3 objects by "bucket/key". `sha256` names the contents."""

    units: tuple[Unit, ...]
    objects: Mapping[str, Path]
    sha256: str


def code_of(tree: Path, target: Path) -> Path:
    """Copy the handlers of a version, and nothing else of it, to a folder of their own; returns it."""
    shutil.copytree(tree / "handlers", target / "handlers", ignore=shutil.ignore_patterns("__pycache__"))
    return target


def record(tree: Path, code: Path, work: Path) -> Trace:
    """Return the trace of the version in `tree`, whose handlers lie in `code`; files go to folder `work`.

    Raises TrialFailed where its handlers fail, or send what cannot be made into events.
    """
    batched, single = functions_of(tree, {}), functions_of(tree, {"RowsPerMessage": "1"})
    bucket = batched.variables("clean")["QUARANTINE_BUCKET"]
    files = {key: work / key for key in ("batched.csv", "single.csv", "clean.csv", "pool.csv")}
    counts = {"batched.csv": BATCHED_ROWS, "single.csv": SINGLE_ROWS, "clean.csv": CLEAN_ROWS}
    for key, count in counts.items():
        generate(files[key], CorpusSpec(count, dirty=_DIRTY, quarantine=_QUARANTINED, poison=0.0))
    files["pool.csv"].write_text(_long_rows(), "utf-8")
    objects = {f"{bucket}/{key}": path for key, path in files.items()}
    notices = {key: object_created(bucket, key, path.stat().st_size) for key, path in files.items()}
    try:
        many = _chain(batched, code, work, objects, notices["batched.csv"])
        few = _chain(single, code, work, objects, notices["single.csv"])
    except UnknownTraffic as error:
        raise TrialFailed(f"the trace of base cannot be recorded: {error}") from error
    units = [Unit("clean", "clean", CLEAN_ROWS, [notices["clean.csv"]])]
    both = BATCHED_ROWS + SINGLE_ROWS
    units += [Unit(stage, stage, both, [*many[stage], *few[stage]]) for stage in many]
    units.append(Unit("clean_pool", "clean", POOL_ROWS, [notices["pool.csv"]], every=6))
    digest = hashlib.sha256()
    for unit in units:
        for event in unit.events:
            digest.update(hashlib.sha256(event).digest())
    for path in objects.values():
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return Trace(tuple(units), objects, digest.hexdigest())


def _long_rows() -> str:
    text = "a note of some words that goes on and says nothing; " * (_POOL_ROW_BYTES // 51)
    lines = (f"{row},{row % 97}.50,{text},EUR" for row in range(1, POOL_ROWS + 1))
    return "id,amount,note,currency\n" + "\n".join(lines) + "\n"


def _chain(
    functions: Functions, code: Path, work: Path, objects: Mapping[str, Path], notice: bytes
) -> dict[str, list[bytes]]:
    """Send one object through all stages; returns the events of each but clean."""
    events: dict[str, list[bytes]] = {}
    with WorkerProcess("base", code, work, objects=objects, core=None, seed=0) as worker:

        def run(stage: str, given: Sequence[bytes]) -> Sequence[tuple[str, str]]:
            alone(worker.load(stage, functions.of_stage(stage).handler, functions.variables(stage), given))
            return alone(worker.run(stage, record=True)).kept

        def through(stage: str, kept: Sequence[tuple[str, str]], variable: str, sender: str) -> None:
            url = functions.variables(sender)[variable]
            events[stage] = queue_events(sent_bodies(kept, url), *functions.queue_of(stage))
            if not events[stage]:
                raise UnknownTraffic(f"{sender} sent nothing to {variable}")

        through("insert", run("clean", [notice]), "INSERT_QUEUE_URL", "clean")
        items = written_items(run("insert", events["insert"]))
        events["capture"] = stream_events(items, KEY, *functions.stream_of("capture"))
        through("process", run("capture", events["capture"]), "PROCESS_QUEUE_URL", "capture")
        through("update", run("process", events["process"]), "FINISHED_QUEUE_URL", "process")
        run("update", events["update"])
    return events
