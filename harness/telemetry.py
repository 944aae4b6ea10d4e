"""Reads what the functions say of their work, through the CloudWatch Logs API of any engine."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.handler_times import HandlerTimes
from harness.results import StageFigures

NOTES = ("delimiter", "rejected")
"""What functions say of a source object besides counts: how it is read, or why it is refused as a whole."""

_OVERLAP_MS = 3000
"""Events may become visible a little after later ones; this far back they are read again."""

_PAGE_EVENTS = 10_000
"""Most events of one FilterLogEvents answer (API reference). MiniStack cuts there and gives no token to go on with."""


@dataclass
class StageTotals:
    """Sums over one stage's telemetry. Times are Unix milliseconds, 0 before the first invocation; `ended_ms` is
    the end of the last invocation in which a row succeeded. `notes` count invocations by what they said of their
    objects, under the keys of `NOTES`. `log_bytes` are of the stage's whole log, `custom_metrics` the names
    of what it measures for CloudWatch.

    `rows_ok` counts deliveries: rows that come twice count twice, so the audit and not these sums decide.
    """

    invocations: int = 0
    rows_in: int = 0
    rows_ok: int = 0
    rows_failed: int = 0
    rows_quarantined: int = 0
    messages: int = 0
    bytes: int = 0
    started_ms: int = 0
    ended_ms: int = 0
    errors: int = 0
    last_errors: deque[str] = field(default_factory=lambda: deque(maxlen=5))
    sources: set[str] = field(default_factory=set)
    notes: dict[str, Counter[str]] = field(default_factory=lambda: {key: Counter() for key in NOTES})
    times: HandlerTimes = field(default_factory=HandlerTimes)
    log_bytes: int = 0
    custom_metrics: set[str] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        """From the first invocation's start to the end of the last successful one."""
        return (self.ended_ms - self.started_ms) / 1000 if self.ended_ms else 0.0

    @property
    def rate(self) -> float:
        """Rows a second over `seconds`."""
        return self.rows_ok / self.seconds if self.seconds > 0 else 0.0

    def figures(self) -> StageFigures:
        """Return what a result says of the stage."""
        times = self.times
        return StageFigures(
            invocations=self.invocations,
            rows_in=self.rows_in,
            rows_ok=self.rows_ok,
            rows_failed=self.rows_failed,
            rows_quarantined=self.rows_quarantined,
            messages=self.messages,
            bytes=self.bytes,
            started_ms=self.started_ms,
            ended_ms=self.ended_ms,
            seconds=round(self.seconds, 3),
            rows_per_second=round(self.rate, 1),
            handler_ms=round(times.handler_ms, 3) if times.handler_ms else None,
            waiting_ms=round(times.waiting_ms, 3),
            cpu_ms=None if times.cpu_ms is None else round(times.cpu_ms, 3),
            error_lines=self.errors,
            last_errors=list(self.last_errors),
            notes={key: dict(counts) for key, counts in self.notes.items() if counts},
        )


@dataclass(slots=True)
class SourceTotals:
    """Sums over one stage's telemetry of one source object. Times are Unix milliseconds, 0 where there was none:
    `ok_ms` is the end of the last invocation in which a row succeeded, `failed_ms` of the last in which one failed.

    Rows count by delivery, as in `StageTotals`.
    """

    rows_in: int = 0
    rows_ok: int = 0
    rows_failed: int = 0
    rows_quarantined: int = 0
    ok_ms: int = 0
    failed_ms: int = 0
    ended_ms: int = 0


