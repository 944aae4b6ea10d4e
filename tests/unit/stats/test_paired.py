"""The paired comparison: hand-computed p-values, laws, and what it can detect."""

from __future__ import annotations

import random
import statistics
from itertools import product
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import paired

magnitude = st.floats(-3, 3).map(lambda x: round(x, 3))
differences = st.lists(magnitude, min_size=1, max_size=10)


def enumerated_p(given_differences: list[float]) -> float:
    """The definition, by brute force."""
    observed = sum(given_differences)
    reached = 0
    for signs in product((1, -1), repeat=len(given_differences)):
        reached += sum(s * abs(d) for s, d in zip(signs, given_differences, strict=True)) >= observed - 1e-9
    return float(reached / 2 ** len(given_differences))


@pytest.mark.parametrize(
    ("given_differences", "p"),
    [
        ([1.0], 1 / 2),
        ([-1.0], 1.0),
        ([1.0, 2.0, 3.0], 1 / 8),
        # Of ±1 ±2 ±3 the sums 6, 4 reach 4: two of eight.
        ([-1.0, 2.0, 3.0], 2 / 8),
        # 6, 4, 2, 0, 0 reach 0.
        ([1.0, 2.0, -3.0], 5 / 8),
        ([-1.0, -2.0, -3.0], 1.0),
        ([0.0, 0.0], 1.0),
        ([0.1] * 10, 1 / 1024),
        # All positive, or one of ten negative: eleven of 1,024.
        ([0.1] * 9 + [-0.1], 11 / 1024),
    ],
)
def test_sign_flip_p_when_computed_by_hand_is_the_same(given_differences: list[float], p: float) -> None:
    assert paired.sign_flip_p(given_differences) == pytest.approx(p)


@given(differences)
def test_sign_flip_p_when_enumerated_is_the_same(given_differences: list[float]) -> None:
    assert paired.sign_flip_p(given_differences) == pytest.approx(enumerated_p(given_differences))


@given(differences)
def test_sign_flip_p_when_given_any_differences_lies_between_the_smallest_possible_and_1(
    given_differences: list[float],
) -> None:
    assert paired.smallest_p(len(given_differences)) <= paired.sign_flip_p(given_differences) <= 1


@given(differences, st.integers(-4, 4))
def test_sign_flip_p_when_scaled_does_not_change(given_differences: list[float], power: int) -> None:
    scaled = [d * 2.0**power for d in given_differences]
    assert paired.sign_flip_p(scaled) == paired.sign_flip_p(given_differences)


@given(differences, st.floats(0.001, 2))
def test_sign_flip_p_when_everything_gets_worse_does_not_grow(given_differences: list[float], shift: float) -> None:
    assert paired.sign_flip_p([d + shift for d in given_differences]) <= paired.sign_flip_p(given_differences) + 1e-12


@given(differences)
def test_sign_flip_p_when_head_and_base_are_swapped_covers_everything(given_differences: list[float]) -> None:
    swapped = [-d for d in given_differences]
    assert paired.sign_flip_p(given_differences) + paired.sign_flip_p(swapped) >= 1


def test_sign_flip_p_when_base_and_head_are_the_same_is_below_alpha_no_oftener_than_alpha() -> None:
    generator = random.Random(11)
    alarms = sum(paired.sign_flip_p([generator.gauss(0, 0.1) for _ in range(10)]) <= 0.05 for _ in range(4000))
    # 0.05 × 4000 = 200, standard deviation 14.
    assert 140 <= alarms <= 260


def test_sign_flip_p_when_pairs_are_many_estimates_near_the_exact_value(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(5)
    given_differences = [generator.gauss(0.03, 0.1) for _ in range(20)]
    exact = paired.sign_flip_p(given_differences)
    monkeypatch.setattr(paired, "EXACT_PAIRS", 5)
    estimate = paired.sign_flip_p(given_differences)
    assert estimate == pytest.approx(exact, rel=0.1)
    assert estimate == paired.sign_flip_p(given_differences)


def test_sign_flip_p_when_estimated_is_never_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired, "MONTE_CARLO_FLIPS", 50)
    assert paired.sign_flip_p([1.0] * 40) == pytest.approx(1 / 51)


@pytest.mark.parametrize("function", [paired.sign_flip_p, paired.bootstrap_interval])
def test_paired_when_there_are_no_differences_raises(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match="nothing to"):
        function([])


@pytest.mark.parametrize(
    ("alpha", "metrics", "pairs"), [(0.5, 1, 1), (0.05, 1, 5), (0.01, 1, 7), (0.01, 6, 10), (0.01, 11, 11)]
)
def test_pairs_needed_when_metrics_are_judged_together_is_the_first_that_can_reach_alpha(
    alpha: float, metrics: int, pairs: int
) -> None:
    assert paired.pairs_needed(alpha, metrics) == pairs
    assert paired.smallest_p(pairs) * metrics <= alpha < paired.smallest_p(pairs - 1) * metrics


