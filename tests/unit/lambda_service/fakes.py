"""A function pool and destinations that note what they are given."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from harness.lambda_service.environment import Outcome
from harness.lambda_service.model import Function
from harness.lambda_service.pool import FunctionFigures

FUNCTION = Function("fn", "arn:aws:lambda:us-east-1:000000000000:function:fn", "i.h", "", "python3.13", 3, 128, {}, "")
Work = Callable[[list[Any]], Awaitable[Any]]


async def succeed(records: list[Any]) -> None:
    """Do nothing with an event's records."""


class FakePool:
    """Runs `work` with the records of every event; an exception of it is a failed invocation."""

    def __init__(self, work: Work = succeed) -> None:
        self.figures: dict[str, FunctionFigures] = defaultdict(FunctionFigures)
        self.events: list[bytes] = []
        self.running = self.most = 0
        self._work = work

    async def invoke(self, name: str, payload: bytes) -> Outcome:
        self.events.append(payload)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0)
            answer, error = json.dumps(await self._work(json.loads(payload)["Records"])).encode(), ""
        except ValueError as caught:
            answer, error = b"{}", type(caught).__name__
        finally:
            self.running -= 1
        return Outcome("id", answer, error, 1.0, 1, None, 1)

    @property
    def sizes(self) -> list[int]:
        """Bytes of every event."""
        return [len(event) for event in self.events]


class FakeDestinations:
    """Keeps the records sent."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []

    async def send(self, arn: str, record: Mapping[str, Any]) -> None:
        self.sent.append(record)
