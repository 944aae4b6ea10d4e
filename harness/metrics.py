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
    SaturationResult,
    StageFigures,
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


Kinds = tuple[type[Result], ...]

PIPELINE: Kinds = (RunResult, LoadResult)
UPLOADS: Kinds = (RunResult, InsertResult)
INSERTING: Kinds = (RunResult, LoadResult, InsertResult)
"""The kinds of results that have a figure: of the whole pipeline, of one upload, of all that insert."""


@dataclass(frozen=True)
class Definition:
    """A figure that results of `kinds` can have. `measure` returns it, None of a result that does not have it."""

    name: str
    unit: str
    direction: Direction
    kinds: Kinds
    measure: Callable[[Result], float | None]


def figure(value: float) -> str:
    """Return a number as text, with three or more significant digits and thousands separated."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def metrics_of(result: Document) -> dict[str, Metric]:
    """Return the figures of a result by name; those it does not have are absent, and all where its figures are void.

    Suites, gates and errors have none.
    """
    if not isinstance(result, Result) or result.figures_void_reason:
        return {}
    if isinstance(result, CleanResult):
        return {metric.name: metric for metric in _of_cleaners(result)}
    found = {}
    for one in REGISTRY.values():
        value = one.measure(result) if isinstance(result, one.kinds) else None
        if value is not None and isfinite(value):
            found[one.name] = Metric(one.name, one.unit, one.direction, float(value))
    return found


def names_of(kind: type[Result]) -> frozenset[str]:
    """Return the names of all figures that a result of this kind can have; of the clean suite's none, since they have
    the cleaners' names."""
    return frozenset(one.name for one in REGISTRY.values() if issubclass(kind, one.kinds))


def _of_pipeline() -> Iterator[Definition]:
    higher, lower = Direction.HIGHER, Direction.LOWER
    yield Definition("saturation_rows_per_second", "rows/s", higher, (SaturationResult,), _sustained)
    yield Definition("pipeline_rows_per_second", "rows/s", higher, PIPELINE, _attribute("pipeline_rows_per_second"))
    yield Definition("clean_seconds", "s", lower, UPLOADS, _attribute("clean_seconds"))
    yield Definition("upload_seconds", "s", lower, UPLOADS, _attribute("upload_seconds"))
    for stage in STAGES:
        yield from _of_stage(stage.name, INSERTING if stage.name in ("clean", "insert") else PIPELINE)
    for name in ("upload", "end_to_end"):
        for percentile in PERCENTILES:
            yield Definition(f"{name}_p{percentile}_ms", "ms", lower, (LoadResult,), _of_distribution(name, percentile))
    yield Definition("memory_peak_bytes", "bytes", lower, PIPELINE, _attribute("memory_peak_bytes"))
    yield Definition("dlq_rows", "rows", lower, INSERTING, lambda result: result.audit.dead_lettered_rows)
    yield Definition("quarantined_rows", "rows", lower, PIPELINE, lambda result: result.audit.quarantined_rows)


def _attribute(name: str) -> Callable[[Result], float | None]:
    def value(result: Result) -> float | None:
        found: float | None = getattr(result, name)
        return found

    return value


def _sustained(result: Result) -> float | None:
    return result.saturation.rows_per_second if isinstance(result, SaturationResult) else None


def _of_stage(name: str, kinds: Kinds) -> Iterator[Definition]:
    def of_stage(measure: Callable[[StageFigures], float | None]) -> Callable[[Result], float | None]:
        def value(result: Result) -> float | None:
            found = result.stages.get(name) if isinstance(result, DeployedResult) else None
            return measure(found) if found is not None and found.rows_ok else None

        return value

    rate = of_stage(lambda stage: stage.rows_per_second)
    yield Definition(f"{name}_rows_per_second", "rows/s", Direction.HIGHER, kinds, rate)
    times: tuple[tuple[str, Callable[[StageFigures], float | None]], ...] = (
        ("cpu_ms_per_1000_rows", lambda stage: stage.cpu_ms),
        ("ms_per_1000_rows", lambda stage: stage.handler_ms),
        ("own_ms_per_1000_rows", _own_ms),
    )
    for metric, measure in times:
        yield Definition(f"{name}_{metric}", "ms", Direction.LOWER, kinds, of_stage(_per_thousand(measure)))


def _per_thousand(measure: Callable[[StageFigures], float | None]) -> Callable[[StageFigures], float | None]:
    def value(stage: StageFigures) -> float | None:
        found = measure(stage)
        return None if found is None else 1000 * found / stage.rows_ok

    return value


def _own_ms(stage: StageFigures) -> float | None:
    """Return what a handler's invocations took without the waiting for AWS; clean's workers wait uncounted."""
    handler, waiting = stage.handler_ms, stage.waiting_ms
    return handler - waiting if handler is not None and 0 < waiting < handler else None


def _of_distribution(name: str, percentile: str) -> Callable[[Result], float | None]:
    def value(result: Result) -> float | None:
        if not isinstance(result, LoadResult):
            return None
        found = result.latencies.upload if name == "upload" else result.latencies.end_to_end
        return found.percentiles.get(percentile)

    return value


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
"""Every figure of runs, loads, searches and inserts by name, in the order in which they are shown."""
