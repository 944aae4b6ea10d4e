"""Processes of the data plane that are killed in the middle of a run: started again, and no row is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.corpus import CorpusSpec
from harness.engines.embedded import EmbeddedEngine
from harness.experiments.lifecycle import STACK, TEMPLATE
from tests.contract.support import eventually
from tests.e2e.support import PATIENT, QUICK, items_in_table, run_pipeline, wait_for_items
from tests.processes import descendants, heed_interrupts, wait_for_line

SPEC = CorpusSpec(rows=8_000, seed=5, dirty=0.1, quarantine=0.01, poison=0.0)
KILLS = 3
"""A supervised process may end five times within 30 seconds before it is given up."""


@pytest.fixture
def engine() -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine() as started:
        yield started


class Killer:
    """Kills processes of an engine by name whenever the table holds the next of some random numbers of items.

    Most of a run's 8,000 items are written while every later stage works, so these are moments in the middle of it.
    """

    def __init__(self, engine: EmbeddedEngine, names: tuple[str, ...], seed: int) -> None:
        chance = random.Random(seed)
        self._engine = engine
        self._names = names
        self._counts = sorted(chance.sample(range(100, 7_000), KILLS))
        self.killed: list[str] = []

    def __call__(self) -> None:
        for number, count in enumerate(self._counts):
            wait_for_items(self._engine, count)
            name = self._names[number % len(self._names)]
            pid = self._engine.processes[name]
            os.kill(pid, signal.SIGKILL)
            eventually(f"another process of {name}", lambda: self._engine.processes[name] != pid)  # noqa: B023
            self.killed.append(name)


@pytest.mark.parametrize(
    ("names", "seed"),
    [(("tables",), 1), (("queues",), 2), (("queues", "tables"), 3), (("tables", "queues"), 4)],
    ids=["tables", "queues", "both", "both again"],
)
def test_run_when_processes_of_the_data_plane_are_killed_is_conserved(
    engine: EmbeddedEngine, tmp_path: Path, names: tuple[str, ...], seed: int
) -> None:
    killer = Killer(engine, names, seed)
    finished = run_pipeline(engine, tmp_path, SPEC, meanwhile=killer, parameters=PATIENT)
    assert (finished.audit.conserved, finished.audit.as_expected) == (True, True), finished.audit.findings
    restarts = finished.result.engine.service["restarts"]
    assert restarts == {name: killer.killed.count(name) for name in ("queues", "tables")}
    assert len(killer.killed) == KILLS


def start_deploy(folder: Path) -> subprocess.Popen[str]:
    """Run `harness deploy --data` until its endpoint is printed, with nothing of the user's own in its way."""
    environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "XDG_CACHE_HOME": str(folder / "cache")}
    (folder / "tmp").mkdir(exist_ok=True)
    parameters = [f"{name}={value}" for name, value in {**QUICK, **PATIENT}.items()]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "harness", "deploy", "--data", str(folder / "data")),
            *(word for parameter in parameters for word in ("-p", parameter)),
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509  no threads here
    )
    wait_for_line(process, r"^endpoint ")
    return process


def end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """End a command and wait until everything that it started has ended, too."""
    family = descendants(process.pid)
    process.send_signal(number)
    process.wait(120)
    if process.stdout is not None:
        process.stdout.close()
    eventually("its processes ended", lambda: not any(p.is_running() for p in family))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_deploy_with_data_when_started_again_has_the_same_items_and_does_not_process_them_again(
    tmp_path: Path, number: signal.Signals
) -> None:
    data = tmp_path / "data"
    spec = CorpusSpec(rows=600, seed=4, dirty=0.0, quarantine=0.0, poison=0.0)
    kept = tmp_path / "first"
    kept.mkdir()
    with EmbeddedEngine(data=data) as engine:
        finished = run_pipeline(engine, kept, spec, parameters=PATIENT)
        assert finished.audit.conserved
        table = finished.deployment.output("RecordsTable")
    process = start_deploy(tmp_path)
    try:
        refused = subprocess.run(
            [sys.executable, "-m", "harness", "deploy", "--data", str(data)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 5
        assert f"is in use by process {process.pid}" in refused.stdout + refused.stderr
    finally:
        end(process, number)
    with EmbeddedEngine(data=data) as engine:
        deployed = engine.deploy(TEMPLATE, {**QUICK, **PATIENT}, stack_name=STACK)
        assert deployed.output("RecordsTable") == table
        assert items_in_table(engine) == 600
        capture = deployed.output("CaptureFunction")
        engine.client("dynamodb").put_item(TableName=table, Item={"record_id": {"S": "new#1"}})
        eventually("the stream was read", lambda: _read_to_its_end(engine))
        # The new item's status is none that the filter of capture passes: nothing else was left to process.
        assert engine.report().functions[capture]["invocations"] == 0


def _read_to_its_end(engine: EmbeddedEngine) -> bool:
    before = engine.activity()
    return before.idle and before.streams_read_at is not None and before.streams_read_at > before.now - 1
