"""The charts of a report, as plotly figures in plain data, each with its caption and a table of its figures. Pure.

Colours and dashes are fixed here, not left to plotly: five hues of similar lightness that have a contrast of at least
3:1 against a white and a near-black page, that colour-blind people can tell apart together with their dashes. Text,
grid and background are the style sheet's, so that one figure suits light, dark and paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import fmean
from typing import Any

from harness.report.series import Series, Values, mean, peak, rates, thin
from harness.report.tables import Table, number, seconds_text
from harness.results import SaturationFigures, WatchedResult

STYLES: Mapping[str, tuple[str, str]] = {
    "clean": ("#8a8f98", "dot"),
    "insert": ("#2f7fd1", "solid"),
    "capture": ("#b065c0", "dash"),
    "process": ("#0f9d6e", "dashdot"),
    "update": ("#d9622b", "solid"),
}
GROUPS: Mapping[str, tuple[str, str]] = {
    "data-services": ("#2f7fd1", "data services"),
    "queues": ("#c2410c", "queues"),
    "functions": ("#d9622b", "functions"),
    "lambda-service": ("#b065c0", "Lambda service"),
    "harness": ("#0f9d6e", "harness"),
    "locust": ("#a88412", "Locust"),
    "other": ("#8a8f98", "other"),
}
RED = "#d64550"
LIMIT_DASH = "2px,4px"
ONE_INVOCATION = 3
"""A stage of at most so many invocations tells its rows all at once; its mean rate is drawn in place of a spike."""


@dataclass(frozen=True)
class Chart:
    """One chart. `name` is unique on its page, `figure` plotly's data and layout, `table` the same in numbers."""

    name: str
    title: str
    caption: str
    figure: Mapping[str, Any]
    table: Table
    wide: bool = False


def run_charts(series: Series, result: WatchedResult, began: float) -> list[Chart]:
    """Return the charts that every watched run has; [] without a time series. `began` is the Unix time of the series'
    second 0."""
    if not series.seconds:
        return []
    charts = [_throughput(series, result, began), _depth(series), _age(series)]
    if any(v is not None for stage in series.stages.values() for v in stage.concurrency):
        charts += [_concurrency(series), _cold_starts(series)]
    return [*charts, _cpu(series, result.fingerprint.cores or 1), _memory(series)]


def plain(text: str) -> str:
    """Return a text from outside so that plotly, which knows some HTML in labels, shows it as it is."""
    return escape(text, quote=False)


def line(
    name: str, x: Sequence[float], y: Values, colour: str, dash: str = "solid", unit: str = "", **more: Any
) -> dict[str, Any]:
    """Return one line of a chart."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": plain(name),
        "x": list(x),
        "y": list(y),
        "line": {"color": colour, "width": 2, "dash": dash},
        "hovertemplate": f"%{{y:,.4~g}} {unit}",
        **more,
    }


def layout(y_title: str, x_title: str = "seconds since the start", **more: Any) -> dict[str, Any]:
    """Return a layout; the style sheet colours what is not data."""
    return {
        "margin": {"l": 64, "r": 16, "t": 8, "b": 44},
        "height": 320,
        "hovermode": "x unified",
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12},
        "hoverlabel": {"bgcolor": "#20252d", "font": {"color": "#f2f4f7"}, "bordercolor": "#20252d"},
        "xaxis": {"title": {"text": x_title}, "rangemode": "tozero", "zeroline": False},
        "yaxis": {"title": {"text": y_title}, "rangemode": "tozero", "zeroline": False, "tickformat": ",~g"},
        **more,
    }


def _stage_lines(series: Series, values: Mapping[str, Values], unit: str, **more: Any) -> list[dict[str, Any]]:
    lines = []
    for name, column in values.items():
        if all(v is None for v in column):
            continue
        colour, dash = STYLES.get(name, (RED, "solid"))
        x, y = thin(series.seconds, column)
        lines.append(line(name, x, y, colour, dash, unit, **more))
    return lines


def _stage_table(caption: str, unit: str, series: Series, values: Mapping[str, Values]) -> Table:
    rows = []
    for name, column in values.items():
        top = peak(column)
        if top is None:
            continue
        when = series.seconds[list(column).index(top)]
        rows.append((name, number(mean(column)), number(top), seconds_text(when) if top else "–"))
    return Table(caption, ("stage", f"mean, {unit}", f"peak, {unit}", "at"), tuple(rows))


def saturation_chart(found: SaturationFigures) -> Chart:
    """Return the backlog's growth at every rate that was offered, with its interval."""
    marks = {"sustained": ("#0f9d6e", "circle"), "not sustained": (RED, "x"), "undecided": ("#8a8f98", "diamond")}
    traces: list[dict[str, Any]] = []
    for verdict, (colour, symbol) in marks.items():
        steps = [(step.rate, step.trend) for step in found.steps if step.verdict == verdict and step.trend is not None]
        if not steps:
            continue
        error = {
            "type": "data",
            "array": [trend.high - trend.slope for _, trend in steps],
            "arrayminus": [trend.slope - trend.low for _, trend in steps],
            "color": colour,
        }
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": verdict,
                "x": [rate for rate, _ in steps],
                "y": [trend.slope for _, trend in steps],
                "error_y": error,
                "marker": {"color": colour, "size": 10, "symbol": symbol},
                "hovertemplate": "%{y:+,.0f} rows/s at %{x:,.0f}",
            }
        )
    rows = tuple((s.verdict, number(s.rate), number(s.trend.slope) if s.trend else "–") for s in found.steps)
    return Chart(
        "saturation",
        "Growth of the backlog by offered rate",
        "Rows a second by which unfinished rows grew in the later part of each step, with the interval of the slope.",
        {"data": traces, "layout": layout("growth, rows/s", "offered, rows/s", hovermode="closest")},
        Table("Steps", ("verdict", "offered, rows/s", "growth, rows/s"), rows),
        wide=True,
    )


