"""What a person sees of lessons: a progress bar on a terminal, lines elsewhere, and at the end what each found."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from harness.lessons.model import Lesson, Verdict
from harness.results import LessonFigures, LessonsResult

PLAIN_SECONDS = 10.0
"""A log gets a line of progress at most this often."""

_COLOURS = {Verdict.REPRODUCED.value: "bold green", Verdict.DIFFERS.value: "bold yellow"}
_INDENT = "  "


class LessonsDisplay:
    """Shows how lessons go while it is entered; `quiet` shows nothing. A `Watcher` of `run_lessons`."""

    def __init__(
        self, console: Console, *, quick: bool, quiet: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._quick, self._quiet, self._clock = console, quick, quiet, clock
        self._lines = not quiet and not console.is_terminal
        self._last = clock()
        self._bar = Progress(
            TextColumn("{task.fields[name]:<12}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            disable=quiet or self._lines,
        )
        self._task = self._bar.add_task("", total=1.0, name="", visible=False)

    def __enter__(self) -> LessonsDisplay:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begins(self, lesson: Lesson) -> None:
        """Show a lesson's name and title, and about how long it takes."""
        self._last = self._clock()
        about = duration(lesson.seconds(quick=self._quick))
        self._say(Text.assemble((f"{lesson.name:<12}", "bold"), f" {lesson.title} (about {about})"))
        self._bar.reset(self._task, total=1.0, visible=True, name=lesson.name, description="")

    def progress(self, share: float, what: str) -> None:
        """Show how far the present lesson is."""
        self._bar.update(self._task, completed=min(1.0, max(0.0, share)), description=what)
        if self._lines and self._clock() - self._last >= PLAIN_SECONDS:
            self._last = self._clock()
            self._say(Text(f"{_INDENT}{share:4.0%}  {what}"))

    def ends(self, found: LessonFigures) -> None:
        """Show a lesson's verdict and how long it took."""
        self._bar.update(self._task, visible=False)
        self._say(Text.assemble(_INDENT, verdict_text(found), f" after {duration(found.seconds)}"))

    def _say(self, text: Text) -> None:
        if not self._quiet:
            self._console.print(text, soft_wrap=True)


def duration(seconds: float) -> str:
    """Return seconds as a reader says them: `12 s`, `4:30 min`."""
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60}:{whole % 60:02d} min"


def verdict_text(found: LessonFigures) -> Text:
    """Return a lesson's verdict in a few words, without its reason."""
    return Text(found.verdict, _COLOURS.get(found.verdict, "bold red"))


def print_findings(console: Console, result: LessonsResult) -> None:
    """Print of each lesson its title, its figures beside the published ones, and the verdict with its reason."""
    for found in result.lessons:
        console.print()
        console.print(Text.assemble((found.name, "bold"), f": {found.title}"), soft_wrap=True)
        if found.comparisons:
            console.print(_table(found))
        console.print(_end(found), soft_wrap=True)
    counts = {
        name: sum(found.verdict == name for found in result.lessons) for name in ("reproduced", "differs", "failed")
    }
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    console.print()
    console.print(f"lessons    {said}, in {duration(result.seconds)}", highlight=False, soft_wrap=True)


def _table(found: LessonFigures) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=False)
    table.add_column("published", justify="right")
    table.add_column("reproduced", justify="right")
    for one in found.comparisons:
        # Text: brackets in a figure are not rich's markup.
        table.add_row(*(Text(cell) for cell in (f"{_INDENT}{one.what}", one.published or "–", one.reproduced)))
    return table


def _end(found: LessonFigures) -> Text:
    if found.failed:
        text = Text.assemble(_INDENT, verdict_text(found), f": {found.error}")
        for line in filter(None, found.hint.splitlines()):
            text.append(f"\n{_INDENT}{line}", "dim")
        return text
    joint = ", because " if found.verdict == Verdict.DIFFERS else ": "
    return Text.assemble(_INDENT, verdict_text(found), joint, found.reason)
