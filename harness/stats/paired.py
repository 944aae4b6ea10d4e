"""Paired comparison of two versions: exact sign-flip test, bootstrap interval, smallest detectable change. Pure.

Everything works on log ratios of paired trials, oriented so that a positive one means that the head was worse. Under
the null hypothesis that base and head are the same program, swapping the two trials of a pair changes nothing, so each
log ratio is as likely to have the opposite sign. The test counts the assignments of signs whose sum is at least the
observed one; it assumes nothing about the noise's shape (E. J. G. Pitman, 1937).
"""

from __future__ import annotations

import random
import statistics
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log, sqrt
from statistics import NormalDist

EXACT_PAIRS = 32
"""Up to this many pairs all sign assignments are counted; 2 × 2^16 partial sums take a tenth of a second."""

MONTE_CARLO_FLIPS = 100_000
BOOTSTRAP_RESAMPLES = 10_000
SEED = 20_240_229
"""Fixed, so that the same trials always give the same verdict."""

POWER = 0.9
"""Probability with which a change of the smallest detectable size is found."""

_POWER_SIMULATIONS = 300
_COUNTED_IN_SIMULATIONS = 20
"""Pairs up to which simulations count sign assignments: thousands of tests of more pairs would take minutes."""

_LARGEST_CHANGE = log(8.0)


@dataclass(frozen=True)
class Comparison:
    """One metric of head against base. Ratios are head's cost over base's: above 1 is worse, whatever the metric.

    `low` and `high` are the 95% bootstrap interval of the median ratio; `p_value` is one-sided, for "head is worse",
    and `exact` says whether all sign assignments were counted.
    """

    pairs: int
    median_ratio: float
    low: float
    high: float
    p_value: float
    exact: bool


def log_ratios(base: Sequence[float], head: Sequence[float], *, higher_is_better: bool) -> list[float]:
    """Return one log ratio a pair, positive where head is worse; raises ValueError for values that are not positive."""
    ratios = []
    for b, h in zip(base, head, strict=True):
        if not (b > 0 and h > 0 and isfinite(b) and isfinite(h)):
            raise ValueError(f"{b} and {h} have no log ratio")
        ratios.append(log(b / h) if higher_is_better else log(h / b))
    return ratios


def compare(differences: Sequence[float]) -> Comparison:
    """Return the comparison of at least one log ratio."""
    low, high = bootstrap_interval(differences)
    return Comparison(
        pairs=len(differences),
        median_ratio=exp(statistics.median(differences)),
        low=exp(low),
        high=exp(high),
        p_value=sign_flip_p(differences),
        exact=len(differences) <= EXACT_PAIRS,
    )


def sign_flip_p(differences: Sequence[float]) -> float:
    """Return the one-sided p-value of the sign-flip test for "the differences tend to be positive".

    Exact up to `EXACT_PAIRS` differences; beyond, estimated from `MONTE_CARLO_FLIPS` seeded assignments, the observed
    one counted among them so that the estimate is never 0. Raises ValueError without differences.
    """
    if not differences:
        raise ValueError("there is nothing to test")
    magnitudes = [abs(d) for d in differences]
    # Sums in another order differ in the last bits; ties must count as reached.
    threshold = sum(differences) - 1e-12 * sum(magnitudes)
    if len(differences) <= EXACT_PAIRS:
        middle = len(magnitudes) // 2
        left, right = _signed_sums(magnitudes[:middle]), sorted(_signed_sums(magnitudes[middle:]))
        reached = sum(len(right) - bisect_left(right, threshold - partial) for partial in left)
        return float(reached / 2 ** len(magnitudes))
    generator = random.Random(SEED)
    reached = 1
    for _ in range(MONTE_CARLO_FLIPS):
        bits = generator.getrandbits(len(magnitudes))
        total = sum(m if bits >> i & 1 else -m for i, m in enumerate(magnitudes))
        reached += total >= threshold
    return reached / (MONTE_CARLO_FLIPS + 1)


