"""Charts of metrics: repetitions of a suite, ratios of a comparison. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from harness.compare import Comparison, Measured
from harness.report.charts import RED, Chart, layout, line, plain
from harness.report.series import Series, thin
from harness.report.tables import Table, number
from harness.results import MetricSummary

SUBJECT_STYLES: Sequence[tuple[str, str, str]] = (
    ("#2f7fd1", "solid", "circle"),
    ("#d9622b", "dash", "diamond"),
    ("#0f9d6e", "dashdot", "square"),
    ("#b065c0", "dot", "triangle-up"),
    ("#a88412", "longdash", "cross"),
)
"""Colour, dash and symbol of the first, second ... subject; they repeat after the last."""

ROW_PIXELS = 30


def style_of(index: int) -> tuple[str, str, str]:
    """Return colour, dash and symbol of a subject."""
    return SUBJECT_STYLES[index % len(SUBJECT_STYLES)]


def ratio_chart(comparison: Comparison) -> Chart:
    """Return every metric of every subject as a ratio to the first subject's."""
    traces: list[dict[str, Any]] = []
    rows = [row for row in comparison.rows if any(cell.ratio is not None for cell in row.cells[1:])]
    for index, subject in enumerate(comparison.subjects[1:], start=1):
        colour, _, symbol = style_of(index)
        x, y, low, high = [], [], [], []
        for row in rows:
            cell, base = row.cells[index], row.cells[0].measured
            if cell.ratio is None or cell.measured is None or base is None:
                continue
            x.append(round(cell.ratio, 4))
            y.append(_label(row.name, row.direction))
            low.append(round(cell.ratio - (cell.measured.low or cell.measured.value) / base.value, 4))
            high.append(round((cell.measured.high or cell.measured.value) / base.value - cell.ratio, 4))
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": plain(f"{index + 1}: {subject.name}"),
                "x": x,
                "y": y,
                "marker": {"color": colour, "size": 10, "symbol": symbol},
                "error_x": {"type": "data", "array": high, "arrayminus": low, "color": colour, "thickness": 1.5},
                "hovertemplate": "%{x:.3f} ×",
            }
        )
    style = layout("", "ratio to the first result, log scale", hovermode="closest")
    style |= {"height": 110 + ROW_PIXELS * len(rows), "margin": {"l": 250, "r": 16, "t": 8, "b": 44}}
    style["xaxis"] = {**style["xaxis"], "type": "log", "rangemode": "normal", "tickformat": ".3~g", "nticks": 8}
    style["yaxis"] = {"autorange": "reversed", "automargin": True}
    style["shapes"] = [
        {"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": RED, "dash": "dot"}}
    ]
    return Chart(
        "ratios",
        "Ratios to the first result",
        "1 means equal. An arrow says which way is better: ↑ higher, ↓ lower. Bars are the spread of repetitions, "
        "where there are any.",
        {"data": traces, "layout": style},
        metric_table(comparison),
        wide=True,
    )


def metric_table(comparison: Comparison) -> Table:
    """Return every figure of every subject, with its ratio and what that means."""
    columns = ["metric", "unit", "better"]
    columns += [f"{i}: {s.name}" for i, s in enumerate(comparison.subjects, start=1)]
    rows = []
    for row in comparison.rows:
        cells = [row.name, row.unit, row.direction]
        for cell in row.cells:
            text = "–" if cell.measured is None else figure(cell.measured)
            if cell.ratio is not None and cell is not row.cells[0]:
                text += f" ({cell.ratio:.3f} ×, {cell.word})" if cell.word else f" ({cell.ratio:.3f} ×)"
            cells.append(text)
        rows.append(tuple(cells))
    return Table("Metrics, with the ratio to the first result", tuple(columns), tuple(rows), 3)


def figure(measured: Measured) -> str:
    """Return a figure with its spread, where it has one."""
    if measured.low is None or measured.high is None:
        return number(measured.value)
    return f"{number(measured.value)} [{number(measured.low)}, {number(measured.high)}]"


def progress_chart(series: Mapping[str, Series]) -> Chart | None:
    """Return rows updated over time, a line a subject; None where no subject has a time series."""
    lines, rows = [], []
    for index, (name, columns) in enumerate(series.items()):
        if "update" not in columns.stages:
            continue
        colour, dash, _ = style_of(index)
        done = columns.stages["update"].rows
        x, y = thin(columns.seconds, done)
        lines.append(line(name, x, y, colour, dash, "rows"))
        half = next((s for s, n in zip(columns.seconds, done, strict=True) if n >= done[-1] / 2), None)
        rows.append((name, f"{done[-1]:,}", number(half)))
    if not lines:
        return None
    table = Table("Rows updated", ("result", "rows", "half of them after, s"), tuple(rows))
    caption = "Rows that the update stage reported done so far: the end of the pipeline."
    figure = {"data": lines, "layout": layout("rows")}
    return Chart("progress", "Rows updated over time", caption, figure, table, wide=True)


def repetition_chart(metrics: Mapping[str, MetricSummary]) -> Chart:
    """Return every repetition of every metric as a ratio to that metric's median, with the interval."""
    values: list[dict[str, Any]] = []
    rows = []
    x, y, low, high, middles, labels = [], [], [], [], [], []
    for name, found in metrics.items():
        middle = median(found.values)
        label = _label(name, found.direction)
        spread = number(found.low), number(found.high)
        rows.append((name, found.unit, found.direction, number(found.median), *spread, f"{found.spread:.1%}"))
        if not middle:
            continue
        x += [round(value / middle, 4) for value in found.values]
        y += [label] * len(found.values)
        middles.append(1.0)
        labels.append(label)
        low.append(round(1 - found.low / middle, 4))
        high.append(round(found.high / middle - 1, 4))
    colour, other = SUBJECT_STYLES[0][0], SUBJECT_STYLES[1][0]
    hover = {"hovertemplate": "%{x:.3f} × median"}
    base = {"type": "scatter", "mode": "markers", **hover}
    values.append(
        {
            **base,
            "name": "median and interval",
            "x": middles,
            "y": labels,
            "marker": {"color": other, "size": 11, "symbol": "line-ns-open"},
            "error_x": {"type": "data", "array": high, "arrayminus": low, "color": other, "thickness": 1.5},
        }
    )
    values.append({**base, "name": "repetitions", "x": x, "y": y, "marker": {"color": colour, "size": 8}})
    style = layout("", "ratio to the median", hovermode="closest")
    style |= {"height": 110 + ROW_PIXELS * len(labels), "margin": {"l": 250, "r": 16, "t": 8, "b": 44}}
    style["xaxis"] = {**style["xaxis"], "rangemode": "normal"}
    style["yaxis"] = {"autorange": "reversed", "automargin": True}
    columns = ("metric", "unit", "better", "median", "low", "high", "spread")
    return Chart(
        "repetitions",
        "Repetitions",
        "Each repetition of each metric beside its median; ↑ higher is better, ↓ lower.",
        {"data": values, "layout": style},
        Table("Metrics: median, interval, and the interval's width relative to the median", columns, tuple(rows), 3),
        wide=True,
    )


def _label(name: str, direction: str) -> str:
    return plain(f"{name} {'↑' if direction == 'higher' else '↓'}")
