"""What is done to requests: order of rules, parts of batches, names in requests; no socket."""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections.abc import Awaitable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data_plane.chaos.calls import call_of
from harness.data_plane.chaos.injection import CONTROL_PATH, OBSERVER, Injector
from harness.data_plane.http_server import Answer, Headers
from tests.unit.data_plane.chaos.support import TARGETS, Service, rules

WRITE = 'service = "dynamodb"\noperation = "BatchWriteItem"\n'
SEND = 'service = "sqs"\noperation = "SendMessageBatch"\n'
THROTTLE = WRITE + 'effect = "error"\ncode = "ThrottlingException"\n'
HALF = WRITE + 'effect = "partial"\n'


def puts(*ids: int) -> list[Any]:
    return [{"PutRequest": {"Item": {"id": {"S": str(i)}}}} for i in ids]


def counts(service: Service) -> list[tuple[int, int]]:
    status, _, body = service.injector.handle(CONTROL_PATH, {}, b"")  # type: ignore[misc]
    assert status == 200
    return [(found["matched"], found["injected"]) for found in orjson.loads(body)["rules"]]


def test_request_when_no_rule_is_about_it_passes_untouched() -> None:
    service = Service(THROTTLE)
    assert service.call("dynamodb", "PutItem", {"TableName": "t"})[0] == 200
    assert service.call("sqs", "SendMessage", {})[0] == 200
    assert len(service.seen) == 2
    assert counts(service) == [(0, 0)]


def test_error_when_injected_is_answered_and_nothing_carried_out() -> None:
    service = Service(THROTTLE)
    status, _, body = service.call("dynamodb", "BatchWriteItem", {"RequestItems": {"t": puts(1)}})
    assert (status, orjson.loads(body)["__type"]) == (400, "com.amazonaws.dynamodb.v20120810#ThrottlingException")
    assert service.seen == []
    assert counts(service) == [(1, 1)]


def test_observer_when_it_calls_is_never_hit_nor_counted() -> None:
    service = Service(THROTTLE)
    request = {"RequestItems": {"t": puts(1)}}
    agent = f"Boto3/1 md/x {OBSERVER}".encode()
    assert service.call("dynamodb", "BatchWriteItem", request, user_agent=agent)[0] == 200
    assert counts(service) == [(0, 0)]


def test_path_of_no_aws_api_when_it_is_asked_is_never_hit_nor_counted() -> None:
    service = Service(THROTTLE)
    request = {"RequestItems": {"t": puts(1)}}
    assert service.call("dynamodb", "BatchWriteItem", request, target="/_tables/unmetered")[0] == 200
    assert counts(service) == [(0, 0)]


def test_first_rule_when_several_fire_wins_and_every_one_counts_the_request() -> None:
    service = Service(THROTTLE + "times = 1", WRITE + 'effect = "error"\ncode = "InternalServerError"')
    request = {"RequestItems": {"t": puts(1)}}
    assert [service.call("dynamodb", "BatchWriteItem", request)[0] for _ in range(3)] == [400, 500, 500]
    assert counts(service) == [(3, 1), (3, 2)]


def test_window_when_it_is_over_ends_the_faults() -> None:
    service = Service(THROTTLE + "from = 10\nuntil = 20")
    said = []
    for service.now in (0.0, 9.9, 10.0, 19.9, 20.0):
        said.append(service.call("dynamodb", "BatchWriteItem", {"RequestItems": {"t": puts(1)}})[0])
    assert said == [200, 200, 400, 400, 200]


def test_latency_when_injected_delays_and_adds_to_another_rules_fault() -> None:
    async def run() -> None:
        service = Service(WRITE + 'effect = "latency"\nseconds = 0.001', THROTTLE)
        answer = service.call("dynamodb", "BatchWriteItem", {"RequestItems": {"t": puts(1)}})
        assert not isinstance(answer, tuple)
        assert (await answer)[0] == 400
        assert counts(service) == [(1, 1), (1, 1)]

    asyncio.run(run())


