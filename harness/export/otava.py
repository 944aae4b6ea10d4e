"""A history of results for Apache Otava, which finds change points in it: a CSV file, and what reads it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from harness.compare.subject import Subject
from harness.errors import UsageError
from harness.export.benchmarks import benchmark_name
from harness.report.page import iso_moment
from harness.results import DeployedResult

FILE = "history.csv"
"""The name of the CSV file in the configuration."""

_ATTRIBUTES = ("run", "commit", "cpu")


def otava_csv(subjects: Sequence[Subject]) -> str:
    """Return a line for each result, oldest first: `time`, `run`, `commit`, `cpu`, and the figures that all have.

    Otava takes no empty cells, so a figure that one result lacks is in no line. Raises UsageError for results of more
    benchmarks than one, for one that is not conserved, whose figures are void, or that has no time.
    """
    ordered = _ordered(subjects)
    names = _common(ordered)
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["time", *_ATTRIBUTES, *names])
    for subject in ordered:
        seen = subject.runs[0].fingerprint
        values = [repr(subject.metrics[name].value) for name in names]
        lines.writerow([_moment(subject), subject.name, seen.git_sha[:12] or "unknown", seen.cpu, *values])
    return text.getvalue()


def otava_config(subjects: Sequence[Subject]) -> str:
    """Return Otava's configuration of a test that reads `history.csv`; raises UsageError as `otava_csv` does."""
    ordered = _ordered(subjects)
    lines = [
        "tests:",
        f"  {benchmark_name(ordered[0]).replace(' ', '-')}:",
        "    type: csv",
        f"    file: {FILE}",
        "    time_column: time",
        f"    attributes: [{', '.join(_ATTRIBUTES)}]",
        "    metrics:",
    ]
    for name in _common(ordered):
        direction = 1 if ordered[0].metrics[name].direction == "higher" else -1
        lines.append(f"      {name}: {{column: {name}, direction: {direction}, scale: 1}}")
    return "\n".join(lines) + "\n"


def _ordered(subjects: Sequence[Subject]) -> list[Subject]:
    names = {benchmark_name(subject) for subject in subjects}
    if len(names) != 1:
        raise UsageError(
            f"a history is of one benchmark, not of {', '.join(sorted(names)) or 'none'}",
            hint="name results of one kind",
        )
    for subject in subjects:
        if not subject.conserved:
            raise UsageError(
                f"{subject.name} is not conserved: its figures are those of another job", hint="leave it out"
            )
        if subject.void:
            raise UsageError(f"the figures of {subject.name} are void: {subject.void}", hint="leave it out")
    return sorted(subjects, key=_moment)


def _moment(subject: Subject) -> str:
    first = subject.runs[0] if subject.runs else None
    when = iso_moment(first.began if isinstance(first, DeployedResult) else None)
    if not when:
        raise UsageError(f"{subject.name} does not say when it began", hint="cleaners' results have no history")
    return f"{when}+00:00"


def _common(subjects: Sequence[Subject]) -> list[str]:
    """Return the figures that all have; raises UsageError where there is none."""
    names = [name for name in subjects[0].metrics if all(name in subject.metrics for subject in subjects)]
    if not names:
        raise UsageError("these results have no figure in common")
    return names
