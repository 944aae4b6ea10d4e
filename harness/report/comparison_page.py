"""The page of a comparison."""

from __future__ import annotations

from harness.compare import Comparison
from harness.report.metric_charts import progress_chart, ratio_chart
from harness.report.page import Page, Section, moment
from harness.report.sections import Tile, Verdict
from harness.report.series import columns
from harness.report.suite_page import began_of
from harness.report.tables import Table
from harness.results import SERIES, read_lines


def comparison_page(comparison: Comparison) -> Page:
    """Return the page of a comparison."""
    first, *others = comparison.subjects
    words = [cell.word for row in comparison.rows for cell in row.cells[1:]]
    better, worse = words.count("better"), words.count("worse")
    sentence = (
        f"Of {sum(bool(w) for w in words)} figures, {better} are better than those of {first.name}, {worse} worse, the "
        "others equal or within the spread. Every row of every result is accounted for."
    )
    tone = "warn" if comparison.reservations else "good"
    word = "Compared, with reservations" if comparison.reservations else "Compared"
    engines = [s.conditions["engine"] for s in comparison.subjects]
    series = {s.name: columns(read_lines(s.path.parent / SERIES)) for s in comparison.subjects if s.kind != "suite"}
    charts = [ratio_chart(comparison)]
    progress = progress_chart({name: one for name, one in series.items() if one.seconds})
    return Page(
        kind="comparison",
        title=f"{' and '.join(s.name for s in others)} beside {first.name}",
        facts=[f"kind {first.kind}", f"engine {' and '.join(dict.fromkeys(engines))}"],
        verdict=Verdict(tone, word, sentence),
        tiles=[
            Tile("better", f"{better}", "figures"),
            Tile("worse", f"{worse}", "figures"),
            Tile("results", f"{len(comparison.subjects)}", "", f"{sum(len(s.runs) for s in comparison.subjects)} runs"),
        ],
        limits=[],
        sections=[
            Section("Metrics", charts=[*charts, *([progress] if progress else [])]),
            Section("Reservations", tables=[_reservations(comparison)]),
            Section("What was compared", tables=[_subjects(comparison), _conditions(comparison)]),
        ],
    )


def _reservations(comparison: Comparison) -> Table:
    rows = tuple((text,) for text in [*comparison.elsewhere, *comparison.reservations])
    return Table("What the figures cannot tell, and what differs besides the code", ("reservation",), rows)


def _subjects(comparison: Comparison) -> Table:
    rows = []
    for index, subject in enumerate(comparison.subjects, start=1):
        run = subject.runs[0] if subject.runs else None
        commit = run.fingerprint.git_sha[:12] if run else ""
        began = moment(began_of(run) if run else None)
        rows.append((f"{index}: {subject.name}", began, commit or "unknown", f"{len(subject.runs)}"))
    return Table("Results", ("result", "when", "commit", "runs"), tuple(rows), 3)


def _conditions(comparison: Comparison) -> Table:
    rows = tuple(comparison.subjects[0].conditions.items())
    return Table("Conditions, the same for all", ("what", "value"), rows, 2)
