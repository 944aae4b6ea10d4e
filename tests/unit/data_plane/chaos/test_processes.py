"""Both processes with rules, asked by boto3 and by the query protocol over a socket."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from harness.lambda_service.bootstrap import PARENT_VARIABLE

NS = "{http://queue.amazonaws.com/doc/2012-11-05/}"

RULES = """
[[rule]]
service = "sqs"
operation = "SendMessage"
resource = "limited"
effect = "error"
code = "OverLimit"
message = "too <many>"

[[rule]]
service = "sqs"
operation = "SendMessageBatch"
resource = "half"
effect = "partial"
code = "InternalError"

[[rule]]
service = "sqs"
operation = "SendMessageBatch"
resource = "none"
effect = "partial"
fraction = 1

[[rule]]
service = "sqs"
operation = "DeleteMessageBatch"
resource = "half"
effect = "partial"

[[rule]]
service = "sqs"
operation = "SendMessage"
resource = "lost"
effect = "drop"
when = "after"

[[rule]]
service = "sqs"
operation = "SendMessage"
resource = "unsent"
effect = "drop"
when = "before"

[[rule]]
service = "sqs"
operation = "*"
resource = "missing"
effect = "error"
code = "QueueDoesNotExist"

[[rule]]
service = "dynamodb"
operation = "BatchWriteItem"
resource = "half"
effect = "partial"

[[rule]]
service = "dynamodb"
operation = "BatchGetItem"
resource = "half"
effect = "partial"

[[rule]]
service = "dynamodb"
operation = "PutItem"
resource = "throttled"
effect = "error"
code = "ProvisionedThroughputExceededException"
times = 2

[[rule]]
service = "dynamodb"
operation = "PutItem"
resource = "lost"
effect = "drop"
when = "after"

