"""Carrying out a gate with made-up trials: order, conditions, early ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from harness.errors import EngineError, HarnessError
from harness.gate.gate import run_gate
from harness.gate.model import Planned, Side, Trial, Verdict, plan
from harness.gate.trial import TrialFailed
from harness.gate_policy import Policy
from tests.unit.gate.support import CPU, RATE, jitter, metrics, trial

POLICY = Policy(pairs=10, warmup=1, deciding=(RATE, CPU))


class Made:
    """Trials that a function makes; remembers which were asked for."""

    def __init__(self, make: Callable[[Planned], Trial]) -> None:
        self.asked: list[Planned] = []
        self._make = make

    def run(self, planned: Planned) -> Trial:
        self.asked.append(planned)
        return self._make(planned)


def steady(planned: Planned, **changes: Any) -> Trial:
    return trial(planned, metrics(1000 * jitter(planned.number), 50 * jitter(planned.number)), **changes)


def ignore(planned: Planned | None, done: Sequence[Trial]) -> None:
    """Show nothing."""


def test_run_gate_when_all_goes_well_runs_the_whole_plan_in_order() -> None:
    made = Made(steady)
    outcome = run_gate(made, POLICY, ignore)
    assert made.asked == list(plan(10, 1))
    assert [t.planned for t in outcome.trials] == made.asked
    assert outcome.decision.verdict is Verdict.PASS
    assert outcome.error is None


def test_run_gate_when_progress_is_told_has_all_trials_so_far() -> None:
    seen: list[tuple[int | None, int]] = []

    def progress(planned: Planned | None, done: Sequence[Trial]) -> None:
        seen.append((planned.number if planned else None, len(done)))

    run_gate(Made(steady), POLICY, progress)
    assert seen == [*((n, n - 1) for n in range(1, 23)), (None, 22)]


@pytest.mark.parametrize("number", [1, 8, None])
def test_run_gate_when_interrupted_while_showing_progress_keeps_the_trials(number: int | None) -> None:
    def interrupted(planned: Planned | None, done: Sequence[Trial]) -> None:
        if (planned.number if planned else None) == number:
            raise KeyboardInterrupt

    outcome = run_gate(Made(steady), POLICY, interrupted)
    assert outcome.decision.verdict is Verdict.INTERRUPTED
    assert len(outcome.trials) == (22 if number is None else number - 1)
    assert isinstance(outcome.error, KeyboardInterrupt)


@pytest.mark.parametrize("number", [1, 2, 9, 22])
def test_run_gate_when_a_trial_loses_rows_ends_at_once_and_keeps_it(number: int) -> None:
    made = Made(lambda p: steady(p, conserved=p.number != number, problem="" if p.number != number else "1 x lost"))
    outcome = run_gate(made, POLICY, ignore)
    assert outcome.decision.verdict is Verdict.NOT_CONSERVED
    assert len(made.asked) == number == len(outcome.trials)
    assert "1 x lost" in outcome.decision.reasons[0]


@pytest.mark.parametrize("other", [{"sha256": "bb"}, {"versions": {"engine": "2"}}])
def test_run_gate_when_a_trial_loses_rows_on_another_input_is_not_conserved(other: dict[str, Any]) -> None:
    made = Made(lambda p: steady(p, **({"conserved": False, "problem": "1 x lost", **other} if p.number == 4 else {})))
    outcome = run_gate(made, POLICY, ignore)
    assert outcome.decision.verdict is Verdict.NOT_CONSERVED
    assert outcome.decision.reasons == ("trial 4 (head): 1 x lost",)
    assert (len(made.asked), outcome.error) == (4, None)


@pytest.mark.parametrize("error", [TrialFailed("trial 7 ended with 5"), EngineError("it died")])
def test_run_gate_when_a_trial_fails_stops_and_drops_none(error: HarnessError) -> None:
    def make(planned: Planned) -> Trial:
        if planned.number == 7:
            raise error
        return steady(planned)

    made = Made(make)
    outcome = run_gate(made, POLICY, ignore)
    assert outcome.decision.verdict is Verdict.FAILED
    assert outcome.decision.reasons == (str(error),)
    assert outcome.error is error
    assert len(outcome.trials) == 6
    assert len(made.asked) == 7


def test_run_gate_when_interrupted_says_where_and_keeps_the_trials() -> None:
    def make(planned: Planned) -> Trial:
        if planned.number == 5:
            raise KeyboardInterrupt
        return steady(planned)

    outcome = run_gate(Made(make), POLICY, ignore)
    assert outcome.decision.verdict is Verdict.INTERRUPTED
    assert outcome.decision.reasons == ("interrupted after 4 of 22 trials",)
    assert len(outcome.trials) == 4
    assert isinstance(outcome.error, KeyboardInterrupt)


def test_run_gate_when_a_trial_had_other_bytes_fails() -> None:
    outcome = run_gate(Made(lambda p: steady(p, sha256="aa" if p.side is Side.BASE else "bb")), POLICY, ignore)
    assert outcome.decision.verdict is Verdict.FAILED
    assert "another corpus" in outcome.decision.reasons[0]
    assert len(outcome.trials) == 2


def test_run_gate_when_a_trial_had_another_emulator_fails_naming_it() -> None:
    outcome = run_gate(
        Made(lambda p: steady(p, versions={"ministack": "1.5.33" if p.number < 6 else "1.6.0"})), POLICY, ignore
    )
    assert outcome.decision.verdict is Verdict.FAILED
    assert "ministack 1.5.33 -> 1.6.0" in outcome.decision.reasons[0]
