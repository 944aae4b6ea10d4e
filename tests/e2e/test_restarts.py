"""Processes of the data plane that are killed in the middle of a run: started again, and no row is lost."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.corpus import CorpusSpec
from harness.engines.embedded import EmbeddedEngine
from tests.contract.support import eventually
from tests.e2e.support import PATIENT, run_pipeline, wait_for_items

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
            pid = self._engine.pids[name]
            os.kill(pid, signal.SIGKILL)
            eventually(f"another process of {name}", lambda: self._engine.pids[name] != pid)  # noqa: B023
            self.killed.append(name)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_run_when_the_tables_are_killed_is_conserved(engine: EmbeddedEngine, tmp_path: Path, seed: int) -> None:
    killer = Killer(engine, ("tables",), seed)
    finished = run_pipeline(engine, tmp_path, SPEC, meanwhile=killer, parameters=PATIENT)
    assert killer.killed == ["tables"] * KILLS
    assert (finished.audit.conserved, finished.audit.as_expected) == (True, True), finished.audit.findings
    assert finished.result["engine"]["functions"]["_service"]["restarts"]["tables"] == KILLS
