"""What a finished run says when its figures mean nothing."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from harness.experiments.result_lines import print_doubt

SLEPT = {"figures_void": True, "figures_void_reason": "this machine slept for 240 s"}


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (SLEPT, "figures void: this machine slept for 240 s; durations and rates mean nothing"),
        ({"figures_void": False, "figures_void_reason": ""}, ""),
        ({}, ""),
    ],
    ids=["void", "good", "older"],
)
def test_print_doubt_when_figures_are_void_says_why_and_else_nothing(result: dict[str, Any], said: str) -> None:
    out = io.StringIO()
    print_doubt(Console(file=out, width=200), result)
    assert out.getvalue().strip() == said
