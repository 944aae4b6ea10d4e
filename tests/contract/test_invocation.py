"""The Invoke API, asynchronous events to their end, variables, logs and packages."""

from __future__ import annotations

import base64
import io
import json
import stat
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.engines.base import Engine
from harness.errors import HarnessError
from tests.contract.conftest import DeployStack
from tests.contract.support import Stack, arn, eventually, queue

ECHO = "def handler(event, context):\n    return event\n"
FAILS = """
def handler(event, context):
    note(id=context.aws_request_id)
    raise ValueError("no luck with " + event["name"])
"""


def invoke_config(*, retries: int, **destinations: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::EventInvokeConfig",
        "Properties": {
            "FunctionName": {"Ref": "Fn"},
            "Qualifier": "$LATEST",
            "MaximumRetryAttempts": retries,
            "DestinationConfig": {k: {"Destination": arn(v)} for k, v in destinations.items()},
        },
    }


def invoke(made: Stack, payload: bytes = b"{}", **options: Any) -> Any:
    return made.engine.client("lambda").invoke(FunctionName=made.function, Payload=payload, **options)


def letter(made: Stack, source: str) -> dict[str, Any]:
    """Return the one message of a queue with its attributes."""

    def received() -> list[dict[str, Any]]:
        answer = made.engine.client("sqs").receive_message(
            QueueUrl=made.outputs[f"{source}Url"], WaitTimeSeconds=1, MessageAttributeNames=["All"]
        )
        return list(answer.get("Messages", []))

    (message,) = eventually(f"a message in {source}", received, seconds=60)
    return dict(message)


def log_lines(made: Stack, wanted: str) -> list[str]:
    """Return the function's log once a line of it holds `wanted`."""
    logs = made.engine.client("logs")

    def lines() -> list[str]:
        try:
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{made.function}")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        found = [e["message"].rstrip() for e in events]
        return found if any(wanted in line for line in found) else []

    return list(eventually(f"{wanted!r} in the log", lines, seconds=30))


def refused(made: Stack, payload: bytes = b"{}", **options: Any) -> tuple[str, str]:
    """Return the code and message with which an invocation is refused."""
    with pytest.raises(ClientError) as caught:
        invoke(made, payload, **options)
    error = caught.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


def test_asynchronous_event_when_it_is_retried_is_one_request(stack: DeployStack) -> None:
    made = stack(FAILS, {"Dlq": queue(), "Config": invoke_config(retries=1, OnFailure="Dlq")})
    accepted = invoke(made, b'{"name": "this"}', InvocationType="Event")
    assert accepted["StatusCode"] == 202
    record = json.loads(letter(made, "Dlq")["Body"])
    ids = {note["id"] for note in made.seen(2)}
    assert ids == {record["requestContext"]["requestId"]}


def test_asynchronous_event_when_its_function_has_a_dead_letter_queue_ends_there_as_it_was(stack: DeployStack) -> None:
    made = stack(
        FAILS,
        {"Letters": queue(), "Records": queue(), "Config": invoke_config(retries=0, OnFailure="Records")},
        DeadLetterConfig={"TargetArn": arn("Letters")},
    )
    invoke(made, b'{"name": "t\xc3\xa4st", "n": 12345678901234567890123}', InvocationType="Event")
    found = letter(made, "Letters")
    assert json.loads(found["Body"]) == {"name": "täst", "n": 12345678901234567890123}
    attributes = {k: (v["DataType"], v["StringValue"]) for k, v in found["MessageAttributes"].items()}
    (note,) = made.seen(1)
    assert attributes == {
        "RequestID": ("String", note["id"]),
        "ErrorCode": ("Number", "200"),
        "ErrorMessage": ("String", "no luck with täst"),
    }
    # A destination beside it gets its record all the same.
    record = json.loads(letter(made, "Records")["Body"])
    assert record["requestPayload"] == {"name": "täst", "n": 12345678901234567890123}
    assert record["requestContext"]["condition"] == "RetriesExhausted"


def test_asynchronous_event_when_it_succeeds_goes_to_the_success_destination(stack: DeployStack) -> None:
    made = stack(ECHO, {"Done": queue(), "Config": invoke_config(retries=0, OnSuccess="Done")})
    invoke(made, b'{"n": 1}', InvocationType="Event")
    record = json.loads(letter(made, "Done")["Body"])
    assert (record["requestPayload"], record["responsePayload"]) == ({"n": 1}, {"n": 1})
    assert record["requestContext"]["condition"] == "Success"


def test_asynchronous_event_when_its_function_is_switched_off_is_dead_lettered_unrun(stack: DeployStack) -> None:
    made = stack(
        FAILS, {"Letters": queue()}, DeadLetterConfig={"TargetArn": arn("Letters")}, ReservedConcurrentExecutions=0
    )
    invoke(made, b'{"name": "this"}', InvocationType="Event")
    found = letter(made, "Letters")
    assert json.loads(found["Body"]) == {"name": "this"}
    assert found["MessageAttributes"]["ErrorCode"]["StringValue"] == "429"
    assert made.take("Seen") == []


