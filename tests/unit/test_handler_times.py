"""Handler times from metrics records and Lambda's REPORT lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.handler_times import HandlerTimes
from harness.telemetry import StageTotals


def told(times: HandlerTimes) -> dict[str, float | None]:
    """Return what a result says of the times."""
    found = StageTotals(times=times).figures()
    return {"handler_ms": found.handler_ms, "waiting_ms": found.waiting_ms, "cpu_ms": found.cpu_ms}


def report(request: str, milliseconds: float, *, init: bool = False) -> str:
    line = (
        f"REPORT RequestId: {request}\tDuration: {milliseconds:.2f} ms\tBilled Duration: 100 ms\t"
        "Memory Size: 512 MB\tMax Memory Used: 70 MB"
    )
    return line + ("\tInit Duration: 900.00 ms" if init else "")


def record(request: str, **metrics: float) -> dict[str, object]:
    return {"request_id": request, **{name: [value] for name, value in metrics.items()}}


def test_handler_times_when_records_and_reports_come_sums_them() -> None:
    times = HandlerTimes()
    times.add(record("a", MsWrite=10.5, CpuMs=3.0))
    times.report(report("a", 20.25, init=True))
    times.add(record("b", MsSend=1.0, MsRule=50.0, CpuMs=4.5))
    times.report(report("b", 60.0))
    assert told(times) == {"handler_ms": 80.25, "waiting_ms": 11.5, "cpu_ms": 7.5}


def test_handler_times_when_the_log_is_json_reads_its_reports() -> None:
    times = HandlerTimes()
    times.add(record("a", CpuMs=3.0))
    for line in (
        '{"time": "t", "type": "platform.start", "record": {"requestId": "a"}}',
        '{"type": "platform.report", "record": {"requestId": "a", "metrics": {"durationMs": 20.5}}}',
        '{"type": "platform.report", "record": "no"}',
        '{"message": "\\"platform.report\\"", "type": "mine"}',
        'words "platform.report"',
    ):
        times.report(line)
    assert told(times)["handler_ms"] == 20.5


def test_handler_times_when_reports_are_of_other_invocations_leaves_them_out() -> None:
    times = HandlerTimes()
    times.report(report("stranger", 1000.0))
    times.add(record("a", CpuMs=1.0))
    times.report(report("another", 1000.0))
    times.report(report("a", 5.0))
    assert told(times)["handler_ms"] == 5.0


def test_handler_times_when_two_sources_share_an_invocation_counts_its_duration_once() -> None:
    times = HandlerTimes()
    times.add(record("a", CpuMs=1.0))
    times.add(record("a", CpuMs=1.0))
    times.report(report("a", 5.0))
    assert told(times) == {"handler_ms": 5.0, "waiting_ms": 0.0, "cpu_ms": 2.0}


def test_handler_times_when_functions_report_no_cpu_time_has_none() -> None:
    times = HandlerTimes()
    times.add(record("a", MsWrite=1.0))
    assert told(times) == {"handler_ms": None, "waiting_ms": 1.0, "cpu_ms": None}


@pytest.mark.parametrize("line", ["START RequestId: a", "END RequestId: a", "", "[ERROR] REPORT", "REPORT nonsense"])
def test_report_when_the_line_is_no_report_ignores_it(line: str) -> None:
    times = HandlerTimes()
    times.add(record("a"))
    times.report(line)
    assert told(times)["handler_ms"] is None


@given(st.permutations([("add", name) for name in "abc"] + [("report", name) for name in "abc"]))
def test_handler_times_when_lines_come_in_any_order_are_the_same(order: list[tuple[str, str]]) -> None:
    times = HandlerTimes()
    for kind, name in order:
        if kind == "add":
            times.add(record(name, CpuMs=1.0))
        else:
            times.report(report(name, ord(name)))
    assert told(times) == {"handler_ms": 97.0 + 98.0 + 99.0, "waiting_ms": 0.0, "cpu_ms": 3.0}
