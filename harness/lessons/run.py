"""Runs lessons one after the other and keeps what each found, or why it could not be run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.errors import EnvironmentProblem
from harness.experiments.record import recorded
from harness.fingerprint import fingerprint
from harness.lessons.model import Lesson, Setting
from harness.lessons.stored import failure_of, figures_of
from harness.results import Fingerprint, LessonFigures, LessonsResult, save_result


class Watcher(Protocol):
    """Who is told how lessons go."""

    def begins(self, lesson: Lesson) -> None:
        """Take that a lesson begins."""
        ...

    def progress(self, share: float, what: str) -> None:
        """Take how far the present lesson is, 0 to 1, and what it does."""
        ...

    def ends(self, found: LessonFigures) -> None:
        """Take what a lesson found, or how it failed."""
        ...


@dataclass(frozen=True)
class Clocks:
    """The time of day in Unix seconds, and seconds that never go back."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


def run_lessons(
    lessons: Sequence[Lesson], folder: Path, watcher: Watcher, *, quick: bool, clocks: Clocks = Clocks()
) -> LessonsResult:
    """Run lessons and write `result.json` into `folder`; returns what it holds.

    Each lesson has a folder of its own below `folder`, with a result of its own as soon as it has ended: an interrupt
    leaves those of the lessons before it. One that fails leaves `error.json` there, and the others go on.
    KeyboardInterrupt goes through, after `error.json` of the lesson at which it came.
    """
    machine = fingerprint()
    began, started = clocks.now(), clocks.monotonic()
    found: list[LessonFigures] = []
    for lesson in lessons:
        watcher.begins(lesson)
        figures = _run_one(lesson, folder / lesson.name, watcher, machine, quick=quick, clocks=clocks)
        found.append(figures)
        watcher.ends(figures)
    result = LessonsResult(
        run=folder.name,
        began=began,
        seconds=round(clocks.monotonic() - started, 1),
        quick=quick,
        fingerprint=machine,
        lessons=found,
    )
    save_result(folder, result)
    return result


def _run_one(
    lesson: Lesson, folder: Path, watcher: Watcher, machine: Fingerprint, *, quick: bool, clocks: Clocks
) -> LessonFigures:
    began, started = clocks.now(), clocks.monotonic()
    try:
        _make(folder)
        with recorded(folder):
            finding = lesson.run(Setting(folder, quick, watcher.progress))
            figures = figures_of(lesson, finding, clocks.monotonic() - started)
    except Exception as error:  # noqa: BLE001  whatever one lesson raises is its own end, and recorded as that
        return failure_of(lesson, error, clocks.monotonic() - started)
    alone = LessonsResult(
        run=folder.name,
        began=began,
        seconds=figures.seconds,
        quick=quick,
        fingerprint=machine,
        lessons=[figures],
    )
    save_result(folder, alone)
    return figures


def _make(folder: Path) -> None:
    try:
        folder.mkdir()
    except OSError as error:
        raise EnvironmentProblem(
            f"{folder} cannot be made: {error.strerror}", hint="--out names another folder"
        ) from error
