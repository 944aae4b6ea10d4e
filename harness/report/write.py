"""What becomes a page: a run's folder, a suite's, a gate's, lessons', or several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.compare import Comparison, compare, subject_of
from harness.errors import UsageError
from harness.report.comparison_page import comparison_page
from harness.report.gate_page import gate_page
from harness.report.lessons_page import lessons_page
from harness.report.page import Page, write_page
from harness.report.run_page import run_page
from harness.report.suite_page import suite_page
from harness.results import GateResult, LessonsResult, LoadedResult, RunResult, Stored, SuiteResult, read_stored

REPORT = "report.html"


def write_report(folder: Path) -> Path:
    """Write `report.html` beside the result that lies in `folder`; returns its path.

    Raises UsageError where there is no result, or one that no page is known for.
    """
    stored = read_stored(folder)
    document = stored.document
    page: Page
    if isinstance(document, RunResult | LoadedResult):
        page = run_page(Stored(stored.path, document))
    elif isinstance(document, SuiteResult):
        page = suite_page(Stored(stored.path, document))
    elif isinstance(document, GateResult):
        page = gate_page(Stored(stored.path, document))
    elif isinstance(document, LessonsResult):
        page = lessons_page(Stored(stored.path, document))
    else:
        raise UsageError(
            f"{stored.path} is a result of kind {document.kind!r}",
            hint="reports are made of: run, load, saturation, suite, gate, lessons",
        )
    return write_page(page, stored.folder / REPORT)


def write_comparison(folders: Sequence[Path], target: Path) -> Path:
    """Write a page that compares stored results with the first of them; returns `target`.

    Raises UsageError for what cannot be compared; differences of the surroundings stand on the page.
    """
    return write_comparison_of(compare([subject_of(read_stored(folder)) for folder in folders], force=True), target)


def write_comparison_of(comparison: Comparison, target: Path) -> Path:
    """Write the page of a comparison that was made already; returns `target`."""
    return write_page(comparison_page(comparison), target)