def test_log_ratios_when_head_costs_more_are_positive_whatever_the_direction() -> None:
    assert paired.log_ratios([100.0], [110.0], higher_is_better=False) == pytest.approx([log(1.1)])
    assert paired.log_ratios([110.0], [100.0], higher_is_better=True) == pytest.approx([log(1.1)])


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_log_ratios_when_a_value_is_not_positive_raises_naming_it(bad: float) -> None:
    with pytest.raises(ValueError, match="no log ratio"):
        paired.log_ratios([1.0], [bad], higher_is_better=True)
    with pytest.raises(ValueError, match="no log ratio"):
        paired.log_ratios([bad], [1.0], higher_is_better=False)


def test_log_ratios_when_trials_are_not_in_pairs_raises() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired.log_ratios([1.0, 2.0], [1.0], higher_is_better=True)


def test_holm_when_computed_by_hand_is_the_same() -> None:
    assert paired.holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert paired.holm({}) == {}


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), min_size=1, max_size=12))
def test_holm_when_given_any_p_values_keeps_their_order_and_never_lowers_one(p_values: dict[str, float]) -> None:
    adjusted = paired.holm(p_values)
    assert adjusted.keys() == p_values.keys()
    for name, p in p_values.items():
        assert p <= adjusted[name] <= 1
        assert adjusted[name] <= p * len(p_values) or adjusted[name] == max(adjusted.values()) or p < adjusted[name]
    ordered = sorted(p_values, key=lambda n: p_values[n])
    assert [adjusted[n] for n in ordered] == sorted(adjusted.values())
    assert min(adjusted.values()) == pytest.approx(min(1.0, min(p_values.values()) * len(p_values)))


@given(differences)
def test_bootstrap_interval_when_repeated_is_the_same_and_within_the_values(given_differences: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(paired, "BOOTSTRAP_RESAMPLES", 500)
        low, high = paired.bootstrap_interval(given_differences)
        again = paired.bootstrap_interval(given_differences)
    assert min(given_differences) <= low <= high <= max(given_differences)
    assert (low, high) == again


def test_bootstrap_interval_when_sampled_often_encloses_the_true_median_about_95_times_in_100(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paired, "BOOTSTRAP_RESAMPLES", 400)
    generator = random.Random(2)
    hits = 0
    for _ in range(300):
        low, high = paired.bootstrap_interval([generator.gauss(0.1, 0.05) for _ in range(12)])
        hits += low <= 0.1 <= high
    assert 0.88 <= hits / 300 <= 0.995


def test_compare_when_head_is_slower_in_every_pair_says_so() -> None:
    given_differences = [0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.11, 0.13, 0.15, 0.17]
    found = paired.compare(given_differences)
    assert found.pairs == 10
    assert found.median_ratio == pytest.approx(exp(statistics.median(given_differences)))
    assert 1.1 < found.low < found.median_ratio < found.high < 1.23
    assert found.p_value == 1 / 1024
    assert found.exact


@pytest.mark.parametrize(
    ("given_differences", "threshold", "expected"),
    [
        ([0.1] * 7, 1.05, True),
        ([0.1] * 6, 1.05, False),
        ([0.04] * 7, 1.05, False),
        ([-0.1] * 7, 1.05, False),
        ([log(1.05) + 1e-9] * 7, 1.05, True),
    ],
)
def test_is_regressed_when_only_one_condition_holds_is_false(
    given_differences: list[float], threshold: float, expected: bool
) -> None:
    assert paired.is_regressed(given_differences, threshold, 0.01) is expected


def test_smallest_detectable_change_when_there_is_no_noise_is_the_threshold() -> None:
    found = paired.smallest_detectable_change([0.0] * 10, 10, 1.05, 0.01)
    assert found == pytest.approx(0.05, abs=0.001)


def test_smallest_detectable_change_when_planted_is_found_about_nine_times_in_ten() -> None:
    generator = random.Random(4)
    noise = [generator.gauss(0, 0.08) for _ in range(200)]
    change = paired.smallest_detectable_change(noise, 10, 1.05, 0.01)
    assert change is not None
    found = sum(
        paired.is_regressed([generator.gauss(log(1 + change), 0.08) for _ in range(10)], 1.05, 0.01) for _ in range(500)
    )
    assert 0.83 <= found / 500 <= 0.96


def test_smallest_detectable_change_when_noise_grows_grows() -> None:
    generator = random.Random(4)
    noise = [generator.gauss(0, 0.02) for _ in range(30)]
    quiet = paired.smallest_detectable_change(noise, 10, 1.01, 0.01)
    loud = paired.smallest_detectable_change([4 * d for d in noise], 10, 1.01, 0.01)
    assert quiet is not None
    assert loud is not None
    assert quiet < loud


@pytest.mark.parametrize(("noise", "pairs"), [([0.01] * 10, 6), ([], 10)])
def test_smallest_detectable_change_when_nothing_could_be_detected_is_none(noise: list[float], pairs: int) -> None:
    assert paired.smallest_detectable_change(noise, pairs, 1.05, 0.01) is None