class TelemetryReader:
    """Follows the log groups of all stages, for the sources of one run.

    `groups` maps stage name to log group. With `sources` None every source counts; lines older than `since_ms` (Unix
    milliseconds) never do. `by_source` has the sums of each source by stage.
    """

    def __init__(
        self, logs: Any, groups: Mapping[str, str], sources: set[str] | None = None, *, since_ms: int = 0
    ) -> None:
        self.totals = {stage: StageTotals() for stage in groups}
        self.by_source: dict[str, dict[str, SourceTotals]] = {}
        self.log_bytes = 0
        self._logs = logs
        self._groups = groups
        self._sources = sources
        self._earliest = since_ms
        self._since: dict[str, int] = dict.fromkeys(groups, since_ms)
        self._recent: dict[str, dict[str, int]] = {stage: {} for stage in groups}

    def poll(self) -> None:
        """Read what is new in every log group."""
        for stage, group in self._groups.items():
            self._poll(stage, group)

    def _poll(self, stage: str, group: str) -> None:
        arguments: dict[str, Any] = {
            "logGroupName": group,
            "startTime": max(self._earliest, self._since[stage] - _OVERLAP_MS),
        }
        recent = self._recent[stage]
        while True:
            try:
                answer = self._logs.filter_log_events(**arguments)
            except self._logs.exceptions.ResourceNotFoundException:
                return
            fresh = False
            for event in answer["events"]:
                if event["eventId"] in recent:
                    continue
                fresh = True
                recent[event["eventId"]] = event["timestamp"]
                self._since[stage] = max(self._since[stage], event["timestamp"])
                self.log_bytes += len(event["message"])
                self._take(stage, event["message"])
            token = answer.get("nextToken")
            if token:
                arguments["nextToken"] = token
            elif fresh and len(answer["events"]) >= _PAGE_EVENTS:
                arguments.pop("nextToken", None)
                arguments["startTime"] = answer["events"][-1]["timestamp"]
            else:
                break
        horizon = self._since[stage] - 2 * _OVERLAP_MS
        self._recent[stage] = {i: stamp for i, stamp in recent.items() if stamp >= horizon}

    def _take(self, stage: str, message: str) -> None:
        totals = self.totals[stage]
        totals.log_bytes += len(message) if message.isascii() else len(message.encode())
        if not message.startswith("{"):
            _take_platform_line(totals, message)
            totals.times.report(message)
            return
        try:
            line = json.loads(message)
        except ValueError:
            return
        if "_aws" not in line:
            if line.get("level") in ("ERROR", "CRITICAL"):
                said = line.get("message") or line.get("errorMessage")
                _note_error(totals, f"{said} {line.get('why', '')}".strip())
            elif line.get("type") == "platform.report":
                _take_platform_event(totals, line)
                totals.times.report(message)
            return
        if self._sources is not None and line.get("source_id") not in self._sources:
            return
        ended, started = line["_aws"]["Timestamp"], int(line["started_ms"])
        totals.sources.add(line["source_id"])
        totals.invocations += 1
        totals.times.add(line)
        for declared in line["_aws"].get("CloudWatchMetrics", ()):
            totals.custom_metrics.update(metric["Name"] for metric in declared["Metrics"])
        for key in NOTES:
            if key in line:
                totals.notes[key][str(line[key])] += 1
        totals.rows_in += _sum(line["RowsIn"])
        totals.rows_ok += _sum(line["RowsOk"])
        totals.rows_failed += _sum(line["RowsFailed"])
        totals.rows_quarantined += _sum(line["RowsQuarantined"])
        totals.messages += _sum(line["Messages"])
        totals.bytes += _sum(line["Bytes"])
        if _sum(line["RowsOk"]) or not totals.ended_ms:
            # Retries of rows that can only fail go on for a while; they are not the stage's work.
            totals.ended_ms = max(totals.ended_ms, ended)
        totals.started_ms = min(totals.started_ms or started, started)
        by_stage = self.by_source.setdefault(line["source_id"], {})
        source = by_stage.get(stage) or by_stage.setdefault(stage, SourceTotals())
        _add_to_source(source, line, ended)


def _add_to_source(source: SourceTotals, line: Mapping[str, Any], ended: int) -> None:
    ok, failed = _sum(line["RowsOk"]), _sum(line["RowsFailed"])
    source.rows_in += _sum(line["RowsIn"])
    source.rows_ok += ok
    source.rows_failed += failed
    source.rows_quarantined += _sum(line["RowsQuarantined"])
    source.ended_ms = max(source.ended_ms, ended)
    if ok:
        source.ok_ms = max(source.ok_ms, ended)
    if failed:
        source.failed_ms = max(source.failed_ms, ended)


def _take_platform_line(totals: StageTotals, message: str) -> None:
    # Lambda's own words for failures that the function could not report itself.
    if message.startswith("[ERROR]") or "Task timed out" in message or "Runtime exited" in message:
        _note_error(totals, message)


def _take_platform_event(totals: StageTotals, event: Mapping[str, Any]) -> None:
    # The same in JSON; a function's own "error" has been logged by the function.
    record = event.get("record")
    if isinstance(record, dict) and record.get("status") in ("timeout", "failure"):
        _note_error(totals, f"invocation {record.get('requestId')} ended with status {record['status']}")


def _note_error(totals: StageTotals, text: str) -> None:
    totals.errors += 1
    totals.last_errors.append(text[:300])


def _sum(value: Any) -> int:
    """Return an EMF metric, which is a number or a list of numbers."""
    return int(sum(value)) if isinstance(value, list) else int(value)
