"""A stored result as something to compare or export: its figures, and under which conditions they were measured."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.metrics import metrics_of
from harness.results import (
    RESULT,
    DeployedResult,
    Document,
    LessonsResult,
    LoadResult,
    ObjectiveFigures,
    Result,
    RunResult,
    Stored,
    SuiteResult,
    WatchedResult,
    read_stored,
)

NOISY = 0.02
"""Share of CPU time withheld by a host from which rates are not comparable (docs/results.md)."""

_MACHINE = ("cpu", "cores", "memory_bytes", "system", "python")


@dataclass(frozen=True)
class Measured:
    """One figure. `direction` says what is better, higher or lower; `low` and `high` are the spread of repetitions as
    the suite's aggregate gives it, None for a single run."""

    unit: str
    direction: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Subject:
    """A result to compare. `conditions` must be equal for a comparison to mean anything, `surroundings` had better be.

    `runs` are the results behind it: itself, or a suite's repetitions.
    """

    name: str
    path: Path
    kind: str
    conserved: bool
    conditions: Mapping[str, str]
    surroundings: Mapping[str, str]
    stolen: float
    metrics: Mapping[str, Measured]
    runs: Sequence[Result]
    objectives: Sequence[ObjectiveFigures] = ()

    @property
    def outcomes(self) -> Mapping[str, str]:
        """How many rows ended in each place, by reason, summed over its runs."""
        found: Counter[str] = Counter()
        for run in self.runs:
            found["rows updated"] += run.audit.updated or 0
            found.update({f"rows quarantined as {reason}": n for reason, n in run.audit.quarantined.items()})
            for stage, reasons in run.audit.dead_letters.items():
                found.update({f"rows in the {stage} DLQ as {reason}": n for reason, n in reasons.items()})
        return {name: f"{count:,}" for name, count in found.items()}

    @property
    def void(self) -> str:
        """Why durations and rates mean nothing in one of its runs; "" where they do in all."""
        return next((run.figures_void_reason for run in self.runs if run.figures_void_reason), "")


def subject_of(stored: Stored[Document]) -> Subject:
    """Return a stored run, load or suite as a subject; raises UsageError for any other kind, and where a suite's
    repetitions are not beside its aggregate."""
    result = stored.document
    if isinstance(result, SuiteResult):
        return _suite(stored, result)
    if isinstance(result, LessonsResult):
        raise UsageError(
            f"{stored.path} is of lessons, which end in verdicts and have no figures to compare or export",
            hint=f"harness report {stored.folder} writes its page",
        )
    if not isinstance(result, RunResult | LoadResult):
        raise UsageError(
            f"{stored.path} is a result of kind {result.kind!r}",
            hint="runs, loads and suites have figures of their own",
        )
    return Subject(
        name=stored.name,
        path=stored.path,
        kind=result.kind,
        conserved=result.conserved,
        conditions=_conditions(result),
        surroundings=_surroundings(result),
        stolen=result.cpu_stolen_share,
        metrics={name: Measured(m.unit, m.direction, m.value) for name, m in metrics_of(result).items()},
        runs=[result],
        objectives=result.objectives,
    )


def repetitions_of(folder: Path, suite: SuiteResult) -> list[Result]:
    """Return the results of a suite's repetitions, which lie in `folder`; raises UsageError where one is not there."""
    found: list[Result] = []
    for name in suite.repetitions:
        stored = read_stored(folder / name, (RESULT,))
        if not isinstance(stored.document, Result):
            raise UsageError(f"{stored.path} is of kind {stored.document.kind!r}, and no repetition of a suite")
        found.append(stored.document)
    return found


def _suite(stored: Stored[Document], suite: SuiteResult) -> Subject:
    runs = repetitions_of(stored.folder, suite)
    conditions = {"suite": suite.suite, "repetitions": str(len(runs))}
    surroundings: dict[str, str] = {}
    if runs:
        conditions |= _conditions(runs[0])
        surroundings = _surroundings(runs[0])
    return Subject(
        name=stored.name,
        path=stored.path,
        kind="suite",
        conserved=suite.conserved and all(run.conserved for run in runs),
        conditions=conditions,
        surroundings=surroundings,
        stolen=max((run.cpu_stolen_share for run in runs if isinstance(run, WatchedResult)), default=0.0),
        metrics={name: Measured(m.unit, m.direction, m.median, m.low, m.high) for name, m in suite.metrics.items()},
        runs=runs,
        objectives=suite.objectives,
    )


def _conditions(result: Result) -> dict[str, str]:
    found = {
        **_of_engine(result),
        "rows": f"{result.audit.rows:,}",
        "corpus bytes": f"{result.corpus.file_bytes:,}",
        "corpus SHA-256": result.corpus.sha256 or "not known",
        **{f"spec {name}": str(value) for name, value in result.spec.items()},
    }
    if isinstance(result, DeployedResult):
        found |= {f"parameter {name}": value for name, value in result.parameters.items()}
        found |= {f"version of {name}": v for name, v in result.engine.versions.items() if name != "python"}
        if result.engine.chaos:
            said = ({k: v for k, v in rule.items() if k not in ("matched", "injected")} for rule in result.engine.chaos)
            found["chaos"] = json.dumps(list(said), sort_keys=True)
    if isinstance(result, LoadResult):
        # How many files arrive, and so how many rows, is the schedule's; what failed is not a condition.
        for name in ("rows", "corpus bytes", "corpus SHA-256"):
            del found[name]
    return found


def _of_engine(result: Result) -> dict[str, str]:
    # A cleaner's result has no engine: it runs no pipeline.
    if not isinstance(result, DeployedResult):
        return {"engine": "none", "capacity": "unlimited"}
    return {"engine": result.engine.name, "capacity": result.engine.capacity}


def _surroundings(result: Result) -> dict[str, str]:
    seen = result.fingerprint
    limits = result.engine.limits if isinstance(result, DeployedResult) else {}
    return {
        **{name: str(getattr(seen, name)) for name in _MACHINE},
        **{f"package {name}": version for name, version in seen.packages.items()},
        **{f"limit {name}": text for name, text in limits.items()},
    }
