"""Telemetry is read once, whatever CloudWatch Logs hands out, and summed per stage."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness import telemetry
from harness.telemetry import SourceTotals, StageTotals, TelemetryReader

GROUPS = {"clean": "/aws/lambda/clean", "insert": "/aws/lambda/insert"}


class NotFound(Exception):
    """Stands for botocore's ResourceNotFoundException."""


class Exceptions:
    ResourceNotFoundException = NotFound


class FakeLogs:
    """Answers filter_log_events from lists of events, a page at a time."""

    exceptions = Exceptions

    def __init__(self, page: int = 100) -> None:
        self.groups: dict[str, list[dict[str, Any]]] = {}
        self.calls: list[dict[str, Any]] = []
        self._page = page

    def put(self, stage: str, message: str, *, stamp: int = 1000, identity: str = "") -> None:
        events = self.groups.setdefault(GROUPS[stage], [])
        events.append({"eventId": identity or f"{stage}-{len(events)}", "timestamp": stamp, "message": message})

    def filter_log_events(self, **arguments: Any) -> dict[str, Any]:
        self.calls.append(arguments)
        if arguments["logGroupName"] not in self.groups:
            raise NotFound
        events = [e for e in self.groups[arguments["logGroupName"]] if e["timestamp"] >= arguments["startTime"]]
        start = int(arguments.get("nextToken", 0))
        answer: dict[str, Any] = {"events": events[start : start + self._page]}
        if start + self._page < len(events):
            answer["nextToken"] = str(start + self._page)
        return answer


def emf(source: str = "s1", started: int = 1000, ended: int = 2000, ok: int | list[int] = 5, **metrics: int) -> str:
    names = ("RowsIn", "RowsFailed", "RowsQuarantined", "Messages", "Bytes")
    line: dict[str, Any] = {"_aws": {"Timestamp": ended}, "source_id": source, "started_ms": started, "RowsOk": ok}
    return json.dumps(line | {name: metrics.get(name, 0) for name in names})


def read(logs: FakeLogs, sources: set[str] | None = None) -> dict[str, StageTotals]:
    reader = TelemetryReader(logs, GROUPS, sources)
    reader.poll()
    return reader.totals


def test_poll_when_stages_wrote_emf_lines_sums_them_per_stage() -> None:
    logs = FakeLogs()
    logs.put("clean", emf(ok=5, RowsIn=6, RowsQuarantined=1, Messages=2, Bytes=100, started=1000, ended=2000))
    logs.put("clean", emf(ok=7, RowsIn=9, RowsFailed=2, Messages=3, Bytes=50, started=500, ended=3000))
    logs.put("insert", emf(ok=1))
    totals = read(logs)
    clean = totals["clean"]
    assert (clean.invocations, clean.rows_in, clean.rows_ok) == (2, 15, 12)
    assert (clean.rows_failed, clean.rows_quarantined, clean.messages, clean.bytes) == (2, 1, 5, 150)
    assert (clean.started_ms, clean.ended_ms, clean.seconds) == (500, 3000, 2.5)
    assert clean.rate == 12 / 2.5
    assert totals["insert"].rows_ok == 1


def test_poll_when_a_metric_is_a_list_sums_it() -> None:
    logs = FakeLogs()
    logs.put("clean", emf(ok=[1, 2, 3]))
    assert read(logs)["clean"].rows_ok == 6


def test_poll_when_lines_are_of_other_sources_ignores_them() -> None:
    logs = FakeLogs()
    logs.put("clean", emf("mine", ok=5))
    logs.put("clean", emf("other", ok=50))
    clean = read(logs, {"mine"})["clean"]
    assert (clean.rows_ok, clean.sources, clean.invocations) == (5, {"mine"}, 1)


def test_poll_when_no_sources_are_given_takes_all() -> None:
    logs = FakeLogs()
    logs.put("clean", emf("one"))
    logs.put("clean", emf("two"))
    assert read(logs)["clean"].sources == {"one", "two"}


