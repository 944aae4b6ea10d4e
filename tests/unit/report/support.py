"""Results that an earlier version really wrote, brought up to this one, and small ones made by hand."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness.results import (
    SCHEMA_VERSION,
    AuditFigures,
    Document,
    GateResult,
    InsertResult,
    LoadResult,
    RunResult,
    SaturationResult,
    Stored,
    document_of,
    read_stored,
)

DATA = Path(__file__).parent / "data"
HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>\"'&{{7*7}}|`@all`"
"""A text from outside that tries every way out."""


Kind = TypeVar("Kind", bound=Document)


def frozen(name: str) -> dict[str, Any]:
    """Return the frozen result `run` or `load` as plain data of this version."""
    return dict(msgspec.to_builtins(document_of(json.loads((DATA / name / "result.json").read_text()))))


def typed(data: Mapping[str, Any], kind: type[Kind]) -> Kind:
    """Return plain data as the result that it is."""
    found = document_of(data)
    assert isinstance(found, kind)
    return found


def run_of(**changed: Any) -> RunResult:
    """Return the frozen run with fields changed as `altered` does."""
    return typed(altered(frozen("run"), **changed), RunResult)


def load_of(**changed: Any) -> LoadResult:
    """Return the frozen load with fields changed as `altered` does."""
    return typed(altered(frozen("load"), **changed), LoadResult)


def saturation_of() -> SaturationResult:
    """Return a search made of the frozen load, in which one rate was sustained."""
    load = {name: value for name, value in frozen("load").items() if name != "latencies"}
    found = {
        "rows_per_second": 100.0,
        "not_sustained_rows_per_second": 200.0,
        "resolution": 0.1,
        "ended_by": "resolution",
        "step_seconds": 45.0,
        "budget_seconds": 240.0,
        "steps": [],
    }
    return typed({**load, "kind": "saturation", "saturation": found}, SaturationResult)


def insert_of() -> InsertResult:
    """Return an insert-only result made of the frozen run."""
    shared = {name: getattr(run_of(), name) for name in InsertResult.__struct_fields__ if hasattr(RunResult, name)}
    return InsertResult(**{**shared, "insert_seconds": 3.0})


def audit_of(**changed: Any) -> AuditFigures:
    """Return the frozen run's audit with fields changed."""
    return msgspec.structs.replace(run_of().audit, **changed)


def gate_of(verdict: str = "regressed", **changed: Any) -> GateResult:
    """Return `gate_result` as a result."""
    return typed({**gate_result(verdict), **changed}, GateResult)


def stored(document: Kind, path: Path = Path("runs/a/result.json")) -> Stored[Kind]:
    return Stored(path, document)


def read(place: Path, kind: type[Kind]) -> Stored[Kind]:
    """Return a stored result, which must be of this kind."""
    found = read_stored(place)
    assert isinstance(found.document, kind)
    return Stored(found.path, found.document)


def copy_of(name: str, target: Path, **changed: Any) -> Path:
    """Copy the frozen folder, with top-level fields of its result changed; returns the new folder."""
    shutil.copytree(DATA / name, target)
    path = target / "result.json"
    path.write_text(json.dumps({**frozen(name), **changed}))
    return target


def altered(result: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a deep copy with fields changed; `engine__name` means result["engine"]["name"]."""
    data = copy.deepcopy(dict(result))
    for path, value in fields.items():
        *parents, last = path.split("__")
        place = data
        for parent in parents:
            place = place[parent]
        place[last] = value
    return data


def hostile(value: Any) -> Any:
    """Return plain data in which every text that comes from outside, by its look, is a hostile one."""
    if isinstance(value, str):
        return HOSTILE if value and not value.replace(".", "").isdigit() else value
    if isinstance(value, list):
        return [hostile(item) for item in value]
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()}
    return value


def suite_folder(folder: Path, values: Sequence[float] = (100.0, 110.0, 90.0), *, conserved: bool = True) -> Path:
    """Write a suite with a repetition for each value of one metric; returns the folder."""
    folder.mkdir()
    names = [f"{i:02d}" for i in range(1, len(values) + 1)]
    for name in names:
        copy_of("run", folder / name, run=name)
    ordered = sorted(values)
    metric = {
        "unit": "rows/s",
        "direction": "higher",
        "values": list(values),
        "median": ordered[len(ordered) // 2],
        "low": ordered[0],
        "high": ordered[-1],
        "interval": "range",
        "spread": round((ordered[-1] - ordered[0]) / ordered[len(ordered) // 2], 4),
    }
    aggregate = {
        "run": folder.name,
        "schema_version": SCHEMA_VERSION,
        "kind": "suite",
        "suite": "tiny",
        "description": "three runs",
        "engine": "embedded",
        "fingerprint": frozen("run")["fingerprint"],
        "repetitions": names,
        "metrics": {"pipeline_rows_per_second": metric},
        "incomplete": [],
        "conserved": conserved,
    }
    (folder / "aggregate.json").write_text(json.dumps(aggregate))
    return folder


def gate_result(verdict: str = "regressed") -> dict[str, Any]:
    """Return a gate's document with one metric that decides and one that does not."""
    regressed = verdict == "regressed"
    metric = {
        "unit": "rows/s",
        "direction": "higher",
        "deciding": True,
        "base_median": 2000.0,
        "head_median": 1700.0 if regressed else 1990.0,
        "pairs": 12,
        "median_ratio": 1.176 if regressed else 1.005,
        "low": 1.11 if regressed else 0.99,
        "high": 1.24 if regressed else 1.02,
        "p": 0.0002 if regressed else 0.4,
        "exact": True,
        "p_adjusted": 0.0004 if regressed else 0.8,
        "smallest_detectable_change": 0.06,
        "regressed": regressed,
        "suspicious": False,
    }
    trial = {
        "number": 1,
        "pair": 0,
        "side": "base",
        "warmup": True,
        "seconds": 14.2,
        "conserved": True,
        "problem": "",
        "cpu_stolen_share": 0.0,
        "metrics": {"pipeline_rows_per_second": 2000.0},
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "gate",
        "run": "gate-1",
        "suite": "ci",
        "engine": "embedded",
        "self_check": False,
        "verdict": verdict,
        "exit_code": 1 if regressed else 0,
        "reasons": ["pipeline_rows_per_second costs 17.6% more"] if regressed else [],
        "base": {"label": "HEAD~1", "commit": "0123456789abcdef", "dirty": False},
        "head": {"label": "working tree", "commit": "fedcba9876543210", "dirty": True},
        "lock_changes": ["boto3 1.43.105 is 1.43.106 in head"],
        "policy": {
            "pairs": 12,
            "warmup": 1,
            "threshold": 1.08,
            "alpha": 0.01,
            "deciding": ["pipeline_rows_per_second"],
        },
        "fingerprint": frozen("run")["fingerprint"],
        "corpus_sha256": "ab" * 32,
        "versions": {"ministack": "1.5.33"},
        "seconds": 480.0,
        "metrics": {
            "pipeline_rows_per_second": metric,
            "clean_seconds": {**metric, "deciding": False, "p_adjusted": None},
        },
        "not_compared": {"memory_peak_bytes": "base does not report it"},
        "trials": [trial, {**trial, "number": 2, "pair": 1, "side": "head", "warmup": False}],
    }
