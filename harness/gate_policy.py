"""The rules of a regression gate's verdict; suites name theirs, the gate keeps to them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UsageError
from harness.stats.paired import pairs_needed, smallest_p

MIN_PAIRS = 10
"""Fewer pairs are refused even where they could reach alpha: the interval of a median of so few says nothing."""


@dataclass(frozen=True)
class Policy:
    """The rules of a verdict.

    `pairs` pairs of trials follow `warmup` discarded ones of each side. A metric of `deciding` has regressed when
    head's median cost is at least `threshold` times base's and its p-value, adjusted for the number of such metrics, is
    at most `alpha`.
    """

    pairs: int = 12
    warmup: int = 1
    threshold: float = 1.08
    alpha: float = 0.01
    deciding: tuple[str, ...] = ("pipeline_rows_per_second",)

    def check(self) -> None:
        """Raise UsageError for rules that could never find anything, or are none."""
        if not 0 < self.alpha < 1:
            raise UsageError(f"--alpha is {self.alpha:g}, a probability between 0 and 1 is needed")
        if not 1 < self.threshold < 10:
            raise UsageError(f"--threshold is {self.threshold:g}, a ratio above 1 is needed", hint="1.08 is 8% slower")
        if self.warmup < 0:
            raise UsageError(f"{self.warmup} warm-up trials cannot be run")
        if not self.deciding:
            raise UsageError("no metric decides", hint="name at least one in the suite's [gate] metrics")
        needed = max(MIN_PAIRS, pairs_needed(self.alpha, len(self.deciding)))
        if self.pairs < needed:
            best = smallest_p(self.pairs) * len(self.deciding)
            why = (
                f"the smallest p-value they can give for {len(self.deciding)} metrics is {best:.2g}"
                if best > self.alpha
                else f"fewer than {MIN_PAIRS} say nothing about the spread"
            )
            raise UsageError(
                f"{self.pairs} pairs are too few for alpha {self.alpha:g}: {why}", hint=f"--pairs {needed} or more"
            )
