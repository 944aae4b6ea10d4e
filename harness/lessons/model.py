"""What a lesson is: an experiment that reproduces one pitfall of the published design, and what it found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

Progress = Callable[[float, str], None]
"""Takes the share done so far, 0 to 1, and what is being done, in a few words."""


class Verdict(StrEnum):
    """Whether what was published happened here too."""

    REPRODUCED = "reproduced"
    DIFFERS = "differs"


@dataclass(frozen=True)
class Comparison:
    """One figure: what it is, as published ("" where nothing was), as found here; texts with their units."""

    what: str
    published: str
    reproduced: str


@dataclass(frozen=True)
class Line:
    """One line of a plot: points of x and y, in order of x."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Plot:
    """A lesson's picture; `x` and `y` are the axes' titles with their units."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Finding:
    """What a lesson found. `reason` says in a sentence why the verdict is what it is; `notes` what a reader must know
    of how it was measured."""

    verdict: Verdict
    reason: str
    comparisons: Sequence[Comparison]
    plots: Sequence[Plot]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Setting:
    """What a lesson may use: a folder of its own that exists and is kept, and how to say how far it is.

    `quick` asks for the short form, in which all lessons together take less than five minutes.
    """

    folder: Path
    quick: bool
    progress: Progress


class Lesson(Protocol):
    """One lesson. All texts are sentences for a reader who does not know the published design."""

    @property
    def name(self) -> str:
        """The word that names it on the command line."""
        ...

    @property
    def title(self) -> str:
        """What one learns, in a line."""
        ...

    @property
    def published(self) -> str:
        """What happened to the published design's author."""
        ...

    @property
    def rule(self) -> str:
        """What AWS documents, with the document's name."""
        ...

    @property
    def ours(self) -> str:
        """What this project's pipeline does instead."""
        ...

    def seconds(self, *, quick: bool) -> float:
        """Return about how long it takes on two cores."""
        ...

    def run(self, setting: Setting) -> Finding:
        """Run it and return what it found; raises HarnessError where it cannot be run here, cleans up in any case."""
        ...
