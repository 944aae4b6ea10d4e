"""Samples everything of an engine that may be under way, and audits only what has come to rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from harness.engines.base import Activity, Deployment, Engine
from harness.errors import EnvironmentProblem
from harness.observation.settle import Reading
from harness.queues import QueueDepths, depth, read_depths
from harness.telemetry import StageTotals

AUDITS = 5
"""Audits that may be disturbed one after the other before a run gives up."""

Found = TypeVar("Found")


def read_work(
    engine: Engine,
    deployment: Deployment,
    totals: Mapping[str, StageTotals],
    delivered: Callable[[QueueDepths], bool],
    *,
    before: QueueDepths,
    at: float,
) -> Reading:
    """Return one sample, in the order that `harness.observation.settle` needs: the service, then the queues.

    `totals` must have been read before; `delivered` says of depths whether every uploaded object was cleaned or given
    up. Dead letters that were there `before` do not count, as in `QueueDepths.since`.
    """
    activity: Activity | None = engine.activity()
    depths = read_depths(engine, deployment).since(before)
    own = activity.queues if activity is not None else ()
    internal = sum(depth(engine.client("sqs"), url).total for url in own)
    return Reading(at, activity, depths, internal, delivered(depths), totals)


def audited_at_rest(settle: Callable[[], None], audit: Callable[[], Found], undisturbed: Callable[[], bool]) -> Found:
    """Wait until nothing is under way, audit, and return what was found if nothing moved meanwhile; else do both anew.

    A verdict, good or bad, over rows that move is none. Raises EnvironmentProblem after five disturbed audits.
    """
    for _ in range(AUDITS):
        settle()
        found = audit()
        if undisturbed():
            return found
    raise EnvironmentProblem(
        f"rows moved during each of {AUDITS} audits, so there is no verdict",
        hint="something else works with this deployment, perhaps `harness dlq redrive` in another terminal",
    )
