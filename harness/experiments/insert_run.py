"""Inserting alone: the pipeline with its stream unread, so that clean and insert have the engine to themselves.

The template is deployed with the capture mapping disabled. Nothing that follows it runs, and the audit of the whole
pipeline does not apply; instead every row is counted: a record id can only come from one row of the one object that was
uploaded, so a table that holds as many items as the file has rows, with no dead letter anywhere, holds each row once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.audit.audit import count_items
from harness.corpus import CorpusSpec, cached
from harness.doctor.room import refuse_if_too_many
from harness.engines.base import Deployment, Engine
from harness.engines.templates.intrinsics import load_template
from harness.errors import EnvironmentProblem, UsageError
from harness.experiments.lifecycle import TEMPLATE, Examined, Setting, Testbed
from harness.experiments.upload_result import insert_result
from harness.experiments.upload_run import InputFile, OneObject, SingleUpload
from harness.observation.settle import UNSEEN_POLL_SECONDS, Patience
from harness.observation.watch import Observed
from harness.queues import read_depths
from harness.results import InsertResult
from harness.stages import STAGES

_READ_BY = "CaptureMapping"


def without_capture(template: str) -> str:
    """Return the template with the mapping that reads the table's stream disabled, as JSON."""
    body = load_template(template)
    body["Resources"][_READ_BY]["Properties"]["Enabled"] = False
    return json.dumps(body)


@dataclass(frozen=True)
class Counted:
    """What is in the table, and the dead-letter messages by stage."""

    items: int
    dead_letters: Mapping[str, int]


@dataclass(frozen=True)
class InsertRun:
    """A finished run of clean and insert."""

    folder: Path
    result: InsertResult


class InsertExperiment(SingleUpload):
    """Clean and insert alone, on an engine of its own.

    Raises UsageError for a corpus with rows that could not all be inserted, EnvironmentProblem where it does not fit.
    """

    shown = False
    has_page = False

    def __init__(self, spec: CorpusSpec, setting: Setting, *, room_here: bool) -> None:
        if spec.quarantine or spec.poison:
            raise UsageError(
                "inserting alone takes no quarantined and no poisonous rows", hint="quarantine = 0 and poison = 0"
            )
        if room_here:
            refuse_if_too_many(spec.rows)
        path, manifest = cached(spec, setting.cache)
        self.spec, self.manifest = spec, manifest
        super().__init__(InputFile(path, spec.rows, spec, manifest), setting)

    def template(self, folder: Path) -> Path:
        """Write and return the template whose stream nobody reads."""
        path = folder / "template.json"
        path.write_text(without_capture(TEMPLATE.read_text("utf-8")), "utf-8")
        return path

    def intake(self, engine: Engine, deployment: Deployment, folder: Path) -> OneObject:
        """Return the intake of the one object; raises EnvironmentProblem where the table is not empty."""
        (folder / "template.json").unlink()
        if count_items(engine, deployment):
            raise EnvironmentProblem("the table is not empty; inserting alone needs an engine of its own")
        return super().intake(engine, deployment, folder)

    def patience(self, deployment: Deployment) -> Patience:
        """Return a patience that does not wait for the stream: nobody reads it."""
        return Patience(UNSEEN_POLL_SECONDS, Patience.of(deployment.parameters).hidden)

    def examine(self, bed: Testbed, _observed: Observed) -> Counted:
        """Count the items in the table and the dead-letter messages."""
        dlqs = read_depths(bed.engine, bed.deployment).dlqs
        found = {stage.name: dlqs[stage.name].total for stage in STAGES if dlqs[stage.name].total}
        return Counted(count_items(bed.engine, bed.deployment), found)

    def finish(self, bed: Testbed, examined: Examined[Counted], _warmed: Examined[Counted] | None) -> InsertRun:
        """Return the finished run."""
        counted = examined.finding
        result = insert_result(
            run=bed.folder.name,
            engine=bed.engine.report(),
            began_at=bed.watch.began_at,
            spec=self.spec.to_json(),
            manifest=self.manifest,
            parameters=self.setting.parameters,
            sent=self.uploaded(),
            observed=examined.observed,
            items=counted.items,
            dead_letters=counted.dead_letters,
        )
        return InsertRun(bed.folder, result)
