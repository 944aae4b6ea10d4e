"""How many examples a test tries: few every day, many under `make test-deep`."""

from __future__ import annotations

import hypothesis

DAILY = 100
"""Examples of a test that says nothing, in Hypothesis' default profile."""


def examples(daily: int) -> int:
    """Return `daily`, or as many times more of it as the profile in force has (`--hypothesis-profile`).

    To be called where tests are defined: profiles are chosen before test modules are imported.
    """
    return daily * hypothesis.settings().max_examples // DAILY
