"""Dead letters, move tasks and purges as boto3 sees them."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from tests.unit.data_plane.queues.api import MakeQueue, attributes, receive, refused


def dead_letter_pair(sqs: Any, new_queue: MakeQueue, **attributes_: str) -> tuple[str, str, str]:
    dlq = new_queue("-dlq", **attributes_)
    arn = attributes(sqs, dlq)["QueueArn"]
    policy = {"deadLetterTargetArn": arn, "maxReceiveCount": "2"}
    return new_queue("-source", RedrivePolicy=policy, VisibilityTimeout="0", **attributes_), dlq, arn


def test_dead_letter_keeps_id_body_attributes_and_says_where_it_is_from(sqs: Any, new_queue: MakeQueue) -> None:
    source, dlq, _ = dead_letter_pair(sqs, new_queue)
    given = {"A": {"DataType": "String", "StringValue": "x"}}
    sent = sqs.send_message(QueueUrl=source, MessageBody="poison", MessageAttributes=given)
    receive(sqs, source)
    [first] = receive(sqs, source)
    assert receive(sqs, source) == []
    [dead] = receive(sqs, dlq)
    assert (dead["MessageId"], dead["Body"], dead["MessageAttributes"]) == (sent["MessageId"], "poison", given)
    assert dead["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert dead["Attributes"]["SentTimestamp"] == first["Attributes"]["SentTimestamp"]
    assert dead["Attributes"]["ApproximateReceiveCount"] == "3"
    assert dead["Attributes"]["DeadLetterQueueSourceArn"] == attributes(sqs, source)["QueueArn"]
    assert sqs.list_dead_letter_source_queues(QueueUrl=dlq)["queueUrls"] == [source]


def test_dead_letter_wakes_who_waits_at_the_dead_letter_queue(sqs: Any, new_queue: MakeQueue) -> None:
    source, dlq, _ = dead_letter_pair(sqs, new_queue)
    sqs.send_message(QueueUrl=source, MessageBody="poison")
    for _ in range(2):
        receive(sqs, source)
    timer = threading.Timer(0.3, lambda: receive(sqs, source))
    timer.start()
    began = time.monotonic()
    assert len(receive(sqs, dlq, WaitTimeSeconds=20)) == 1
    assert time.monotonic() - began < 5
    timer.join()


def test_redrive_policy_needs_a_dead_letter_queue_that_is_there_of_the_same_type_and_lets_it(
    sqs: Any, new_queue: MakeQueue
) -> None:
    source, fifo = new_queue(), new_queue(FifoQueue="true")
    closed = new_queue(RedriveAllowPolicy={"redrivePermission": "denyAll"})
    named = new_queue(
        RedriveAllowPolicy={
            "redrivePermission": "byQueue",
            "sourceQueueArns": [attributes(sqs, source)["QueueArn"]],
        }
    )
    arns = [attributes(sqs, url)["QueueArn"] for url in (fifo, closed)]
    for arn in ("arn:aws:sqs:us-east-1:000000000000:nowhere", *arns):
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
        code, message = refused(sqs.set_queue_attributes, QueueUrl=source, Attributes={"RedrivePolicy": policy})
        assert code == "InvalidParameterValue" and "RedrivePolicy" in message
    policy = json.dumps({"deadLetterTargetArn": attributes(sqs, named)["QueueArn"], "maxReceiveCount": 1000})
    sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": policy})
    assert attributes(sqs, source)["RedrivePolicy"] == policy
    sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": ""})
    assert "RedrivePolicy" not in attributes(sqs, source)


def wait_for_move(sqs: Any, arn: str, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        [task] = sqs.list_message_move_tasks(SourceArn=arn)["Results"]
        if task["Status"] == status:
            found: dict[str, Any] = task
            return found
        time.sleep(0.05)
    raise AssertionError(f"the task did not become {status}: {task}")


def kill(sqs: Any, source: str, *bodies: str) -> None:
    for body in bodies:
        sqs.send_message(QueueUrl=source, MessageBody=body)
    for _ in range(3):
        receive(sqs, source)


def test_move_task_brings_dead_letters_back_as_new_messages(sqs: Any, new_queue: MakeQueue) -> None:
    source, dlq, arn = dead_letter_pair(sqs, new_queue)
    kill(sqs, source, "a", "b")
    ids = {m["MessageId"] for m in receive(sqs, dlq, VisibilityTimeout=0)}
    sqs.start_message_move_task(SourceArn=arn)
    task = wait_for_move(sqs, arn, "COMPLETED")
    assert (task["ApproximateNumberOfMessagesMoved"], task["ApproximateNumberOfMessagesToMove"]) == (2, 2)
    assert "TaskHandle" not in task and "DestinationArn" not in task
    back = receive(sqs, source)
    assert sorted(m["Body"] for m in back) == ["a", "b"]
    assert not ids & {m["MessageId"] for m in back}
    assert all(m["Attributes"]["ApproximateReceiveCount"] == "1" for m in back)
    assert all("DeadLetterQueueSourceArn" not in m["Attributes"] for m in back)
    assert attributes(sqs, dlq)["ApproximateNumberOfMessages"] == "0"


def test_move_task_runs_at_its_rate_to_its_destination_alone_and_can_be_cancelled(
    sqs: Any, new_queue: MakeQueue
) -> None:
    source, dlq, arn = dead_letter_pair(sqs, new_queue)
    kill(sqs, source, *"abcdef")
    target = new_queue("-target")
    target_arn = attributes(sqs, target)["QueueArn"]
    handle = sqs.start_message_move_task(SourceArn=arn, DestinationArn=target_arn, MaxNumberOfMessagesPerSecond=1)[
        "TaskHandle"
    ]
    assert refused(sqs.start_message_move_task, SourceArn=arn)[0] == "InvalidParameterValue"
    task = wait_for_move(sqs, arn, "RUNNING")
    assert task["TaskHandle"] == handle
    assert (task["MaxNumberOfMessagesPerSecond"], task["DestinationArn"]) == (1, target_arn)
    moved = sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"]
    assert 1 <= moved < 6
    assert wait_for_move(sqs, arn, "CANCELLED")["ApproximateNumberOfMessagesMoved"] == moved
    assert refused(sqs.cancel_message_move_task, TaskHandle=handle)[0] == "InvalidParameterValue"
    assert attributes(sqs, target)["ApproximateNumberOfMessages"] == str(moved)
    assert attributes(sqs, dlq)["ApproximateNumberOfMessages"] == str(6 - moved)


def test_move_task_that_cannot_go_on_fails_and_loses_nothing(sqs: Any, new_queue: MakeQueue) -> None:
    source, dlq, arn = dead_letter_pair(sqs, new_queue)
    sqs.send_message(QueueUrl=dlq, MessageBody="sent here directly")
    sqs.start_message_move_task(SourceArn=arn)
    assert wait_for_move(sqs, arn, "FAILED")["FailureReason"] == "CouldNotDetermineMessageSource"
    assert [m["Body"] for m in receive(sqs, dlq, VisibilityTimeout=0)] == ["sent here directly"]
    target = new_queue("-target")
    target_arn = attributes(sqs, target)["QueueArn"]
    sqs.delete_queue(QueueUrl=target)
    code, _ = refused(sqs.start_message_move_task, SourceArn=arn, DestinationArn=target_arn)
    assert code == "ResourceNotFoundException"
    assert refused(sqs.start_message_move_task, SourceArn=attributes(sqs, source)["QueueArn"]) == (
        "InvalidParameterValue",
        "Source queue must be configured as a Dead Letter Queue.",
    )
    assert refused(sqs.start_message_move_task, SourceArn="nonsense")[0] == "InvalidParameterValue"
    assert refused(sqs.cancel_message_move_task, TaskHandle="nonsense")[0] == "InvalidParameterValue"
    assert attributes(sqs, dlq)["ApproximateNumberOfMessages"] == "1"


def test_purge(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    sqs.send_message(QueueUrl=url, MessageBody="a")
    receive(sqs, url)
    sqs.send_message(QueueUrl=url, MessageBody="b")
    for _ in range(2):
        sqs.purge_queue(QueueUrl=url)
    found = attributes(sqs, url)
    assert found["ApproximateNumberOfMessages"] == found["ApproximateNumberOfMessagesNotVisible"] == "0"
