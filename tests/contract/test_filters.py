"""Event filtering: which records of queues and streams reach the function, and which filters are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.errors import HarnessError
from tests.contract.conftest import DeployStack
from tests.contract.support import Stack, arn, filters, mapping, queue, table

STREAM = {"Fn::GetAtt": ["Table", "StreamArn"]}
END = {"dynamodb": {"NewImage": {"record_id": {"S": ["end"]}}}}
"""Takes the last item of a test, behind which nothing can follow."""

NOTE_KEYS = """
def handler(event, context):
    note(keys=[r["dynamodb"]["Keys"]["record_id"]["S"] for r in event["Records"]])
"""
NOTE_BODIES = """
def handler(event, context):
    note(bodies=[r["body"] for r in event["Records"]])
"""


def keys_passing(stack: DeployStack, *images: Any) -> list[str]:
    """Return which of three items pass a filter on their new image: `text` and `number`, both with an attribute
    `points`, and `none` without."""
    patterns = [{"dynamodb": {"NewImage": image}} for image in images]
    made = stack(
        NOTE_KEYS,
        {
            "Table": table(),
            "Map": mapping(STREAM, StartingPosition="TRIM_HORIZON", FilterCriteria=filters(*patterns, END)),
        },
    )
    items: list[dict[str, Any]] = [
        {"record_id": {"S": "text"}, "points": {"S": "high"}},
        {"record_id": {"S": "number"}, "points": {"N": "101"}},
        {"record_id": {"S": "none"}},
        {"record_id": {"S": "end"}},
    ]
    for item in items:
        made.engine.client("dynamodb").put_item(
            TableName=made.outputs["TableName"], Item={"shard": {"S": "one"}, **item}
        )
    seen: list[str] = []
    while "end" not in seen:
        seen += [key for note in made.seen(1) for key in note["keys"]]
    return seen[:-1]


def test_stream_filter_when_numeric_meets_a_number_attribute_does_not_match(stack: DeployStack) -> None:
    above = {"points": {"N": [{"numeric": [">", 100]}]}}
    same = {"points": {"N": [{"numeric": ["=", 101]}]}}
    assert keys_passing(stack, above, same) == []


def test_stream_filter_when_a_number_is_given_as_text_matches(stack: DeployStack) -> None:
    assert keys_passing(stack, {"points": {"N": ["101"]}}) == ["number"]


def test_stream_filter_when_existence_is_asked_of_an_attribute_never_finds_it(stack: DeployStack) -> None:
    assert keys_passing(stack, {"points": [{"exists": True}]}) == []


def test_stream_filter_when_existence_is_asked_below_the_type_finds_it(stack: DeployStack) -> None:
    assert keys_passing(stack, {"points": {"S": [{"exists": True}]}}) == ["text"]


def test_stream_filter_when_absence_is_asked_of_an_attribute_always_holds(stack: DeployStack) -> None:
    assert keys_passing(stack, {"points": [{"exists": False}]}) == ["text", "number", "none"]


def test_stream_filter_when_prefixes_and_exclusions_are_given_matches_the_values_below_the_type(
    stack: DeployStack,
) -> None:
    below = {"points": {"S": [{"prefix": "hi"}]}}
    beside = {"points": [{"prefix": "10"}]}
    other = {"points": {"N": [{"anything-but": ["101"]}]}}
    assert keys_passing(stack, below, beside, other) == ["text"]


def bodies_passing(stack: DeployStack, pattern: Any, *bodies: str) -> list[str]:
    """Return the bodies that pass a filter, once all messages have left the queue."""
    made: Stack = stack(NOTE_BODIES, {"Queue": queue(), "Map": mapping(arn("Queue"), FilterCriteria=filters(pattern))})
    made.send(*bodies, '{"end": 1}', "end")
    made.drained()
    return sorted(body for note in made.seen(1) for body in note["bodies"])


def test_queue_filter_when_the_pattern_is_json_drops_plain_text_whatever_its_rules_say(stack: DeployStack) -> None:
    pattern = {"body": {"kind": [{"exists": False}, "x"]}}
    found = bodies_passing(stack, pattern, '{"kind": "x"}', '{"kind": "y"}', "kind: x", '{"kind": "x"')
    assert found == ['{"end": 1}', '{"kind": "x"}']


def test_queue_filter_when_the_pattern_is_plain_text_drops_json(stack: DeployStack) -> None:
    pattern = {"body": [{"prefix": "Result: "}, "end", {"suffix": "}"}]}
    assert bodies_passing(stack, pattern, "Result: 1", "Other: 1", '{"Result": 1}') == ["Result: 1", "end"]


def test_queue_filter_when_it_leaves_the_body_out_takes_any_body(stack: DeployStack) -> None:
    pattern = {"attributes": {"ApproximateReceiveCount": ["1"]}}
    assert bodies_passing(stack, pattern, '{"n": 1}', "text") == ["end", "text", '{"end": 1}', '{"n": 1}']


@pytest.mark.parametrize(
    "patterns",
    [
        ["no json"],
        ['"text"'],
        ['{"body": "text"}'],
        ['{"body": {"kind": []}}'],
        ['{"body": {"kind": [{"near": 1}]}}'],
        ['{"body": {"n": [{"numeric": ["about", 1]}]}}'],
        ['{"body": {"kind": ["' + 4096 * "x" + '"]}}'],
        [json.dumps({"body": {"kind": [n]}}) for n in range(6)],
    ],
    ids=[
        "not-json",
        "not-an-object",
        "not-a-list",
        "empty-list",
        "unknown-operator",
        "unknown-comparison",
        "too-long",
        "too-many",
    ],
)
def test_filter_when_lambda_does_not_take_it_is_refused_at_deploy(stack: DeployStack, patterns: list[str]) -> None:
    criteria = {"Filters": [{"Pattern": pattern} for pattern in patterns]}
    with pytest.raises(HarnessError):
        stack(NOTE_BODIES, {"Queue": queue(), "Map": mapping(arn("Queue"), FilterCriteria=criteria)})
