"""An event loop whose clock jumps: nothing waits, and what would wait for ever fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Advances its clock to the next timer instead of sleeping."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 1_000.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        poll = selector.select

        def select(timeout: float | None = None) -> Any:
            ready = poll(0)
            if not ready:
                if timeout is None:
                    raise AssertionError("everything waits, and nothing will ever happen")
                self._now += timeout
            return ready

        selector.select = select

    def time(self) -> float:
        return self._now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def now() -> float:
    """Return the running loop's time in seconds."""
    return asyncio.get_running_loop().time()


async def until(condition: Any, *, seconds: float = 600.0) -> None:
    """Return when `condition()` holds; fails after `seconds` of virtual time."""
    end = now() + seconds
    while not condition():
        assert now() < end, "it did not happen in time"
        await asyncio.sleep(0.01)
