"""Readings of a pipeline, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.engines.base import Activity
from harness.observation.settle import Reading
from harness.queues import Depth, QueueDepths
from harness.stages import STAGES
from harness.telemetry import StageTotals


def totals(**rows: int) -> dict[str, StageTotals]:
    """Return totals with as many rows done by each stage as are given by name."""
    return {stage.name: StageTotals(rows_ok=rows.get(stage.name, 0)) for stage in STAGES}


def depths(dlqs: Mapping[str, Depth] | None = None, **queues: Depth) -> QueueDepths:
    """Return depths, all 0 but those given."""
    return QueueDepths(
        {stage.name: queues.get(stage.name, Depth()) for stage in STAGES if stage.queue},
        {stage.name: (dlqs or {}).get(stage.name, Depth()) for stage in STAGES},
    )


def activity(now: float, **changed: Any) -> Activity:
    """Return the activity of an idle service at `now` that has just read its stream, but for what is changed."""
    idle = Activity(
        service="one",
        now=now,
        running=0,
        events=0,
        messages=0,
        records=0,
        log_lines=0,
        moved=7,
        streams_read_at=now - 0.2,
        due_seconds=0.0,
        queues=(),
        functions={},
    )
    return Activity(**{**vars(idle), **changed})


def reading(at: float, **changed: Any) -> Reading:
    """Return a look that found nothing under way, but for what is changed; fields of the activity go to it."""
    own = {name: changed.pop(name) for name in list(changed) if name in Activity.__dataclass_fields__}
    given: dict[str, Any] = {
        "at": at,
        "activity": activity(at, **own),
        "depths": depths(),
        "internal": 0,
        "delivered": True,
        "totals": totals(),
    }
    return Reading(**{**given, **changed})
