"""What is shown and said of a run at one moment."""

from __future__ import annotations

from typing import Any

from harness.engines.base import FunctionActivity
from harness.observation.progress import Progress, Snapshot, StageView, explain
from harness.queues import Depth, QueueDepths
from harness.stages import STAGES
from harness.telemetry import StageTotals

ROWS = 100


def totals(rows: int = ROWS, *, quarantined: int = 0, **per_stage: int) -> dict[str, StageTotals]:
    """Return totals with `rows` done in every stage, but for those given by name."""
    made = {stage.name: StageTotals(rows_ok=per_stage.get(stage.name, rows)) for stage in STAGES}
    made["clean"].rows_quarantined = quarantined
    return made


def depths(dlqs: dict[str, int] | None = None, **queues: Depth) -> QueueDepths:
    return QueueDepths(
        {stage.name: queues.get(stage.name, Depth()) for stage in STAGES if stage.queue},
        {stage.name: Depth((dlqs or {}).get(stage.name, 0)) for stage in STAGES},
    )


class Readings:
    """Takes readings of a run of so many rows, whose objects are cleaned unless a reading says otherwise."""

    def __init__(self, rows: int) -> None:
        self._rows, self._progress = rows, Progress()

    def observe(
        self,
        elapsed: float,
        totals: dict[str, StageTotals],
        depths: QueueDepths,
        *,
        clean_done: bool = True,
        **more: Any,
    ) -> Snapshot:
        return self._progress.observe(elapsed, totals, depths, expected_rows=self._rows, clean_done=clean_done, **more)


def progress(rows: int = ROWS) -> Readings:
    return Readings(rows)


def test_accounted_when_rows_are_quarantined_or_dead_lettered_counts_them() -> None:
    snapshot = progress().observe(1.0, totals(90, quarantined=7), depths({"process": 2, "insert": 1}))
    assert snapshot.accounted == ROWS


def after(*readings: tuple[float, dict[str, StageTotals]]) -> Snapshot:
    run = progress(1000)
    snapshots = [run.observe(elapsed, reading, depths()) for elapsed, reading in readings]
    return snapshots[-1]


def test_eta_when_stages_differ_follows_the_slowest() -> None:
    snapshot = after((0.0, totals(0)), (2.0, totals(200, update=40)))
    assert snapshot.eta_seconds() == 960 / 20


def test_eta_when_rows_are_refused_does_not_wait_for_them() -> None:
    reading = totals(1000, process=990, update=490)
    reading["process"].rows_failed = 10
    assert after((0.0, totals(1000, process=990, update=0)), (2.0, reading)).eta_seconds() == 500 / 245


def test_eta_when_a_stage_has_not_moved_is_unknown() -> None:
    assert after((0.0, totals(0)), (2.0, totals(200, update=0))).eta_seconds() is None
    assert after((0.0, totals(0))).eta_seconds() is None


def test_eta_when_all_is_done_is_nothing() -> None:
    assert after((0.0, totals(0)), (2.0, totals(1000))).eta_seconds() == 0.0


def test_eta_when_rows_are_quarantined_does_not_wait_for_them() -> None:
    assert after((0.0, totals(0)), (2.0, totals(990, quarantined=10))).eta_seconds() == 0.0


def test_rate_when_the_window_has_passed_forgets_the_past() -> None:
    run = progress(1000)
    for elapsed, rows in ((0.0, 0), (1.0, 500), (22.0, 510), (23.0, 520)):
        snapshot = run.observe(elapsed, totals(rows), depths())
    assert snapshot.stages[0].rate == 10.0


def test_explain_when_a_stage_is_stuck_names_it_with_depths_and_last_errors() -> None:
    reading = totals(insert=1234)
    reading["insert"].last_errors.extend(["first", "second"])
    snapshot = progress().observe(1.0, reading, depths(insert=Depth(visible=7, in_flight=3, delayed=2)))
    assert explain(snapshot, reading) == (
        "stage insert is stuck: 1,234 rows done, 9 messages queued and 3 in flight; its last errors: first | second"
    )


def test_explain_when_two_stages_wait_names_the_first() -> None:
    reading = totals()
    snapshot = progress().observe(1.0, reading, depths(process=Depth(1), update=Depth(1)))
    assert explain(snapshot, reading).startswith("stage process is stuck")


def test_explain_when_clean_has_not_finished_names_it_without_depths() -> None:
    reading = totals(5)
    snapshot = progress().observe(1.0, reading, depths(insert=Depth(1)), clean_done=False)
    assert explain(snapshot, reading) == "stage clean is stuck: 5 rows done; it logged no errors"


def test_explain_when_nothing_is_queued_says_how_many_rows_are_accounted_for() -> None:
    reading = totals(update=40)
    snapshot = progress().observe(1.0, reading, depths({"process": 2}))
    assert explain(snapshot, reading) == "no stage has work queued, yet only 42 rows are accounted for"


def stage(snapshot: Snapshot, name: str) -> StageView:
    return next(s for s in snapshot.stages if s.name == name)


def test_queue_age_when_messages_wait_counts_from_when_their_rows_came() -> None:
    run = progress(1000)
    reading = totals(0)
    ages = [stage(run.observe(t, reading, depths(insert=Depth(visible=4))), "insert").queue_age for t in (2.0, 7.0)]
    assert ages == [2.0, 7.0]
    assert stage(run.observe(8.0, reading, depths()), "insert").queue_age == 0.0


def test_queue_age_when_a_dead_letter_is_all_that_is_left_is_nothing() -> None:
    reading = totals(90, process=88)
    snapshot = progress().observe(9.0, reading, depths({"process": 2}))
    assert stage(snapshot, "process").queue_age == 0.0


def test_queue_age_when_capture_is_behind_insert_counts_what_is_in_the_stream() -> None:
    run = progress(1000)
    run.observe(1.0, totals(0), depths())
    behind = totals(0, insert=500)
    assert stage(run.observe(2.0, behind, depths()), "capture").queue_age == 1.0
    assert stage(run.observe(3.0, totals(0, insert=500, capture=500), depths()), "capture").queue_age == 0.0
    assert (
        stage(run.observe(4.0, totals(0, insert=502, capture=500), depths({"capture": 2})), "capture").queue_age == 0.0
    )


def test_queue_age_when_nobody_counts_uploads_is_unknown_for_clean() -> None:
    reading = totals(0)
    assert stage(progress().observe(5.0, reading, depths()), "clean").queue_age is None
    assert stage(progress().observe(5.0, reading, depths(), arrived=100), "clean").queue_age == 5.0
    reading = totals(90, quarantined=10)
    assert stage(progress().observe(5.0, reading, depths(), arrived=100), "clean").queue_age == 0.0


def test_observe_when_the_engine_knows_its_activity_shows_it_by_stage() -> None:
    activity = {"insert": FunctionActivity(2, 3, 5), "clean": FunctionActivity(1, 1)}
    snapshot = progress().observe(1.0, totals(), depths(), activity=activity)
    insert, clean, update = (stage(snapshot, name) for name in ("insert", "clean", "update"))
    assert (insert.concurrency, insert.concurrency_limit, insert.cold_starts) == (2, 5, 3)
    assert (clean.concurrency, clean.concurrency_limit) == (1, None)
    assert (update.concurrency, update.cold_starts) == (None, None)


def test_explain_when_nothing_is_queued_and_something_is_under_way_names_that() -> None:
    snapshot = progress().observe(1.0, totals(update=40), depths())
    assert explain(snapshot, totals(), "1 invocations running") == (
        "no stage has work queued, yet there are 1 invocations running"
    )