@pytest.mark.parametrize(("when", "carried_out"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("delay", [False, True])
def test_drop_when_injected_closes_before_or_after_carrying_out(when: str, carried_out: int, delay: bool) -> None:
    async def run() -> None:
        drop = WRITE + f'effect = "drop"\nwhen = "{when}"'
        service = Service(*([WRITE + 'effect = "latency"\nseconds = 0.001'] if delay else []), drop)
        answer = service.call("dynamodb", "BatchWriteItem", {"RequestItems": {"t": puts(1)}})
        with pytest.raises(asyncio.CancelledError):
            await answer
        assert len(service.seen) == carried_out

    asyncio.run(run())


def test_drop_after_when_the_service_answers_later_waits_for_it() -> None:
    async def run() -> None:
        done = []

        async def later() -> Answer:
            await asyncio.sleep(0)
            done.append(True)
            return 200, (), b"{}"

        def serve(_target: str, _headers: Headers, _body: bytes) -> Awaitable[Answer]:
            return later()

        rule = 'service = "sqs"\noperation = "ReceiveMessage"\neffect = "drop"\nwhen = "after"'
        injector = Injector(rules(rule), serve)
        with pytest.raises(asyncio.CancelledError):
            await injector.handle("/", {b"x-amz-target": b"AmazonSQS.ReceiveMessage"}, b"{}")  # type: ignore[misc]
        assert done

    asyncio.run(run())


# parts of batches


@given(st.integers(2, 25), st.floats(0.01, 0.9), st.integers(0, 1000))
def test_write_when_it_fails_in_part_writes_one_part_and_returns_the_other(n: int, share: float, seed: int) -> None:
    service = Service(HALF + f"fraction = {share:f}\nseed = {seed}")
    status, _, body = service.call("dynamodb", "BatchWriteItem", {"RequestItems": {"t": puts(*range(n))}})
    size = min(n, max(1, int(n * float(f"{share:f}") + 0.5)))
    if size == n:
        assert status == 400 and not service.seen
        assert orjson.loads(body)["__type"].endswith("#ProvisionedThroughputExceededException")
        return
    written = orjson.loads(service.seen[0][1])["RequestItems"]["t"]
    undone = orjson.loads(body)["UnprocessedItems"]["t"]
    assert len(undone) == size
    assert sorted(map(orjson.dumps, written + undone)) == sorted(map(orjson.dumps, puts(*range(n))))


def test_write_when_the_service_leaves_items_undone_itself_returns_both() -> None:
    service = Service(HALF, answer={"UnprocessedItems": {"t": puts(99), "u": puts(98)}})
    _, _, body = service.call("dynamodb", "BatchWriteItem", {"RequestItems": {"t": puts(*range(4))}})
    undone = orjson.loads(body)["UnprocessedItems"]
    assert len(undone["t"]) == 3 and puts(99)[0] in undone["t"]
    assert undone["u"] == puts(98)


def test_write_when_the_rule_is_about_one_table_leaves_the_others_alone() -> None:
    service = Service(HALF + 'resource = "a*"\nfraction = 1')
    _, _, body = service.call("dynamodb", "BatchWriteItem", {"RequestItems": {"ab": puts(1, 2), "b": puts(3)}})
    assert orjson.loads(service.seen[0][1])["RequestItems"] == {"b": puts(3)}
    assert orjson.loads(body)["UnprocessedItems"] == {"ab": puts(1, 2)}


def test_read_when_it_fails_in_part_returns_the_other_keys_with_their_settings() -> None:
    service = Service(
        'service = "dynamodb"\noperation = "BatchGetItem"\neffect = "partial"\nfraction = 0.5',
        answer={"Responses": {"t": []}, "UnprocessedKeys": {}},
    )
    asked = {"t": {"Keys": [{"id": {"S": str(i)}} for i in range(4)], "ConsistentRead": True}}
    _, _, body = service.call("dynamodb", "BatchGetItem", {"RequestItems": asked})
    read = orjson.loads(service.seen[0][1])["RequestItems"]["t"]
    undone = orjson.loads(body)["UnprocessedKeys"]["t"]
    assert read["ConsistentRead"] is undone["ConsistentRead"] is True
    assert sorted(key["id"]["S"] for key in read["Keys"] + undone["Keys"]) == ["0", "1", "2", "3"]
    assert len(undone["Keys"]) == 2


def test_checksum_when_an_answer_is_changed_fits_it() -> None:
    def serve(_target: str, _headers: Headers, body: bytes) -> Answer:
        return 200, ((b"x-amz-crc32", b"1"),), b'{"UnprocessedItems":{}}'

    injector = Injector(rules(HALF), serve)
    named = {b"x-amz-target": TARGETS["dynamodb"] + b".BatchWriteItem"}
    body = orjson.dumps({"RequestItems": {"t": puts(1, 2)}})
    _, headers, answer = injector.handle("/", named, body)  # type: ignore[misc]
    assert dict(headers)[b"x-amz-crc32"] == b"%d" % zlib.crc32(answer)


@pytest.mark.parametrize(
    "request_items",
    [None, {}, {"t": []}, {"t": 1}, {"t": puts(*range(26))}],
    ids=["none", "empty", "no-items", "no-list", "too-many"],
)
def test_write_when_it_must_be_refused_reaches_the_service_whole(request_items: Any) -> None:
    service = Service(HALF)
    request = {"RequestItems": request_items}
    service.call("dynamodb", "BatchWriteItem", request)
    assert [orjson.loads(body) for _, body in service.seen] == [request]
    assert counts(service) == [(1, 0)]


@given(st.integers(1, 10), st.floats(0.01, 1))
def test_send_when_it_fails_in_part_says_which_entries_were_not_sent(n: int, share: float) -> None:
    service = Service(SEND + f'effect = "partial"\ncode = "Busy"\nsender_fault = true\nfraction = {share:f}')
    entries = [{"Id": f"e{i}", "MessageBody": str(i)} for i in range(n)]
    _, _, body = service.call("sqs", "SendMessageBatch", {"QueueUrl": "http://h/0/q", "Entries": entries})
    failed = orjson.loads(body)["Failed"]
    assert all((f["Code"], f["SenderFault"]) == ("Busy", True) for f in failed)
    sent = [e for _, seen in service.seen for e in orjson.loads(seen)["Entries"]]
    assert sorted([f["Id"] for f in failed] + [e["Id"] for e in sent]) == sorted(e["Id"] for e in entries)


@pytest.mark.parametrize("ids", [[], ["a", "a"], [None, "b"], [str(i) for i in range(11)]])
def test_send_when_it_must_be_refused_reaches_the_service_whole(ids: list[Any]) -> None:
    service = Service(SEND + 'effect = "partial"')
    request = {"QueueUrl": "q", "Entries": [{"Id": i, "MessageBody": "x"} for i in ids]}
    service.call("sqs", "SendMessageBatch", request)
    assert [orjson.loads(body) for _, body in service.seen] == [request]


def test_body_when_it_is_no_json_is_left_to_the_service() -> None:
    service = Service(SEND + 'effect = "partial"\nresource = "*"')
    named = {b"x-amz-target": b"AmazonSQS.SendMessageBatch"}
    for body in (b"{", b"[]", b"\xff"):
        service.injector.handle("/", named, body)
    assert [body for _, body in service.seen] == [b"{", b"[]", b"\xff"]


# names


ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/t1"


@pytest.mark.parametrize(
    ("service", "request_", "names"),
    [
        ("sqs", {"QueueUrl": "http://127.0.0.1:1/000000000000/q1"}, {"q1"}),
        ("sqs", {"QueueName": "q1"}, {"q1"}),
        ("sqs", {"SourceArn": "arn:aws:sqs:us-east-1:0:q1"}, {"q1"}),
        ("sqs", {}, set()),
        ("sqs", {"QueueUrl": 7}, set()),
        ("dynamodb", {"TableName": "t1"}, {"t1"}),
        ("dynamodb", {"TableName": ARN}, {"t1"}),
        ("dynamodb", {"ResourceArn": ARN}, {"t1"}),
        ("dynamodb", {"RequestItems": {"t1": [], "t2": []}}, {"t1", "t2"}),
        ("dynamodb", {"TransactItems": [{"Put": {"TableName": "t1"}}, {"Get": {"TableName": "t2"}}, 3]}, {"t1", "t2"}),
        ("dynamodbstreams", {"StreamArn": ARN + "/stream/2026-01-01T00:00:00.000"}, {"t1"}),
        ("dynamodbstreams", {"ShardIterator": base64.b64encode(f"ab|1|{ARN}/stream/x".encode()).decode()}, {"t1"}),
        ("dynamodbstreams", {"ShardIterator": "%%%"}, set()),
    ],
)
def test_resources_when_a_request_names_them_are_found(service: str, request_: Any, names: set[str]) -> None:
    call = call_of("/", {b"x-amz-target": TARGETS[service] + b".Any"}, orjson.dumps(request_))
    assert call is not None and call.resources() == names


def test_form_when_it_names_its_queue_by_path_is_found() -> None:
    call = call_of("/000000000000/q1?Action=ReceiveMessage", {}, b"MaxNumberOfMessages=1")
    assert call is not None
    assert (call.service, call.operation, call.resources()) == ("sqs", "ReceiveMessage", frozenset({"q1"}))


@pytest.mark.parametrize(("target", "body"), [("/", b""), ("/", b"\xff\xff"), ("/health", b"")])
def test_request_when_it_is_of_no_known_protocol_is_none(target: str, body: bytes) -> None:
    assert call_of(target, {}, body) is None