def _throughput(series: Series, result: WatchedResult, began: float) -> Chart:
    drawn: dict[str, Values] = {}
    for name, stage in series.stages.items():
        totals = result.stages.get(name)
        if totals is not None and totals.ended_ms and totals.invocations <= ONE_INVOCATION:
            start, end = totals.started_ms / 1000 - began, totals.ended_ms / 1000 - began
            rate = totals.rows_per_second
            drawn[name] = [rate if start - 0.5 <= s <= max(end, start + 1) else 0.0 for s in series.seconds]
        else:
            drawn[name] = rates(series.seconds, stage.rows)
    figure = {"data": _stage_lines(series, drawn, "rows/s"), "layout": layout("rows/s")}
    return Chart(
        "throughput",
        "Throughput by stage",
        "Rows a second that each stage reported done, over a sliding window of 5 s. A stage that ran as one "
        "invocation, as clean does for one file, is drawn at its mean rate.",
        figure,
        _stage_table("Throughput by stage, rows/s", "rows/s", series, drawn),
        wide=True,
    )


def _depth(series: Series) -> Chart:
    fed = {name: s.waiting for name, s in series.stages.items() if name not in ("clean", "capture")}
    dead = [sum(column) for column in zip(*(s.dlq for s in series.stages.values()), strict=True)]
    lines = _stage_lines(series, fed, "messages")
    x, y = thin(series.seconds, dead)
    lines.append(line("dead-letter queues", x, y, RED, "dot", "messages"))
    return Chart(
        "depth",
        "Queue depth",
        "Messages in each stage's queue, visible, in flight and delayed together, and in all dead-letter queues.",
        {"data": lines, "layout": layout("messages")},
        _stage_table("Queue depth, messages", "messages", series, {**fed, "dead-letter queues": dead}),
    )


def _age(series: Series) -> Chart:
    ages = {name: stage.age for name, stage in series.stages.items()}
    return Chart(
        "age",
        "Backlog age",
        "How long ago the oldest row that still waits for a stage came to it, from cumulative rows in and out. Near "
        "the end these are rows bound for a dead-letter queue, waiting for their next receive.",
        {"data": _stage_lines(series, ages, "s"), "layout": layout("seconds")},
        _stage_table("Backlog age, seconds", "s", series, ages),
    )


