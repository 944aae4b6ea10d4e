"""What the gate decides on: policy, trials, verdicts, and the order of trials. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.errors import ExitCode, UsageError
from harness.metrics import Metric
from harness.stats.paired import pairs_needed, smallest_p

MIN_PAIRS = 10
"""Fewer pairs are refused even where they could reach alpha: the interval of a median of so few says nothing."""


class Side(StrEnum):
    """Which of the two versions a trial ran."""

    BASE = "base"
    HEAD = "head"


class Verdict(StrEnum):
    """How a gate ended. FAILED is a trial that could not be carried out."""

    PASS = "pass"  # noqa: S105  a verdict, no password
    REGRESSED = "regressed"
    INCONCLUSIVE = "inconclusive"
    NOT_CONSERVED = "not_conserved"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of `harness gate` for this verdict."""
        return {
            Verdict.PASS: ExitCode.OK,
            Verdict.REGRESSED: ExitCode.REGRESSION,
            Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
            Verdict.NOT_CONSERVED: ExitCode.NOT_CONSERVED,
            Verdict.FAILED: ExitCode.ENVIRONMENT,
            Verdict.INTERRUPTED: ExitCode.INTERRUPTED,
        }[self]


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


@dataclass(frozen=True)
class Planned:
    """A trial to be run. `pair` is 0 for a warm-up, whose figures are discarded; its conservation counts."""

    number: int
    pair: int
    side: Side


@dataclass(frozen=True)
class Trial:
    """A finished trial: figures by name, and whether every row of it was where it must be.

    `versions` are the engine's; `sha256` is the corpus's.
    """

    planned: Planned
    metrics: Mapping[str, Metric]
    conserved: bool
    seconds: float
    sha256: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    cpu_stolen_share: float = 0.0


def plan(pairs: int, warmup: int) -> Iterator[Planned]:
    """Yield the trials in order: warm-ups of both sides, then pairs in the order base head, head base, and so on.

    A drift of the machine that goes on steadily then favours neither side.
    """
    number = 0
    for _ in range(warmup):
        for side in (Side.BASE, Side.HEAD):
            number += 1
            yield Planned(number, 0, side)
    for pair in range(1, pairs + 1):
        order = (Side.BASE, Side.HEAD) if pair % 2 else (Side.HEAD, Side.BASE)
        for side in order:
            number += 1
            yield Planned(number, pair, side)
