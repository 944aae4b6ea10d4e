"""Properties of AWS::Lambda::EventSourceMapping: each is implemented, harmless or refused, and none is ignored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from harness.lambda_service.mapping_properties import (
    PROPERTIES,
    RESOURCE_TYPE,
    MappingRefused,
    build_mappings,
    rows,
)
from harness.lambda_service.model import SqsMapping, StreamMapping

QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"
STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"
DLQ = "arn:aws:sqs:us-east-1:000000000000:dlq"


def queue(**properties: Any) -> dict[str, Any]:
    return {"FunctionName": "fn", "EventSourceArn": QUEUE, **properties}


def stream(**properties: Any) -> dict[str, Any]:
    return {"FunctionName": "fn", "EventSourceArn": STREAM, "StartingPosition": "LATEST", **properties}


def build(*resources: Mapping[str, Any]) -> tuple[tuple[SqsMapping, ...], tuple[StreamMapping, ...]]:
    named = [(f"Map{i}" if i else "Map", properties) for i, properties in enumerate(resources)]
    return build_mappings(named, ["fn", "other"], lambda arn: f"http://{arn}")


def schema_paths() -> Iterator[str]:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", RESOURCE_TYPE).schema

    def resolved(node: Any) -> Any:
        return schema["definitions"][node["$ref"].split("/")[-1]] if "$ref" in node else node

    def walk(node: Any, prefix: str) -> Iterator[str]:
        for name, inner in resolved(node).get("properties", {}).items():
            yield prefix + name
            yield from walk(resolved(inner), f"{prefix}{name}.")
            yield from walk(resolved(resolved(inner).get("items", {})), f"{prefix}{name}.")

    return walk(schema, "")


def test_list_when_compared_with_the_resource_schema_names_every_property() -> None:
    assert set(PROPERTIES) == set(schema_paths())
    assert [path for _, path, _, _ in rows()] == sorted(PROPERTIES)
    assert all(why for _, _, _, why in rows())


def test_queue_mapping_when_nothing_is_given_has_the_defaults_of_the_reference() -> None:
    (made,), none = build(queue())
    assert none == ()
    assert made == SqsMapping("Map", "fn", QUEUE, f"http://{QUEUE}")
    assert (made.batch_size, made.window_seconds, made.enabled) == (10, 0.0, True)


def test_stream_mapping_when_nothing_is_given_has_the_defaults_of_the_reference() -> None:
    _, (made,) = build(stream())
    assert made == StreamMapping("Map", "fn", STREAM, "LATEST")
    assert (made.batch_size, made.max_retries, made.max_age_seconds) == (100, -1, -1)


def test_queue_mapping_when_everything_is_given_as_text_has_it_all() -> None:
    pattern = '{"body":{"a":[1]}}'
    (made,), _ = build(
        queue(
            FunctionName="arn:aws:lambda:us-east-1:000000000000:function:fn:$LATEST",
            BatchSize="500",
            MaximumBatchingWindowInSeconds="300",
            ScalingConfig={"MaximumConcurrency": "2"},
            FunctionResponseTypes=["ReportBatchItemFailures"],
            FilterCriteria={"Filters": [{"Pattern": pattern}]},
            Enabled="false",
            KmsKeyArn="arn:aws:kms:us-east-1:000000000000:key/1",
            Tags=[{"Key": "team", "Value": "x"}],
        )
    )
    assert made == SqsMapping("Map", "fn", QUEUE, f"http://{QUEUE}", 500, 300.0, 2, True, (pattern,), False)


@pytest.mark.parametrize(
    ("config", "pollers"),
    [
        ({"MinimumPollers": "3"}, (3, 200)),
        ({"MaximumPollers": 10}, (2, 10)),
        ({"MinimumPollers": 200, "MaximumPollers": 2000}, (200, 2000)),
        ({}, None),
    ],
)
def test_queue_mapping_with_provisioned_pollers_has_them(config: dict[str, Any], pollers: tuple[int, int]) -> None:
    (made,), _ = build(queue(ProvisionedPollerConfig=config))
    assert made.provisioned_pollers == pollers


def test_stream_mapping_when_everything_is_given_has_it_all() -> None:
    pattern = '{"eventName":["INSERT"]}'
    _, (made,) = build(
        stream(
            FunctionName="000000000000:function:fn",
            StartingPosition="TRIM_HORIZON",
            BatchSize=10_000,
            MaximumBatchingWindowInSeconds=1,
            ParallelizationFactor=10,
            MaximumRetryAttempts=0,
            MaximumRecordAgeInSeconds=60,
            BisectBatchOnFunctionError=True,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            DestinationConfig={"OnFailure": {"Destination": DLQ}},
            FilterCriteria={"Filters": [{"Pattern": pattern}]},
            TumblingWindowInSeconds=0,
        )
    )
    assert made == StreamMapping(
        "Map", "fn", STREAM, "TRIM_HORIZON", 10_000, 1.0, 10, 0, 60, True, True, DLQ, (pattern,), True
    )


@pytest.mark.parametrize("name", ["ScalingConfig", "DestinationConfig", "FilterCriteria", "FunctionResponseTypes"])
def test_property_when_its_value_is_nothing_is_as_if_not_given(name: str) -> None:
    values: tuple[Any, ...] = (None, "", [], {})
    for nothing in values:
        given = queue(**{name: nothing}) if name == "ScalingConfig" else stream(**{name: nothing})
        assert build(given) == build(queue() if name == "ScalingConfig" else stream())


@pytest.mark.parametrize(
    "path", sorted(p for p, found in PROPERTIES.items() if found.fate == "refused" and "." not in p)
)
@pytest.mark.parametrize("base", [queue, stream], ids=["queue", "stream"])
def test_property_when_it_is_refused_is_named_with_the_way_out(path: str, base: Any) -> None:
    value: Any = "value"
    nested = sorted(p for p in PROPERTIES if p.startswith(f"{path}."))
    if nested:
        deepest = max(nested, key=lambda p: p.count("."))
        for name in reversed(deepest.split(".")[1:]):
            value = {name: value}
    if path == "TumblingWindowInSeconds":
        value = 5
    with pytest.raises(MappingRefused, match=rf"Map: {path} (is refused|does not go)") as caught:
        build(base(**{path: value}))
    assert len(str(caught.value)) > len(f"Map: {path} is refused: ") + 10


@pytest.mark.parametrize(
    ("properties", "complaint"),
    [
        ({"FunctionName": "fn"}, "EventSourceArn is missing"),
        ({"EventSourceArn": QUEUE}, "FunctionName is missing"),
        (queue(FunctionName="nobody"), "FunctionName 'nobody' is no function of this template"),
        (queue(FunctionName="fn:live"), "FunctionName 'fn:live' names a version or alias"),
        (queue(EventSourceArn="arn:aws:kinesis:us-east-1:000000000000:stream/s"), "EventSourceArn .*kinesis"),
        (queue(EventSourceArn="arn:aws:dynamodb:us-east-1:000000000000:table/t"), "EventSourceArn .*neither"),
        (queue(EventSourceArn="q"), "EventSourceArn q is neither"),
        (queue(BatchSise=1), "BatchSise is not a property of AWS::Lambda::EventSourceMapping"),
        (queue(ScalingConfig={"Max": 2}), "ScalingConfig.Max is not a property"),
        (queue(ScalingConfig=5), "ScalingConfig is 5, an object is needed"),
        (
            stream(DestinationConfig={"OnSuccess": {"Destination": DLQ}}),
            "DestinationConfig.OnSuccess is not a property",
        ),
        (queue(BatchSize=0), "BatchSize is 0, allowed are 1 to 10000"),
        (queue(BatchSize=10_001), "BatchSize is 10001, allowed are 1 to 10000"),
        (queue(BatchSize=11), "BatchSize 11 needs MaximumBatchingWindowInSeconds of at least 1"),
        (queue(BatchSize="ten"), "BatchSize is 'ten', a whole number is needed"),
        (queue(BatchSize=1.5), "BatchSize is 1.5, a whole number is needed"),
        (queue(BatchSize=True), "BatchSize is True, a whole number is needed"),
        (queue(EventSourceArn=QUEUE + ".fifo", BatchSize=11), "BatchSize is 11, allowed are 1 to 10"),
        (
            queue(EventSourceArn=QUEUE + ".fifo", MaximumBatchingWindowInSeconds=1),
            "MaximumBatchingWindowInSeconds is 1, only 0 is allowed",
        ),
        (queue(MaximumBatchingWindowInSeconds=301), "MaximumBatchingWindowInSeconds is 301, allowed are 0 to 300"),
        (stream(MaximumBatchingWindowInSeconds=-1), "MaximumBatchingWindowInSeconds is -1, allowed are 0 to 300"),
        (
            queue(ScalingConfig={"MaximumConcurrency": 1}),
            "ScalingConfig.MaximumConcurrency is 1, allowed are 2 to 1000",
        ),
        (queue(ScalingConfig={"MaximumConcurrency": 1001}), "MaximumConcurrency is 1001"),
        (stream(ScalingConfig={"MaximumConcurrency": 2}), "ScalingConfig does not go with a stream"),
        (
            queue(ScalingConfig={"MaximumConcurrency": 2}, ProvisionedPollerConfig={"MinimumPollers": 2}),
            "ProvisionedPollerConfig does not go with ScalingConfig",
        ),
        (
            queue(ProvisionedPollerConfig={"MinimumPollers": 1}),
            "ProvisionedPollerConfig.MinimumPollers is 1, allowed are 2 to 200",
        ),
        (queue(ProvisionedPollerConfig={"MinimumPollers": 201}), "MinimumPollers is 201, allowed are 2 to 200"),
        (queue(ProvisionedPollerConfig={"MaximumPollers": 1}), "MaximumPollers is 1, allowed are 2 to 10000"),
        (queue(ProvisionedPollerConfig={"MaximumPollers": 10_001}), "MaximumPollers is 10001"),
        (queue(ProvisionedPollerConfig={"MaximumPollers": "few"}), "MaximumPollers is 'few', a whole number"),
        (
            queue(ProvisionedPollerConfig={"MinimumPollers": 5, "MaximumPollers": 4}),
            "ProvisionedPollerConfig.MinimumPollers is 5, more than MaximumPollers, 4",
        ),
        (
            queue(ProvisionedPollerConfig={"MinimumPollers": 2, "PollerGroupName": "g"}),
            "ProvisionedPollerConfig.PollerGroupName is refused: .*Kafka",
        ),
        (stream(ProvisionedPollerConfig={"MinimumPollers": 2}), "ProvisionedPollerConfig does not go with a stream"),
        (queue(StartingPosition="LATEST"), "StartingPosition does not go with a queue"),
        (queue(ParallelizationFactor=1), "ParallelizationFactor does not go with a queue"),
        (queue(BisectBatchOnFunctionError=False), "BisectBatchOnFunctionError does not go with a queue"),
        (queue(MaximumRetryAttempts=1), "MaximumRetryAttempts does not go with a queue"),
        (queue(MaximumRecordAgeInSeconds=60), "MaximumRecordAgeInSeconds does not go with a queue"),
        (queue(TumblingWindowInSeconds=0), "TumblingWindowInSeconds does not go with a queue"),
        (queue(DestinationConfig={"OnFailure": {"Destination": DLQ}}), "DestinationConfig does not go with a queue"),
        ({"FunctionName": "fn", "EventSourceArn": STREAM}, "StartingPosition is None, a DynamoDB stream needs"),
        (stream(StartingPosition="AT_TIMESTAMP"), "StartingPosition is 'AT_TIMESTAMP'"),
        (stream(StartingPosition="latest"), "StartingPosition is 'latest'"),
        (stream(BatchSize=10_001), "BatchSize is 10001"),
        (stream(ParallelizationFactor=0), "ParallelizationFactor is 0, allowed are 1 to 10"),
        (stream(ParallelizationFactor=11), "ParallelizationFactor is 11, allowed are 1 to 10"),
        (stream(MaximumRetryAttempts=-2), "MaximumRetryAttempts is -2, allowed are -1 to 10000"),
        (stream(MaximumRetryAttempts=10_001), "MaximumRetryAttempts is 10001"),
        (stream(MaximumRecordAgeInSeconds=0), "MaximumRecordAgeInSeconds is 0, allowed are -1 and 60 to 604800"),
        (stream(MaximumRecordAgeInSeconds=59), "MaximumRecordAgeInSeconds is 59"),
        (stream(MaximumRecordAgeInSeconds=604_801), "MaximumRecordAgeInSeconds is 604801"),
        (stream(TumblingWindowInSeconds=900), "TumblingWindowInSeconds is refused: tumbling windows"),
        (stream(BisectBatchOnFunctionError="yes"), "BisectBatchOnFunctionError is 'yes', true or false is needed"),
        (queue(Enabled=1), "Enabled is 1, true or false is needed"),
        (queue(FunctionResponseTypes=["Everything"]), "FunctionResponseTypes has 'Everything'"),
        (queue(FunctionResponseTypes="ReportBatchItemFailures"), "FunctionResponseTypes is .* a list is needed"),
        (
            stream(DestinationConfig={"OnFailure": {"Destination": "arn:aws:sns:us-east-1:000000000000:topic"}}),
            "DestinationConfig.OnFailure.Destination .*sns.* is no SQS queue",
        ),
        (
            stream(DestinationConfig={"OnFailure": {"Destination": DLQ + ".fifo"}}),
            "DestinationConfig.OnFailure.Destination .* FIFO queue",
        ),
        (queue(FilterCriteria={"Filters": {"Pattern": "{}"}}), "FilterCriteria.Filters is .* a list is needed"),
        (queue(FilterCriteria={"Filters": [{}]}), "FilterCriteria.Filters.Pattern is None"),
        (
            queue(FilterCriteria={"Filters": [{"Pattern": {"a": [1]}}]}),
            "Filters.Pattern is .* a string that holds JSON",
        ),
        (
            queue(FilterCriteria={"Filters": [{"Pattern": "no json"}]}),
            "FilterCriteria.Filters pattern 'no json' is not",
        ),
        (queue(FilterCriteria={"Filters": [{"Pattern": '{"a":[1]}'}] * 6}), "FilterCriteria.Filters has 6 filters"),
        (queue(FilterCriteria={"Filters": [{"pattern": "{}"}]}), "FilterCriteria.Filters.pattern is not a property"),
        (queue(FilterCriteria={"filters": []}), "FilterCriteria.filters is not a property"),
        (stream(FilterCriteria={"Filters": [{"Pattern": '{"a":[{"wildcard":"*"}]}'}]}), "'wildcard' is not supported"),
        (stream(FilterCriteria={"Filters": [{"Pattern": '{"dynamodb":["x"]}'}]}), "'dynamodb' is an object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_mapping_when_aws_would_refuse_it_is_refused_by_name(properties: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MappingRefused, match=rf"Map: .*{complaint}|Map: {complaint}"):
        build(properties)


def test_mapping_when_it_repeats_another_is_refused() -> None:
    with pytest.raises(MappingRefused, match=f"Map1: Map maps {QUEUE} to fn already"):
        build(queue(), queue(BatchSize=1))
    assert len(build(queue(), queue(FunctionName="other"))[0]) == 2


def test_refusal_when_a_name_is_unknown_lists_the_known_ones() -> None:
    with pytest.raises(MappingRefused) as caught:
        build(stream(DestinationConfig={"OnSuccess": {}}))
    assert caught.value.hint == "known: OnFailure"


def test_filters_when_given_to_a_queue_are_those_that_run() -> None:
    patterns = [json.dumps({"body": {"a": [i]}}) for i in range(5)]
    (made,), _ = build(queue(FilterCriteria={"Filters": [{"Pattern": p} for p in patterns]}))
    assert made.filters == tuple(patterns)
