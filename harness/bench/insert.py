"""Inserting alone: the pipeline with its stream unread, so that clean and insert have the engine to themselves.

The template is deployed with the capture mapping disabled. Nothing that follows it runs, and the audit of the whole
pipeline does not apply; instead every row is counted: a record id can only come from one row of the one object that was
uploaded, so a table that holds as many items as the file has rows, with no dead letter anywhere, holds each row once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.audit.audit import count_items
from harness.corpus import CorpusSpec, cached
from harness.doctor.room import refuse_if_too_many
from harness.engines.base import Deployment, Engine
from harness.engines.embedded.intrinsics import load_template
from harness.errors import EnvironmentProblem, StageStuck, UsageError
from harness.fingerprint import fingerprint
from harness.queues import QueueDepths, read_depths
from harness.run.clock import RunClock
from harness.run.core import STACK, TEMPLATE, consumed_since
from harness.run.progress import Progress
from harness.run.rest import audited_at_rest, look
from harness.run.settle import UNSEEN_POLL_SECONDS, Patience, Reading, Settling, Stall, under_way
from harness.stages import STAGES
from harness.telemetry import StageTotals, TelemetryReader
from harness.upload import upload

TICK_SECONDS = 0.5
_READ_BY = "CaptureMapping"


def without_capture(template: str) -> str:
    """Return the template with the mapping that reads the table's stream disabled, as JSON."""
    body = load_template(template)
    body["Resources"][_READ_BY]["Properties"]["Enabled"] = False
    return json.dumps(body)


def run_insert(
    engine: Engine, spec: CorpusSpec, parameters: dict[str, str], folder: Path, *, stall_timeout: float = 120.0
) -> dict[str, Any]:
    """Insert a corpus on a started engine; returns the result's fields.

    Raises UsageError for a corpus with rows that could not all be inserted, StageStuck where nothing moves that should,
    EnvironmentProblem where rows never come to rest.
    """
    if spec.quarantine or spec.poison:
        raise UsageError(
            "inserting alone takes no quarantined and no poisonous rows", hint="quarantine = 0 and poison = 0"
        )
    refuse_if_too_many(spec.rows)
    path, manifest = cached(spec)
    template = folder / "template.json"
    template.write_text(without_capture(TEMPLATE.read_text("utf-8")), "utf-8")
    deployment = engine.deploy(template, parameters, stack_name=STACK)
    template.unlink()
    if count_items(engine, deployment):
        raise EnvironmentProblem("the table is not empty; inserting alone needs an engine of its own")
    used_before = engine.consumption()
    began = time.time()
    with RunClock() as clock:
        before = read_depths(engine, deployment)
        sent = upload(engine, deployment.output("UploadBucket"), f"uploads/{path.name}", path)
        follower = _Follower(engine, deployment, sent.source.source_id, spec.rows, stall_timeout, before, clock)
        totals, depths, items = audited_at_rest(follower.settle, follower.count, follower.undisturbed)
        used = consumed_since(engine, used_before)
        doubt = clock.doubt()
    letters = {s.name: {"unknown": depths.dlqs[s.name].total} for s in STAGES if depths.dlqs[s.name].total}
    conserved = items == spec.rows and not letters
    clean, insert = totals["clean"], totals["insert"]
    report = engine.report()
    return {
        "kind": "insert",
        "began": round(began, 3),
        "engine": vars(report) | {"versions": dict(report.versions)},
        "spec": spec.to_json(),
        "corpus": {"file_bytes": sent.file_bytes, "sha256": manifest.sha256, "checksum": manifest.checksum},
        "parameters": parameters,
        "fingerprint": fingerprint(),
        "upload_seconds": round(sent.ended - sent.started, 3),
        "clean_seconds": round(clean.ended_ms / 1000 - sent.ended, 3) if clean.ended_ms else None,
        "insert_seconds": round(insert.seconds, 3),
        "stages": {name: found.to_json() for name, found in totals.items()},
        "audit": {
            "conserved": conserved,
            "as_expected": conserved,
            "rows": spec.rows,
            "items_in_table": items,
            "dead_letters": letters,
            "problems": {} if conserved else {"lost": max(0, spec.rows - items)},
        },
        "consumption": used.to_json() if used is not None else None,
        **doubt.to_json(),
    }


class _Follower:
    """Waits until clean and insert have come to rest, and counts."""

    def __init__(
        self,
        engine: Engine,
        deployment: Deployment,
        source_id: str,
        rows: int,
        stall_timeout: float,
        before: QueueDepths,
        clock: RunClock,
    ) -> None:
        self._engine, self._deployment, self._rows = engine, deployment, rows
        self._stall_timeout, self._before, self._clock = stall_timeout, before, clock
        groups = {s.name: deployment.output(s.log_group) for s in STAGES}
        self._reader = TelemetryReader(engine.client("logs"), groups, {source_id})
        # Nobody reads the stream: what it holds is not waited for.
        patience = Patience(UNSEEN_POLL_SECONDS, Patience.of(deployment.parameters).hidden)
        self._settling, self._stall = Settling(patience), Stall(patience)
        self._progress = Progress(rows, 1)

    def settle(self) -> None:
        """Return when nothing is under way before the stream; raises StageStuck where nothing moves that should."""
        reading = self._look()
        while not self._settling.observe(reading):
            still = self._stall.observe(reading)
            if still >= self._stall_timeout:
                errors = [text for totals in reading.totals.values() for text in totals.last_errors]
                raise StageStuck(
                    f"nothing has moved for {still:.0f} s: {reading.totals['insert'].rows_ok:,} of {self._rows:,} rows "
                    f"inserted, {under_way(reading)}; last errors: {' | '.join(errors) or 'none'}"
                )
            time.sleep(TICK_SECONDS)
            reading = self._look()

    def count(self) -> tuple[Mapping[str, StageTotals], QueueDepths, int]:
        """Return what clean and insert said, the depths, and the items in the table."""
        reading = self._look()
        said = {name: reading.totals[name] for name in ("clean", "insert")}
        return said, reading.depths, count_items(self._engine, self._deployment)

    def undisturbed(self) -> bool:
        """Return whether nothing has moved since it came to rest."""
        return self._settling.undisturbed(self._look())

    def _look(self) -> Reading:
        self._engine.check()
        self._reader.poll()
        return look(
            self._engine,
            self._deployment,
            self._reader.totals,
            lambda depths: self._progress.clean_done(self._reader.totals, depths),
            before=self._before,
            at=self._clock.awake(),
        )
