"""System and application logs in both formats, output from a pipe, and a function's variables."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import pytest

from harness.errors import TemplateError
from harness.lambda_service import variables
from harness.lambda_service.model import Function, ServiceSettings
from harness.lambda_service.output import LINE_LIMIT, OutputPipe
from harness.lambda_service.system_logs import SystemLog, level_of

SETTINGS = ServiceSettings({"default": "http://d", "logs": "http://l"}, "us-east-1", "0" * 12, "/runtime", "/w", "t")


def function(**settings: Any) -> Function:
    given = {"environment": {}, **settings}
    return Function("f", "arn:f", "i.h", "/code", "python3.13", 3, 128, log_group="/g", **given)


def told(log: SystemLog, status: str) -> list[str]:
    """Return every line about one cold invocation that ended with `status`."""
    return (
        log.init_started()
        + log.init_done(12.0, "success")
        + log.start("id")
        + log.failed("id", "Task timed out", timed_out=True)
        + log.end("id", status=status, duration_ms=1.5, billed_ms=2, max_memory_mb=40, init_ms=12.0, produced_bytes=7)
    )


@pytest.mark.parametrize(
    ("level", "status", "kinds"),
    [
        ("DEBUG", "success", "initStart initRuntimeDone initReport start runtimeDone report"),
        ("INFO", "success", "initStart start report"),
        ("WARN", "success", ""),
        ("INFO", "error", "initStart start runtimeDone report"),
        ("WARN", "timeout", "runtimeDone report"),
    ],
)
def test_system_log_when_json_tells_what_its_level_lets_through(level: str, status: str, kinds: str) -> None:
    lines = told(SystemLog(function(log_format="JSON", system_log_level=level)), status)
    events = [json.loads(line) for line in lines]
    assert [e["type"] for e in events] == [f"platform.{kind}" for kind in kinds.split()]
    if kinds.endswith("report"):
        assert events[-1]["record"] == {
            "requestId": "id",
            "status": status,
            "metrics": {
                "durationMs": 1.5,
                "billedDurationMs": 2,
                "memorySizeMB": 128,
                "maxMemoryUsedMB": 40,
                "initDurationMs": 12.0,
            },
        }


def test_system_log_when_text_has_start_end_and_report() -> None:
    lines = told(SystemLog(function()), "timeout")
    assert [line.split(" ")[0] for line in lines if "timed out" not in line] == ["START", "END", "REPORT"]
    assert lines[-1].endswith("Init Duration: 12.00 ms\tStatus: timeout")


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ('{"level": "error", "timestamp": "2026-11-02T16:51:31.587199Z"}', "ERROR"),
        ('{"level": "WARNING", "time": "2026-11-02T16:51:31+01:00"}', "WARN"),
        ('{"level": "critical", "timestamp": "2026-11-02T16:51:31Z"}', "FATAL"),
        ('{"level": "debug"}', "INFO"),
        ('{"level": "debug", "timestamp": "yesterday"}', "INFO"),
        ('{"level": "debug", "timestamp": "2026-11-02"}', "INFO"),
        ('{"level": "debug", "timestamp": 1}', "INFO"),
        ('{"level": "loud", "timestamp": "2026-11-02T16:51:31Z"}', "INFO"),
        ('{"level": null', "INFO"),
        ("ERROR in plain words", "INFO"),
    ],
)
def test_level_when_a_line_is_read_is_the_one_lambda_gives_it(line: str, level: str) -> None:
    assert level_of(line) == level


def test_line_when_the_format_is_text_always_passes() -> None:
    assert SystemLog(function(application_log_level="FATAL")).passes("words")
    assert not SystemLog(function(log_format="JSON", application_log_level="FATAL")).passes("words")
    assert SystemLog(function(log_format="JSON", application_log_level="INFO")).passes("words")


def piped(*writes: bytes, drain: bool = False) -> list[str]:
    lines: list[str] = []

    async def read() -> None:
        pipe = OutputPipe(lines.append)
        for data in writes:
            os.write(pipe.write_end, data)
        if drain:
            pipe.drain()
            lines.append("drained")
        pipe.started()
        pipe.close()
        pipe.close()

    asyncio.run(read())
    return lines


def test_output_when_drained_precedes_what_comes_after() -> None:
    assert piped(b"one\ntwo\nhalf", drain=True) == ["one", "two", "drained", "half"]


def test_output_when_a_line_is_longer_than_an_event_is_split() -> None:
    async def read() -> list[str]:
        lines: list[str] = []
        pipe = OutputPipe(lines.append)
        writer = os.dup(pipe.write_end)
        pipe.started()
        text = b"x" * (LINE_LIMIT + 5) + b"\nlast\n"
        await asyncio.to_thread(os.write, writer, text)
        os.close(writer)
        while "last" not in lines:
            await asyncio.sleep(0.001)
        pipe.close()
        return lines

    assert [len(line) for line in asyncio.run(read())] == [LINE_LIMIT, 5, 4]


def test_output_when_it_is_no_utf8_is_kept_and_empty_lines_are_not() -> None:
    assert piped(b"\xff\n\nx\n") == ["�", "x"]


@pytest.mark.parametrize("name", sorted(variables.RESERVED))
def test_variables_when_reserved_are_refused_by_name(name: str) -> None:
    with pytest.raises(TemplateError, match=f"Fn: Environment sets {name}, reserved keys"):
        variables.check("Fn", {name: "x", "FINE": "y"})


def test_variables_when_they_name_a_wrapper_script_are_refused() -> None:
    with pytest.raises(TemplateError, match="AWS_LAMBDA_EXEC_WRAPPER"):
        variables.check("Fn", {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap"})


@pytest.mark.parametrize("name", ["", "A", "1ST", "_X", "A-B", "Ä1", "A B"])
def test_variables_when_their_name_is_malformed_are_refused(name: str) -> None:
    with pytest.raises(TemplateError, match="Environment sets"):
        variables.check("Fn", {name: "x"})


def test_variables_when_over_four_kilobytes_in_all_are_refused_with_their_size() -> None:
    exact = {"NAME": "x" * (4096 - len('{"NAME":""}'))}
    variables.check("Fn", exact)
    with pytest.raises(TemplateError, match="4097 bytes as JSON, allowed are 4096"):
        variables.check("Fn", {"NAME": exact["NAME"] + "x"})


def test_environment_when_made_holds_the_templates_own_and_lambdas() -> None:
    made = variables.environment(
        function(environment={"OWN": "1", "TZ": "Europe/Paris", "PYTHONPATH": "/extra"}),
        SETTINGS,
        log_stream="stream",
        runtime_api="127.0.0.1:1",
        temporary="/t",
    )
    # Defaults that are not reserved may be set, and count.
    assert (made["OWN"], made["TZ"], made["PYTHONPATH"]) == ("1", "Europe/Paris", "/extra")
    assert set(made) >= variables.RESERVED - {"_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY"}
    assert made["AWS_LAMBDA_LOG_STREAM_NAME"] == "stream"
    assert made["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] == "http://l"
    assert "HOME" not in made
    assert "AWS_LAMBDA_LOG_LEVEL" not in made


def test_environment_when_logs_are_json_tells_the_runtime() -> None:
    made = variables.environment(
        function(log_format="JSON", application_log_level="WARN"), SETTINGS, log_stream="", runtime_api="", temporary=""
    )
    assert (made["AWS_LAMBDA_LOG_FORMAT"], made["AWS_LAMBDA_LOG_LEVEL"]) == ("JSON", "WARN")
