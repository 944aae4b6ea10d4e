"""What a finished run says when its figures mean nothing."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.experiments.result_lines import print_doubt
from tests.unit.report.support import run_of

SLEPT = "this machine slept for 240 s"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (SLEPT, "figures void: this machine slept for 240 s; durations and rates mean nothing"),
        ("", ""),
    ],
    ids=["void", "good"],
)
def test_print_doubt_when_figures_are_void_says_why_and_else_nothing(reason: str, said: str) -> None:
    out = io.StringIO()
    print_doubt(Console(file=out, width=200), run_of(figures_void_reason=reason))
    assert out.getvalue().strip() == said
