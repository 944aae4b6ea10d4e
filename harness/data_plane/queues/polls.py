"""Long polls: who waits at which queue, and when to look there again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from harness.data_plane.queues.broker import Hosted
from harness.data_plane.queues.errors import no_such_queue
from harness.data_plane.queues.journal import StorageError
from harness.data_plane.queues.message import Message
from harness.data_plane.queues.queue import Queue
from harness.data_plane.queues.receiving import EMPTY, Receive, receive, render

_SOONEST = 0.001


@dataclass(eq=False, slots=True)
class _Poll:
    asked: Receive
    answer: asyncio.Future[bytes]
    end: asyncio.TimerHandle


class LongPolls:
    """The polls that wait. Each is answered as soon as its queue has a message for it, in order of arrival, or with
    nothing when its time is over. A poll whose client has gone (its future is cancelled) gets no message."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int], sender: bytes) -> None:
        self._loop = loop
        self._clock = clock
        self._sender = sender
        self._waiting: dict[Queue, dict[_Poll, None]] = {}
        self._alarms: dict[Queue, asyncio.TimerHandle] = {}

    def add(self, queue: Queue, asked: Receive, wait: int) -> asyncio.Future[bytes]:
        """Wait up to `wait` ms; the returned future resolves with the answer."""
        future: asyncio.Future[bytes] = self._loop.create_future()
        end = self._loop.call_later(wait / 1000, self._end, queue, future)
        poll = _Poll(asked, future, end)
        self._waiting.setdefault(queue, {})[poll] = None
        future.add_done_callback(lambda _: self._forget(queue, poll))
        self._arm(queue)
        return future

    def pump(self, queue: Queue) -> None:
        """Give the queue's visible messages to those who wait; call it whenever some may have become visible."""
        waiting = self._waiting.get(queue)
        now = self._clock()
        try:
            while waiting:
                # What is noted comes first: nothing may change while it cannot be written.
                queue.journal.commit()
                poll = next(iter(waiting))
                if not poll.answer.done():
                    messages: list[Message] = receive(queue, now, poll.asked)
                    queue.journal.commit()
                    if not messages:
                        break
                    poll.answer.set_result(render(queue, messages, poll.asked, self._sender))
                del waiting[poll]
        except StorageError as error:
            for poll in list(waiting or ()):
                if not poll.answer.done():
                    poll.answer.set_exception(error)
        self._arm(queue)

    def waits(self, queue: Queue) -> bool:
        """Return whether anyone waits at a queue."""
        return queue in self._waiting

    def end_all(self, hosted: Hosted) -> None:
        """Refuse the polls of a queue that was deleted."""
        for poll in list(self._waiting.get(hosted.queue, ())):
            if not poll.answer.done():
                poll.answer.set_exception(no_such_queue())

    @staticmethod
    def _end(queue: Queue, future: asyncio.Future[bytes]) -> None:
        if not future.done():
            queue.meter.empty_receives += 1
            future.set_result(EMPTY)

    def _forget(self, queue: Queue, poll: _Poll) -> None:
        poll.end.cancel()
        waiting = self._waiting.get(queue)
        if waiting is not None:
            waiting.pop(poll, None)
            if not waiting:
                del self._waiting[queue]
                alarm = self._alarms.pop(queue, None)
                if alarm is not None:
                    alarm.cancel()

    def _arm(self, queue: Queue) -> None:
        """Look again when the next delayed or in-flight message becomes visible."""
        alarm = self._alarms.pop(queue, None)
        if alarm is not None:
            alarm.cancel()
        due = queue.next_event()
        if due is not None and queue in self._waiting:
            delay = max(_SOONEST, (due - self._clock()) / 1000)
            self._alarms[queue] = self._loop.call_later(delay, self.pump, queue)
