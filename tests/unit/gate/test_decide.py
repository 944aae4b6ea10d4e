"""Policy, order of trials, and the verdict on them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ExitCode, UsageError
from harness.gate.decide import complete_pairs, decide
from harness.gate.model import Planned, Side, Trial, Verdict, plan
from harness.gate_policy import Policy
from tests.unit.gate.support import CPU, RATE, jitter, metrics, sides, trial

POLICY = Policy(pairs=12, deciding=(RATE, CPU))


def trials(
    pairs: int = 12,
    *,
    rate: Callable[[int, Side], float] = lambda number, side: 1000 * jitter(number),
    cpu: Callable[[int, Side], float | None] = lambda number, side: 50 * jitter(number),
) -> list[Trial]:
    found = []
    for pair in range(1, pairs + 1):
        for planned in sides(pair):
            numbers = (planned.number, planned.side)
            found.append(trial(planned, metrics(rate(*numbers), cpu(*numbers))))
    return found


def slower(factor: float) -> Callable[[int, Side], float]:
    return lambda number, side: 50 * jitter(number) * (factor if side is Side.HEAD else 1)


def test_plan_when_listed_alternates_within_pairs_after_warming_up_both_sides() -> None:
    order = [(p.pair, p.side.value) for p in plan(3, 1)]
    assert order == [
        *[(0, "base"), (0, "head")],
        *[(1, "base"), (1, "head")],
        *[(2, "head"), (2, "base")],
        *[(3, "base"), (3, "head")],
    ]


@given(st.integers(1, 40), st.integers(0, 3))
def test_plan_when_of_any_size_has_each_side_once_a_pair_and_consecutive_numbers(pairs: int, warmup: int) -> None:
    planned = list(plan(pairs, warmup))
    assert [p.number for p in planned] == list(range(1, 2 * (pairs + warmup) + 1))
    for pair in range(1, pairs + 1):
        assert sorted(p.side for p in planned if p.pair == pair) == [Side.BASE, Side.HEAD]
    firsts = [next(p.side for p in planned if p.pair == pair) for pair in range(1, pairs + 1)]
    assert abs(firsts.count(Side.BASE) - firsts.count(Side.HEAD)) <= 1


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy(pairs=9), "9 pairs are too few"),
        (
            Policy(pairs=10, deciding=tuple("abcdefghijkl")),
            "the smallest p-value they can give for 12 metrics is 0.012",
        ),
        (Policy(alpha=0.0), "--alpha is 0"),
        (Policy(alpha=1.0), "--alpha is 1"),
        (Policy(threshold=1.0), "--threshold is 1"),
        (Policy(threshold=0.9), "--threshold is 0.9"),
        (Policy(warmup=-1), "-1 warm-up trials"),
        (Policy(deciding=()), "no metric decides"),
    ],
)
def test_check_when_a_policy_could_find_nothing_refuses_it(policy: Policy, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        policy.check()


def test_check_when_pairs_are_too_few_names_how_many_would_do() -> None:
    with pytest.raises(UsageError) as refused:
        Policy(pairs=10, alpha=0.001, deciding=(RATE, CPU)).check()
    assert "--pairs 11 or more" in refused.value.hint
    Policy(pairs=11, alpha=0.001, deciding=(RATE, CPU)).check()


def test_decide_when_nothing_changed_passes() -> None:
    decision = decide(trials(), POLICY)
    assert decision.verdict is Verdict.PASS
    assert decision.reasons == ()
    assert [m.name for m in decision.metrics] == [RATE, CPU]
    assert all(m.comparison.low < 1.01 and m.comparison.high > 0.99 for m in decision.metrics)


def test_decide_when_head_is_15_percent_slower_in_one_metric_regresses_and_names_it() -> None:
    decision = decide(trials(cpu=slower(1.15)), POLICY)
    assert decision.verdict is Verdict.REGRESSED
    assert len(decision.reasons) == 1
    assert decision.reasons[0].startswith(f"{CPU} costs +1")
    assert {m.name: m.regressed for m in decision.metrics} == {RATE: False, CPU: True}


def test_decide_when_the_rate_falls_regresses_too() -> None:
    decision = decide(
        trials(rate=lambda n, side: 1000 * jitter(n) * (0.8 if side is Side.HEAD else 1)),
        POLICY,
    )
    assert decision.verdict is Verdict.REGRESSED
    assert decision.metrics[0].comparison.median_ratio == pytest.approx(1.25, rel=0.03)


def test_decide_when_head_is_faster_passes() -> None:
    assert decide(trials(cpu=slower(0.7)), POLICY).verdict is Verdict.PASS


def test_decide_when_head_is_surely_but_little_slower_passes() -> None:
    decision = decide(trials(cpu=lambda n, side: 51.0 if side is Side.HEAD else 50.0), POLICY)
    assert decision.verdict is Verdict.PASS
    assert decision.metrics[1].comparison.p_value == 1 / 4096


def test_decide_when_the_median_is_high_but_noise_explains_it_is_inconclusive() -> None:
    generator = random.Random(1)

    def noisy(number: int, side: Side) -> float:
        return 50 * generator.lognormvariate(0.12 if side is Side.HEAD else 0, 0.5)

    decision = decide(trials(cpu=noisy), POLICY)
    assert decision.metrics[1].comparison.median_ratio >= 1.08
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "too noisy to tell" in decision.reasons[0]
    assert decision.metrics[1].suspicious


def test_decide_when_a_metric_that_does_not_decide_is_worse_passes() -> None:
    decision = decide(trials(cpu=slower(2.0)), Policy(pairs=12, deciding=(RATE,)))
    assert decision.verdict is Verdict.PASS
    found = {m.name: m for m in decision.metrics}[CPU]
    assert (found.deciding, found.p_adjusted, found.detectable, found.regressed) == (False, None, None, False)
    assert found.comparison.p_value == 1 / 4096


def test_decide_when_metrics_are_many_adjusts_their_p_values() -> None:
    decision = decide(trials(cpu=slower(1.2)), POLICY)
    assert decision.metrics[1].comparison.p_value == 1 / 4096
    assert decision.metrics[1].p_adjusted == 2 / 4096


@pytest.mark.parametrize("number", [1, 7, 24])
def test_decide_when_one_trial_lost_rows_is_not_conserved_however_fast(number: int) -> None:
    found = trials(cpu=slower(0.5))
    bad = found[number - 1]
    found[number - 1] = trial(bad.planned, bad.metrics, conserved=False, problem="3 x lost")
    decision = decide(found, POLICY)
    assert decision.verdict is Verdict.NOT_CONSERVED
    assert decision.reasons == (f"trial {number} ({bad.planned.side}): 3 x lost",)
    assert decision.metrics == ()


def test_decide_when_a_warm_up_lost_rows_is_not_conserved() -> None:
    warm = trial(Planned(1, 0, Side.HEAD), conserved=False)
    assert decide([warm, *trials()], POLICY).verdict is Verdict.NOT_CONSERVED


def test_decide_when_a_warm_up_is_slow_ignores_its_figures() -> None:
    warm = trial(Planned(0, 0, Side.HEAD), metrics(rate=1, cpu=10_000))
    assert decide([warm, *trials()], POLICY) == decide(trials(), POLICY)


def test_decide_when_base_is_older_than_a_metric_says_so_and_judges_the_others() -> None:
    decision = decide(trials(cpu=lambda n, side: None if side is Side.BASE else 50.0), POLICY)
    assert decision.verdict is Verdict.PASS
    assert decision.not_compared == {CPU: "base does not report it"}
    assert [m.name for m in decision.metrics] == [RATE]


def without(*numbers: int) -> Callable[[int, Side], float | None]:
    return lambda number, side: None if number in numbers else 50.0


@pytest.mark.parametrize(
    ("cpu", "why"),
    [
        (lambda n, side: None if side is Side.HEAD else 50.0, "head does not report it"),
        (without(4), "head lacks it in 1 trials"),
        (without(3, 5), "base lacks it in 2 trials"),
        (lambda n, side: 0.0 if n == 3 else 50.0, "it is 0 in some trials"),
    ],
)
def test_decide_when_a_deciding_metric_cannot_be_compared_is_inconclusive_and_drops_no_pair(
    cpu: Callable[[int, Side], float | None], why: str
) -> None:
    decision = decide(trials(cpu=cpu), POLICY)
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert decision.reasons == (f"{CPU} decides and could not be compared: {why}",)
    assert decision.not_compared == {CPU: why}
    assert decision.metrics[0].comparison.pairs == 12


def test_decide_when_another_metric_cannot_be_compared_passes() -> None:
    decision = decide(trials(cpu=without(4)), Policy(pairs=12, deciding=(RATE,)))
    assert decision.verdict is Verdict.PASS
    assert decision.not_compared == {CPU: "head lacks it in 1 trials"}


def test_decide_when_one_metric_regressed_and_another_cannot_be_compared_regresses() -> None:
    found = trials(rate=lambda n, side: 1000 * jitter(n) * (0.8 if side is Side.HEAD else 1), cpu=without(4))
    decision = decide(found, POLICY)
    assert decision.verdict is Verdict.REGRESSED
    assert decision.not_compared == {CPU: "head lacks it in 1 trials"}


def test_decide_when_no_deciding_metric_is_there_is_inconclusive() -> None:
    decision = decide(trials(), Policy(pairs=12, deciding=("nonsense",)))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert decision.reasons == ("no deciding metric could be compared",)
    assert decision.not_compared["nonsense"] == "base does not report it"


@given(st.permutations(range(24)))
def test_decide_when_trials_come_in_another_order_is_the_same(order: Sequence[int]) -> None:
    found = trials(4)
    shuffled = [found[i] for i in order if i < len(found)]
    assert complete_pairs(shuffled) == complete_pairs(found)


def test_complete_pairs_when_a_trial_is_missing_raises_rather_than_dropping_the_pair() -> None:
    with pytest.raises(ValueError, match="pair 2 is not complete"):
        complete_pairs(trials(3)[:3] + trials(3)[4:])


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict.PASS, 0),
        (Verdict.REGRESSED, 1),
        (Verdict.NOT_CONSERVED, 3),
        (Verdict.INCONCLUSIVE, 4),
        (Verdict.FAILED, 5),
        (Verdict.INTERRUPTED, 130),
    ],
)
def test_exit_code_when_a_verdict_is_given_is_its_own(verdict: Verdict, code: int) -> None:
    assert verdict.exit_code == ExitCode(code)
