"""DynamoDB stream event source mappings: order, filters, retries, bisection, destination."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import DeployStack
from tests.contract.support import filters, mapping, most_at_once, queue, table

STREAM = {"Fn::GetAtt": ["Table", "StreamArn"]}
NOTE_KEYS = """
def keys(event):
    return [r["dynamodb"]["Keys"]["record_id"]["S"] for r in event["Records"]]


"""


def stream_mapping(**properties: Any) -> dict[str, Any]:
    return mapping(STREAM, StartingPosition="TRIM_HORIZON", **properties)


def items(*names: str) -> list[dict[str, str]]:
    return [{"record_id": name} for name in names]


def test_stream_when_items_change_delivers_them_in_order_with_new_images(stack: DeployStack) -> None:
    made = stack(
        NOTE_KEYS
        + """
def handler(event, context):
    for record in event["Records"]:
        note(name=record["eventName"], image=record["dynamodb"]["NewImage"], source=record["eventSource"])
""",
        {"Table": table(), "Map": stream_mapping(BatchSize=10)},
    )
    made.put({"record_id": "a", "v": "1"}, {"record_id": "a", "v": "2"}, {"record_id": "b", "v": "1"})
    notes = made.seen(3)
    assert [(n["name"], n["image"]["record_id"]["S"], n["image"]["v"]["S"]) for n in notes] == [
        ("INSERT", "a", "1"),
        ("MODIFY", "a", "2"),
        ("INSERT", "b", "1"),
    ]
    assert {n["source"] for n in notes} == {"aws:dynamodb"}


def test_stream_filter_when_image_does_not_match_skips_the_record(stack: DeployStack) -> None:
    pattern = {"dynamodb": {"NewImage": {"status": {"S": ["new"]}}}}
    made = stack(
        NOTE_KEYS + "def handler(event, context):\n    note(keys=keys(event))\n",
        {"Table": table(), "Map": stream_mapping(FilterCriteria=filters(pattern))},
    )
    made.put(
        {"record_id": "a", "status": "new"},
        {"record_id": "b", "status": "old"},
        {"record_id": "c", "status": "new"},
    )
    seen: list[str] = []
    while len(seen) < 2:
        seen += [key for note in made.seen(1) for key in note["keys"]]
    assert seen == ["a", "c"]


def test_stream_batch_when_function_fails_is_retried_then_sent_to_destination(stack: DeployStack) -> None:
    made = stack(
        NOTE_KEYS
        + """
def handler(event, context):
    note(keys=keys(event))
    if "poison" in keys(event):
        raise ValueError("poison")
""",
        {
            "Table": table(),
            "Dlq": queue(),
            "Map": stream_mapping(
                BatchSize=1,
                MaximumRetryAttempts=2,
                DestinationConfig={"OnFailure": {"Destination": {"Fn::GetAtt": ["Dlq", "Arn"]}}},
            ),
        },
    )
    made.put(*items("a", "poison", "b"))
    (letter,) = made.collect("Dlq", 1)
    info = letter["DDBStreamBatchInfo"]
    assert info["batchSize"] == 1
    assert info["startSequenceNumber"] == info["endSequenceNumber"]
    assert letter["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert letter["requestContext"]["approximateInvokeCount"] == 3
    # The poison blocked its shard, and only until it was given up.
    assert [note["keys"] for note in made.seen(5)] == [["a"], ["poison"], ["poison"], ["poison"], ["b"]]


def test_stream_batch_when_bisecting_isolates_the_poison_record(stack: DeployStack) -> None:
    made = stack(
        NOTE_KEYS
        + """
def handler(event, context):
    if "poison" in keys(event):
        raise ValueError("poison")
    note(keys=keys(event))
""",
        {
            "Table": table(),
            "Dlq": queue(),
            "Map": stream_mapping(
                BatchSize=8,
                MaximumBatchingWindowInSeconds=2,
                MaximumRetryAttempts=1,
                BisectBatchOnFunctionError=True,
                DestinationConfig={"OnFailure": {"Destination": {"Fn::GetAtt": ["Dlq", "Arn"]}}},
            ),
        },
    )
    made.put(*items("a", "b", "c", "poison", "d", "e", "f", "g"))
    (letter,) = made.collect("Dlq", 1)
    assert letter["DDBStreamBatchInfo"]["batchSize"] == 1
    done: list[str] = []
    while len(done) < 7:
        done += [key for note in made.seen(1) for key in note["keys"]]
    assert sorted(done) == ["a", "b", "c", "d", "e", "f", "g"]


def test_stream_batch_when_response_names_a_record_resumes_there(stack: DeployStack) -> None:
    made = stack(
        NOTE_KEYS
        + """
