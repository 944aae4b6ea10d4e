"""The search for the highest rate that a pipeline sustains: which rate to try next, and how to judge one. Pure.

A rate is sustained when the backlog it leaves is bounded, which shows in its slope. Over the later part of a step, a
straight line is fitted to the rows that are unfinished. If the pipeline keeps up, the slope is zero, but for noise; if
it does not, the slope is what it is short of, in rows a second. The interval around the slope takes into account that
neighbouring samples resemble each other (a first-order autocorrelation of the residuals), without which it would be far
too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import NormalDist, fmean

from harness.results import TrendFigures

TOLERANCE = 0.05
"""Growth of the backlog, as a share of the offered rate, that a sustained step may show: less cannot be told from noise
within half a minute."""

CONFIDENCE = 0.9
"""Of the two-sided interval around the slope: each of the two decisions errs in at most one step of twenty."""

MIN_POINTS = 8


class StepVerdict(StrEnum):
    """What a step showed."""

    SUSTAINED = "sustained"
    NOT_SUSTAINED = "not sustained"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Trend:
    """The straight line through a time series: `slope` in units a second, `low` and `high` its interval."""

    slope: float
    low: float
    high: float
    points: int

    def figures(self) -> TrendFigures:
        """Return what a result says of the trend."""
        return TrendFigures(
            slope=round(self.slope, 3), low=round(self.low, 3), high=round(self.high, 3), points=self.points
        )


def trend(times: Sequence[float], values: Sequence[float]) -> Trend:
    """Return the least-squares line through values over times (seconds), with an interval widened for
    autocorrelation; raises ValueError for fewer than MIN_POINTS points or points at one time."""
    count = len(times)
    if count != len(values) or count < MIN_POINTS:
        raise ValueError(f"{count} points are too few for a trend, {MIN_POINTS} are needed")
    middle_t, middle_v = fmean(times), fmean(values)
    spread = math.fsum((t - middle_t) ** 2 for t in times)
    if spread <= 0:
        raise ValueError("all points have the same time")
    slope = math.fsum((t - middle_t) * (v - middle_v) for t, v in zip(times, values, strict=True)) / spread
    residuals = [v - middle_v - slope * (t - middle_t) for t, v in zip(times, values, strict=True)]
    squares = math.fsum(r * r for r in residuals)
    if squares == 0:
        return Trend(slope, slope, slope, count)
    follow = math.fsum(a * b for a, b in pairwise(residuals)) / squares
    # Estimated from few points, the autocorrelation comes out too small by about (1 + 4r)/n (Kendall's correction).
    follow = min(0.9, max(0.0, follow + (1 + 4 * follow) / count))
    error = math.sqrt(squares / (count - 2) / spread) * math.sqrt((1 + follow) / (1 - follow))
    reach = student_quantile(0.5 + CONFIDENCE / 2, count - 2) * error
    return Trend(slope, slope - reach, slope + reach, count)


def student_quantile(share: float, freedom: int) -> float:
    """Return a quantile of Student's t distribution, by the Cornish-Fisher expansion (Abramowitz and Stegun, 26.7.5);
    right to 1% from 5 degrees of freedom on."""
    z = NormalDist().inv_cdf(share)
    n = float(freedom)
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )


@dataclass(frozen=True)
class Judgement:
    """A step's verdict, in words that hold the numbers, and the trend it rests on."""

    verdict: StepVerdict
    reason: str
    trend: Trend | None


def judge(times: Sequence[float], unfinished: Sequence[float], rate: float) -> Judgement:
    """Judge a step at `rate` offered rows a second from the unfinished rows at each sample.

    Sustained: the backlog's growth is surely below TOLERANCE of the rate. Not sustained: it is surely above zero, and
    the best guess is above the tolerance. Everything else is undecided, and needs a longer look.
    """
    if len(times) < MIN_POINTS:
        return Judgement(StepVerdict.UNDECIDED, f"only {len(times)} looks", None)
    found = trend(times, unfinished)
    limit = TOLERANCE * rate
    grows = f"the backlog grows by {found.slope:+,.0f} rows/s ({found.low:+,.0f} to {found.high:+,.0f})"
    if found.high <= limit:
        return Judgement(StepVerdict.SUSTAINED, f"{grows}, surely less than {limit:,.0f}", found)
    if found.low > 0 and found.slope > limit:
        return Judgement(StepVerdict.NOT_SUSTAINED, f"{grows}, surely more than nothing", found)
    return Judgement(StepVerdict.UNDECIDED, f"{grows}; {limit:,.0f} would be bounded", found)


class RateSearch:
    """Which rate to try next: rising by `growth` until one fails (falling, if the first does), then halving the
    interval on a logarithmic scale until it is narrower than `resolution`."""

    def __init__(self, start: float, growth: float, resolution: float) -> None:
        if not (start > 0 and growth > 1 and resolution > 0):
            raise ValueError("start must be above 0, growth above 1, resolution above 0")
        self._start, self._growth, self._resolution = start, growth, resolution
        self.low = 0.0
        self.high = math.inf

    @property
    def done(self) -> bool:
        """Whether the interval is narrow enough."""
        return self.low > 0 and self.high / self.low <= 1 + self._resolution

    def next_rate(self) -> float:
        """Return the rate to try next."""
        if self.low == 0 and math.isinf(self.high):
            return self._start
        if math.isinf(self.high):
            return self.low * self._growth
        if self.low == 0:
            return self.high / self._growth
        return math.sqrt(self.low * self.high)

    def record(self, rate: float, sustained: bool) -> None:
        """Note what a step at `rate` showed."""
        if sustained:
            self.low = max(self.low, rate)
        else:
            self.high = min(self.high, rate)
