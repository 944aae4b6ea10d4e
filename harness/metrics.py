"""The figures by which results are compared: names, units, directions. One function of a result, used everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any

from harness.results import void_reason
from harness.stages import STAGES


class Direction(StrEnum):
    """Which way a figure gets better."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True)
class Metric:
    """One figure of one result. The same name always has the same unit and direction."""

    name: str
    unit: str
    direction: Direction
    value: float


def metrics_of(result: Mapping[str, Any]) -> dict[str, Metric]:
    """Return the figures of a `result.json` by name; those it does not have are absent.

    Kinds are run, load, insert and clean; another kind has none, nor has a result whose figures are void. Results of
    older schemas have fewer.
    """
    if void_reason(result):
        return {}
    kind = result.get("kind", "run")
    found: Iterator[tuple[str, str, Direction, Any]]
    if kind == "clean":
        found = _cleaners(result)
    elif kind in ("run", "load", "insert"):
        found = _pipeline(result)
    else:
        found = iter(())
    return {
        name: Metric(name, unit, direction, float(value))
        for name, unit, direction, value in found
        if isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
    }


def run_metrics() -> frozenset[str]:
    """Return the names of all figures that a result of kind run can have."""
    everything = {"stages": {stage.name: {"rows_ok": 1} for stage in STAGES}, "audit": {"dead_letters": {}}}
    return frozenset(name for name, *_ in _pipeline(everything))


def _pipeline(result: Mapping[str, Any]) -> Iterator[tuple[str, str, Direction, Any]]:
    higher, lower = Direction.HIGHER, Direction.LOWER
    yield "pipeline_rows_per_second", "rows/s", higher, result.get("pipeline_rows_per_second")
    load = result.get("kind", "run") == "load"
    if not load:
        yield "clean_seconds", "s", lower, result.get("clean_seconds")
        yield "upload_seconds", "s", lower, result.get("upload_seconds")
    for stage in (s.name for s in STAGES):
        totals = result.get("stages", {}).get(stage, {})
        rows = totals.get("rows_ok") or 0
        if not rows:
            continue
        yield f"{stage}_rows_per_second", "rows/s", higher, totals.get("rows_per_second")
        yield f"{stage}_cpu_ms_per_1000_rows", "ms", lower, _per_thousand(totals.get("cpu_ms"), rows)
        yield f"{stage}_ms_per_1000_rows", "ms", lower, _per_thousand(totals.get("handler_ms"), rows)
        yield f"{stage}_own_ms_per_1000_rows", "ms", lower, _own(totals, rows)
    latencies = result.get("latencies", {})
    for name in ("upload", "end_to_end") if load else ():
        percentiles = latencies.get(name, {}).get("percentiles", {})
        for percentile in ("50", "95", "99"):
            yield f"{name}_p{percentile}_ms", "ms", lower, percentiles.get(percentile)
    yield "memory_peak_bytes", "bytes", lower, result.get("memory_peak_bytes")
    letters = result.get("audit", {}).get("dead_letters")
    if letters is not None:
        yield "dlq_rows", "rows", lower, sum(sum(reasons.values()) for reasons in letters.values())


def _per_thousand(milliseconds: Any, rows: int) -> float | None:
    return None if milliseconds is None else 1000 * float(milliseconds) / rows


def _own(totals: Mapping[str, Any], rows: int) -> float | None:
    """Return what a handler's invocations took without the waiting for AWS; clean's workers wait uncounted."""
    handler, waiting = totals.get("handler_ms"), totals.get("waiting_ms")
    if handler is None or not waiting or handler <= waiting:
        return None
    return _per_thousand(handler - waiting, rows)


def _cleaners(result: Mapping[str, Any]) -> Iterator[tuple[str, str, Direction, Any]]:
    for cleaner in result.get("cleaners", []):
        if cleaner.get("missing"):
            continue
        name = str(cleaner["name"]).replace("-", "_")
        seconds = cleaner.get("seconds")
        rate = cleaner["rows"] / seconds if seconds else None
        yield f"{name}_rows_per_second", "rows/s", Direction.HIGHER, rate
        yield f"{name}_cpu_seconds", "s", Direction.LOWER, cleaner.get("cpu_seconds")
        yield f"{name}_memory_peak_mb", "MB", Direction.LOWER, cleaner.get("peak_memory_mb")
