"""SQS event source mappings: receives, partial failures, visibility, batching, filters, concurrency."""

from __future__ import annotations

import json

import pytest

from tests.contract.conftest import DeployStack
from tests.contract.support import arn, eventually, filters, mapping, most_at_once, queue

NOTE_BODIES = """
def handler(event, context):
    note(bodies=[r["body"] for r in event["Records"]])
"""
SLOW = """
def handler(event, context):
    note(at="start", t=time.time())
    time.sleep(0.2)
    note(at="end", t=time.time())
"""


def test_message_when_it_always_fails_is_received_three_times_then_dead_lettered(stack: DeployStack) -> None:
    made = stack(
        """
        def handler(event, context):
            for record in event["Records"]:
                note(body=record["body"], receive=record["attributes"]["ApproximateReceiveCount"])
                if record["body"] == "poison":
                    raise ValueError("poison")
        """,
        {
            "Dlq": queue(),
            "Queue": queue(visibility=3, dlq="Dlq"),
            "Map": mapping(arn("Queue"), BatchSize=1),
        },
    )
    made.send("good", "poison", "good")
    assert made.collect("Dlq", 1) == ["poison"]
    made.drained()
    notes = made.seen(5)
    assert sorted(n["receive"] for n in notes if n["body"] == "poison") == ["1", "2", "3"]
    assert [n["receive"] for n in notes if n["body"] == "good"] == ["1", "1"]


def test_batch_when_response_names_failures_redelivers_only_those(stack: DeployStack) -> None:
    made = stack(
        """
        def handler(event, context):
            note(bodies=sorted(r["body"] for r in event["Records"]))
            bad = [r["messageId"] for r in event["Records"] if r["body"].startswith("bad")]
            return {"batchItemFailures": [{"itemIdentifier": m} for m in bad]}
        """,
        {
            "Dlq": queue(),
            "Queue": queue(visibility=4, dlq="Dlq"),
            "Map": mapping(
                arn("Queue"),
                BatchSize=10,
                MaximumBatchingWindowInSeconds=1,
                FunctionResponseTypes=["ReportBatchItemFailures"],
            ),
        },
    )
    made.send("a", "b", "bad-1", "c", "bad-2")
    assert sorted(made.collect("Dlq", 2)) == ["bad-1", "bad-2"]
    bodies = [body for note in made.seen(3) for body in note["bodies"]]
    assert {body: bodies.count(body) for body in set(bodies)} == {
        "a": 1,
        "b": 1,
        "c": 1,
        "bad-1": 3,
        "bad-2": 3,
    }


def test_batch_when_response_names_an_unknown_message_is_redelivered_whole(stack: DeployStack) -> None:
    made = stack(
        """
        def handler(event, context):
            note(bodies=[r["body"] for r in event["Records"]])
            return {"batchItemFailures": [{"itemIdentifier": "nobody"}]}
        """,
        {
            "Dlq": queue(),
            "Queue": queue(visibility=1, dlq="Dlq", receives=2),
            "Map": mapping(arn("Queue"), BatchSize=5, FunctionResponseTypes=["ReportBatchItemFailures"]),
        },
    )
    made.send("a", "b")
    assert sorted(made.collect("Dlq", 2)) == ["a", "b"]


def test_batch_when_function_raises_is_redelivered_whole(stack: DeployStack) -> None:
    made = stack(
        """
        def handler(event, context):
            note(bodies=[r["body"] for r in event["Records"]])
            if any(r["body"] == "bad" for r in event["Records"]):
                raise ValueError("one of them is bad")
        """,
        {
            "Dlq": queue(),
            "Queue": queue(visibility=4, dlq="Dlq"),
            "Map": mapping(arn("Queue"), BatchSize=10, MaximumBatchingWindowInSeconds=1),
        },
    )
    made.send("good-1", "bad", "good-2")
    assert "bad" in made.collect("Dlq", 1)
    batches = [note["bodies"] for note in made.seen(1)]
    bodies = [body for batch in batches for body in batch]
    assert bodies.count("bad") == 3
    # Without a partial response the innocent neighbours share the fate of their batch.
    neighbours = {body for batch in batches if "bad" in batch for body in batch} - {"bad"}
    assert neighbours
    assert all(bodies.count(neighbour) > 1 for neighbour in neighbours)


def test_message_when_work_outlasts_visibility_timeout_is_delivered_twice(stack: DeployStack) -> None:
    made = stack(
        """
        def handler(event, context):
            record = event["Records"][0]
            note(receive=record["attributes"]["ApproximateReceiveCount"], id=record["messageId"])
            time.sleep(3)
        """,
        {"Queue": queue(visibility=1), "Map": mapping(arn("Queue"), BatchSize=1)},
    )
    made.send("slow")
    first, second = made.seen(2, seconds=30)[:2]
    assert first["id"] == second["id"]
    assert (first["receive"], second["receive"]) == ("1", "2")


def test_batching_window_when_batch_size_exceeds_ten_gathers_one_large_batch(stack: DeployStack) -> None:
    made = stack(
        NOTE_BODIES,
        {
            "Queue": queue(),
            "Map": mapping(
                arn("Queue"),
                BatchSize=60,
                MaximumBatchingWindowInSeconds=3,
                ScalingConfig={"MaximumConcurrency": 2},
            ),
        },
    )
    made.send(*(str(i) for i in range(60)))
    made.drained()
    batches = [note["bodies"] for note in made.seen(1)]
    assert sorted(int(b) for batch in batches for b in batch) == list(range(60))
    assert max(map(len, batches)) > 10
    assert len(batches) <= 4


