"""What a lesson found, as it is stored; docs/results.md has each field."""

from __future__ import annotations

from collections.abc import Sequence

from harness.results.checked import Amount, Checked, Count

FAILED = "failed"
"""The verdict of a lesson that could not be run; the others are `reproduced` and `differs`."""


class ComparisonFigures(Checked, frozen=True, kw_only=True):
    """One figure: what it is, as published ("" where nothing was), as found here; texts with their units."""

    what: str
    published: str
    reproduced: str


class PlotLine(Checked, frozen=True, kw_only=True):
    """One line of a plot: points of x and y."""

    name: str
    points: Sequence[tuple[float, float]]


class PlotFigures(Checked, frozen=True, kw_only=True):
    """A picture; `x` and `y` are its axes' titles with their units."""

    title: str
    x: str
    y: str
    lines: Sequence[PlotLine]
    log_x: bool = False
    log_y: bool = False


class LessonFigures(Checked, frozen=True, kw_only=True):
    """One lesson: its texts as they were when it ran, what it found, and how it ended.

    `verdict` is reproduced, differs or failed; of a failed one `error`, `hint` and `exit_code` say how, and it has no
    figures.
    """

    name: str
    title: str
    published: str
    rule: str
    ours: str
    verdict: str
    reason: str
    comparisons: Sequence[ComparisonFigures] = ()
    plots: Sequence[PlotFigures] = ()
    notes: Sequence[str] = ()
    seconds: Amount
    error: str = ""
    hint: str = ""
    exit_code: Count = 0

    @property
    def failed(self) -> bool:
        """Whether it could not be run to its end."""
        return self.verdict == FAILED
