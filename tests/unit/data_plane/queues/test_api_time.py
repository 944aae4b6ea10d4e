"""Long polls and the limit in flight as boto3 sees them."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.unit.data_plane.queues.api import MakeQueue, receive, refused


def test_long_poll_wakes_at_once_when_a_message_is_sent_and_when_one_becomes_visible(
    sqs: Any, new_queue: MakeQueue
) -> None:
    url = new_queue()
    timer = threading.Timer(0.3, lambda: sqs.send_message(QueueUrl=url, MessageBody="a", DelaySeconds=1))
    timer.start()
    began = time.monotonic()
    [message] = receive(sqs, url, WaitTimeSeconds=20, VisibilityTimeout=1)
    assert 1.2 < time.monotonic() - began < 5
    [again] = receive(sqs, url, WaitTimeSeconds=20)
    assert again["MessageId"] == message["MessageId"]
    assert 2.2 < time.monotonic() - began < 8
    timer.join()


def test_long_poll_ends_empty_after_its_time(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue(ReceiveMessageWaitTimeSeconds="1")
    began = time.monotonic()
    assert receive(sqs, url) == []
    assert 0.9 < time.monotonic() - began < 5


def test_long_poll_of_a_queue_that_is_deleted_ends(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    timer = threading.Timer(0.3, lambda: sqs.delete_queue(QueueUrl=url))
    timer.start()
    code, _ = refused(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20)
    assert code == "AWS.SimpleQueueService.NonExistentQueue"
    timer.join()


def test_many_long_polls_share_what_is_sent_and_no_message_is_given_twice(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    got: list[str] = []

    def poll() -> None:
        got.extend(m["Body"] for m in receive(sqs, url, WaitTimeSeconds=5, MaxNumberOfMessages=1))

    polls = [threading.Thread(target=poll) for _ in range(8)]
    for thread in polls:
        thread.start()
    time.sleep(0.3)
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": str(i)} for i in range(8)])
    for thread in polls:
        thread.join()
    assert sorted(got) == [str(i) for i in range(8)]


def test_at_the_limit_in_flight_short_polls_are_refused_and_long_polls_wait(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    for _ in range(2):
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": "a"} for i in range(10)])
    handles = [m["ReceiptHandle"] for _ in range(2) for m in receive(sqs, url)]
    assert len(handles) == 12
    with pytest.raises(sqs.exceptions.OverLimit):
        sqs.receive_message(QueueUrl=url)
    assert receive(sqs, url, WaitTimeSeconds=1) == []
    timer = threading.Timer(0.3, lambda: sqs.delete_message(QueueUrl=url, ReceiptHandle=handles[0]))
    timer.start()
    assert len(receive(sqs, url, WaitTimeSeconds=10)) == 1
    timer.join()


def test_at_the_limit_in_flight_a_fifo_queue_gives_nothing_and_no_error(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue(FifoQueue="true", ContentBasedDeduplication="true")
    for i in range(13):
        sqs.send_message(QueueUrl=url, MessageBody=str(i), MessageGroupId=str(i))
    assert [len(receive(sqs, url)) for _ in range(3)] == [10, 2, 0]
