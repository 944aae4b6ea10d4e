"""When nothing is under way any more, and when nothing will ever move again. Pure.

The pipeline is a closed system once the uploads have ended: rows are in queues, in the table's stream, or in the hands
of the Lambda service (invocations that run, events that wait for a retry, messages received, records read). They go
from one of these places to another through the service alone; queues only hide messages, show them again, and move
them to their dead-letter queue. Places are read one after another, so a single sample can miss a row that went from a
place not yet read to one already read. Two samples cannot, when the service counts what it takes in:

    sample 1: the service, then every queue;    sample 2: the service, then every queue.

Let both samples find the service idle, with the same count. Whatever it held at any moment in between it must have held
at the first sample, or taken in since; so it held nothing, and moved nothing, from sample 1 to sample 2. The queues
that sample 1 found empty after asking the service were therefore empty all that time, and no record was written to the
stream. If the service has by now read the stream as it was at sample 1 or later and holds no record, the stream has
none either. So nothing was under way from sample 1 to sample 2, and from nothing nothing comes: it stays so.

An invocation that the service killed may have had a request under way that the data services execute a little later;
this is why the audit's verdict counts only if the same still holds after it.

Where an engine does not tell what its Lambda service does (LocalStack), the stream cannot be seen. There the counts of
what the functions said may prove that it is empty; else nothing may have moved for longer than anything hidden lasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.engines.base import Activity
from harness.queues import QueueDepths
from harness.telemetry import StageTotals

UNSEEN_POLL_SECONDS = 15.0
"""Longest pause of a LocalStack poller over an empty stream (LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC
is 10 by default), and until its functions' lines can be read."""

UNSEEN_CALM_SECONDS = 5.0
"""How long counts that prove an empty stream must stand: LocalStack stores a function's lines after it ended."""

RETRY_WAIT_SECONDS = 180.0
"""Longest wait of an asynchronous event between two attempts (Lambda developer guide, "Asynchronous invocation": one
minute, then two), and a minute for the attempt to begin."""

DEFAULT_CAPTURE_WINDOW, DEFAULT_WORKER_TIMEOUT, DEFAULT_VISIBILITY, DEFAULT_RETRY_DELAY = 1.0, 60.0, 360.0, 5.0
"""The template's own values of CaptureWindowSeconds, WorkerTimeout, VisibilityTimeout and RetryDelaySeconds."""


@dataclass(frozen=True)
class Patience:
    """How long things may be hidden, in seconds, from a deployment's parameters.

    `quiet`: a stream record that nobody sees (its batching window, a poller's pause, an invocation of capture);
    `hidden`: a message in flight whose invocation ended (its visibility timeout, or the delay of a row that failed
    alone).
    """

    quiet: float
    hidden: float

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Patience:
        """Return the patience that a deployment with these template parameters needs."""

        def seconds(name: str, default: float) -> float:
            return float(parameters.get(name, default))

        window = seconds("CaptureWindowSeconds", DEFAULT_CAPTURE_WINDOW)
        timeout = seconds("WorkerTimeout", DEFAULT_WORKER_TIMEOUT)
        visibility = seconds("VisibilityTimeout", DEFAULT_VISIBILITY)
        delay = seconds("RetryDelaySeconds", DEFAULT_RETRY_DELAY)
        return cls(quiet=window + timeout + UNSEEN_POLL_SECONDS, hidden=max(visibility, delay))


@dataclass(frozen=True)
class Reading:
    """One sample of everything that can be under way.

    `at` is seconds in which the harness ran, a clock that never goes back. `activity` was read first, or is None where
    the engine does not tell; then `depths`, of the stages' queues in their order and of the dead-letter queues, and
    `internal`, the messages in the service's own queues. `delivered` says whether every uploaded object was cleaned or
    given up: only its notification, on its way from S3 to Lambda, is in none of the other places. `totals` are what the
    functions said so far.
    """

    at: float
    activity: Activity | None
    depths: QueueDepths
    internal: int
    delivered: bool
    totals: Mapping[str, StageTotals]

    @property
    def empty(self) -> bool:
        """Whether no queue that is consumed holds a message, visible or not."""
        return self.internal == 0 and all(depth.total == 0 for depth in self.depths.queues.values())

    @property
    def at_rest(self) -> bool:
        """Whether this sample found nothing under way; a single one proves nothing."""
        return self.delivered and self.empty and (self.activity is None or self.activity.idle)

    @property
    def mark(self) -> tuple[object, ...]:
        """Return what is equal at two moments only if nothing moved in between."""
        letters = tuple(depth.total for depth in self.depths.dlqs.values())
        if self.activity is not None:
            return (self.activity.service, self.activity.moved, letters)
        said = tuple((t.rows_in, t.rows_ok, t.rows_failed, t.rows_quarantined, t.errors) for t in self.totals.values())
        return (letters, said)

    @property
    def motion(self) -> tuple[object, ...]:
        """Return what changes whenever anything moves, for telling what is stuck: the mark and every depth."""
        activity = self.activity
        doing = (activity.running, activity.events, activity.messages, activity.records) if activity else ()
        queues = tuple((d.visible, d.in_flight, d.delayed) for d in self.depths.queues.values())
        said = tuple((t.rows_in, t.rows_ok, t.rows_failed, t.errors) for t in self.totals.values())
        return (self.mark, doing, queues, self.internal, said)


