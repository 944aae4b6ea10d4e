"""Background tasks that cannot fail unseen: an unexpected exception ends the whole service, loudly."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger(__name__)


def spawn(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Run a coroutine that is meant to go on until cancelled.

    If it raises, the service stops with SIGTERM after logging why: an event source that died in silence would
    show up as rows that never arrive.
    """
    task = asyncio.create_task(coroutine, name=name)
    task.add_done_callback(_check)
    return task


def _check(task: asyncio.Task[None]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        _log.critical("%s failed", task.get_name(), exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)