def test_poll_when_an_event_comes_again_reads_it_once() -> None:
    logs = FakeLogs()
    logs.put("clean", emf(ok=5), identity="same")
    logs.put("clean", emf(ok=5), identity="same")
    reader = TelemetryReader(logs, GROUPS)
    for _ in range(3):
        reader.poll()
    assert reader.totals["clean"].rows_ok == 5
    assert reader.log_bytes == len(emf(ok=5))


def test_poll_when_an_older_event_appears_late_reads_it() -> None:
    logs = FakeLogs()
    logs.put("clean", emf(ok=1), stamp=10_000)
    reader = TelemetryReader(logs, GROUPS)
    reader.poll()
    logs.put("clean", emf(ok=2), stamp=9_000)
    reader.poll()
    assert reader.totals["clean"].rows_ok == 3


def test_poll_when_time_passes_asks_only_for_what_is_new() -> None:
    logs = FakeLogs()
    reader = TelemetryReader(logs, {"clean": GROUPS["clean"]})
    for number in range(20):
        logs.put("clean", emf(ok=1), stamp=number * 2_000)
        reader.poll()
    assert reader.totals["clean"].rows_ok == 20
    assert logs.calls[0]["startTime"] == 0
    assert logs.calls[-1]["startTime"] > 30_000


def test_poll_when_there_are_several_pages_reads_all() -> None:
    logs = FakeLogs(page=3)
    for _ in range(10):
        logs.put("clean", emf(ok=1))
    assert read(logs)["clean"].rows_ok == 10


def test_poll_when_a_log_group_is_missing_reads_the_others() -> None:
    logs = FakeLogs()
    logs.put("insert", emf(ok=4))
    totals = read(logs)
    assert (totals["clean"].invocations, totals["insert"].rows_ok) == (0, 4)


def test_poll_when_a_missing_log_group_appears_reads_it() -> None:
    logs = FakeLogs()
    reader = TelemetryReader(logs, GROUPS)
    reader.poll()
    logs.put("clean", emf(ok=4))
    reader.poll()
    assert reader.totals["clean"].rows_ok == 4


@pytest.mark.parametrize(
    "line",
    [
        "[ERROR] Runtime.ImportModuleError: no module named x",
        "2026-01-01T00:00:00.000Z 1-2-3 Task timed out after 3.00 seconds",
        "RequestId: 1-2-3 Error: Runtime exited with error: signal: killed",
    ],
)
def test_poll_when_the_platform_reports_an_error_counts_it(line: str) -> None:
    logs = FakeLogs()
    logs.put("clean", line)
    clean = read(logs)["clean"]
    assert (clean.errors, list(clean.last_errors)) == (1, [line])


def platform_report(status: str) -> dict[str, object]:
    return {"type": "platform.report", "record": {"requestId": "1-2", "status": status}}


@pytest.mark.parametrize(
    ("line", "errors"),
    [
        (platform_report("timeout"), ["1-2 ended with status timeout"]),
        (platform_report("failure"), ["1-2 ended with status failure"]),
        (platform_report("error"), []),
        (platform_report("success"), []),
        ({"type": "platform.report", "record": "no"}, []),
        ({"type": "platform.start", "record": {"requestId": "1-2"}}, []),
        ({"level": "ERROR", "errorType": "ValueError", "errorMessage": "no luck"}, ["no luck"]),
    ],
)
def test_poll_when_logs_are_json_counts_the_platforms_errors(line: dict[str, object], errors: list[str]) -> None:
    logs = FakeLogs()
    logs.put("clean", json.dumps(line))
    clean = read(logs)["clean"]
    assert [e.removeprefix("invocation ") for e in clean.last_errors] == errors
    assert clean.errors == len(errors)


@pytest.mark.parametrize("level", ["ERROR", "CRITICAL"])
def test_poll_when_a_function_logs_an_error_keeps_its_message_and_cause(level: str) -> None:
    logs = FakeLogs()
    logs.put("clean", json.dumps({"level": level, "message": "cannot send", "why": "throttled"}))
    clean = read(logs, {"mine"})["clean"]
    assert (clean.errors, list(clean.last_errors)) == (1, ["cannot send throttled"])