[[rule]]
service = "dynamodbstreams"
operation = "GetRecords"
resource = "half"
effect = "error"
code = "InternalServerError"
"""

Url = Callable[[str], str]


@contextlib.contextmanager
def serving(module: str, *options: str) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"harness.data_plane.{module}", *options],
        stdout=subprocess.PIPE,
        env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "rules.toml"
    path.write_text(RULES)
    return path


@pytest.fixture(scope="module")
def queues_url(rules: Path) -> Iterator[str]:
    with serving("queues", "--chaos", str(rules)) as url:
        yield url


@pytest.fixture(scope="module")
def tables_url(rules: Path) -> Iterator[str]:
    with serving("tables", "--chaos", str(rules)) as url:
        yield url


def client(service: Any, url: str, attempts: int = 1) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}),
    )


def form(url: str, **fields: str) -> tuple[int, ET.Element]:
    request = urllib.request.Request(url, urllib.parse.urlencode(fields).encode())
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, ET.fromstring(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, ET.fromstring(error.read())


def entries(*ids: str) -> list[dict[str, str]]:
    return [{"Id": i, "MessageBody": f"body {i}"} for i in ids]


def form_of(action: str, url: str, *ids: str) -> dict[str, str]:
    fields = {"Action": action, "QueueUrl": url}
    for n, name in enumerate(ids, start=1):
        fields |= {f"{action}RequestEntry.{n}.Id": name, f"{action}RequestEntry.{n}.MessageBody": f"body {name}"}
    return fields


def bodies(sqs: Any, url: str) -> set[str]:
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
    return {message["Body"] for message in found}


def test_send_when_over_limit_is_injected_is_told_as_sqs_tells_it(queues_url: str) -> None:
    sqs = client("sqs", queues_url)
    url = sqs.create_queue(QueueName="limited")["QueueUrl"]
    with pytest.raises(sqs.exceptions.OverLimit) as refused:
        sqs.send_message(QueueUrl=url, MessageBody="x")
    assert refused.value.response["Error"]["Message"] == "too <many>"
    status, root = form(queues_url, Action="SendMessage", QueueUrl=url, MessageBody="x")
    assert status == 403
    assert [root.findtext(f"{NS}Error/{NS}{name}") for name in ("Type", "Code", "Message")] == [
        "Sender",
        "OverLimit",
        "too <many>",
    ]
    assert not bodies(sqs, url)


def test_error_when_it_has_two_names_is_the_one_that_boto3_knows(queues_url: str) -> None:
    sqs = client("sqs", queues_url)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as refused:
        sqs.get_queue_url(QueueName="missing")
    assert refused.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"


def test_batch_when_it_fails_in_part_sends_the_rest_in_both_protocols(queues_url: str) -> None:
    sqs = client("sqs", queues_url)
    url = sqs.create_queue(QueueName="half")["QueueUrl"]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries("a", "b", "c", "d"))
    failed = {entry["Id"] for entry in answer["Failed"]}
    sent = {entry["Id"] for entry in answer["Successful"]}
    assert (len(failed), failed | sent) == (2, {"a", "b", "c", "d"})
    assert {(e["Code"], e["SenderFault"]) for e in answer["Failed"]} == {("InternalError", False)}
    assert bodies(sqs, url) == {f"body {i}" for i in sent}

    status, root = form(queues_url, **form_of("SendMessageBatch", url, "e", "f", "g", "h"))
    assert status == 200
    result = root.find(f"{NS}SendMessageBatchResult")
    assert result is not None
    also_failed = {e.findtext(f"{NS}Id") for e in result.findall(f"{NS}BatchResultErrorEntry")}
    also_sent = {e.findtext(f"{NS}Id") for e in result.findall(f"{NS}SendMessageBatchResultEntry")}
    assert (len(also_failed), also_failed | also_sent) == (2, {"e", "f", "g", "h"})
    assert {e.findtext(f"{NS}SenderFault") for e in result.findall(f"{NS}BatchResultErrorEntry")} == {"false"}
    assert bodies(sqs, url) == {f"body {i}" for i in sent | also_sent}

    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)["Messages"]
    handles = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(received)]
    deleted = sqs.delete_message_batch(QueueUrl=url, Entries=handles)
    left = {received[int(e["Id"])]["Body"] for e in deleted["Failed"]}
    assert len(left) == 2 and bodies(sqs, url) == left


def test_batch_when_all_of_it_fails_sends_nothing_in_both_protocols(queues_url: str) -> None:
    sqs = client("sqs", queues_url)
    url = sqs.create_queue(QueueName="none")["QueueUrl"]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries("a", "b"))
    assert (answer["Successful"], [e["Id"] for e in answer["Failed"]]) == ([], ["a", "b"])
    status, root = form(queues_url, **form_of("SendMessageBatch", url, "a", "b"))
    assert status == 200
    assert [e.findtext(f"{NS}Id") for e in root.iter(f"{NS}BatchResultErrorEntry")] == ["a", "b"]
    assert not bodies(sqs, url)


def test_connection_when_dropped_after_carrying_out_leaves_the_message_and_before_it_none(queues_url: str) -> None:
    sqs = client("sqs", queues_url)
    for name, found in (("lost", {"x"}), ("unsent", set[str]())):
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        with pytest.raises(ConnectionClosedError):
            sqs.send_message(QueueUrl=url, MessageBody="x")
        assert bodies(sqs, url) == found


def table(tables_url: str, name: str, **more: Any) -> Any:
    dynamodb = client("dynamodb", tables_url, attempts=3)
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )
    return dynamodb


def ids_of(found: dict[str, Any]) -> set[str]:
    return {item["id"]["S"] for item in found["Items"]}


def test_items_when_a_batch_fails_in_part_are_written_or_returned_and_read_or_returned(tables_url: str) -> None:
    stream = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}}
    dynamodb = table(tables_url, "half", **stream)
    items = [{"PutRequest": {"Item": {"id": {"S": str(n)}}}} for n in range(10)]
    answer = dynamodb.batch_write_item(RequestItems={"half": items}, ReturnConsumedCapacity="TOTAL")
    undone = {e["PutRequest"]["Item"]["id"]["S"] for e in answer["UnprocessedItems"]["half"]}
    assert len(undone) == 5
    assert ids_of(dynamodb.scan(TableName="half")) == {str(n) for n in range(10)} - undone
    assert answer["ConsumedCapacity"][0]["CapacityUnits"] == 5.0

    keys = [{"id": {"S": str(n)}} for n in range(10)]
    read = dynamodb.batch_get_item(RequestItems={"half": {"Keys": keys}})
    assert len(read["UnprocessedKeys"]["half"]["Keys"]) == 5

    streams = client("dynamodbstreams", tables_url)
    arn = dynamodb.describe_table(TableName="half")["Table"]["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    with pytest.raises(ClientError) as refused:
        streams.get_records(ShardIterator=iterator["ShardIterator"])
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_put_when_throttled_twice_is_retried_by_boto3(tables_url: str) -> None:
    dynamodb = table(tables_url, "throttled")
    answer = dynamodb.put_item(TableName="throttled", Item={"id": {"S": "1"}})
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2


def test_put_when_its_answer_is_lost_is_written_all_the_same(tables_url: str) -> None:
    dynamodb = table(tables_url, "lost")
    with pytest.raises(ConnectionClosedError):
        dynamodb.put_item(TableName="lost", Item={"id": {"S": "1"}})
    assert ids_of(dynamodb.scan(TableName="lost")) == {"1"}


def test_control_path_tells_of_each_rule_of_the_process_alone(queues_url: str, tables_url: str) -> None:
    for url, numbers in ((queues_url, range(1, 8)), (tables_url, range(8, 13))):
        with urllib.request.urlopen(f"{url}/_chaos", timeout=20) as answer:
            rules = json.loads(answer.read())["rules"]
        assert [rule["rule"] for rule in rules] == list(numbers)
        assert all(0 <= rule["injected"] <= rule["matched"] for rule in rules)


@pytest.mark.parametrize("module", ["queues", "tables"])
def test_process_when_its_rules_are_wrong_says_so_and_does_not_start(module: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[[rule]]\nservice = "sqs"\noperation = "*"\neffect = "latency"\nseconds = -1\n')
    done = subprocess.run(
        [sys.executable, "-m", f"harness.data_plane.{module}", "--chaos", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "rule 1: seconds = -1" in done.stderr and "Traceback" not in done.stderr
