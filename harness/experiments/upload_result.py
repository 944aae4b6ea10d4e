"""What a single upload leaves in its folder: the fields of result.json; docs/results.md explains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.audit import AuditReport
from harness.bench.engine import Loop, shares_of_ceiling
from harness.corpus import Manifest
from harness.engines.base import EngineReport
from harness.fingerprint import fingerprint
from harness.observation.usage import HARNESS
from harness.observation.watch import Observed
from harness.upload import Upload


def run_result(
    *,
    engine: EngineReport,
    began_at: float,
    spec: Mapping[str, Any],
    manifest: Manifest | None,
    rows: int,
    parameters: Mapping[str, str],
    sent: Upload,
    observed: Observed,
    found: AuditReport,
    ceiling: Sequence[Loop],
    pipeline_seconds: float,
) -> dict[str, Any]:
    """Return the fields of result.json of a run."""
    shares = shares_of_ceiling(list(ceiling), {name: totals.rate for name, totals in observed.totals.items()})
    consumption = observed.consumption
    return {
        "kind": "run",
        "began": round(began_at, 3),
        "watched_seconds": round(observed.seconds, 3),
        "engine": vars(engine) | {"versions": dict(engine.versions)},
        "spec": dict(spec),
        "corpus": {
            "file_bytes": sent.file_bytes,
            "sha256": manifest.sha256 if manifest else "",
            "checksum": manifest.checksum if manifest else "",
        },
        "parameters": dict(parameters),
        "fingerprint": fingerprint(),
        "upload_seconds": round(sent.ended - sent.started, 3),
        "clean_seconds": seconds_to_clean(observed, sent),
        "pipeline_seconds": round(pipeline_seconds, 3),
        "pipeline_rows_per_second": round(rows / pipeline_seconds, 1) if pipeline_seconds else None,
        "stages": {name: totals.to_json() for name, totals in observed.totals.items()},
        "ceiling": [loop.to_json() for loop in ceiling],
        "share_of_ceiling": {stage: round(share, 3) for stage, share in shares.items()},
        "audit": found.to_json(),
        "memory_peak_bytes": observed.memory_peak,
        "harness_cpu_share": harness_share(observed),
        "cpu_stolen_share": round(observed.cpu_stolen, 4),
        "cpu_seconds": {group: round(seconds, 3) for group, seconds in observed.cpu_seconds.items()},
        "log_bytes": observed.log_bytes,
        "consumption": consumption.to_json() if consumption is not None else None,
        **observed.doubt.to_json(),
    }


def insert_result(
    *,
    engine: EngineReport,
    began_at: float,
    spec: Mapping[str, Any],
    manifest: Manifest,
    parameters: Mapping[str, str],
    sent: Upload,
    observed: Observed,
    items: int,
    dead_letters: Mapping[str, int],
) -> dict[str, Any]:
    """Return the fields of result.json of inserting alone; `items` are in the table, `dead_letters` by stage."""
    rows = manifest.rows
    conserved = items == rows and not dead_letters
    insert, consumption = observed.totals["insert"], observed.consumption
    return {
        "kind": "insert",
        "began": round(began_at, 3),
        "engine": vars(engine) | {"versions": dict(engine.versions)},
        "spec": dict(spec),
        "corpus": {"file_bytes": sent.file_bytes, "sha256": manifest.sha256, "checksum": manifest.checksum},
        "parameters": dict(parameters),
        "fingerprint": fingerprint(),
        "upload_seconds": round(sent.ended - sent.started, 3),
        "clean_seconds": seconds_to_clean(observed, sent),
        "insert_seconds": round(insert.seconds, 3),
        "stages": {name: observed.totals[name].to_json() for name in ("clean", "insert")},
        "audit": {
            "conserved": conserved,
            "as_expected": conserved,
            "rows": rows,
            "items_in_table": items,
            "dead_letters": {stage: {"unknown": count} for stage, count in dead_letters.items()},
            "problems": {} if conserved else {"lost": max(0, rows - items)},
        },
        "consumption": consumption.to_json() if consumption is not None else None,
        **observed.doubt.to_json(),
    }


def seconds_to_clean(observed: Observed, sent: Upload) -> float | None:
    """Return the seconds from the end of the upload to the end of clean; None where clean did nothing."""
    clean = observed.totals["clean"]
    return round(clean.ended_ms / 1000 - sent.ended, 3) if clean.ended_ms else None


def harness_share(observed: Observed) -> float | None:
    """Return what share of a core the harness itself used; None where nothing was watched."""
    return round(observed.cpu_seconds[HARNESS] / observed.seconds, 4) if observed.seconds else None