def _concurrency(series: Series) -> Chart:
    running = {name: stage.concurrency for name, stage in series.stages.items()}
    lines = _stage_lines(series, running, "running")
    tops = {name: peak(stage.limit) for name, stage in series.stages.items()}
    rows = []
    for name, column in running.items():
        limit = tops[name]
        rows.append((name, number(mean(column)), number(peak(column)), "account's" if limit is None else number(limit)))
    for item in lines:
        item["line"]["shape"] = "hv"
    top = max((t for t in tops.values() if t is not None), default=None)
    if top is not None:
        ends = [series.seconds[0], series.seconds[-1]]
        lines.append(line("highest limit", ends, [top, top], RED, LIMIT_DASH, "allowed"))
    return Chart(
        "concurrency",
        "Concurrency",
        "Invocations running at each sample, by function, and the highest number that any event source mapping was "
        "allowed. Functions invoked by S3 have the account's limit only.",
        {"data": lines, "layout": _whole(layout("invocations"), top)},
        Table("Concurrency, invocations", ("function", "mean", "peak", "limit"), tuple(rows)),
    )


def _whole(style: dict[str, Any], top: float | None) -> dict[str, Any]:
    """Return a layout whose small axis has ticks at whole numbers only."""
    if top is not None and top <= 10:
        style["yaxis"] = {**style["yaxis"], "dtick": 1}
    return style


def _cold_starts(series: Series) -> Chart:
    starts = {name: stage.cold_starts for name, stage in series.stages.items()}
    lines = _stage_lines(series, starts, "cold starts")
    for item in lines:
        item["line"]["shape"] = "hv"
    rows = tuple((name, number(peak(column))) for name, column in starts.items())
    top = max((peak(column) or 0 for column in starts.values()), default=0)
    return Chart(
        "cold-starts",
        "Cold starts",
        "Execution environments that have started so far, by function.",
        {
            "data": lines,
            "layout": _whole(layout("cold starts"), top),
        },
        Table("Cold starts", ("function", "cold starts"), rows),
    )


def _cpu(series: Series, cores: int) -> Chart:
    lines = _stacked(series, series.cpu, "cores")
    x, stolen = thin(series.seconds, [s * cores for s in series.steal], keep=fmean)
    lines.append(line("withheld by the host", x, stolen, RED, "dot", "cores"))
    lines.append(line("all cores", [series.seconds[0], series.seconds[-1]], [cores, cores], RED, LIMIT_DASH, "cores"))
    figures: list[tuple[str, str, str]] = [
        (GROUPS.get(name, ("", name))[1], number(mean(values)), number(peak(values)))
        for name, values in series.cpu.items()
        if any(values)
    ]
    figures.append(("withheld by the host", number(mean(stolen)), number(peak(stolen))))
    return Chart(
        "cpu",
        "CPU by process",
        f"Cores used by the run's own processes, stacked, of the {cores} this run may use. The data services are one "
        "process and can use one core.",
        {"data": lines, "layout": layout("cores")},
        Table("CPU, cores", ("processes", "mean", "peak"), tuple(figures)),
    )


def _memory(series: Series) -> Chart:
    gigabytes = {name: [v / 1e9 for v in values] for name, values in series.memory.items()}
    rows = tuple(
        (GROUPS.get(name, ("", name))[1], number(mean(values)), number(peak(values)))
        for name, values in gigabytes.items()
    )
    return Chart(
        "memory",
        "Memory by process",
        "Resident memory, stacked; pages that processes share count in each.",
        {"data": _stacked(series, gigabytes, "GB"), "layout": layout("GB")},
        Table("Memory, GB", ("processes", "mean", "peak"), rows),
    )


def _stacked(series: Series, groups: Mapping[str, Sequence[float]], unit: str) -> list[dict[str, Any]]:
    lines = []
    for name in _ordered(groups):
        colour, label = GROUPS.get(name, ("#8a8f98", name))
        x, y = thin(series.seconds, groups[name], keep=fmean)
        area = line(label, x, y, colour, "solid", unit, stackgroup="one", fillcolor=f"{colour}99")
        area["line"]["width"] = 1
        lines.append(area)
    return lines


def _ordered(groups: Mapping[str, Sequence[float]]) -> Iterable[str]:
    known = [name for name in GROUPS if any(groups.get(name, ()))]
    return [*known, *(name for name in groups if name not in GROUPS and any(groups[name]))]
