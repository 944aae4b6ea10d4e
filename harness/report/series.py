"""A run's time series as columns, and what is read from them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

RATE_SECONDS = 5.0
"""Rates are means over so many seconds: functions report at the end of an invocation, a batch at a time."""

MAX_POINTS = 900
"""Points of a drawn line; longer series are thinned out, a bin at a time."""

Values = Sequence[float | None]


@dataclass(frozen=True)
class StageSeries:
    """One stage's columns, a value a sample; None where it was not known."""

    rows: Sequence[int]
    waiting: Sequence[int]
    queued: Sequence[int]
    dlq: Sequence[int]
    age: Values
    concurrency: Values
    limit: Values
    cold_starts: Values


@dataclass(frozen=True)
class Series:
    """The columns of `timeseries.jsonl`. `cpu` is cores and `memory` bytes by group of processes."""

    seconds: Sequence[float]
    stages: Mapping[str, StageSeries]
    cpu: Mapping[str, Sequence[float]]
    memory: Mapping[str, Sequence[float]]
    busy: Sequence[float]
    steal: Sequence[float]

    def until(self, seconds: float) -> Series:
        """Return the part up to a moment."""
        count = sum(1 for s in self.seconds if s <= seconds)
        stages = {
            name: StageSeries(**{field: column[:count] for field, column in vars(stage).items()})
            for name, stage in self.stages.items()
        }
        groups = {n: v[:count] for n, v in self.cpu.items()}, {n: v[:count] for n, v in self.memory.items()}
        return Series(self.seconds[:count], stages, *groups, self.busy[:count], self.steal[:count])


def columns(lines: Sequence[Mapping[str, Any]]) -> Series:
    """Return the series of the lines of `timeseries.jsonl`."""
    names = [stage["name"] for stage in lines[0]["stages"]] if lines else []

    def stage(index: int) -> StageSeries:
        views = [line["stages"][index] for line in lines]
        return StageSeries(
            rows=[v["rows"] for v in views],
            waiting=[v["queued"] + v["in_flight"] for v in views],
            queued=[v["queued"] for v in views],
            dlq=[v["dlq"] for v in views],
            age=[v.get("queue_age") for v in views],
            concurrency=[v.get("concurrency") for v in views],
            limit=[v.get("concurrency_limit") for v in views],
            cold_starts=[v.get("cold_starts") for v in views],
        )

    def groups(field: str) -> dict[str, list[float]]:
        known = dict.fromkeys(name for line in lines for name in line.get(field, {}))
        return {name: [line.get(field, {}).get(name, 0.0) for line in lines] for name in known}

    return Series(
        seconds=[line["elapsed"] for line in lines],
        stages={name: stage(i) for i, name in enumerate(names)},
        cpu=groups("cpu"),
        memory=groups("memory"),
        busy=[line.get("busy", 0.0) for line in lines],
        steal=[line.get("steal", 0.0) for line in lines],
    )


def rates(seconds: Sequence[float], counts: Sequence[int], window: float = RATE_SECONDS) -> list[float]:
    """Return a rate for every moment: what came in the `window` seconds around it, a second."""
    found = []
    first = last = 0
    for now in seconds:
        while seconds[first] < now - window / 2:
            first += 1
        while last + 1 < len(seconds) and seconds[last + 1] <= now + window / 2:
            last += 1
        span = seconds[last] - seconds[first]
        found.append((counts[last] - counts[first]) / span if span > 0 else 0.0)
    return found


def thin(
    seconds: Sequence[float], values: Values, limit: int = MAX_POINTS, keep: Callable[[Sequence[float]], float] = max
) -> tuple[list[float], list[float | None]]:
    """Return at most `limit` points: of every bin the last moment and what `keep` makes of its values, so that with
    `max` no peak is lost."""
    size = -(-len(seconds) // limit) if seconds else 1
    moments, kept = [], []
    for start in range(0, len(seconds), size):
        known = [v for v in values[start : start + size] if v is not None]
        moments.append(round(seconds[min(start + size, len(seconds)) - 1], 2))
        kept.append(round(keep(known), 4) if known else None)
    return moments, kept


def mean(values: Values) -> float | None:
    """Return the mean of the known values, or None."""
    known = [v for v in values if v is not None]
    return fmean(known) if known else None


def peak(values: Values) -> float | None:
    """Return the largest known value, or None."""
    return max((v for v in values if v is not None), default=None)


def share(flags: Sequence[bool]) -> float:
    """Return the share of True, 0 of nothing."""
    return sum(flags) / len(flags) if flags else 0.0
