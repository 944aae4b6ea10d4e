"""Event source mappings that AWS does not create: a deployment with one fails."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import HarnessError
from tests.contract.conftest import DeployStack
from tests.contract.support import arn, mapping, queue, table

QUEUE = arn("Queue")
STREAM = {"Fn::GetAtt": ["Table", "StreamArn"]}
TRIM_HORIZON = {"StartingPosition": "TRIM_HORIZON"}


@pytest.mark.parametrize(
    ("source", "properties"),
    [
        (QUEUE, {"BatchSize": 11}),
        (QUEUE, {"BatchSize": 10_001, "MaximumBatchingWindowInSeconds": 1}),
        (QUEUE, {"MaximumBatchingWindowInSeconds": 301}),
        (QUEUE, {"ScalingConfig": {"MaximumConcurrency": 1}}),
        (QUEUE, {"ProvisionedPollerConfig": {"MinimumPollers": 1}}),
        (QUEUE, {"ProvisionedPollerConfig": {"MinimumPollers": 201}}),
        (QUEUE, {"ProvisionedPollerConfig": {"MinimumPollers": 2}, "ScalingConfig": {"MaximumConcurrency": 2}}),
        (QUEUE, {"StartingPosition": "LATEST"}),
        (QUEUE, {"DestinationConfig": {"OnFailure": {"Destination": QUEUE}}}),
        (QUEUE, {"FunctionResponseTypes": ["ReportEverything"]}),
        (QUEUE, {"BatchSise": 1}),
        (STREAM, {}),
        (STREAM, {"StartingPosition": "AT_TIMESTAMP"}),
        (STREAM, {**TRIM_HORIZON, "ParallelizationFactor": 11}),
        (STREAM, {**TRIM_HORIZON, "MaximumRecordAgeInSeconds": 10}),
        (STREAM, {**TRIM_HORIZON, "MaximumRetryAttempts": 10_001}),
        (STREAM, {**TRIM_HORIZON, "ScalingConfig": {"MaximumConcurrency": 2}}),
    ],
    ids=[
        "batch-over-ten-without-window",
        "batch-over-ten-thousand",
        "window-over-five-minutes",
        "maximum-concurrency-of-one",
        "minimum-pollers-of-one",
        "minimum-pollers-over-two-hundred",
        "provisioned-pollers-with-maximum-concurrency",
        "queue-with-starting-position",
        "queue-with-destination",
        "unknown-response-type",
        "unknown-property",
        "stream-without-starting-position",
        "stream-at-timestamp",
        "parallelization-over-ten",
        "record-age-of-ten-seconds",
        "retries-over-ten-thousand",
        "stream-with-maximum-concurrency",
    ],
)
def test_mapping_when_aws_does_not_create_it_is_refused_at_deploy(
    stack: DeployStack, source: Any, properties: dict[str, Any]
) -> None:
    made = {"Queue": queue(), "Table": table(), "Map": mapping(source, **properties)}
    with pytest.raises(HarnessError):
        stack("def handler(event, context):\n    pass\n", made)


def test_mapping_when_another_maps_the_same_queue_to_the_function_is_refused_at_deploy(stack: DeployStack) -> None:
    made = {"Queue": queue(), "Map": mapping(QUEUE), "Again": mapping(QUEUE, BatchSize=1)}
    with pytest.raises(HarnessError):
        stack("def handler(event, context):\n    pass\n", made)
