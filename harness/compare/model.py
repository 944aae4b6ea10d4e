"""Compares results with the first of them, or refuses to and says why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.compare.subject import NOISY, Measured, Subject
from harness.errors import UsageError

LISTED = 12
"""Differences that a refusal names; all of them are counted."""

SINGLE_NOTE = "single runs know no spread: a difference may be noise; `harness gate` decides"


@dataclass(frozen=True)
class Cell:
    """One figure of one subject: with its ratio to the first subject's (None where that is 0 or missing) and a word:
    better, worse, same, `within spread` where both have a spread and they overlap, or nothing."""

    measured: Measured | None
    ratio: float | None
    word: str


@dataclass(frozen=True)
class MetricRow:
    """One metric over all subjects; the first cell is what the others are compared with."""

    name: str
    unit: str
    direction: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Comparison:
    """Subjects, metric by metric. `reservations` are differences that the reader asked to overlook, and what the
    figures cannot tell; `elsewhere` says of results of different engines which rows ended elsewhere."""

    subjects: Sequence[Subject]
    rows: Sequence[MetricRow]
    reservations: Sequence[str]
    elsewhere: Sequence[str] = ()


def compare(subjects: Sequence[Subject], *, force: bool = False, across_engines: bool = False) -> Comparison:
    """Return the comparison of two or more subjects with the first.

    Raises UsageError naming every difference that makes it meaningless: kind, corpus, rows, parameters, engine,
    version, rows not conserved, void figures. Other machines, packages and limits, and CPU time withheld by a host, are
    refused too unless `force` is given, and then stand among the reservations.

    With `across_engines` engines, their versions and surroundings may differ, and stand among the reservations; what is
    compared besides figures is where rows ended.
    """
    if len(subjects) < 2:
        raise UsageError("one result alone cannot be compared", hint="harness compare A B [C...]")
    refused = [*_not_conserved(subjects), *_void(subjects), *_differences(subjects, lambda s: {"kind": s.kind})]
    if not refused:
        refused = _differences(subjects, lambda s: _conditions(s, of_engine=False) if across_engines else s.conditions)
    if refused:
        raise UsageError(f"these results cannot be compared: {_listed(refused)}", hint="make them again alike")
    doubtful = [*_differences(subjects, lambda s: s.surroundings), *_noise(subjects)]
    if across_engines:
        engines = _differences(subjects, lambda s: _conditions(s, of_engine=True))
        doubtful = [*engines, *doubtful]
    elif doubtful and not force:
        raise UsageError(
            f"these results were measured in different surroundings: {_listed(doubtful)}",
            hint="rates say nothing then about the code; --force compares all the same",
        )
    names = dict.fromkeys(name for subject in subjects for name in subject.metrics)
    rows = [_row(name, subjects) for name in names]
    single = [SINGLE_NOTE] if any(m.low is None for s in subjects for m in s.metrics.values()) else []
    elsewhere = _differences(subjects, lambda s: s.outcomes) if across_engines else []
    return Comparison(subjects, rows, [*doubtful, *single], elsewhere)


def _conditions(subject: Subject, *, of_engine: bool) -> dict[str, str]:
    """Return those conditions that are the engine's, or the others."""
    return {
        name: value
        for name, value in subject.conditions.items()
        if (name in ("engine", "capacity") or name.startswith("version of ")) == of_engine
    }


def _not_conserved(subjects: Sequence[Subject]) -> list[str]:
    return [f"{s.name} is not conserved: its rates are those of another job" for s in subjects if not s.conserved]


def _void(subjects: Sequence[Subject]) -> list[str]:
    return [f"the figures of {s.name} are void: {s.void}" for s in subjects if s.void]


def _differences(subjects: Sequence[Subject], get: Callable[[Subject], Mapping[str, str]]) -> list[str]:
    first, *others = subjects
    found = []
    for other in others:
        ours, theirs = get(first), get(other)
        for name in dict.fromkeys([*ours, *theirs]):
            a, b = ours.get(name, "not set"), theirs.get(name, "not set")
            if a != b:
                found.append(f"{name} is {a} in {first.name} and {b} in {other.name}")
    return found


def _noise(subjects: Sequence[Subject]) -> list[str]:
    return [f"the host withheld {s.stolen:.0%} of the CPU time from {s.name}" for s in subjects if s.stolen >= NOISY]


def _listed(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - LISTED} more" if len(texts) > LISTED else ""
    return "; ".join(texts[:LISTED]) + more


def _row(name: str, subjects: Sequence[Subject]) -> MetricRow:
    some = next(s.metrics[name] for s in subjects if name in s.metrics)
    base = subjects[0].metrics.get(name)
    return MetricRow(name, some.unit, some.direction, [_cell(s.metrics.get(name), base) for s in subjects])


def _cell(measured: Measured | None, base: Measured | None) -> Cell:
    if measured is None or base is None:
        return Cell(measured, None, "")
    ratio = measured.value / base.value if base.value else None
    if measured is base:
        return Cell(measured, ratio, "")
    if measured.value == base.value:
        return Cell(measured, ratio, "same")
    if _overlap(measured, base):
        return Cell(measured, ratio, "within spread")
    higher = measured.value > base.value
    return Cell(measured, ratio, "better" if higher == (measured.direction == "higher") else "worse")


def _overlap(a: Measured, b: Measured) -> bool:
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return False
    return a.low <= b.high and b.low <= a.high
