"""What becomes a page: a run's folder, a suite's, a gate's, or several of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.report.page import Page, write_page
from harness.report.reading import Stored, read_stored
from harness.report.run_page import run_page

REPORT = "report.html"


def write_report(folder: Path) -> Path:
    """Write `report.html` beside the result that lies in `folder`; returns its path.

    Raises UsageError where there is no result, or one that no page is known for.
    """
    stored = read_stored(folder)
    pages: dict[str, Callable[[Stored], Page]] = {"run": run_page, "load": run_page}
    if stored.kind not in pages:
        known = ", ".join(pages)
        raise UsageError(f"{stored.path} is a result of kind {stored.kind!r}", hint=f"reports are made of: {known}")
    return write_page(pages[stored.kind](stored), stored.folder / REPORT)


def write_comparison(folders: Sequence[Path], target: Path) -> Path:
    """Write a page that compares stored results, the first being what the others are compared with."""
    raise NotImplementedError
