"""How many requests a queue is billed: the counts alone, and of a service that is asked over HTTP."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data_plane.queues.message import content
from harness.data_plane.queues.meter import RequestMeter, chunks, text_bytes
from harness.data_plane.queues.paths import USAGE_PATH
from tests.unit.data_plane.queues.api import MakeQueue

KB64 = 64 * 1024


def usage(service_url: str, queue_url: str) -> dict[str, int]:
    with urllib.request.urlopen(service_url + USAGE_PATH, timeout=10) as answer:
        found: dict[str, int] = json.load(answer)["Queues"][queue_url.rsplit("/", 1)[-1]]
    return found


@pytest.mark.parametrize(("payload", "billed"), [(0, 1), (KB64, 1), (KB64 + 1, 2), (1024 * 1024, 16)])
def test_chunks_are_one_for_each_64_kb_begun(payload: int, billed: int) -> None:
    assert chunks(payload) == billed


@given(st.text())
def test_text_bytes_of_any_text_are_those_of_utf_8(text: str) -> None:
    assert text_bytes(orjson.dumps(text)) == len(text.encode())
    assert text_bytes(json.dumps(text).encode()) == len(text.encode())


@pytest.mark.parametrize("text", ['{"a":"b"}', "ends with \\", '\\"', '"', "\x01\n", ""])
def test_text_bytes_of_escapes_are_counted_as_what_they_stand_for(text: str) -> None:
    assert text_bytes(orjson.dumps(text)) == len(text.encode())


def test_received_when_quotes_alone_pass_the_chunk_counts_the_text_and_not_its_json() -> None:
    meter = RequestMeter()
    # 65,536 quotes are 131,074 bytes of JSON and one chunk of text
    meter.received([content("0" * 32, "1" * 36, orjson.dumps('"' * KB64))])
    assert meter.receives == 1
    meter.received([content("0" * 32, "1" * 36, orjson.dumps(text)) for text in ('"' * KB64, "x")])
    assert meter.receives == 3


def test_usage_counts_each_request_as_it_is_billed(service_url: str, sqs: Any, new_queue: Callable[..., str]) -> None:
    url = new_queue()
    assert usage(service_url, url) == {"Sends": 0, "Receives": 0, "EmptyReceives": 0, "Others": 0}
    sqs.send_message(QueueUrl=url, MessageBody="x" * (KB64 + 1))
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": i, "MessageBody": "small"} for i in "abc"])
    assert usage(service_url, url)["Sends"] == 2 + 1
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert len(messages) == 4
    # 65,537 + 15 bytes are two chunks
    assert usage(service_url, url)["Receives"] == 2
    handles = [message["ReceiptHandle"] for message in messages]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handles[0], VisibilityTimeout=60)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handles[0])
    entries = [{"Id": str(i), "ReceiptHandle": handle} for i, handle in enumerate(handles[1:])]
    sqs.change_message_visibility_batch(QueueUrl=url, Entries=[e | {"VisibilityTimeout": 60} for e in entries])
    sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    assert usage(service_url, url) == {"Sends": 3, "Receives": 2, "EmptyReceives": 0, "Others": 4}


def test_usage_counts_receives_that_bring_nothing_at_once_or_after_a_long_poll(
    service_url: str, sqs: Any, new_queue: MakeQueue
) -> None:
    url = new_queue()
    sqs.receive_message(QueueUrl=url)
    sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
    assert usage(service_url, url) == {"Sends": 0, "Receives": 0, "EmptyReceives": 2, "Others": 0}


def test_usage_does_not_count_what_is_refused_or_only_looks(service_url: str, sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    with pytest.raises(sqs.exceptions.ClientError):
        sqs.send_message(QueueUrl=url, MessageBody="")
    with pytest.raises(sqs.exceptions.ClientError):
        sqs.delete_message(QueueUrl=url, ReceiptHandle="nonsense")
    assert usage(service_url, url) == {"Sends": 0, "Receives": 0, "EmptyReceives": 0, "Others": 0}
