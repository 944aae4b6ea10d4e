"""How lessons come to a verdict: by a rule in parts, all of which must hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.lessons.model import Verdict


@dataclass(frozen=True)
class Check:
    """One part of a rule, as a clause of the reason, and whether it holds."""

    text: str
    holds: bool


def judged(checks: Sequence[Check]) -> tuple[Verdict, str]:
    """Return the verdict, and its reason: all parts where all hold, else those that do not."""
    failed = [check.text for check in checks if not check.holds]
    if failed:
        return Verdict.DIFFERS, f"not as published: {'; '.join(failed)}."
    return Verdict.REPRODUCED, f"{'; '.join(check.text for check in checks)}."
