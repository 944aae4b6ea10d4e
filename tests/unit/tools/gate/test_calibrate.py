"""Planting a slowdown, collecting a pool, and drawing gates from it."""

from __future__ import annotations

import importlib
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from harness.errors import EnvironmentProblem, UsageError
from harness.gate.model import Planned, Side, Trial, Verdict
from harness.gate_policy import Policy
from tests.unit.gate.support import CPU, RATE, metrics, trial
from tools.gate import calibrate
from tools.gate.calibrate import collect, draw, found_by, read
from tools.gate.plant import Kind, plant

POLICY = Policy(pairs=12, deciding=(RATE, CPU))

_HANDLER = """
import time

def emit(works, context):
    works.append("emitted")

def handler(event, context):
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    emit(event, context)
    return "answer"
"""

_SETTLING_HANDLER = """
import sys
import time

def handler(event, context):
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    sys.modules["handlers.settlement"].emit(event, context)
    return "answer"
"""


@pytest.fixture
def settlement(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Stands in for the module that planted code changes, so that no other test meets the slowdown."""
    module = ModuleType("handlers.settlement")
    module.emit = lambda works, _context: works.append("settled")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "handlers.settlement", module)
    return module


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settlement: ModuleType) -> Iterator[Path]:
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers" / "insert.py").write_text(_HANDLER)
    monkeypatch.syspath_prepend(str(tmp_path / "handlers"))
    yield tmp_path
    sys.modules.pop("insert", None)


def planted(tree: Path, share: float, kind: Kind) -> ModuleType:
    plant(tree, "insert", share, kind)
    importlib.invalidate_caches()
    sys.modules.pop("insert", None)
    return importlib.import_module("insert")


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("share", [0.0, 0.15])
def test_plant_when_the_handler_runs_keeps_its_answer_and_reports_once(tree: Path, kind: Kind, share: float) -> None:
    module = planted(tree, share, kind)
    works: list[str] = []
    assert module.handler(works, None) == "answer"
    assert works == ["emitted"]


def test_plant_when_cpu_is_planted_spends_at_least_that_share_before_reporting(tree: Path) -> None:
    module = planted(tree, 4.0, Kind.CPU)
    before = module._cpu()
    module.handler([], None)
    # 0.05 s of its own and four times as much again; the kernel may count in ticks of 10 ms.
    assert module._cpu() - before >= 0.2


def test_plant_when_the_handler_reports_through_settlement_slows_that_down_once(
    tree: Path, settlement: ModuleType
) -> None:
    (tree / "handlers" / "insert.py").write_text(_SETTLING_HANDLER)
    module = planted(tree, 4.0, Kind.CPU)
    works: list[str] = []
    before = module._cpu()
    module.handler(works, None)
    assert module._cpu() - before >= 0.2
    slowed = settlement.emit
    module.handler(works, None)
    assert settlement.emit is slowed
    assert works == ["settled", "settled"]


def test_plant_when_another_stage_imports_the_module_slows_nothing_down(tree: Path) -> None:
    module = planted(tree, 4.0, Kind.CPU)
    assert module.emit.__name__ == "emit"
    module.handler([], None)
    assert module.emit.__name__ == "emit_later"


def test_plant_when_waiting_is_planted_sleeps_that_share(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = planted(tree, 0.5, Kind.WAIT)
    slept: list[float] = []
    monkeypatch.setattr(module._time, "sleep", slept.append)
    module.handler([], None)
    assert len(slept) == 1
    assert slept[0] >= 0.025


@pytest.mark.parametrize(
    ("stage", "share", "words"), [("nowhere", 0.1, "no stage 'nowhere'"), ("insert", -0.1, "-0.1")]
)
def test_plant_when_it_cannot_be_refuses_and_changes_nothing(tree: Path, stage: str, share: float, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        plant(tree, stage, share, Kind.CPU)
    assert (tree / "handlers" / "insert.py").read_text() == _HANDLER


class Made:
    """Stands in for the trials of one version; `lost` is the number of a trial that loses a row."""

    def __init__(self, factor: float, order: list[tuple[int, Side]], lost: int = 0) -> None:
        self._factor = factor
        self._order = order
        self._lost = lost
        self._random = random.Random(1)

    def run(self, planned: Planned) -> Trial:
        self._order.append((planned.number, planned.side))
        factor = self._factor if planned.side is Side.HEAD else 1.0
        noise = self._random.lognormvariate(0, 0.03)
        found = metrics(1000 * noise, 50 * factor * noise)
        return trial(planned, found, conserved=planned.number != self._lost, problem="1 x lost")


def pool_of(path: Path, rounds: int, monkeypatch: pytest.MonkeyPatch, factor: float = 1.15, lost: int = 0) -> Any:
    clock = iter(range(10_000))
    monkeypatch.setattr("tools.gate.calibrate.time.monotonic", lambda: float(next(clock)))
    order: list[tuple[int, Side]] = []
    trials: Any = {"same": Made(1.0, order, lost), "slow": Made(factor, order)}
    while len(calibrate._lines(path)) < rounds:
        collect(trials, path, 2.0, Console(quiet=True))
    return order


def test_collect_when_rounds_go_on_alternates_and_numbers_trials_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = pool_of(tmp_path / "pool.jsonl", 2, monkeypatch)
    assert [number for number, _ in order] == [1, 2, 3, 4, 5, 6]
    assert [side for _, side in order] == [Side.HEAD, Side.BASE, Side.HEAD] * 2
    pool = read(tmp_path / "pool.jsonl")
    assert [(b.planned.number, h.planned.number) for b, h in pool.pairs["same"]] == [(2, 1), (5, 6)]
    assert [(b.planned.number, h.planned.number) for b, h in pool.pairs["slow"]] == [(2, 3), (5, 4)]
    assert [len(stratum) for stratum in pool.strata("same")] == [1, 1]


def test_collect_when_a_trial_loses_rows_raises_and_keeps_only_whole_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EnvironmentProblem, match="1 x lost"):
        pool_of(tmp_path / "pool.jsonl", 3, monkeypatch, lost=5)
    assert len(calibrate._lines(tmp_path / "pool.jsonl")) == 1


def test_draw_when_a_slowdown_was_planted_finds_it_and_not_where_none_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool_of(tmp_path / "pool.jsonl", 20, monkeypatch)
    pool = read(tmp_path / "pool.jsonl")
    slow, same = draw(pool, "slow", POLICY, 200), draw(pool, "same", POLICY, 200)
    assert slow[Verdict.REGRESSED] > 180
    assert same[Verdict.REGRESSED] <= 2
    assert slow.total() == same.total() == 200
    assert slow == draw(pool, "slow", POLICY, 200)


def test_found_by_when_one_metric_is_asked_judges_it_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool_of(tmp_path / "pool.jsonl", 20, monkeypatch)
    pool = read(tmp_path / "pool.jsonl")
    assert found_by(pool, "slow", CPU, POLICY, 200) > 0.9
    assert found_by(pool, "slow", RATE, POLICY, 200) < 0.1
    assert found_by(pool, "same", RATE, POLICY, 200) < 0.1
    assert found_by(pool, "same", RATE, POLICY, 200, added=0.3) > 0.9


@pytest.mark.parametrize("rounds", [0, 1])
def test_read_when_rounds_are_too_few_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounds: int) -> None:
    pool_of(tmp_path / "pool.jsonl", rounds, monkeypatch)
    with pytest.raises(UsageError, match=f"has {rounds} rounds"):
        read(tmp_path / "pool.jsonl")


def test_read_when_stored_gives_the_metrics_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool_of(tmp_path / "pool.jsonl", 2, monkeypatch, factor=1.0)
    first = json.loads((tmp_path / "pool.jsonl").read_text().splitlines()[0])
    found = read(tmp_path / "pool.jsonl").pairs["same"][0][0].metrics[RATE]
    assert [found.unit, found.direction.value, found.value] == first["base"]["metrics"][RATE]
