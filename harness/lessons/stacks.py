"""What lessons do with their stacks: send to a queue, read a whole table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from handlers.aws import JsonClient
from harness.engines.base import Engine
from harness.errors import EnvironmentProblem

_MESSAGES_PER_CALL = 10
"""Entries of one SendMessageBatch (Amazon SQS quotas)."""


def send(sqs: Any, url: str, bodies: Sequence[str]) -> None:
    """Send messages to a queue; raises EnvironmentProblem where one is refused."""
    for start in range(0, len(bodies), _MESSAGES_PER_CALL):
        some = bodies[start : start + _MESSAGES_PER_CALL]
        entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(some)]
        failed = sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")
        if failed:
            raise EnvironmentProblem(f"queue {url} refused messages: {failed[0].get('Message')}")


def strings_of(engine: Engine, table: str, attribute: str) -> Iterator[str]:
    """Yield an attribute, a string, of every item of a table that has it, read consistently and past any throttling."""
    client = JsonClient("dynamodb", engine.session(), engine.endpoints.observer_url("dynamodb"))
    start: dict[str, Any] = {}
    while True:
        request = {"TableName": table, "ProjectionExpression": attribute, "ConsistentRead": True, **start}
        answer = client.call("Scan", json.dumps(request))
        for item in answer["Items"]:
            if attribute in item:
                yield item[attribute]["S"]
        if "LastEvaluatedKey" not in answer:
            return
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