def _signed_sums(magnitudes: Sequence[float]) -> list[float]:
    sums = [0.0]
    for magnitude in magnitudes:
        sums = [s + magnitude for s in sums] + [s - magnitude for s in sums]
    return sums


def smallest_p(pairs: int) -> float:
    """Return the smallest p-value that so many pairs can give: one assignment of signs out of 2^pairs."""
    return float(2.0**-pairs)


def pairs_needed(alpha: float, metrics: int = 1) -> int:
    """Return the fewest pairs that can give p ≤ `alpha` when `metrics` are judged at once (Holm's first step)."""
    pairs = 1
    while smallest_p(pairs) * metrics > alpha:
        pairs += 1
    return pairs


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values adjusted for judging all of them at once (S. Holm, 1979), by the same names.

    A false alarm in any of them is then no likelier than the level they are compared with, however they depend on each
    other.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, p * (len(p_values) - rank)))
        adjusted[name] = largest
    return adjusted


def bootstrap_interval(differences: Sequence[float], *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the median; seeded, so the same input gives the same answer.

    Raises ValueError without differences.
    """
    if not differences:
        raise ValueError("there is nothing to resample")
    generator = random.Random(SEED)
    count = len(differences)
    medians = sorted(statistics.median(generator.choices(differences, k=count)) for _ in range(BOOTSTRAP_RESAMPLES))
    cut = int((1 - confidence) / 2 * BOOTSTRAP_RESAMPLES)
    return medians[cut], medians[-1 - cut]


def is_regressed(differences: Sequence[float], threshold: float, alpha: float) -> bool:
    """Return whether both conditions hold: a median ratio of at least `threshold`, and p ≤ `alpha`."""
    if exp(statistics.median(differences)) < threshold:
        return False
    return bound_on_p(differences) <= alpha or sign_flip_p(differences) <= alpha


def bound_on_p(differences: Sequence[float]) -> float:
    """Return what `sign_flip_p` does not exceed, at no cost: Hoeffding's bound on a sum of random signs (1963)."""
    total, squares = sum(differences), sum(d * d for d in differences)
    return exp(-total * total / (2 * squares)) if total > 0 else 1.0


def _is_about_regressed(differences: Sequence[float], threshold: float, alpha: float) -> bool:
    """Return what `is_regressed` does, by a normal distribution: sums of random signs have variance Σd²."""
    if exp(statistics.median(differences)) < threshold:
        return False
    deviation = sqrt(sum(d * d for d in differences))
    return 1 - NormalDist().cdf(sum(differences) / deviation) <= alpha


def smallest_detectable_change(noise: Sequence[float], pairs: int, threshold: float, alpha: float) -> float | None:
    """Return the smallest slowdown, as a fraction, that `pairs` pairs would find with 90% probability.

    `noise` are log ratios of pairs; they are centred, drawn with random signs and shifted until the decision of
    `is_regressed` falls, `_POWER_SIMULATIONS` times, seeded. None where even an eightfold cost would be missed, for
    instance because so many pairs cannot reach `alpha`.
    """
    if smallest_p(pairs) > alpha or not noise:
        return None
    generator = random.Random(SEED)
    centre = statistics.median(noise)
    residues = [d - centre for d in noise]
    needed = []
    for _ in range(_POWER_SIMULATIONS):
        drawn = [generator.choice(residues) * generator.choice((1, -1)) for _ in range(pairs)]
        needed.append(_shift_needed(drawn, threshold, alpha))
    found = sorted(needed)[int(POWER * _POWER_SIMULATIONS) - 1]
    return None if found >= _LARGEST_CHANGE else exp(found) - 1


def _shift_needed(noise: Sequence[float], threshold: float, alpha: float) -> float:
    found = is_regressed if len(noise) <= _COUNTED_IN_SIMULATIONS else _is_about_regressed
    low, high = 0.0, _LARGEST_CHANGE
    for _ in range(14):
        middle = (low + high) / 2
        if found([d + middle for d in noise], threshold, alpha):
            high = middle
        else:
            low = middle
    return high
