"""AWS as a script answers it, and events for the functions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from handlers import aws
from handlers.aws import AwsError
from handlers.record_batch import RecordBatch, RowError, decode, encode
from handlers.settings import Settings

SOURCE = "0123456789abcdef"
CONFIG = Settings(
    table_name="records", insert_queue_url="insert", process_queue_url="process", finished_queue_url="finished"
)
THROTTLED = AwsError("BatchWriteItem", "ProvisionedThroughputExceededException", "slow down", 400)


class Context:
    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


class FakeClient(aws.JsonClient):
    """Answers calls from a function; remembers them."""

    def __init__(self, answer: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._script = answer

    def call(self, operation: str, body: str | bytes, deadline: float | None = None) -> dict[str, Any]:
        request = json.loads(body)
        self.calls.append((operation, request))
        return self._script(operation, request)

    def sent(self) -> list[RecordBatch]:
        return [
            decode(entry["MessageBody"])
            for operation, request in self.calls
            if operation == "SendMessageBatch"
            for entry in request["Entries"]
        ]


def accepting(_: str, request: dict[str, Any]) -> dict[str, Any]:
    return {"Successful": [{"Id": e["Id"]} for e in request.get("Entries", [])]}


def event(*batches: RecordBatch | str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"m{i}",
                "receiptHandle": f"h{i}",
                "eventSourceARN": "arn",
                "body": b if isinstance(b, str) else encode(b),
            }
            for i, b in enumerate(batches)
        ]
    }


def batch(*rows: int, error: RowError | None = None, amount: str = "1.00") -> RecordBatch:
    columns = ("id", "amount", "currency")
    return RecordBatch(SOURCE, columns, [[r, f"id{r}", amount, "EUR"] for r in rows], None, error)


def keys(request: dict[str, Any]) -> list[str]:
    return [p["PutRequest"]["Item"]["record_id"]["S"] for p in request["RequestItems"]["records"]]


def failures(answer: dict[str, Any]) -> list[str]:
    return [f["itemIdentifier"] for f in answer["batchItemFailures"]]
