"""Objectives: limits that figures must keep, such as `insert.rows_per_second>3000`. Pure.

They are given on the command line (`--require`) or in a suite (`[objectives]`); the result says what became of them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from harness.errors import ExitCode, UsageError
from harness.metrics import REGISTRY, Metric, figure
from harness.results import ObjectiveFigures, Outcome

_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_objective = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*(<=|>=|<|>)\s*([^\s<>=]+)\s*").fullmatch

CLEANER_METRICS = ("_rows_per_second", "_cpu_seconds", "_memory_peak_mb")
"""Ends of the names of the clean suite's figures, which begin with a cleaner's name."""


@dataclass(frozen=True)
class Objective:
    """A figure's name, how it must compare with a limit (`<`, `<=`, `>`, `>=`), and the limit in the figure's unit."""

    metric: str
    comparison: str
    limit: float

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.limit:g}"

    def judge(self, metrics: Mapping[str, Metric]) -> ObjectiveFigures:
        """Return what became of it; a figure that is not there keeps no limit and breaks none."""
        found = metrics.get(self.metric)
        outcome = Outcome.NOT_MEASURED
        if found is not None:
            kept = _OPERATORS[self.comparison](found.value, self.limit)
            outcome = Outcome.KEPT if kept else Outcome.MISSED
        return ObjectiveFigures(
            metric=self.metric,
            comparison=self.comparison,
            limit=self.limit,
            unit=found.unit if found is not None else "",
            value=found.value if found is not None else None,
            outcome=outcome,
        )


def parse_objectives(texts: Sequence[str], known: Collection[str], where: str) -> tuple[Objective, ...]:
    """Return the objectives that `texts` say. `known` are the figures that there will be, `where` names the place in
    errors; raises UsageError for a text that is no objective and for an unknown figure.

    Besides their names in `harness.metrics`, figures have the dotted ones of load-testing tools: `end_to_end.p95` is
    `end_to_end_p95_ms`.
    """
    return tuple(_parse(text, known, where) for text in texts)


def _parse(text: str, known: Collection[str], where: str) -> Objective:
    match = _objective(text)
    if match is None:
        raise UsageError(
            f"{where} {text!r} is no objective",
            hint="a figure, one of < <= > >=, and a number: 'insert.rows_per_second>3000'",
        )
    name, comparison, number = match.groups()
    try:
        limit = float(number)
    except ValueError:
        limit = float("nan")
    if not isfinite(limit):
        raise UsageError(f"{where} {text!r}: {number!r} is no number", hint="without a unit, such as 2000 or 4e9")
    plain = name.replace(".", "_").replace("-", "_")
    metric = next((one for one in (plain, f"{plain}_ms") if one in known), None)
    if metric is None:
        raise UsageError(f"{where} {text!r}: there will be no figure {name!r}", hint=f"one of {_listed(known)}")
    return Objective(metric, comparison, limit)


def _listed(known: Collection[str]) -> str:
    return ", ".join([*(name for name in REGISTRY if name in known), *sorted(set(known) - set(REGISTRY))])


def judge_all(objectives: Sequence[Objective], metrics: Mapping[str, Metric]) -> list[ObjectiveFigures]:
    """Return what became of each."""
    return [one.judge(metrics) for one in objectives]


def exit_code_of(found: Sequence[ObjectiveFigures]) -> ExitCode:
    """Return the exit code: 1 where one was missed, else 4 where one was not measured, else 0."""
    outcomes = {one.outcome for one in found}
    if Outcome.MISSED in outcomes:
        return ExitCode.REGRESSION
    return ExitCode.INCONCLUSIVE if Outcome.NOT_MEASURED in outcomes else ExitCode.OK


def sentence(one: ObjectiveFigures) -> str:
    """Return what was asked for and what was found."""
    asked = f"{one.metric} {one.comparison} {figure(one.limit)}"
    return f"{asked}: not measured" if one.value is None else f"{asked}: {figure(one.value)} {one.unit}"
