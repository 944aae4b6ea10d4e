"""The lesson on provisioned capacity."""

from __future__ import annotations

from harness.cost.prices import load_prices
from harness.engines.registry import create
from harness.lessons.capacity.arrangements import ARRANGEMENTS, FULL, QUICK, Plan
from harness.lessons.capacity.drive import Drive
from harness.lessons.capacity.judge import finding
from harness.lessons.feed import lesson_source, record_batches
from harness.lessons.model import Finding, Setting


class CapacityLesson:
    """Inserts the same rows at 5 and 100 WCU and on demand, by a naive function and by ours, on tables that throttle as
    AWS's do; see `harness.lessons.model.Lesson` for its members."""

    name = "capacity"
    title = "Provisioned capacity that is too small loses most rows, many of them without an error"
    published = (
        "558,000 rows were inserted by Lambda functions fed from SQS. With 5 write capacity units about 1,000 of them "
        "were in the table afterwards, with 100 more than 60% were missing; on demand, all arrived within 5 minutes."
    )
    rule = (
        "BatchWriteItem answers with success and returns what was throttled as UnprocessedItems, which the caller "
        "should send again with exponential backoff; it fails only if none of the items could be written (Amazon "
        "DynamoDB API Reference, BatchWriteItem). A table serves its provisioned units a second and at most 300 s of "
        "unused ones (Amazon DynamoDB Developer Guide, Burst and adaptive capacity)."
    )
    ours = (
        "Insert sends unprocessed items again with jitter until its time budget ends, and returns only messages that "
        "are not done by then. With a small MaximumConcurrency, rows beyond the capacity wait in the queue and do not "
        "use up their receives. Setting the table to on demand lets all of them in; handlers/template.yaml is on "
        "demand from the start."
    )

    def seconds(self, *, quick: bool) -> float:
        """Return about how long it takes on two cores."""
        return _plan(quick).expected_seconds

    def run(self, setting: Setting) -> Finding:
        """Run it; raises EngineError where the engine does not start or dies, StageStuck where nothing moves."""
        plan = _plan(setting.quick)
        setting.progress(0.0, "generating rows")
        bodies = record_batches(plan.rows, lesson_source(self.name))
        with create("embedded", capacity="aws", logs=setting.folder) as engine:
            observed = Drive(engine, plan, ARRANGEMENTS, setting.progress).run(bodies)
        found = finding(observed, plan, load_prices())
        setting.progress(1.0, "done")
        return found


def _plan(quick: bool) -> Plan:
    return QUICK if quick else FULL
