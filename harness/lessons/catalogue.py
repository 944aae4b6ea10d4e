"""The lessons by name, in the order in which `all` runs them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import UsageError
from harness.lessons.capacity.lesson import CapacityLesson
from harness.lessons.descriptors.lesson import DescriptorsLesson
from harness.lessons.logs.lesson import LogsLesson
from harness.lessons.model import Lesson
from harness.lessons.ramp.lesson import RampLesson
from harness.lessons.visibility.lesson import VisibilityLesson

ALL = "all"
"""The word that stands for every lesson on the command line."""

LESSONS: tuple[Lesson, ...] = (
    DescriptorsLesson(),
    LogsLesson(),
    CapacityLesson(),
    VisibilityLesson(),
    RampLesson(),
)
"""Every lesson; one line each."""


def chosen(names: Sequence[str], lessons: Sequence[Lesson] = LESSONS) -> list[Lesson]:
    """Return the lessons of these names in the order given, each once; all of them where `all` is among the names.

    Raises UsageError naming those that are not known, and those that are.
    """
    known = {lesson.name: lesson for lesson in lessons}
    unknown = [name for name in names if name not in known and name != ALL]
    if unknown:
        raise UsageError(
            f"no lesson {', '.join(repr(name) for name in unknown)}", hint=f"there are {', '.join(known)}, and {ALL}"
        )
    return list(lessons) if ALL in names else [known[name] for name in dict.fromkeys(names)]
