"""How many rows the files of a load have: distributions, given as short texts. Pure.

| text | rows of a file |
|---|---|
| `fixed:1000` | always 1,000 |
| `uniform:200:2000` | every count from 200 to 2,000 alike |
| `lognormal:1000:0.8:20000` | median 1,000, sigma 0.8 of the logarithm, never more than 20,000 |
| `choice:100=7,1000=2,20000=1` | 100 in seven files of ten, 1,000 in two, 20,000 in one |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from harness.errors import UsageError

MAX_ROWS = 1_000_000
HINT = "for example fixed:1000, uniform:200:2000, lognormal:1000:0.8:20000 or choice:100=7,1000=3"


@dataclass(frozen=True)
class Distribution:
    """Rows per file; `text` is what it was parsed from."""

    text: str
    _quantile: Callable[[float], float]

    def quantile(self, share: float) -> int:
        """Return the count that a `share` (0 < share < 1) of the files does not exceed; at least 1 row."""
        return max(1, min(MAX_ROWS, round(self._quantile(share))))

    def sizes(self, count: int) -> tuple[int, ...]:
        """Return `count` sizes in ascending order that stand for the distribution: the middles of equal shares.

        The tails beyond the first and last half share are cut off, so few sizes show less of a long tail than many.
        """
        return tuple(self.quantile((i + 0.5) / count) for i in range(count))


def parse(text: str) -> Distribution:
    """Return the distribution that a text names; raises UsageError saying what is wrong with it."""
    kind, _, rest = text.partition(":")
    makers = {"fixed": _fixed, "uniform": _uniform, "lognormal": _lognormal, "choice": _choice}
    if kind not in makers:
        raise UsageError(f"rows per file {text!r}: {kind!r} is no distribution", hint=HINT)
    try:
        return Distribution(text, makers[kind](rest))
    except ValueError as error:
        raise UsageError(f"rows per file {text!r}: {error}", hint=HINT) from error


def _fixed(rest: str) -> Callable[[float], float]:
    rows = _count(rest)
    return lambda _: rows


def _uniform(rest: str) -> Callable[[float], float]:
    low, high = (_count(part) for part in _parts(rest, 2))
    if low > high:
        raise ValueError(f"{low} is more than {high}")
    # Every count has an equal share, the first and the last too.
    return lambda share: min(high, math.floor(low + share * (high - low + 1)))


def _lognormal(rest: str) -> Callable[[float], float]:
    median, sigma, most = _parts(rest, 3)
    middle, spread, limit = _count(median), float(sigma), _count(most)
    if not (math.isfinite(spread) and spread > 0):
        raise ValueError(f"sigma {sigma} is not a positive number")
    normal = NormalDist(math.log(middle), spread)
    # Above this every value would be cut to the limit anyway; below, exp cannot overflow.
    ceiling = math.log(limit)
    return lambda share: math.exp(min(ceiling, normal.inv_cdf(share)))


def _choice(rest: str) -> Callable[[float], float]:
    options = []
    for part in rest.split(","):
        rows, _, weight = part.partition("=")
        heaviness = float(weight) if weight else 1.0
        if not (math.isfinite(heaviness) and heaviness > 0):
            raise ValueError(f"weight {weight} is not a positive number")
        options.append((_count(rows), heaviness))
    options.sort()
    total = sum(weight for _, weight in options)

    def quantile(share: float) -> float:
        passed = 0.0
        for rows, weight in options:
            passed += weight / total
            if share <= passed:
                return rows
        return options[-1][0]

    return quantile


def _parts(rest: str, count: int) -> list[str]:
    parts = rest.split(":")
    if len(parts) != count:
        raise ValueError(f"{count} numbers are needed, {len(parts)} are given")
    return parts


def _count(text: str) -> int:
    rows = int(text)
    if not 1 <= rows <= MAX_ROWS:
        raise ValueError(f"{rows} rows are not between 1 and {MAX_ROWS:,}")
    return rows