state = {"failed": False}

def handler(event, context):
    note(keys=keys(event))
    for record in event["Records"]:
        if record["dynamodb"]["Keys"]["record_id"]["S"] == "c" and not state["failed"]:
            state["failed"] = True
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
    return {"batchItemFailures": []}
""",
        {
            "Table": table(),
            "Map": stream_mapping(
                BatchSize=4,
                MaximumBatchingWindowInSeconds=2,
                FunctionResponseTypes=["ReportBatchItemFailures"],
            ),
        },
    )
    made.put(*items("a", "b", "c", "d"))
    batches = [note["keys"] for note in made.seen(2)]
    seen = [key for batch in batches for key in batch]
    assert (seen.count("a"), seen.count("b"), seen.count("c"), seen.count("d")) == (1, 1, 2, seen.count("d"))
    assert batches[-1][-1] == "d"
    assert any(batch[0] == "c" for batch in batches[1:])


@pytest.mark.parametrize(
    "answer", ["[]", "None", "{}", '""'], ids=["empty-list", "null", "empty-object", "empty-string"]
)
def test_stream_batch_when_the_answer_is_empty_is_a_success(stack: DeployStack, answer: str) -> None:
    made = stack(
        NOTE_KEYS
        + f"""
def handler(event, context):
    note(keys=keys(event))
    return {answer}
""",
        {
            "Table": table(),
            "Dlq": queue(),
            "Map": stream_mapping(
                BatchSize=1,
                MaximumRetryAttempts=0,
                FunctionResponseTypes=["ReportBatchItemFailures"],
                DestinationConfig={"OnFailure": {"Destination": {"Fn::GetAtt": ["Dlq", "Arn"]}}},
            ),
        },
    )
    made.put(*items("a", "b", "c"))
    # Each was retried or given up before the next came, had it failed.
    assert [note["keys"] for note in made.seen(3)] == [["a"], ["b"], ["c"]]
    assert made.take("Dlq") == []


def test_stream_batch_when_records_are_large_stays_below_six_megabytes_in_bytes(stack: DeployStack) -> None:
    made = stack(
        """
        def handler(event, context):
            text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
            note(count=len(event["Records"]), size=len(text.encode()))
        """,
        {"Table": table(), "Map": stream_mapping(BatchSize=5000, MaximumBatchingWindowInSeconds=5)},
        MemorySize=512,
        Timeout=30,
    )
    # Quotes are two bytes in JSON: 20 of these items are 7.2 MB for DynamoDB and 10.4 MB as events.
    made.put(*({"record_id": str(i), "v": "é" * 100_000 + '"' * 160_000} for i in range(20)))
    count, sizes = 0, []
    while count < 20:
        for note in made.seen(1):
            count += note["count"]
            sizes.append(note["size"])
    assert count == 20
    assert max(sizes) <= 6 * 1024 * 1024


def test_stream_when_parallelised_keeps_the_order_of_each_item(stack: DeployStack) -> None:
    made = stack(
        """
def handler(event, context):
    for record in event["Records"]:
        image = record["dynamodb"]["NewImage"]
        note(key=image["record_id"]["S"], v=int(image["v"]["S"]))
""",
        {"Table": table(), "Map": stream_mapping(BatchSize=2, ParallelizationFactor=3)},
    )
    made.put(*({"record_id": key, "v": str(v)} for v in range(5) for key in ("a", "b", "c", "d")))
    notes = made.seen(20)
    for key in ("a", "b", "c", "d"):
        assert [n["v"] for n in notes if n["key"] == key] == [0, 1, 2, 3, 4]


def test_stream_when_parallelised_runs_batches_of_a_shard_at_once(stack: DeployStack) -> None:
    made = stack(
        """
def handler(event, context):
    note(at="start", t=time.time())
    time.sleep(1)
    note(at="end", t=time.time())
""",
        {"Table": table(), "Map": stream_mapping(BatchSize=1, ParallelizationFactor=4)},
    )
    made.put(*items(*"abcdefgh"))
    assert most_at_once(made.seen(16)) > 1
