"""The services that answer within the process, asked by the clients that handlers use."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from handlers.aws import AwsError, JsonClient, send_messages
from harness.gate.replay.stub import Ledger, Services, install

URL = "http://127.0.0.1:9"
SESSION = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    # Given back afterwards: the stub takes the place of all sockets of a process.
    monkeypatch.setattr(socket, "socket", socket.socket)
    made = Ledger(tmp_path / "requests")
    install(Services(made, {"uploads/a b.csv": b"0123456789"}))
    yield made
    os.close(made._file)


def client(service: str) -> JsonClient:
    return JsonClient(service, boto3.Session(**SESSION), URL)  # type: ignore[arg-type]


def s3() -> Any:
    return boto3.client("s3", endpoint_url=URL, config=Config(s3={"addressing_style": "path"}), **SESSION)  # type: ignore[call-overload]


def test_batches_when_sent_are_accepted_and_counted(ledger: Ledger) -> None:
    assert send_messages(client("sqs"), f"{URL}/1/q", ["a"] * 25, deadline=1e9) == []
    assert ledger.requests == {"SendMessageBatch": 3} and ledger.entries == {"SendMessageBatch": 25}
    assert ledger.taken_ns > 0 and not ledger.kept


def test_items_when_written_and_read_are_all_there(ledger: Ledger) -> None:
    dynamodb = client("dynamodb")
    keys = [{"record_id": {"S": str(n)}} for n in range(3)]
    puts = [{"PutRequest": {"Item": key}} for key in keys]
    assert dynamodb.call("BatchWriteItem", json.dumps({"RequestItems": {"t": puts}})) == {"UnprocessedItems": {}}
    found = dynamodb.call("BatchGetItem", json.dumps({"RequestItems": {"t": {"Keys": keys}}}))
    assert found["Responses"] == {"t": keys}
    assert ledger.entries == {"BatchWriteItem": 3, "BatchGetItem": 3}


def test_an_operation_that_is_not_known_is_refused_and_noted(ledger: Ledger) -> None:
    with pytest.raises(AwsError, match="does not answer Query"):
        client("dynamodb").call("Query", "{}")
    assert ledger.unknown == ["Query"]


def test_an_object_is_read_whole_in_ranges_and_by_head(ledger: Ledger) -> None:
    asked = {"Bucket": "uploads", "Key": "a b.csv"}
    head = s3().head_object(**asked)
    assert (head["ContentLength"], head["VersionId"]) == (10, "replay")
    part = s3().get_object(**asked, Range="bytes=2-4")
    assert part["ContentRange"] == "bytes 2-4/10" and part["Body"].read() == b"234"
    assert s3().get_object(**asked, Range="bytes=8-99")["Body"].read() == b"89"
    assert s3().get_object(**asked)["Body"].read() == b"0123456789"
    assert ledger.requests == {"HeadObject": 1, "GetObject": 3}


def test_an_object_that_is_not_there_is_missing(ledger: Ledger) -> None:
    with pytest.raises(ClientError, match="404"):
        s3().head_object(Bucket="uploads", Key="other.csv")


def test_an_upload_that_waits_for_leave_to_continue_is_taken(ledger: Ledger) -> None:
    assert s3().put_object(Bucket="uploads", Key="new", Body=b"x" * 200_000)["VersionId"] == "replay"
    assert ledger.requests == {"PutObject": 1}


def test_a_connection_is_kept_for_several_requests(ledger: Ledger) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", 9)
    for _ in range(3):
        connection.request("HEAD", "/uploads/a%20b.csv")
        answer = connection.getresponse()
        assert answer.status == 200 and not answer.read()
    assert ledger.requests == {"HeadObject": 3}


def test_a_request_without_a_length_is_refused(ledger: Ledger) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", 9)
    with pytest.raises(ValueError, match="Content-Length"):
        connection.request("PUT", "/uploads/x", body=iter([b"a", b"b"]), encode_chunked=True)


def test_recording_keeps_bodies_until_cleared(ledger: Ledger) -> None:
    ledger.recording = True
    client("sqs").call("SendMessage", '{"QueueUrl": "q", "MessageBody": "b"}')
    assert ledger.kept == [("SendMessage", '{"QueueUrl": "q", "MessageBody": "b"}')]
    ledger.clear()
    assert not ledger.kept and not ledger.requests and not ledger.taken_ns


def test_what_a_forked_child_asked_is_counted_once_it_has_ended(ledger: Ledger) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            send_messages(client("sqs"), f"{URL}/1/q", ["a"] * 12, deadline=1e9)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert not ledger.requests
    ledger.children()
    assert ledger.requests == {"SendMessageBatch": 2} and ledger.entries == {"SendMessageBatch": 12}
    assert ledger.taken_ns > 0
    ledger.children()
    assert ledger.requests == {"SendMessageBatch": 2}
