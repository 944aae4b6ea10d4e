"""What the tests of the API share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

MakeQueue = Callable[..., str]


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    """The code and the message of a refusal."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def attributes(sqs: Any, url: str) -> dict[str, str]:
    found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return found


def receive(sqs: Any, url: str, **arguments: Any) -> list[dict[str, Any]]:
    given: dict[str, Any] = {
        "MaxNumberOfMessages": 10,
        "AttributeNames": ["All"],
        "MessageAttributeNames": ["All"],
        **arguments,
    }
    messages: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, **given).get("Messages", [])
    return messages
