"""A stored result as something to compare or export: its figures, and under which conditions they were measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.metrics import metrics_of
from harness.results import RESULT, Stored, chaos_of, read_stored, void_reason

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
    runs: Sequence[Mapping[str, Any]]
    data: Mapping[str, Any]

    @property
    def void(self) -> str:
        """Why durations and rates mean nothing in one of its runs; "" where they do in all."""
        return next((reason for reason in map(void_reason, self.runs) if reason), "")


def subject_of(stored: Stored) -> Subject:
    """Return a stored run, load or suite as a subject; raises UsageError for any other kind, and where a suite's
    repetitions are not beside its aggregate."""
    if stored.kind == "suite":
        return _suite(stored)
    if stored.kind not in ("run", "load"):
        raise UsageError(
            f"{stored.path} is a result of kind {stored.kind!r}",
            hint="runs, loads and suites have figures of their own",
        )
    result = stored.data
    return Subject(
        name=stored.name,
        path=stored.path,
        kind=stored.kind,
        conserved=is_conserved(result),
        conditions=_conditions(result),
        surroundings=_surroundings(result),
        stolen=result.get("cpu_stolen_share") or 0.0,
        metrics={name: Measured(m.unit, m.direction, m.value) for name, m in metrics_of(result).items()},
        runs=[result],
        data=result,
    )


def is_conserved(result: Mapping[str, Any]) -> bool:
    """Return whether every row of a run or load ended where it should, its warm-up's included."""
    audits = [result["audit"], *([result["warmup_audit"]] if "warmup_audit" in result else [])]
    return all(audit["conserved"] and audit["as_expected"] for audit in audits)


def _suite(stored: Stored) -> Subject:
    aggregate = stored.data
    runs = [read_stored(stored.folder / str(name), (RESULT,)).data for name in aggregate["repetitions"]]
    measured = {
        name: Measured(m["unit"], m["direction"], m["median"], m["low"], m["high"])
        for name, m in aggregate["metrics"].items()
    }
    conditions = {"suite": str(aggregate["suite"]), "repetitions": str(len(runs))}
    surroundings: dict[str, str] = {}
    if runs:
        conditions |= _conditions(runs[0])
        surroundings = _surroundings(runs[0])
    return Subject(
        name=stored.name,
        path=stored.path,
        kind="suite",
        conserved=bool(aggregate["conserved"]) and all(map(is_conserved, runs)),
        conditions=conditions,
        surroundings=surroundings,
        stolen=max((run.get("cpu_stolen_share") or 0.0 for run in runs), default=0.0),
        metrics=measured,
        runs=runs,
        data=aggregate,
    )


def _conditions(result: Mapping[str, Any]) -> dict[str, str]:
    # A cleaner's result has no engine and no parameters: it runs no pipeline.
    engine, corpus = result.get("engine", {}), result["corpus"]
    found = {
        "engine": str(engine.get("name", "none")),
        # Results of before there was a choice: nothing throttled.
        "capacity": str(engine.get("capacity", "unlimited")),
        "rows": f"{result['audit']['rows']:,}",
        "corpus bytes": f"{corpus['file_bytes']:,}",
        "corpus SHA-256": str(corpus.get("sha256") or "not known"),
        **{f"spec {name}": str(value) for name, value in result["spec"].items()},
        **{f"parameter {name}": str(value) for name, value in result.get("parameters", {}).items()},
        **{f"version of {name}": str(v) for name, v in engine.get("versions", {}).items() if name != "python"},
    }
    rules = chaos_of(result)
    if rules:
        said = ({k: v for k, v in rule.items() if k not in ("matched", "injected")} for rule in rules)
        found["chaos"] = json.dumps(list(said), sort_keys=True)
    if result["kind"] == "load":
        # How many files arrive, and so how many rows, is the schedule's; what failed is not a condition.
        for name in ("rows", "corpus bytes", "corpus SHA-256"):
            del found[name]
    return found


def _surroundings(result: Mapping[str, Any]) -> dict[str, str]:
    seen = result["fingerprint"]
    return {
        **{name: str(seen.get(name, "not known")) for name in _MACHINE},
        **{f"package {name}": str(v) for name, v in seen.get("packages", {}).items()},
        **{f"limit {name}": str(v) for name, v in result.get("engine", {}).get("limits", {}).items()},
    }