class Settling:
    """Takes one sample after the other and says whether they prove that nothing is under way."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._first: Reading | None = None
        self._mark: tuple[object, ...] = ()
        self._settled = False

    def observe(self, reading: Reading) -> bool:
        """Return whether nothing was under way from the first of these equal samples to this one."""
        self._settled = self._proved(reading)
        return self._settled

    def undisturbed(self, reading: Reading) -> bool:
        """Return whether nothing has moved since the samples that settled; never so before they did."""
        return self._settled and reading.at_rest and reading.mark == self._mark

    def _proved(self, reading: Reading) -> bool:
        if not reading.at_rest:
            self._first = None
            return False
        # The mark is taken at once: a reader of telemetry goes on adding to the same totals.
        mark = reading.mark
        if self._first is None or self._mark != mark:
            self._first, self._mark = reading, mark
            return False
        if reading.activity is None or self._first.activity is None:
            calm = reading.at - self._first.at
            enough = UNSEEN_CALM_SECONDS if stream_empty_by_counts(reading.totals) else self._patience.quiet
            return calm >= enough
        read_at = reading.activity.streams_read_at
        return read_at is not None and read_at >= self._first.activity.now


class Stall:
    """Notices that nothing moves although it should.

    What is known to go on by itself is waited for: an invocation until its time-out, a message until it is visible
    again, a failed event until its next attempt. Only then does the time count.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._motion: tuple[object, ...] | None = None
        self._moved_at = 0.0
        self._due_at = 0.0

    def observe(self, reading: Reading) -> float:
        """Take a sample; return for how many seconds nothing has moved that should have."""
        if reading.motion != self._motion:
            self._motion = reading.motion
            self._moved_at = self._due_at = reading.at
        self._due_at = max(self._due_at, self._due(reading))
        return max(0.0, reading.at - self._due_at)

    def _due(self, reading: Reading) -> float:
        due = self._moved_at
        if any(depth.in_flight or depth.delayed for depth in reading.depths.queues.values()):
            due = self._moved_at + self._patience.hidden
        if reading.activity is not None:
            # What the service waits for is the rest of it.
            return max(due, reading.at + reading.activity.due_seconds) if reading.activity.due_seconds else due
        if not reading.delivered and reading.totals["clean"].errors:
            due = max(due, self._moved_at + RETRY_WAIT_SECONDS)
        if reading.at_rest:
            due = max(due, self._moved_at + self._patience.quiet)
        return due


def stream_empty_by_counts(totals: Mapping[str, StageTotals]) -> bool:
    """Return whether what insert and capture said proves that capture has passed every change on.

    Insert told of every item that it put, as long as no invocation of it failed; each put makes one change at most.
    Capture passed on as many, and none of its batches failed, so none was passed on twice. More would mean that insert
    put items of which it did not tell.
    """
    insert, capture = totals["insert"], totals["capture"]
    return not (insert.errors or capture.errors or capture.rows_failed) and capture.rows_ok == insert.rows_ok


def under_way(reading: Reading) -> str:
    """Return what is under way in a sample, in words; "" where nothing is."""
    found = []
    activity = reading.activity
    if activity is not None:
        counts = [
            (activity.running, "invocations running"),
            (activity.events, "asynchronous events not finished"),
            (activity.messages, "messages in the hands of pollers"),
            (activity.records, "stream records not processed"),
            (activity.log_lines, "log lines not stored"),
        ]
        found = [f"{count:,} {what}" for count, what in counts if count]
        if activity.streams_read_at is None:
            found.append("the table's stream not read to its end")
    messages = reading.internal + sum(depth.total for depth in reading.depths.queues.values())
    if messages:
        found.append(f"{messages:,} messages in queues")
    if not reading.delivered:
        found.append("an uploaded object that clean has not finished")
    return ", ".join(found)