@pytest.mark.parametrize(
    "line",
    [
        "START RequestId: 1-2-3 Version: $LATEST",
        "REPORT RequestId: 1-2-3 Duration: 3 ms",
        "",
        "{ this is no JSON",
        json.dumps({"level": "INFO", "message": "done"}),
        json.dumps({"message": "no level"}),
    ],
)
def test_poll_when_a_line_says_nothing_of_rows_ignores_it(line: str) -> None:
    logs = FakeLogs()
    logs.put("clean", line)
    assert read(logs)["clean"] == StageTotals(log_bytes=len(line))


def test_poll_when_errors_are_many_and_long_keeps_the_last_five_shortened() -> None:
    logs = FakeLogs()
    for number in range(9):
        logs.put("clean", f"[ERROR] {number} " + "x" * 1000)
    clean = read(logs)["clean"]
    assert clean.errors == 9
    assert [text[8] for text in clean.last_errors] == ["4", "5", "6", "7", "8"]
    assert {len(text) for text in clean.last_errors} == {300}


def test_poll_when_only_retries_come_last_does_not_move_the_end() -> None:
    logs = FakeLogs()
    logs.put("clean", emf(ok=5, started=1000, ended=2000))
    logs.put("clean", emf(ok=0, started=8000, ended=9000, RowsFailed=1))
    clean = read(logs)["clean"]
    assert (clean.ended_ms, clean.rows_failed) == (2000, 1)


def test_totals_when_nothing_was_read_have_no_rate() -> None:
    totals = StageTotals()
    assert (totals.seconds, totals.rate) == (0.0, 0.0)
    assert totals.figures().rows_per_second == 0.0


def test_poll_when_stages_speak_of_several_sources_sums_each_source_by_stage() -> None:
    logs = FakeLogs()
    logs.put("clean", emf("one", ok=6, RowsIn=8, RowsQuarantined=2, ended=2000))
    logs.put("insert", emf("one", ok=4, RowsIn=4, ended=3000))
    logs.put("insert", emf("one", ok=0, RowsIn=2, RowsFailed=2, ended=4000))
    logs.put("insert", emf("two", ok=9, RowsIn=9, ended=5000))
    reader = TelemetryReader(logs, GROUPS)
    reader.poll()
    assert reader.by_source["one"]["clean"] == SourceTotals(8, 6, 0, 2, ok_ms=2000, failed_ms=0, ended_ms=2000)
    assert reader.by_source["one"]["insert"] == SourceTotals(6, 4, 2, 0, ok_ms=3000, failed_ms=4000, ended_ms=4000)
    assert reader.by_source["two"] == {"insert": SourceTotals(9, 9, 0, 0, ok_ms=5000, failed_ms=0, ended_ms=5000)}


def test_poll_when_lines_are_older_than_the_beginning_leaves_them_out() -> None:
    logs = FakeLogs()
    logs.put("clean", emf("before", ok=5), stamp=9_999)
    logs.put("clean", emf("after", ok=7), stamp=10_000)
    reader = TelemetryReader(logs, GROUPS, since_ms=10_000)
    for _ in range(2):
        reader.poll()
    assert reader.totals["clean"].sources == {"after"}


def test_poll_when_an_answer_is_full_but_has_no_token_goes_on_from_its_last_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class CutLogs(FakeLogs):
        def filter_log_events(self, **arguments: Any) -> dict[str, Any]:
            answer = super().filter_log_events(**arguments)
            answer.pop("nextToken", None)
            return answer

    monkeypatch.setattr(telemetry, "_PAGE_EVENTS", 4)
    logs = CutLogs(page=4)
    # Two events a millisecond: the last one of a page comes again on the next, and counts once.
    for number in range(11):
        logs.put("clean", emf(ok=1), stamp=1000 + number // 2)
    assert read(logs)["clean"].rows_ok == 11
