"""What Lambda itself writes to a function's log, as text or as JSON events, and which lines a level lets through.

Source: AWS Lambda developer guide, "Log-level filtering" (with its table of system log events) and "Lambda Telemetry
API Event schema reference".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from harness.lambda_service.model import Function

APPLICATION_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
SYSTEM_LEVELS = ("DEBUG", "INFO", "WARN")
DEFAULT_LEVEL = "INFO"

_SYNONYMS = {"WARNING": "WARN", "CRITICAL": "FATAL"}
_TIME_KEYS = ("timestamp", "time")


class SystemLog:
    """Lines about the life of one function's environments. Every method returns the lines to write, often none.

    Times are milliseconds; `status` is "success", "error", "timeout" or "failure".
    """

    def __init__(self, function: Function) -> None:
        self._json = function.log_format == "JSON"
        self._memory_mb = function.memory_mb
        self._runtime = function.runtime
        self._least = SYSTEM_LEVELS.index(function.system_log_level)
        self._application = APPLICATION_LEVELS.index(function.application_log_level)

    def init_started(self) -> list[str]:
        """An environment begins to initialise. Text logs name a runtime version here, which there is not."""
        record = {"initializationType": "on-demand", "phase": "init", "runtimeVersion": self._runtime}
        return self._event("INFO", "platform.initStart", record) if self._json else []

    def init_done(self, duration_ms: float, status: str) -> list[str]:
        """The init phase is over."""
        if not self._json:
            return []
        level = "DEBUG" if status == "success" else "WARN"
        record = {"initializationType": "on-demand", "phase": "init", "status": status}
        report = {**record, "metrics": {"durationMs": round(duration_ms, 3)}}
        return self._event(level, "platform.initRuntimeDone", record) + self._event(
            level, "platform.initReport", report
        )

    def start(self, request_id: str) -> list[str]:
        """An invocation begins."""
        if self._json:
            return self._event("INFO", "platform.start", {"requestId": request_id, "version": "$LATEST"})
        return [f"START RequestId: {request_id} Version: $LATEST"]

    def failed(self, request_id: str, message: str, *, timed_out: bool) -> list[str]:
        """The function timed out or its process died. JSON logs say so in runtimeDone and report only."""
        if self._json:
            return []
        if timed_out:
            return [f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ} {request_id} {message}"]
        return [f"RequestId: {request_id} Error: {message}"]

    def end(
        self,
        request_id: str,
        *,
        status: str,
        duration_ms: float,
        billed_ms: int,
        max_memory_mb: int,
        init_ms: float | None,
        produced_bytes: int,
    ) -> list[str]:
        """An invocation is over: END and REPORT, or runtimeDone and report."""
        if self._json:
            metrics: dict[str, Any] = {
                "durationMs": round(duration_ms, 3),
                "billedDurationMs": billed_ms,
                "memorySizeMB": self._memory_mb,
                "maxMemoryUsedMB": max_memory_mb,
            }
            if init_ms is not None:
                metrics["initDurationMs"] = round(init_ms, 3)
            good = status == "success"
            done = {"durationMs": round(duration_ms, 3), "producedBytes": produced_bytes}
            return self._event(
                "DEBUG" if good else "WARN",
                "platform.runtimeDone",
                {"requestId": request_id, "status": status, "metrics": done},
            ) + self._event(
                "INFO" if good else "WARN",
                "platform.report",
                {"requestId": request_id, "metrics": metrics, "status": status},
            )
        line = (
            f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\t"
            f"Billed Duration: {billed_ms} ms\tMemory Size: {self._memory_mb} MB\t"
            f"Max Memory Used: {max_memory_mb} MB"
        )
        if init_ms is not None:
            line += f"\tInit Duration: {init_ms:.2f} ms"
        if status != "success":
            line += f"\tStatus: {'timeout' if status == 'timeout' else 'error'}"
        return [f"END RequestId: {request_id}", line]

    def passes(self, line: str) -> bool:
        """Return whether a line of the function's own output is kept, given ApplicationLogLevel.

        Lines that are no JSON object with a known level and a time are INFO.
        """
        if not self._json or self._application == 0:
            return True
        return APPLICATION_LEVELS.index(level_of(line)) >= self._application

    def _event(self, level: str, kind: str, record: dict[str, Any]) -> list[str]:
        if SYSTEM_LEVELS.index(level) < self._least:
            return []
        time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        return [orjson.dumps({"time": time, "type": kind, "record": record}).decode()]


def level_of(line: str) -> str:
    """Return the application log level that Lambda gives a line of output in JSON format."""
    if not line.lstrip().startswith("{"):
        return DEFAULT_LEVEL
    try:
        entry = orjson.loads(line)
    except ValueError:
        return DEFAULT_LEVEL
    level = str(entry.get("level", "")).upper()
    level = _SYNONYMS.get(level, level)
    timed = any(_is_time(entry.get(key)) for key in _TIME_KEYS)
    return level if level in APPLICATION_LEVELS and timed else DEFAULT_LEVEL


def _is_time(value: Any) -> bool:
    if not isinstance(value, str) or "T" not in value.upper():
        return False
    try:
        return datetime.fromisoformat(value.upper()).tzinfo is not None
    except ValueError:
        return False