def test_asynchronous_event_when_larger_than_one_megabyte_is_refused(stack: DeployStack) -> None:
    made = stack(ECHO)
    limit = 1024 * 1024
    code, message = refused(made, json.dumps("x" * (limit - 1)).encode(), InvocationType="Event")
    assert code == "RequestEntityTooLargeException"
    assert f"{limit + 1} byte payload is too large for the Event invocation type (limit {limit} bytes)" in message
    assert invoke(made, json.dumps("x" * (limit - 2)).encode(), InvocationType="Event")["StatusCode"] == 202


def test_client_context_when_given_reaches_the_function(stack: DeployStack) -> None:
    made = stack("def handler(event, context):\n    return context.client_context.custom\n")
    context = base64.b64encode(json.dumps({"custom": {"tenant": "Zoë"}}, ensure_ascii=False).encode()).decode()
    assert json.loads(invoke(made, ClientContext=context)["Payload"].read()) == {"tenant": "Zoë"}


@pytest.mark.parametrize("context", ["no base64!", base64.b64encode(b"no json").decode()], ids=["no base64", "no json"])
def test_client_context_when_it_is_no_base64_of_json_is_refused(stack: DeployStack, context: str) -> None:
    code, message = refused(stack(ECHO), ClientContext=context)
    assert code == "InvalidRequestContentException"
    assert message == "Client context must be a valid Base64-encoded JSON object."


def test_log_tail_when_asked_for_has_the_last_four_kilobytes(stack: DeployStack) -> None:
    made = stack(
        """
        def handler(event, context):
            for number in range(event["lines"]):
                print("line", number)
        """
    )
    assert "LogResult" not in invoke(made, b'{"lines": 1}')
    few = base64.b64decode(invoke(made, b'{"lines": 2}', LogType="Tail")["LogResult"]).decode().splitlines()
    assert [line.split(" ")[0] for line in few] == ["START", "line", "line", "END", "REPORT"]
    many = base64.b64decode(invoke(made, b'{"lines": 2000}', LogType="Tail")["LogResult"]).decode()
    assert 3 * 1024 < len(many.encode()) <= 4 * 1024
    assert "line 1999\n" in many
    assert "REPORT RequestId:" in many


def test_request_id_when_a_function_answers_is_the_one_it_saw(stack: DeployStack) -> None:
    made = stack("def handler(event, context):\n    return context.aws_request_id\n")
    answer = invoke(made)
    assert answer["ResponseMetadata"]["RequestId"] == json.loads(answer["Payload"].read())
    assert answer["ExecutedVersion"] == "$LATEST"


def test_dry_run_when_asked_for_runs_nothing(stack: DeployStack) -> None:
    made = stack("def handler(event, context):\n    note(ran=True)\n")
    assert invoke(made, InvocationType="DryRun")["StatusCode"] == 204
    invoke(made)
    assert len(made.seen(1)) == 1


def test_qualifier_when_it_names_no_version_is_refused(stack: DeployStack) -> None:
    made = stack(ECHO)
    assert invoke(made, Qualifier="$LATEST")["StatusCode"] == 200
    code, message = refused(made, Qualifier="live")
    assert code == "ResourceNotFoundException"
    assert f"{made.function}:live" in message


@pytest.mark.parametrize(
    "name",
    ["AWS_REGION", "AWS_SESSION_TOKEN", "LAMBDA_TASK_ROOT"],
    ids=["region", "session token", "task root"],
)
def test_function_when_its_template_sets_a_reserved_variable_is_refused_by_name(stack: DeployStack, name: str) -> None:
    with pytest.raises(HarnessError, match=name):
        stack(ECHO, Environment={"Variables": {name: "x"}})


def test_function_when_its_variables_exceed_four_kilobytes_is_refused(stack: DeployStack) -> None:
    with pytest.raises(HarnessError, match=r"4 ?KB"):
        stack(ECHO, Environment={"Variables": {"LARGE": "x" * 4096}})


def test_environment_when_a_function_looks_has_every_variable_that_lambda_defines(stack: DeployStack) -> None:
    made = stack("def handler(event, context):\n    return dict(os.environ)\n")
    variables, _ = made.invoke()
    names = """
        _HANDLER _X_AMZN_TRACE_ID AWS_REGION AWS_DEFAULT_REGION AWS_EXECUTION_ENV AWS_LAMBDA_FUNCTION_NAME
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE
        AWS_LAMBDA_LOG_GROUP_NAME AWS_LAMBDA_LOG_STREAM_NAME AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
        AWS_SESSION_TOKEN AWS_LAMBDA_RUNTIME_API LAMBDA_TASK_ROOT LAMBDA_RUNTIME_DIR TZ LANG PATH LD_LIBRARY_PATH
        PYTHONPATH AWS_XRAY_CONTEXT_MISSING AWS_XRAY_DAEMON_ADDRESS
    """
    defined = names.split()
    assert [name for name in defined if not variables.get(name)] == []
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == made.function
    assert variables["AWS_LAMBDA_LOG_GROUP_NAME"] == f"/aws/lambda/{made.function}"
    assert variables["_HANDLER"] == "index.handler"


