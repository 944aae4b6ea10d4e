"""The lesson on visibility timeouts."""

from __future__ import annotations

from harness.data_plane.chaos.rules import parse_rules
from harness.engines.registry import create
from harness.lessons.feed import lesson_source, record_batches
from harness.lessons.model import Finding, Setting
from harness.lessons.visibility.arrangements import (
    ARRANGEMENTS,
    CHAOS,
    FULL,
    QUICK,
    ROWS_PER_MESSAGE,
    Plan,
    messages,
)
from harness.lessons.visibility.drive import WARM_UP_MESSAGES, Drive
from harness.lessons.visibility.judge import finding

PROFILE = "2026"
"""Mappings start with five pollers, as on AWS today: enough that one is free when a message is visible again."""


class VisibilityLesson:
    """Inserts the same messages under visibility timeouts from 1 s to six times the function's time-out, by a naive
    function and by ours; see `harness.lessons.model.Lesson` for its members."""

    name = "visibility"
    title = "A visibility timeout that ends too early makes batches be processed twice, and rows be there twice"
    published = (
        "Batches were processed more than once: the visibility timeout of their queue ended while the function was "
        "still at work."
    )
    rule = (
        "A queue's visibility timeout should be at least six times the function's time-out, plus the batching window; "
        "a mapping to a queue whose timeout is shorter than the function's is refused (AWS Lambda Developer Guide, "
        "Creating and configuring an Amazon SQS event source mapping). Standard queues deliver at least once, so a "
        "consumer must bear a second delivery in any case (Amazon SQS Developer Guide, At-least-once delivery)."
    )
    ours = (
        "handlers/template.yaml has a visibility timeout of six times the workers' time-out, and every row has an id "
        "made of its object's version and its number: a second delivery writes the same item again. Update's "
        "condition and the audit see that no row counts twice."
    )

    def seconds(self, *, quick: bool) -> float:
        """Return about how long it takes on two cores."""
        return _plan(quick).expected_seconds

    def run(self, setting: Setting) -> Finding:
        """Run it; raises EngineError where the engine does not start or dies, StageStuck where nothing moves."""
        plan = _plan(setting.quick)
        setting.progress(0.0, "generating rows")
        most = max(messages(arrangement, plan) for arrangement in ARRANGEMENTS)
        bodies = _bodies(self.name, most)
        warm_up = _bodies(f"{self.name}-warm-up", WARM_UP_MESSAGES)
        with create("embedded", profile=PROFILE, logs=setting.folder, chaos=parse_rules(CHAOS)) as engine:
            accounts = Drive(engine, plan, ARRANGEMENTS, self.name, setting.progress).run(bodies, warm_up)
        found = finding(accounts)
        setting.progress(1.0, "done")
        return found


def _bodies(name: str, count: int) -> list[str]:
    return record_batches(count * ROWS_PER_MESSAGE, lesson_source(name), ROWS_PER_MESSAGE)


def _plan(quick: bool) -> Plan:
    return QUICK if quick else FULL
