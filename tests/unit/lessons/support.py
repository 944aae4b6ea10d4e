"""Lessons that take no time and end as they are told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.lessons.model import Comparison, Finding, Lesson, Line, Plot, Setting, Verdict
from harness.results import LessonFigures

PLOT = Plot("Things over time", "seconds", "things", [Line("ours", [(0, 1), (1, 2.5)]), Line("theirs", [])], log_y=True)


def found(verdict: Verdict = Verdict.REPRODUCED) -> Finding:
    """Return a finding with a figure, a picture and a note."""
    compared = [Comparison("processes until the error", "near 500", "508"), Comparison("descriptors", "", "1,024")]
    return Finding(verdict, "it happened here too", compared, [PLOT], ("measured in a test",))


@dataclass(frozen=True)
class FakeLesson:
    """A lesson that notes that it ran, and does what it is given."""

    name: str
    does: Callable[[Setting], Finding] = lambda _: found()
    ran: list[Setting] = field(default_factory=list)
    title: str = "A title"
    published: str = "It went wrong."
    rule: str = "AWS says so (Developer Guide)."
    ours: str = "It goes right."

    def seconds(self, *, quick: bool) -> float:
        """Return a minute, or a second."""
        return 1.0 if quick else 60.0

    def run(self, setting: Setting) -> Finding:
        """Note the setting and do what was given."""
        self.ran.append(setting)
        return self.does(setting)


def raising(error: BaseException) -> Callable[[Setting], Finding]:
    """Return what a lesson does that fails after it has written a file."""

    def fail(setting: Setting) -> Finding:
        (setting.folder / "half.txt").write_text("half")
        raise error

    return fail


@dataclass
class Heard:
    """A watcher that keeps what it is told, as words."""

    words: list[str] = field(default_factory=list)

    def begins(self, lesson: Lesson) -> None:
        """Keep a beginning."""
        self.words.append(f"begins {lesson.name}")

    def progress(self, share: float, what: str) -> None:
        """Keep how far it is."""
        self.words.append(f"{share:.0%} {what}")

    def ends(self, found: LessonFigures) -> None:
        """Keep an end."""
        self.words.append(f"ends {found.name} {found.verdict}")