def test_variable_when_the_template_has_a_boolean_is_lower_case(stack: DeployStack) -> None:
    made = stack(
        "def handler(event, context):\n    return [os.environ[n] for n in ('ON', 'OFF', 'NUMBER')]\n",
        Environment={"Variables": {"ON": True, "OFF": False, "NUMBER": 7, "SEEN_URL": {"Ref": "Seen"}}},
    )
    assert made.invoke() == (["true", "false", "7"], "")


def test_variable_when_it_is_pythonpath_counts_for_imports(stack: DeployStack) -> None:
    made = stack(
        """
        import sys

        def handler(event, context):
            return ["/nowhere/mine" in sys.path, os.environ["PYTHONPATH"]]
        """,
        Environment={"Variables": {"PYTHONPATH": "/nowhere/mine", "SEEN_URL": {"Ref": "Seen"}}},
    )
    assert made.invoke() == ([True, "/nowhere/mine"], "")


def test_home_when_a_function_looks_is_nobodys_on_this_machine(stack: DeployStack) -> None:
    made = stack(
        """
        import pathlib, subprocess, sys

        def handler(event, context):
            child = "import os; print(os.path.expanduser('~'))"
            said = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True).stdout
            aws = pathlib.Path.home() / ".aws"
            return {"own": os.path.expanduser("~"), "child": said.strip(), "aws": aws.exists()}
        """
    )
    found, _ = made.invoke()
    assert str(Path("~").expanduser()) not in (found["own"], found["child"])
    assert found["own"] == found["child"]
    assert not found["aws"]


def test_log_when_its_format_is_json_holds_objects_with_level_time_and_request(stack: DeployStack) -> None:
    made = stack(
        """
        import logging

        def handler(event, context):
            logging.getLogger().info("too quiet")
            logging.getLogger().error("spoken")
            print("plain words")
            print('{"level": "debug", "timestamp": "2026-11-02T16:51:31.587Z", "message": "too quiet"}')
            print('{"level": "error", "timestamp": "2026-11-02T16:51:31.587Z", "message": "loud"}')
            return context.aws_request_id
        """,
        LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "WARN"},
    )
    request_id, _ = made.invoke()
    lines = log_lines(made, "loud")
    (entry,) = [json.loads(line) for line in lines if "spoken" in line]
    assert (entry["level"], entry["message"], entry["requestId"]) == ("ERROR", "spoken", request_id)
    assert "timestamp" in entry
    # What says nothing of its level has level INFO.
    assert not [line for line in lines if "too quiet" in line or "plain words" in line]


def test_system_log_when_the_format_is_json_holds_platform_events_of_its_level(stack: DeployStack) -> None:
    made = stack(
        "def handler(event, context):\n    return context.aws_request_id\n",
        LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "DEBUG"},
    )
    request_id, _ = made.invoke()
    events = [json.loads(line) for line in log_lines(made, "platform.report")]
    events = [e for e in events if e.get("record", {}).get("requestId") == request_id]
    kinds = [e["type"] for e in events]
    assert kinds == ["platform.start", "platform.runtimeDone", "platform.report"]
    report = events[-1]["record"]
    assert report["status"] == "success"
    assert {"durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB"} <= set(report["metrics"])
    assert report["metrics"]["memorySizeMB"] == 256


PACKAGED = """
import pathlib, subprocess
ROOT = pathlib.Path(__file__).parent / "bin"


def handler(event, context):
    said = subprocess.run([str(ROOT / "alias")], capture_output=True, text=True, check=True).stdout
    return [said.strip(), (ROOT / "alias").is_symlink(), (ROOT / "words").stat().st_mode & 0o777]
"""


def test_package_when_it_holds_a_program_and_a_link_keeps_both(stack: DeployStack, engine: Engine) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, mode, text in (
            ("bin/alias", stat.S_IFLNK | 0o777, "programs/tool"),
            ("bin/programs/tool", stat.S_IFREG | 0o755, "#!/bin/sh\necho here\n"),
            ("bin/words", stat.S_IFREG | 0o444, "read only"),
            ("index.py", stat.S_IFREG | 0o644, PACKAGED),
        ):
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, text)
    bucket, s3 = f"contract-{uuid.uuid4().hex[:8]}", engine.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="code.zip", Body=target.getvalue())
    made = stack("", Code={"S3Bucket": bucket, "S3Key": "code.zip"})
    assert made.invoke() == (["here", True, 0o444], "")
