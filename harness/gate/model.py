"""What the gate decides on: trials, verdicts, and the order of trials. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.errors import ExitCode
from harness.metrics import Metric


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
