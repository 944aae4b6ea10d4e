"""Execution environments: crashes, time-outs, limits, isolation, asynchronous invocation."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import DeployStack
from tests.contract.support import arn, eventually, mapping, queue


def test_environment_when_reused_keeps_its_globals_and_reports_cold_start_once(stack: DeployStack) -> None:
    made = stack(
        """
        count = 0

        def handler(event, context):
            global count
            count += 1
            return {"count": count, "remaining": context.get_remaining_time_in_millis()}
        """
    )
    answers = [made.invoke()[0] for _ in range(3)]
    assert [a["count"] for a in answers] == [1, 2, 3]
    assert all(0 < a["remaining"] <= 10_000 for a in answers)


def test_function_when_it_raises_answers_with_type_and_message(stack: DeployStack) -> None:
    made = stack("def handler(event, context):\n    raise KeyError('missing')\n")
    answer, error = made.invoke()
    assert error == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("KeyError", "'missing'")


def test_function_when_its_code_does_not_import_answers_with_the_import_error(stack: DeployStack) -> None:
    made = stack("import no_such_module\ndef handler(event, context):\n    return 1\n")
    answer, error = made.invoke()
    assert error == "Unhandled"
    assert "no_such_module" in answer["errorMessage"]


def test_timeout_when_function_has_children_kills_them_too(stack: DeployStack) -> None:
    made = stack(
        """
        import pathlib, subprocess, sys

        MARK = "contract-test-child-" + os.environ["AWS_LAMBDA_FUNCTION_NAME"]

        def alive():
            found = []
            for entry in pathlib.Path("/proc").glob("[0-9]*"):
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\\0")
                except OSError:  # it ended meanwhile
                    continue
                if MARK.encode() in words:
                    found.append(int(entry.name))
            return found

        def handler(event, context):
            if event.get("look"):
                return alive()
            code = (
                "import os,sys,time\\n"
                "if sys.argv[1] == 'detached': os.setsid()\\n"
                "time.sleep(120)\\n"
            )
            children = [
                subprocess.Popen([sys.executable, "-c", code, kind, MARK]) for kind in ("plain", "detached")
            ]
            pids = [c.pid for c in children]
            # Popen returns on exec, a moment before the kernel fills in the command line that alive() reads.
            until = time.monotonic() + 1
            while set(alive()) != set(pids) and time.monotonic() < until:
                time.sleep(0.01)
            note(pids=pids, seen=alive())
            time.sleep(60)
        """,
        Timeout=2,
    )
    answer, error = made.invoke()
    assert error == "Unhandled"
    assert "Task timed out after 2.00 seconds" in answer["errorMessage"]
    (noted,) = made.seen(1)
    assert sorted(noted["seen"]) == sorted(noted["pids"]), "the function cannot see its children, so would find none"
    eventually("children gone", lambda: made.invoke({"look": True}) == ([], ""), seconds=20)
    if made.engine.name == "embedded":
        assert not any(_alive(pid) for pid in noted["pids"])


def _alive(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    "death",
    [
        "os._exit(7)",
        "os.kill(os.getpid(), 9)",
        "x = [bytearray(16 * 1024 * 1024) for _ in range(64)]",
    ],
    ids=["exit", "sigkill", "out-of-memory"],
)
def test_crash_when_processing_a_message_costs_one_retry_and_loses_nothing(stack: DeployStack, death: str) -> None:
    made = stack(
        f"""
        def handler(event, context):
            record = event["Records"][0]
            note(body=record["body"], receive=record["attributes"]["ApproximateReceiveCount"])
            if record["body"] == "deadly" and record["attributes"]["ApproximateReceiveCount"] == "1":
                {death}
            note(done=record["body"])
        """,
        {
            "Dlq": queue(),
            "Queue": queue(visibility=4, dlq="Dlq"),
            "Map": mapping(arn("Queue"), BatchSize=1),
        },
    )
    made.send("fine", "deadly", "fine too")
    made.drained()
    notes = made.seen(7, seconds=30)
    assert sorted(n["done"] for n in notes if "done" in n) == ["deadly", "fine", "fine too"]
    assert sorted(n["receive"] for n in notes if n.get("body") == "deadly") == ["1", "2"]
    assert made.take("Dlq") == []


def test_descriptors_when_a_function_opens_too_many_raises_the_real_error(stack: DeployStack) -> None:
    made = stack(
        """
        def handler(event, context):
            held = []
            try:
                while len(held) < 5000:
                    held.append(open(os.devnull))
            except OSError as error:
                count = len(held)
                for f in held:
                    f.close()
                return {"errno": error.errno, "count": count}
            return {"errno": 0, "count": len(held)}
        """
    )
    answer, _ = made.invoke()
    assert answer["errno"] == 24
    assert 900 < answer["count"] < 1024


def test_shared_memory_when_a_function_uses_multiprocessing_queue_raises_oserror(stack: DeployStack) -> None:
    made = stack(
        """
        import multiprocessing

        def child(connection):
            connection.send(os.getpid())

        def handler(event, context):
            outcome = {}
            for name in ("Queue", "Lock", "Pool"):
                try:
                    getattr(multiprocessing, name)()
                    outcome[name] = "works"
                except OSError:
                    outcome[name] = "OSError"
            here, there = multiprocessing.Pipe()
            process = multiprocessing.Process(target=child, args=(there,))
            process.start()
            outcome["Process"] = "works" if here.recv() == process.pid else "wrong"
            process.join()
            return outcome
        """
    )
    # Our Lambda service hides it where the machine lets it; an engine that never does is declared in `fidelity`.
    own = made.engine.name != "localstack"
    if own and made.engine.report().limits["no /dev/shm"].startswith("not enforced"):
        pytest.skip("this machine cannot hide /dev/shm")
    answer, _ = made.invoke()
    assert answer == {"Queue": "OSError", "Lock": "OSError", "Pool": "OSError", "Process": "works"}


def test_environment_when_host_has_variables_and_packages_sees_none_of_them(
    stack: DeployStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stack(
        """
        import importlib.util

        def handler(event, context):
            hidden = ("ministack", "rich", "typer", "pytest", "harness", "locust", "aiohttp")
            return {
                "variables": sorted(os.environ),
                "importable": [n for n in hidden if importlib.util.find_spec(n)],
                "runtime": [n for n in ("boto3", "awslambdaric") if importlib.util.find_spec(n)],
                "own": os.environ["OWN"],
            }
        """,
        Environment={"Variables": {"OWN": "yes", "SEEN_URL": {"Ref": "Seen"}}},
    )
    answer, _ = made.invoke()
    assert answer["importable"] == []
    assert answer["runtime"] == ["boto3", "awslambdaric"]
    assert answer["own"] == "yes"
    allowed_prefixes = ("AWS_", "LAMBDA_", "_")
    allowed = {"OWN", "SEEN_URL", "PATH", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH"}
    assert [v for v in answer["variables"] if not v.startswith(allowed_prefixes) and v not in allowed] == []


def test_response_when_larger_than_six_megabytes_is_an_error(stack: DeployStack) -> None:
    # AWS names 6,291,556 bytes as its maximum: 6 MB and 100 bytes.
    made = stack("def handler(event, context):\n    return 'x' * (6 * 1024 * 1024 + 100)\n")
    answer, error = made.invoke()
    assert error == "Unhandled"
    assert answer["errorType"] == "Function.ResponseSizeTooLarge"


def test_request_when_larger_than_six_megabytes_is_refused(stack: DeployStack) -> None:
    made = stack("def handler(event, context):\n    return 1\n")
    with pytest.raises(ClientError) as caught:
        made.engine.client("lambda").invoke(
            FunctionName=made.function, Payload=json.dumps("x" * (6 * 1024 * 1024)).encode()
        )
    # What the service answers; the API model names RequestTooLargeException.
    assert caught.value.response["Error"]["Code"] == "RequestEntityTooLargeException"


def test_asynchronous_event_when_function_fails_is_retried_twice_then_sent_to_destination(
    stack: DeployStack,
) -> None:
    made = stack(
        """
        def handler(event, context):
            note(attempt=context.aws_request_id)
            raise ValueError("always")
        """,
        {
            "Dlq": queue(),
            "Config": {
                "Type": "AWS::Lambda::EventInvokeConfig",
                "Properties": {
                    "FunctionName": {"Ref": "Fn"},
                    "Qualifier": "$LATEST",
                    "MaximumRetryAttempts": 2,
                    "DestinationConfig": {"OnFailure": {"Destination": arn("Dlq")}},
                },
            },
        },
    )
    made.engine.client("lambda").invoke(
        FunctionName=made.function, InvocationType="Event", Payload=json.dumps({"n": 1}).encode()
    )
    (letter,) = made.collect("Dlq", 1)
    assert letter["requestPayload"] == {"n": 1}
    assert letter["requestContext"]["condition"] == "RetriesExhausted"
    assert letter["requestContext"]["approximateInvokeCount"] == 3
    assert letter["responsePayload"]["errorType"] == "ValueError"
    assert len(made.seen(3)) == 3


def test_invocation_when_no_concurrency_is_left_is_throttled(stack: DeployStack) -> None:
    made = stack("def handler(event, context):\n    return 1\n", ReservedConcurrentExecutions=0)
    client = made.engine.client("lambda")
    with pytest.raises(client.exceptions.TooManyRequestsException):
        client.invoke(FunctionName=made.function, Payload=b"{}")


def test_output_when_a_function_prints_reaches_its_log_group_with_a_report_line(stack: DeployStack) -> None:
    made = stack("def handler(event, context):\n    print('a line of its own')\n")
    made.invoke()

    logs = made.engine.client("logs")

    def messages() -> list[str]:
        try:
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{made.function}")
        except logs.exceptions.ResourceNotFoundException:
            return []
        found = [e["message"].rstrip() for e in events["events"]]
        return found if any(m.startswith("REPORT") for m in found) else []

    lines = eventually("log lines", messages)
    kinds = [line.split(" ", 1)[0] for line in lines if not line.startswith("INIT_START")]
    assert kinds == ["START", "a", "END", "REPORT"]
    assert "Init Duration" in lines[-1]
