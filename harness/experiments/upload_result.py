"""What a single upload leaves in its folder, and what every experiment tells of its engine and of what was watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import msgspec

from harness.audit import AuditReport
from harness.bench.engine import Loop, shares_of_baseline
from harness.corpus import Manifest
from harness.engines.base import EngineReport
from harness.fingerprint import fingerprint
from harness.observation.usage import HARNESS
from harness.observation.watch import Observed
from harness.results import (
    AuditFigures,
    ConsumptionFigures,
    CorpusFigures,
    EngineFigures,
    Fingerprint,
    FunctionFigures,
    InsertResult,
    RunResult,
)
from harness.upload import Upload

_SERVICE = "_service"
"""The name under which an engine's report has the Lambda service's own account."""


class Deployed(TypedDict):
    """Fields of every result of a deployed pipeline."""

    run: str
    began: float
    engine: EngineFigures
    parameters: Mapping[str, str]
    fingerprint: Fingerprint
    consumption: ConsumptionFigures | None
    figures_void_reason: str


class Watched(TypedDict):
    """Fields of every result of the whole pipeline."""

    watched_seconds: float
    memory_peak_bytes: int
    harness_cpu_share: float | None
    cpu_stolen_share: float
    cpu_seconds: Mapping[str, float]
    log_bytes: int


def deployed(
    run: str, engine: EngineReport, began_at: float, parameters: Mapping[str, str], observed: Observed
) -> Deployed:
    """Return what results of deployed pipelines have in common; `run` is the folder's name."""
    consumption = observed.consumption
    return {
        "run": run,
        "began": round(began_at, 3),
        "engine": engine_figures(engine),
        "parameters": dict(parameters),
        "fingerprint": fingerprint(),
        "consumption": consumption.figures() if consumption is not None else None,
        "figures_void_reason": observed.doubt.reason,
    }


def watched(observed: Observed) -> Watched:
    """Return what was seen by watching, beside the stages."""
    return {
        "watched_seconds": round(observed.seconds, 3),
        "memory_peak_bytes": observed.memory_peak,
        "harness_cpu_share": harness_share(observed),
        "cpu_stolen_share": round(observed.cpu_stolen, 4),
        "cpu_seconds": {group: round(used, 3) for group, used in observed.cpu_seconds.items()},
        "log_bytes": observed.log_bytes,
    }


def engine_figures(report: EngineReport) -> EngineFigures:
    """Return what a result says of its engine."""
    return EngineFigures(
        name=report.name,
        versions=dict(report.versions),
        limits=dict(report.limits),
        functions={
            name: msgspec.convert(figures, FunctionFigures)
            for name, figures in report.functions.items()
            if name != _SERVICE
        },
        service=dict(report.functions.get(_SERVICE, {})),
        capacity=report.capacity,
        chaos=[dict(rule) for rule in report.chaos],
    )


def run_result(
    *,
    run: str,
    engine: EngineReport,
    began_at: float,
    spec: Mapping[str, Any],
    manifest: Manifest | None,
    rows: int,
    parameters: Mapping[str, str],
    sent: Upload,
    observed: Observed,
    found: AuditReport,
    baseline: Sequence[Loop],
    pipeline_seconds: float,
    usage: Mapping[str, Any] | None,
) -> RunResult:
    """Return the result of a run."""
    shares = shares_of_baseline(list(baseline), {name: totals.rate for name, totals in observed.totals.items()})
    return RunResult(
        **deployed(run, engine, began_at, parameters, observed),
        **watched(observed),
        spec=dict(spec),
        corpus=_corpus(sent, manifest),
        upload_seconds=round(sent.ended - sent.started, 3),
        clean_seconds=seconds_to_clean(observed, sent),
        pipeline_seconds=round(pipeline_seconds, 3),
        pipeline_rows_per_second=round(rows / pipeline_seconds, 1) if pipeline_seconds else None,
        stages={name: totals.figures() for name, totals in observed.totals.items()},
        baseline=[loop.figures() for loop in baseline],
        share_of_baseline={stage: round(share, 3) for stage, share in shares.items()},
        audit=found.figures(),
        usage=usage,
    )


def insert_result(
    *,
    run: str,
    engine: EngineReport,
    began_at: float,
    spec: Mapping[str, Any],
    manifest: Manifest,
    parameters: Mapping[str, str],
    sent: Upload,
    observed: Observed,
    items: int,
    dead_letters: Mapping[str, int],
) -> InsertResult:
    """Return the result of inserting alone; `items` are in the table, `dead_letters` by stage."""
    rows = manifest.rows
    conserved = items == rows and not dead_letters
    return InsertResult(
        **deployed(run, engine, began_at, parameters, observed),
        spec=dict(spec),
        corpus=_corpus(sent, manifest),
        upload_seconds=round(sent.ended - sent.started, 3),
        clean_seconds=seconds_to_clean(observed, sent),
        insert_seconds=round(observed.totals["insert"].seconds, 3),
        stages={name: observed.totals[name].figures() for name in ("clean", "insert")},
        audit=AuditFigures(
            conserved=conserved,
            as_expected=conserved,
            rows=rows,
            items_in_table=items,
            dead_letters={stage: {"unknown": count} for stage, count in dead_letters.items()},
            problems={} if conserved else {"lost": max(0, rows - items)},
        ),
    )


def _corpus(sent: Upload, manifest: Manifest | None) -> CorpusFigures:
    if manifest is None:
        return CorpusFigures(file_bytes=sent.file_bytes)
    return CorpusFigures(file_bytes=sent.file_bytes, sha256=manifest.sha256, checksum=manifest.checksum)


def seconds_to_clean(observed: Observed, sent: Upload) -> float | None:
    """Return the seconds from the end of the upload to the end of clean; None where clean did nothing."""
    clean = observed.totals["clean"]
    return round(clean.ended_ms / 1000 - sent.ended, 3) if clean.ended_ms else None


def harness_share(observed: Observed) -> float | None:
    """Return what share of a core the harness itself used; None where nothing was watched."""
    return round(observed.cpu_seconds[HARNESS] / observed.seconds, 4) if observed.seconds else None
