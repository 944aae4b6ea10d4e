"""The verdict on replayed pairs."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from harness.gate.model import Side, Verdict
from harness.gate.replay.judge import IMPORT, decide, metric_name, trials_of
from harness.gate.replay.pair import Pair, UnitPair, Work
from harness.gate.replay.run import POLICY, UNITS

ROWS = dict.fromkeys(UNITS, 100)
WORK = Work({"SendMessageBatch": 4}, {"SendMessageBatch": 40}, ({"batchItemFailures": []},))


def unit(ratio: float, head: Work = WORK) -> UnitPair:
    return UnitPair({Side.BASE: 2e6, Side.HEAD: 2e6 * ratio}, ratio, {Side.BASE: WORK, Side.HEAD: head})


def pairs(slower: dict[str, float] | None = None, noise: float = 0.01, **changed: Work) -> list[Pair]:
    generator = random.Random(7)
    found = []
    for number in range(1, POLICY.pairs + 1):
        units = {
            name: unit((1 + (slower or {}).get(name, 0.0)) * (1 + generator.gauss(0, noise)), changed.get(name, WORK))
            for name in UNITS
        }
        imports = {Side.BASE: 300_000_000, Side.HEAD: 300_000_000 + generator.randrange(20_000_000)}
        found.append(Pair(number, units, imports, dict.fromkeys(Side, 4.0)))
    return found


def test_decide_when_nothing_changed_passes() -> None:
    decision = decide(pairs(), ROWS, POLICY)
    assert decision.verdict is Verdict.PASS
    assert [m.name for m in decision.metrics] == [*map(metric_name, UNITS), IMPORT]
    assert [m.deciding for m in decision.metrics] == [True] * len(UNITS) + [False]


@pytest.mark.parametrize("name", UNITS)
def test_decide_when_one_unit_is_5_percent_slower_names_it_alone(name: str) -> None:
    decision = decide(pairs({name: 0.05}), ROWS, POLICY)
    assert decision.verdict is Verdict.REGRESSED
    assert [m.name for m in decision.metrics if m.regressed] == [metric_name(name)]
    assert len(decision.reasons) == 1 and decision.reasons[0].startswith(metric_name(name))


def test_decide_when_head_is_faster_passes() -> None:
    assert decide(pairs({"insert": -0.2}), ROWS, POLICY).verdict is Verdict.PASS


def test_decide_when_it_looks_slower_but_is_too_noisy_is_inconclusive() -> None:
    decision = decide(pairs({"insert": 0.06}, noise=0.3), ROWS, replace(POLICY, threshold=1.0001))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert any("too noisy" in reason for reason in decision.reasons)


def test_decide_when_head_makes_one_request_more_is_a_regression_whatever_the_times() -> None:
    more = replace(WORK, requests={"SendMessageBatch": 5})
    decision = decide(pairs({"capture": -0.3}, capture=more), ROWS, POLICY)
    assert decision.verdict is Verdict.REGRESSED
    assert decision.reasons == ("capture: 5 requests to AWS for the same rows, base makes 4",)


def test_decide_when_head_makes_fewer_requests_passes() -> None:
    assert decide(pairs(capture=replace(WORK, requests={"SendMessageBatch": 3})), ROWS, POLICY).verdict is Verdict.PASS


def test_decide_when_head_uses_another_operation_counts_its_requests() -> None:
    other = replace(WORK, requests={"SendMessage": 40}, entries={"SendMessage": 40})
    decision = decide(pairs(capture=other), ROWS, POLICY)
    assert decision.verdict is Verdict.REGRESSED
    assert "capture: 40 requests to AWS" in decision.reasons[0]


@pytest.mark.parametrize(
    "other",
    [
        replace(WORK, answers=({"batchItemFailures": [{"itemIdentifier": "a"}]},)),
        replace(WORK, entries={"SendMessageBatch": 39}),
        replace(WORK, requests={}, entries={}),
        replace(WORK, entries={"SendMessageBatch": 40, "PutItem": 1}),
    ],
)
def test_decide_when_head_does_other_work_is_inconclusive_however_slow(other: Work) -> None:
    decision = decide(pairs({"process": 1.0}, process=other), ROWS, POLICY)
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert len(decision.reasons) == 1 and decision.reasons[0].startswith("process: ")
    assert not decision.metrics


def test_decide_when_requests_and_times_are_worse_says_both() -> None:
    more = replace(WORK, requests={"SendMessageBatch": 9})
    decision = decide(pairs({"update": 0.2}, capture=more), ROWS, POLICY)
    assert [reason.split(":")[0].split(" ")[0] for reason in decision.reasons] == ["capture", metric_name("update")]


def test_trials_of_a_pair_are_numbered_and_in_microseconds_a_row() -> None:
    pair = replace(pairs()[1], number=3)
    base, head = trials_of(pair, ROWS)
    found: list[Any] = [(t.planned.number, t.planned.pair, t.planned.side) for t in (base, head)]
    assert found == [(5, 3, Side.BASE), (6, 3, Side.HEAD)]
    assert base.metrics[metric_name("insert")].value == pytest.approx(20.0)
    assert base.metrics[IMPORT].value == pytest.approx(300.0)
