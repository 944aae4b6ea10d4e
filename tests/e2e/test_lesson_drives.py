"""The lessons that deploy stacks of their own and follow many messages at once, each to its verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.lessons.catalogue import LESSONS
from harness.lessons.model import Setting, Verdict


@pytest.mark.parametrize("name", ["capacity", "visibility"])
def test_lesson_when_run_in_its_short_form_is_reproduced(name: str, tmp_path: Path) -> None:
    (lesson,) = [one for one in LESSONS if one.name == name]
    shares: list[float] = []
    found = lesson.run(Setting(tmp_path, True, lambda share, _: shares.append(share)))
    assert (found.verdict, found.reason) == (Verdict.REPRODUCED, found.reason)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert list(tmp_path.glob("*.log"))
