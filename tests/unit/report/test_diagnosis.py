"""What limits a run: each rule fires on its own data, and only there."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from harness.report.diagnosis import limits_of
from harness.report.series import Series, columns
from harness.results import WatchedResult, read_lines
from tests.unit.report.support import DATA, load_of, run_of

STAGES = ("clean", "insert", "capture", "process", "update")
RESULT = run_of(
    fingerprint__cores=2,
    engine__limits={"concurrency profile": "local"},
    harness_cpu_share=0.03,
)


def series(
    *,
    cpu: dict[str, float] | None = None,
    busy: float = 0.4,
    steal: float = 0.0,
    looks: int = 10,
    **stages: dict[str, Any],
) -> Series:
    """Return a series in which every look is the same; stages are idle but for those given."""
    idle = {"rows": 0, "queued": 0, "in_flight": 0, "dlq": 0, "queue_age": 0.0}
    line = {
        "stages": [{**idle, "name": name, **stages.get(name, {})} for name in STAGES],
        "cpu": cpu or {"data-services": 0.3, "functions": 0.2, "harness": 0.03},
        "memory": {},
        "busy": busy,
        "steal": steal,
    }
    return columns([{**line, "elapsed": float(i)} for i in range(looks)])


def about(found: Series, result: WatchedResult = RESULT) -> list[str]:
    return [limit.about for limit in limits_of(found, result)]


def test_limits_when_nothing_stands_out_say_so() -> None:
    assert about(series()) == ["unknown"]


def test_limits_when_a_load_was_kept_up_with_name_the_load() -> None:
    assert about(series(), load_of(harness_cpu_share=0.03)) == ["load"]


def test_limits_when_there_is_no_series_say_that() -> None:
    (limit,) = limits_of(columns([]), RESULT)
    assert limit.about == "unknown"
    assert "no time series" in limit.headline


@pytest.mark.parametrize(("steal", "named"), [(0.019, False), (0.02, True), (0.3, True)])
def test_limits_when_the_host_withholds_time_name_it_from_two_per_cent_on(steal: float, named: bool) -> None:
    assert ("host" in about(series(steal=steal))) is named


def test_limits_when_the_data_services_fill_their_core_name_the_server_with_figures() -> None:
    found = limits_of(series(cpu={"data-services": 0.93, "functions": 0.2}, busy=0.6), RESULT)
    assert [limit.about for limit in found] == ["server"]
    assert "0.93" in found[0].headline
    assert "the data services 0.93, the functions 0.20 of 2" in found[0].evidence


def test_limits_when_the_machine_is_full_name_who_uses_most() -> None:
    full = series(cpu={"data-services": 0.6, "functions": 1.2}, busy=0.95)
    assert about(full) == ["client"]
    server = series(cpu={"data-services": 0.8, "functions": 0.7}, busy=0.95)
    assert about(server) == ["server"]


def test_limits_when_others_fill_the_machine_do_not_blame_the_run() -> None:
    (limit,) = limits_of(series(cpu={"data-services": 0.3, "functions": 0.4}, busy=1.0), RESULT)
    assert limit.about == "host"
    assert "not the run's" in limit.headline
    assert "outside this run used 1.30 cores" in limit.evidence


def test_limits_when_a_queue_is_seldom_empty_name_the_stage_and_its_age() -> None:
    found = limits_of(series(update={"queued": 7, "queue_age": 12.0}), RESULT)
    assert [limit.about for limit in found] == ["stage"]
    assert "Stage update" in found[0].headline
    assert "100%" in found[0].evidence
    assert "12 s old" in found[0].evidence


def test_limits_when_concurrency_is_at_its_limit_say_whether_more_would_help() -> None:
    busy = {"queued": 7, "concurrency": 3, "concurrency_limit": 3}
    found = {limit.about: limit for limit in limits_of(series(insert=busy), RESULT)}
    assert "higher limit may help" in found["concurrency"].evidence
    full = {limit.about: limit for limit in limits_of(series(insert=busy, busy=1.0), RESULT)}
    assert "would not help" in full["concurrency"].evidence


def test_limits_when_messages_wait_and_concurrency_is_left_name_the_poller() -> None:
    waiting = {"queued": 7, "concurrency": 1, "concurrency_limit": 5}
    assert "poller" in about(series(insert=waiting))
    assert "poller" not in about(series(insert=waiting, busy=1.0))


def test_limits_when_concurrency_is_unknown_say_nothing_of_it() -> None:
    assert about(series(insert={"queued": 7, "concurrency": None})) == ["stage"]


def test_limits_when_localstack_ran_it_quote_its_limit() -> None:
    result = run_of(
        engine__name="localstack", engine__limits={"concurrency": "one batch at a time"}, harness_cpu_share=0.03
    )
    found = limits_of(series(), result)
    assert [limit.about for limit in found] == ["engine", "unknown"]
    assert "one batch at a time" in found[0].evidence


@pytest.mark.parametrize(("share", "named"), [(0.05, False), (0.06, True)])
def test_limits_when_the_harness_takes_much_say_so(share: float, named: bool) -> None:
    assert ("harness" in about(series(), replace(RESULT, harness_cpu_share=share))) is named


def test_limits_when_read_from_a_frozen_run_rest_on_its_figures() -> None:
    found = limits_of(columns(read_lines(DATA / "run" / "timeseries.jsonl")).until(10.0), run_of())
    assert found
    assert all(any(c.isdigit() for c in limit.headline + limit.evidence) for limit in found)
