"""What a handful of repetitions of one measurement say: the median, and how far it can be trusted."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import comb, isfinite

INTERVAL_VALUES = 6
"""Fewest values whose smallest and largest enclose the true median with 95% confidence: 1 − 2 × 0.5^6 = 96.9%."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Median of the values, an interval around it, and the interval's width relative to the median.

    `low` and `high` are the distribution-free 95% interval of the median where there are six values or more
    (`is_interval`), and the smallest and largest value where there are fewer. `relative` is 0 for a median of 0.
    """

    values: tuple[float, ...]
    median: float
    low: float
    high: float
    is_interval: bool

    @property
    def relative(self) -> float:
        """(high − low) / median, as a fraction."""
        return (self.high - self.low) / abs(self.median) if self.median else 0.0


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of at least one finite value; raises ValueError otherwise."""
    if not values or not all(map(isfinite, values)):
        raise ValueError(f"{list(values)} are not one or more finite values")
    ordered = sorted(values)
    rank = median_interval_rank(len(ordered))
    low, high = ordered[rank], ordered[-1 - rank]
    return Spread(tuple(values), statistics.median(ordered), low, high, len(ordered) >= INTERVAL_VALUES)


def median_interval_rank(count: int) -> int:
    """Return how many values to leave out at either end for a 95% interval of the median; 0 for few values.

    The number of values below the true median is binomial(count, 1/2) whatever the distribution, so the interval from
    the (r+1)-th smallest to the (r+1)-th largest misses it with probability 2 × P(at most r).
    """
    tails = accumulate(comb(count, k) for k in range(count // 2))
    allowed = (1 - CONFIDENCE) / 2 * 2**count
    return max(0, len([tail for tail in tails if tail <= allowed]) - 1)
