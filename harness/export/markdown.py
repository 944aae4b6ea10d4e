"""A result as Markdown, for a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.compare.subject import Measured, Subject
from harness.export.benchmarks import benchmark_name
from harness.export.checks import checks_of
from harness.objectives import sentence
from harness.report.sections import rejected_table, stage_table
from harness.report.tables import Table, number
from harness.results import Outcome

_SPECIAL = re.compile(r"[\\`*\[\]<>#|~&@$]|:(?=\S)|(?<![^\W_])_|_(?![^\W_])")
"""What starts markup, a mention, a link, an emoji or a formula; an underscore within a word is harmless."""


_MARKS = {Outcome.KEPT: "✅", Outcome.MISSED: "❌", Outcome.NOT_MEASURED: "⚠️"}


def markdown(subject: Subject) -> str:
    """Return verdict, figures, and, folded, the stages and the rows that were refused."""
    checks = [(run, check) for run in subject.runs for check in checks_of(run)]
    failed = [(run, check) for run, check in checks if check.failure]
    rows = sum(run.audit.rows for run in subject.runs)
    lines = [f"### {escape(benchmark_name(subject))}", ""]
    if failed or not subject.conserved:
        lines.append(f"❌ **Not conserved**: {len(failed)} of {len(checks)} checks failed.")
        lines.append("")
        lines += [f"- {escape(run.run)} {escape(c.name)}: {escape(c.failure)}" for run, c in failed]
    else:
        lines.append(f"✅ **Conserved**: {rows:,} rows, every one accounted for; {len(checks)} checks passed.")
    if subject.void:
        lines += ["", f"⚠️ **Figures void**: {escape(subject.void)}. Durations and rates mean nothing."]
    if subject.objectives:
        lines += ["", *(f"- {_MARKS[one.outcome]} objective {escape(sentence(one))}" for one in subject.objectives)]
    lines += ["", *table_lines(_metric_table(subject)), ""]
    for run in subject.runs:
        lines += details(f"Run {run.run}", [stage_table(run), rejected_table(run.audit)])
    lines.append(f"<sub>{escape(_where(subject))}. Rates of an emulator are not AWS rates.</sub>")
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Return text that Markdown and HTML show as it is, in one line; nobody is mentioned and nothing is linked."""
    line = " ".join(text.split())
    return _SPECIAL.sub(lambda found: f"&#{ord(found.group())};", line)


def _metric_table(subject: Subject) -> Table:
    spread = any(m.low is not None for m in subject.metrics.values())
    rows = tuple(
        (name, m.unit, m.direction, number(m.value), *((_spread(m),) if spread else ()))
        for name, m in subject.metrics.items()
    )
    columns = ("metric", "unit", "better", *(("median", "low – high") if spread else ("value",)))
    return Table("", columns, rows, 3)


def _spread(measured: Measured) -> str:
    return f"{number(measured.low)} – {number(measured.high)}"


def table_lines(table: Table) -> list[str]:
    """Return a table's lines, its caption left out."""
    marks = ["---:" if index >= table.words else "---" for index in range(len(table.columns))]
    return [_row(table.columns), _row_of(marks), *map(_row, table.rows)]


def _row(cells: Sequence[str]) -> str:
    return _row_of([escape(cell) for cell in cells])


def _row_of(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def details(summary: str, tables: Sequence[Table]) -> list[str]:
    """Return the lines of tables that a reader unfolds."""
    lines = ["<details>", f"<summary>{escape(summary)}</summary>", ""]
    for table in tables:
        lines += [f"{escape(table.caption)}:", "", *table_lines(table), ""]
    return [*lines, "</details>", ""]


def _where(subject: Subject) -> str:
    if not subject.runs:
        return "measured nowhere: there is no repetition"
    seen = subject.runs[0].fingerprint
    dirty = " with uncommitted changes" if seen.git_dirty else ""
    return f"{seen.cores or '?'} cores, {seen.cpu}; commit {seen.git_sha[:12] or 'unknown'}{dirty}"
