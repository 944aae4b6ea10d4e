"""Charts of a load's latencies, from its raw samples. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.report.charts import RED, Chart, layout, line
from harness.report.series import MAX_POINTS
from harness.report.tables import Table, milliseconds_text
from harness.results import Latencies
from harness.stats.latency import PERCENTILES, SAMPLES_BEYOND

KINDS: Sequence[tuple[str, str, str]] = (("upload", "uploaded", "#2f7fd1"), ("end to end", "completed", "#d9622b"))
"""Label, the sample's field that ends it, colour."""


def latency_charts(samples: Sequence[Mapping[str, Any]], latencies: Latencies) -> list[Chart]:
    """Return the charts of latencies; [] where there are no samples."""
    if not samples:
        return []
    return [_percentiles(samples, latencies), _over_time(samples)]


def latency_table(latencies: Latencies) -> Table:
    """Return count, minimum, mean, supported percentiles and maximum of each latency; the others are dashes."""
    columns = ("latency", "files", "min", "mean", *(f"p{p:g}" for p in PERCENTILES), "max")
    rows = []
    for label, found in (("upload", latencies.upload), ("end to end", latencies.end_to_end)):
        rows.append(
            (
                label,
                f"{found.count:,}",
                milliseconds_text(found.min),
                milliseconds_text(found.mean),
                *(milliseconds_text(found.percentiles.get(f"{p:g}")) for p in PERCENTILES),
                milliseconds_text(found.max),
            )
        )
    caption = (
        "Latency from each file's intended start. A percentile is given only where at least "
        f"{SAMPLES_BEYOND} samples lie beyond it (the median: where there are five samples)"
    )
    return Table(caption, columns, tuple(rows))


def _milliseconds(samples: Sequence[Mapping[str, Any]], end: str) -> list[float]:
    found = [s[end] - s["intended"] for s in samples if s.get(end) is not None and not s.get("error")]
    return sorted(max(0.0, seconds) * 1000 for seconds in found)


def quantile_curve(ordered: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return (1 / (1 − quantile), value) of sorted samples, as far as SAMPLES_BEYOND samples lie beyond."""
    count = len(ordered)
    last = count - SAMPLES_BEYOND
    if last < 1:
        return [], []
    step = max(1, last // MAX_POINTS)
    ranks = [*range(1, last, step), last]
    return [round(count / (count - rank), 4) for rank in ranks], [round(ordered[rank - 1], 3) for rank in ranks]


def _percentiles(samples: Sequence[Mapping[str, Any]], latencies: Latencies) -> Chart:
    lines = []
    for label, end, colour in KINDS:
        x, y = quantile_curve(_milliseconds(samples, end))
        if x:
            lines.append(line(label, x, y, colour, "solid" if end == "uploaded" else "dash", "ms"))
    ticks = [(1.0, "0"), (2.0, "50"), (10.0, "90"), (20.0, "95"), (100.0, "99"), (1000.0, "99.9"), (10_000.0, "99.99")]
    style = layout("milliseconds, log scale", "percentile", hovermode="closest")
    style["xaxis"] = {
        "title": {"text": "percentile"},
        "type": "log",
        "tickvals": [value for value, _ in ticks],
        "ticktext": [text for _, text in ticks],
        "zeroline": False,
    }
    style["yaxis"] = {**style["yaxis"], "type": "log", "rangemode": "normal"}
    return Chart(
        "latency-percentiles",
        "Latency by percentile",
        "From the intended start of each file to the upload's answer, and to its last durable row. The lines end "
        f"where fewer than {SAMPLES_BEYOND} samples lie beyond.",
        {"data": lines, "layout": style},
        latency_table(latencies),
        wide=True,
    )


def _over_time(samples: Sequence[Mapping[str, Any]]) -> Chart:
    origin = min(s["intended"] for s in samples)
    traces: list[dict[str, Any]] = []
    rows = []
    for label, end, colour in KINDS:
        good = [s for s in samples if s.get(end) is not None and not s.get("error")]
        found = _thinned([(s["intended"] - origin, (s[end] - s["intended"]) * 1000) for s in good])
        traces.append(_dots(label, found, colour, "circle" if end == "uploaded" else "diamond-open"))
        rows.append((label, f"{len(good):,}"))
    failed = [(s["intended"] - origin, (s["uploaded"] - s["intended"]) * 1000) for s in samples if s.get("error")]
    if failed:
        traces.append(_dots("failed upload", _thinned(failed), RED, "x"))
    never = sum(1 for s in samples if not s.get("error") and s.get("completed") is None)
    rows += [("failed upload", f"{len(failed):,}"), ("uploaded, never complete", f"{never:,}")]
    style = layout("milliseconds, log scale", "intended start, seconds since the first", hovermode="closest")
    style["yaxis"] = {**style["yaxis"], "type": "log", "rangemode": "normal"}
    return Chart(
        "latency-over-time",
        "Latency over time",
        f"One point a file, at its intended start; of more than {MAX_POINTS} files the slowest of each group.",
        {"data": traces, "layout": style},
        Table("Files", ("what", "files"), tuple(rows)),
        wide=True,
    )


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    size = -(-len(points) // MAX_POINTS) if points else 1
    ordered = sorted(points)
    return [max(ordered[i : i + size], key=lambda point: point[1]) for i in range(0, len(ordered), size)]


def _dots(label: str, points: Sequence[tuple[float, float]], colour: str, symbol: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label,
        "x": [round(x, 3) for x, _ in points],
        # A logarithmic axis has no place for nothing.
        "y": [round(max(y, 0.1), 3) for _, y in points],
        "marker": {"color": colour, "size": 6, "symbol": symbol, "opacity": 0.75},
        "hovertemplate": "%{y:,.4~g} ms at %{x:.1f} s",
    }
