"""Consoles: as wide as the terminal, or as a log may be."""

from __future__ import annotations

import os

from rich.console import Console

LOG_WIDTH = 140
"""Columns for a file, a pipe or a CI log, which have no width of their own; the variable COLUMNS overrides it."""


def console(*, stderr: bool = False) -> Console:
    """Return a console as wide as its terminal, or wide enough for whole tables where there is none."""
    found = Console(stderr=stderr)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = LOG_WIDTH
    return found