def test_batch_when_messages_are_large_stays_below_six_megabytes(stack: DeployStack) -> None:
    made = stack(
        """
        def handler(event, context):
            note(count=len(event["Records"]), size=len(json.dumps(event)))
        """,
        {
            "Queue": queue(),
            "Map": mapping(arn("Queue"), BatchSize=10, MaximumBatchingWindowInSeconds=2),
        },
    )
    for _ in range(10):
        made.send("x" * 1_000_000)
    made.drained()
    notes = made.seen(2)
    assert sum(n["count"] for n in notes) == 10
    assert max(n["size"] for n in notes) <= 6 * 1024 * 1024


def test_batch_when_messages_are_not_ascii_stays_below_six_megabytes_in_bytes(stack: DeployStack) -> None:
    made = stack(
        """
        def handler(event, context):
            text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
            note(count=len(event["Records"]), size=len(text.encode()))
        """,
        {
            "Queue": queue(visibility=60),
            "Map": mapping(
                arn("Queue"),
                BatchSize=50,
                MaximumBatchingWindowInSeconds=3,
                ScalingConfig={"MaximumConcurrency": 2},
            ),
        },
        MemorySize=512,
        Timeout=30,
    )
    # Two bytes a letter, and quotes that are two bytes in JSON.
    for _ in range(14):
        made.send("é" * 300_000 + '"' * 200_000)
    made.drained(seconds=120)
    notes = made.seen(3)
    assert sum(n["count"] for n in notes) == 14
    assert max(n["size"] for n in notes) <= 6 * 1024 * 1024


@pytest.mark.parametrize(
    "answer", ["[]", "None", "{}", '""'], ids=["empty-list", "null", "empty-object", "empty-string"]
)
def test_batch_when_the_answer_is_empty_is_a_success(stack: DeployStack, answer: str) -> None:
    made = stack(
        f"""
        def handler(event, context):
            note(bodies=[r["body"] for r in event["Records"]])
            return {answer}
        """,
        {
            "Dlq": queue(),
            "Queue": queue(visibility=15, dlq="Dlq", receives=1),
            "Map": mapping(arn("Queue"), FunctionResponseTypes=["ReportBatchItemFailures"]),
        },
    )
    made.send("a", "b")
    made.drained()
    assert sorted(body for note in made.seen(1) for body in note["bodies"]) == ["a", "b"]
    assert made.take("Dlq") == []


@pytest.mark.parametrize(
    "entry",
    ['{"itemIdentifier": ""}', '{"itemIdentifier": None}', '{"id": event["Records"][0]["messageId"]}', "1"],
    ids=["empty-identifier", "null-identifier", "missing-identifier", "no-object"],
)
def test_batch_when_the_answer_is_malformed_is_redelivered_whole(stack: DeployStack, entry: str) -> None:
    made = stack(
        f"""
        def handler(event, context):
            return {{"batchItemFailures": [{entry}]}}
        """,
        {
            "Dlq": queue(),
            "Queue": queue(visibility=4, dlq="Dlq", receives=1),
            "Map": mapping(arn("Queue"), FunctionResponseTypes=["ReportBatchItemFailures"]),
        },
    )
    made.send("a", "b")
    assert sorted(made.collect("Dlq", 2)) == ["a", "b"]


def test_filter_when_body_does_not_match_deletes_without_invoking(stack: DeployStack) -> None:
    made = stack(
        NOTE_BODIES,
        {
            "Queue": queue(),
            "Map": mapping(arn("Queue"), FilterCriteria=filters({"body": {"kind": ["wanted"]}})),
        },
    )
    made.send(*(json.dumps({"kind": kind, "n": n}) for n, kind in enumerate(["wanted", "other", "wanted"])))
    made.drained()
    bodies = [json.loads(body) for note in made.seen(1) for body in note["bodies"]]
    assert sorted(b["n"] for b in bodies) == [0, 2]


def test_maximum_concurrency_when_backlog_is_long_is_never_exceeded(stack: DeployStack) -> None:
    made = stack(
        SLOW,
        {
            "Queue": queue(),
            "Map": mapping(arn("Queue"), BatchSize=1, ScalingConfig={"MaximumConcurrency": 2}),
        },
    )
    made.send(*(str(i) for i in range(12)))
    assert most_at_once(made.seen(24)) <= 2


def test_mappings_when_backlog_is_long_run_several_batches_at_once(stack: DeployStack) -> None:
    made = stack(SLOW, {"Queue": queue(), "Map": mapping(arn("Queue"), BatchSize=1)})
    made.send(*(str(i) for i in range(8)))
    assert most_at_once(made.seen(16)) > 1


def test_reserved_concurrency_when_smaller_than_pollers_throttles_and_loses_nothing(
    stack: DeployStack,
) -> None:
    made = stack(
        SLOW,
        {"Queue": queue(visibility=20), "Map": mapping(arn("Queue"), BatchSize=1)},
        ReservedConcurrentExecutions=1,
    )
    made.send(*(str(i) for i in range(8)))
    notes = made.seen(16)
    assert most_at_once(notes) == 1
    made.drained()


def test_mapping_when_disabled_leaves_messages_alone(stack: DeployStack) -> None:
    made = stack(
        NOTE_BODIES,
        {
            "Queue": queue(),
            "Other": queue(),
            "Map": mapping(arn("Queue"), Enabled=False),
            "OtherMap": mapping(arn("Other")),
        },
    )
    made.send("untouched")
    made.send("processed", to="Other")
    assert made.seen(1) == [{"bodies": ["processed"]}]
    assert eventually("one message", lambda: made.waiting() == 1)
