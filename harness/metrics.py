"""The registry of figures by which results are compared: names, units, directions, and where each is in a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from harness.results import (
    CleanerFigures,
    CleanResult,
    DeployedResult,
    Document,
    InsertResult,
    LoadResult,
    Result,
    RunResult,
    StageFigures,
    WatchedResult,
)
from harness.stages import STAGES

PERCENTILES = ("50", "95", "99")
"""Percentiles of latencies that are metrics."""


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


@dataclass(frozen=True)
class Definition:
    """A figure that results can have. `measure` returns it, None of a result that does not have it."""

    name: str
    unit: str
    direction: Direction
    measure: Callable[[Result], float | None]


def figure(value: float) -> str:
    """Return a number as text, with three or more significant digits and thousands separated."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def metrics_of(result: Document) -> dict[str, Metric]:
    """Return the figures of a result by name; those it does not have are absent, and all where its figures are void.

    Runs, loads, inserts and cleaners have some; saturation searches, suites, gates and errors have none.
    """
    if not isinstance(result, RunResult | LoadResult | InsertResult | CleanResult) or result.figures_void_reason:
        return {}
    if isinstance(result, CleanResult):
        return {metric.name: metric for metric in _of_cleaners(result)}
    found = {}
    for one in REGISTRY.values():
        value = one.measure(result)
        if value is not None and isfinite(value):
            found[one.name] = Metric(one.name, one.unit, one.direction, float(value))
    return found


def run_metrics() -> frozenset[str]:
    """Return the names of all figures that a result of kind run can have."""
    return frozenset(REGISTRY) - {one.name for one in _of_latencies()}


def _of_pipeline() -> Iterator[Definition]:
    def of_watched(name: str) -> Callable[[Result], float | None]:
        return lambda result: getattr(result, name) if isinstance(result, WatchedResult) else None

    def of_upload(name: str) -> Callable[[Result], float | None]:
        return lambda result: getattr(result, name) if isinstance(result, RunResult | InsertResult) else None

    yield Definition("pipeline_rows_per_second", "rows/s", Direction.HIGHER, of_watched("pipeline_rows_per_second"))
    yield Definition("clean_seconds", "s", Direction.LOWER, of_upload("clean_seconds"))
    yield Definition("upload_seconds", "s", Direction.LOWER, of_upload("upload_seconds"))
    for stage in STAGES:
        yield from _of_stage(stage.name)
    yield from _of_latencies()
    yield Definition("memory_peak_bytes", "bytes", Direction.LOWER, of_watched("memory_peak_bytes"))
    yield Definition("dlq_rows", "rows", Direction.LOWER, lambda result: result.audit.dead_lettered_rows)


def _of_stage(name: str) -> Iterator[Definition]:
    def of_stage(measure: Callable[[StageFigures], float | None]) -> Callable[[Result], float | None]:
        def value(result: Result) -> float | None:
            found = result.stages.get(name) if isinstance(result, DeployedResult) else None
            return measure(found) if found is not None and found.rows_ok else None

        return value

    yield Definition(
        f"{name}_rows_per_second", "rows/s", Direction.HIGHER, of_stage(lambda stage: stage.rows_per_second)
    )
    for metric, measure in (
        ("cpu_ms_per_1000_rows", lambda stage: stage.cpu_ms),
        ("ms_per_1000_rows", lambda stage: stage.handler_ms),
        ("own_ms_per_1000_rows", _own_ms),
    ):
        yield Definition(f"{name}_{metric}", "ms", Direction.LOWER, of_stage(_per_thousand(measure)))


def _per_thousand(measure: Callable[[StageFigures], float | None]) -> Callable[[StageFigures], float | None]:
    def value(stage: StageFigures) -> float | None:
        found = measure(stage)
        return None if found is None else 1000 * found / stage.rows_ok

    return value


def _own_ms(stage: StageFigures) -> float | None:
    """Return what a handler's invocations took without the waiting for AWS; clean's workers wait uncounted."""
    handler, waiting = stage.handler_ms, stage.waiting_ms
    return handler - waiting if handler is not None and 0 < waiting < handler else None


def _of_latencies() -> Iterator[Definition]:
    def of_load(name: str, percentile: str) -> Callable[[Result], float | None]:
        def value(result: Result) -> float | None:
            if not isinstance(result, LoadResult):
                return None
            percentiles = (result.latencies.upload if name == "upload" else result.latencies.end_to_end).percentiles
            return percentiles.get(percentile)

        return value

    for name in ("upload", "end_to_end"):
        for percentile in PERCENTILES:
            yield Definition(f"{name}_p{percentile}_ms", "ms", Direction.LOWER, of_load(name, percentile))


def _of_cleaners(result: CleanResult) -> Iterator[Metric]:
    for cleaner in result.cleaners:
        if not cleaner.missing:
            yield from _of_cleaner(cleaner)


def _of_cleaner(cleaner: CleanerFigures) -> Iterator[Metric]:
    name = cleaner.name.replace("-", "_")
    if cleaner.seconds:
        rate = cleaner.rows / cleaner.seconds
        yield Metric(f"{name}_rows_per_second", "rows/s", Direction.HIGHER, rate)
    yield Metric(f"{name}_cpu_seconds", "s", Direction.LOWER, cleaner.cpu_seconds)
    yield Metric(f"{name}_memory_peak_mb", "MB", Direction.LOWER, cleaner.peak_memory_mb)


REGISTRY: dict[str, Definition] = {one.name: one for one in _of_pipeline()}
"""Every figure of runs, loads and inserts by name, in the order in which they are shown."""
