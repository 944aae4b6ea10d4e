"""A load while it goes on: offered, uploaded, finished, and how old its backlog is."""

from __future__ import annotations

from harness.load.pool import Expectation
from harness.load.samples import LoadStart, Sample
from harness.load.schedule import POOL_FILES, LoadSpec
from harness.load.state import Figures, LoadState
from harness.telemetry import SourceTotals

BUCKET = "uploads"
ORIGIN = 1000.0


def make(files: int = 10) -> LoadState:
    """A file of 100 rows every second, at 0.5, 1.5, 2.5 ... seconds."""
    spec = LoadSpec(seconds=files, rate=100, rows_per_file="fixed:100", arrivals="constant")
    assert spec.files == files
    expectations = [Expectation(100, 100, 0, {})] * POOL_FILES
    return LoadState(LoadStart(ORIGIN, "p/", spec, 8, 0), expectations, BUCKET, 3)


def sample(load: LoadState, number: int, error: str = "") -> Sample:
    intended = ORIGIN + load.arrivals[number].offset
    version = "" if error else "v1"
    file = load.arrivals[number].file
    return Sample(number, file, f"p/{number:06d}.csv", version, 100, 9, intended, intended, intended + 0.1, error)


def updated(load: LoadState, number: int, rows: int, ended: float) -> dict[str, dict[str, SourceTotals]]:
    source_id = sample(load, number).source(BUCKET).source_id
    stamp = round(ended * 1000)
    return {source_id: {"update": SourceTotals(rows_ok=rows, ok_ms=stamp, ended_ms=stamp)}}


def test_figures_when_nothing_was_sent_yet_count_what_the_schedule_meant_to_send() -> None:
    load = make()
    found = load.figures(ORIGIN + 3)
    assert (found.offered_files, found.offered_rows, found.unfinished_rows) == (3, 300, 300)
    assert (found.uploaded_files, found.finished_files) == (0, 0)
    # The first was meant at 0.5 s: the age counts from there though it was never sent.
    assert found.oldest_seconds == 2.5


def test_figures_when_before_the_origin_are_all_zero() -> None:
    assert make().figures(ORIGIN - 5) == Figures()


def test_observe_when_a_file_is_updated_reports_it_once_with_its_time() -> None:
    load = make()
    load.add(sample(load, 0))
    telemetry = updated(load, 0, 100, ORIGIN + 2)
    [done] = load.observe(telemetry)
    assert (done.sample.number, done.completed) == (0, ORIGIN + 2)
    assert load.observe(telemetry) == []
    found = load.figures(ORIGIN + 3)
    assert (found.uploaded_rows, found.finished_files, found.finished_rows, found.unfinished_rows) == (100, 1, 100, 200)
    assert found.oldest_seconds == 1.5


def test_observe_when_a_file_is_partly_updated_counts_its_rows_but_keeps_it_open() -> None:
    load = make()
    load.add(sample(load, 0))
    assert load.observe(updated(load, 0, 60, ORIGIN + 2)) == []
    assert load.figures(ORIGIN + 1).unfinished_rows == 40
    assert len(load.observe(updated(load, 0, 100, ORIGIN + 3))) == 1
    assert load.figures(ORIGIN + 1).finished_rows == 100


def test_observe_when_telemetry_is_of_another_source_ignores_it() -> None:
    load = make()
    load.add(sample(load, 0))
    assert load.observe(updated(load, 5, 100, ORIGIN)) == []
    assert load.figures(ORIGIN + 1).finished_rows == 0


def test_observe_when_a_later_file_finishes_first_keeps_the_age_of_the_first() -> None:
    load = make()
    for number in (0, 1):
        load.add(sample(load, number))
    load.observe(updated(load, 1, 100, ORIGIN + 2))
    assert load.figures(ORIGIN + 2).oldest_seconds == 1.5


def test_figures_when_an_upload_failed_do_not_wait_for_its_rows() -> None:
    load = make()
    load.add(sample(load, 0, "ConnectTimeout"))
    found = load.figures(ORIGIN + 1)
    assert (found.failed_files, found.uploaded_files, found.unfinished_rows, found.oldest_seconds) == (1, 0, 0, 0.0)


def test_stop_when_files_were_not_sent_no_longer_waits_for_them() -> None:
    load = make()
    load.add(sample(load, 0))
    load.stop()
    assert (load.stopped, load.unsent, load.unreported) == (True, 9, 0)
    found = load.figures(ORIGIN + 100)
    assert (found.unfinished_rows, found.oldest_seconds) == (100, 99.5)
    load.observe(updated(load, 0, 100, ORIGIN + 2))
    assert load.figures(ORIGIN + 100).unfinished_rows == 0


def test_figures_when_added_sum_counts_and_keep_the_older_age() -> None:
    one = Figures(offered_files=1, offered_rows=10, oldest_seconds=3.0)
    two = Figures(offered_files=2, finished_rows=5, oldest_seconds=1.0)
    assert one + two == Figures(offered_files=3, offered_rows=10, finished_rows=5, oldest_seconds=3.0)


def test_reconcile_when_a_failed_upload_is_in_the_bucket_waits_for_its_rows_but_counts_no_upload() -> None:
    load = make()
    load.add(sample(load, 0, "ReadTimeout"))
    load.stop()
    key = "p/000000.csv"
    load.reconcile(key, "v1", 9)
    assert (load.figures(ORIGIN + 20).uploaded_files, load.figures(ORIGIN + 20).unfinished_rows) == (0, 100)
    assert load.observe(updated(load, 0, 100, ORIGIN + 30)) == []
    assert load.figures(ORIGIN + 40).unfinished_rows == 0
    assert load.figures(ORIGIN + 40).finished_files == 0


def test_unsent_when_every_file_was_sent_or_failed_is_none() -> None:
    load = make()
    for number in range(10):
        load.add(sample(load, number, "ReadTimeout" if number == 3 else ""))
    assert (load.unsent, load.unreported) == (0, 0)


def test_unsent_when_files_nobody_reported_are_in_the_bucket_counts_only_those_that_are_not() -> None:
    load = make()
    load.add(sample(load, 0))
    load.add(sample(load, 1, "ReadTimeout"))
    load.stop()
    for number in (1, 2):
        load.reconcile(f"p/{number:06d}.csv", "v1", 9)
    assert (load.unsent, load.unreported) == (7, 1)


def test_unsent_when_the_load_was_ended_on_purpose_is_none() -> None:
    load = make()
    load.add(sample(load, 0))
    load.stop()
    load.reconcile("p/000001.csv", "v1", 9)
    load.stopped_early = True
    assert (load.unsent, load.unreported) == (0, 0)
