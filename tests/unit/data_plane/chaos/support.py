"""Rules for tests, and a service that notes what reaches it."""

from __future__ import annotations

from typing import Any

import orjson

from harness.data_plane.chaos.injection import Injector
from harness.data_plane.chaos.rules import Rule, RuleSet, parse_rules
from harness.data_plane.http_server import Answer, Headers

TARGETS = {"sqs": b"AmazonSQS", "dynamodb": b"DynamoDB_20120810", "dynamodbstreams": b"DynamoDBStreams_20120810"}


WRITES = 'service = "dynamodb"\noperation = "BatchWriteItem"\n'


def rule_set(text: str) -> RuleSet:
    """A file of one rule, given without its heading."""
    return parse_rules("[[rule]]\n" + text)


def one(text: str) -> Rule:
    """The only rule of a text without its heading."""
    (rule,) = rule_set(text).rules
    return rule


def rules(*texts: str) -> tuple[Rule, ...]:
    return parse_rules("".join(f"[[rule]]\n{text}\n" for text in texts)).rules


class Service:
    """Answers every request with `answer` and keeps the bodies; `clock` is the rules'."""

    def __init__(self, *texts: str, answer: Any = None) -> None:
        self.now = 0.0
        self.seen: list[tuple[str, bytes]] = []
        self.answer = answer or {}
        self.injector = Injector(rules(*texts), self._serve, lambda: self.now)

    def _serve(self, target: str, _headers: Headers, body: bytes) -> Answer:
        self.seen.append((target, body))
        return 200, (), orjson.dumps(self.answer)

    def call(self, service: str, operation: str, request: Any, target: str = "/", **headers: bytes) -> Any:
        names = {k.replace("_", "-").encode(): v for k, v in headers.items()}
        named = {b"x-amz-target": TARGETS[service] + b"." + operation.encode(), **names}
        return self.injector.handle(target, named, orjson.dumps(request))
