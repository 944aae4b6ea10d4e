"""Figures for services that follow benchmarks from commit to commit."""

from __future__ import annotations

import json

from harness.compare.subject import Measured, Subject
from harness.errors import UsageError

DIRECTIONS = {"smaller": "lower", "bigger": "higher"}
"""github-action-benchmark's tools `customSmallerIsBetter` and `customBiggerIsBetter`, and which metrics are theirs."""


def github_action_benchmark(subject: Subject, direction: str) -> str:
    """Return the JSON of github-action-benchmark's custom tools: a list of name, unit, value, range and extra.

    That action takes one direction a file, so `direction` (smaller or bigger) chooses the metrics. `range` is the
    spread of repetitions, `extra` what the figures were measured with. Raises UsageError for any other direction, and
    where the figures are void.
    """
    _refuse_void(subject)
    if direction not in DIRECTIONS:
        raise UsageError(f"--direction {direction!r} is not known", hint=f"choose one of {', '.join(DIRECTIONS)}")
    extra = f"{subject.kind} {subject.name}, engine {subject.conditions.get('engine', 'not known')}"
    entries = [
        {
            "name": f"{benchmark_name(subject)}: {name}",
            "unit": measured.unit,
            "value": measured.value,
            **_range(measured),
            "extra": extra,
        }
        for name, measured in subject.metrics.items()
        if measured.direction == DIRECTIONS[direction]
    ]
    return json.dumps(entries, indent=2) + "\n"


def bencher(subject: Subject) -> str:
    """Return Bencher Metric Format: benchmark, then measure, then value with its bounds where there is a spread.

    Raises UsageError where the figures are void.
    """
    _refuse_void(subject)
    measures = {}
    for name, measured in subject.metrics.items():
        metric = {"value": measured.value}
        if measured.low is not None and measured.high is not None:
            metric |= {"lower_value": measured.low, "upper_value": measured.high}
        # A measure's name is taken for its slug, which has hyphens.
        measures[name.replace("_", "-")] = metric
    return json.dumps({benchmark_name(subject): measures}, indent=2) + "\n"


def benchmark_name(subject: Subject) -> str:
    """Return a name that stays the same from commit to commit: the suite's, or the kind of run, with its engine."""
    what = subject.conditions.get("suite") or subject.kind
    return f"{what} on {subject.conditions.get('engine', 'unknown engine')}"


def _refuse_void(subject: Subject) -> None:
    if subject.void:
        raise UsageError(
            f"the figures of {subject.name} are void: {subject.void}", hint="make the result again on a waking machine"
        )


def _range(measured: Measured) -> dict[str, str]:
    if measured.low is None or measured.high is None:
        return {}
    return {"range": f"{measured.low:g} – {measured.high:g}"}
