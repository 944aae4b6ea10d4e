"""After a restart: the queues as the log says they were."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from harness.data_plane.queues import records
from harness.data_plane.queues.journal import Journal
from harness.data_plane.queues.limits import DEDUPLICATION_MS
from harness.data_plane.queues.log import FRAME, Segment
from harness.data_plane.queues.message import IN_FLIGHT, READY, Message, id_of
from harness.data_plane.queues.records import LENGTH_BITS, SEEN_IN_GROUP, Gone, Put, State, Taken

SeenKey = tuple[str | None, str]


@dataclass
class Recovered:
    """One queue: its description, its messages by number, its deduplication ids; `highest` number ever given."""

    description: dict[str, Any]
    messages: dict[int, Message] = field(default_factory=dict)
    seen: dict[SeenKey, dict[str, Any]] = field(default_factory=dict)
    highest: int = 0


@dataclass
class Recovery:
    """What a log had: queues by id, move tasks by id, when queues were deleted (ms) by name, the highest queue id."""

    queues: dict[int, Recovered] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: dict[str, int] = field(default_factory=dict)
    highest: int = 0

    def apply(self, segment: Segment, offset: int, payload: bytes) -> None:
        """Take on one frame. What concerns a queue or message that is gone is passed over: it came first."""
        start = segment.base + offset + FRAME.size
        for entry in records.entries(payload):
            if isinstance(entry, dict):
                self._document(entry)
                continue
            queue = self.queues.get(entry.queue)
            if queue is None:
                continue
            if isinstance(entry, Put):
                message = entry.message
                length = message.place
                if entry.seen:
                    _see(queue, entry, payload[entry.offset : entry.offset + length])
                if queue.description["fifo"]:
                    extra = records.content_of(payload[entry.offset : entry.offset + length])[1]
                    message.group = None if extra is None else extra.group
                message.place = (start + entry.offset) << LENGTH_BITS | length
                queue.messages[message.number] = message
                queue.highest = max(queue.highest, message.number)
            elif isinstance(entry, Gone):
                for number in entry.numbers:
                    queue.messages.pop(number, None)
            elif isinstance(entry, Taken):
                _take(queue, entry)
            else:
                _set_state(queue, entry)

    def _document(self, members: dict[str, Any]) -> None:
        if "queue" in members:
            description = members["queue"]
            present = self.queues.get(description["id"])
            if present is None:
                self.queues[description["id"]] = Recovered(description, highest=description["numbers"])
            else:
                present.description = description
            self.highest = max(self.highest, description["id"])
        elif "drop" in members:
            gone = self.queues.pop(members["drop"], None)
            if gone is not None:
                self.deleted[gone.description["name"]] = members["now"]
        elif "purge" in members:
            if (purged := self.queues.get(members["purge"])) is not None:
                purged.messages.clear()
                purged.seen.clear()
        elif "task" in members:
            self.tasks[members["task"]["task_id"]] = members["task"]
        elif "seen" in members:
            if (queue := self.queues.get(members["seen"])) is not None:
                queue.seen[members["group"], members["id"]] = members
        elif "deleted" in members:
            self.deleted.update(members["deleted"])


def _see(queue: Recovered, entry: Put, kept: bytes) -> None:
    content, extra = records.content_of(kept)
    if extra is None or extra.deduplication_id is None:
        return
    group = extra.group if entry.seen == SEEN_IN_GROUP else None
    queue.seen[group, extra.deduplication_id] = {
        "seen": entry.queue,
        "group": group,
        "id": extra.deduplication_id,
        "message": id_of(content).decode(),
        "sequence": str(extra.sequence),
        "until": entry.message.sent + DEDUPLICATION_MS,
    }


def _take(queue: Recovered, entry: Taken) -> None:
    for number, receives in entry.messages:
        message = queue.messages.get(number)
        if message is not None:
            message.receives = receives
            message.first_received = message.first_received or entry.now
            message.state = IN_FLIGHT if entry.due else READY
            message.due = entry.due or entry.now


def _set_state(queue: Recovered, entry: State) -> None:
    message = queue.messages.get(entry.number)
    if message is not None:
        message.state, message.due = entry.state, entry.due


def recover(journal: Journal) -> Recovery:
    """Read a journal's log, cut what is torn, and count what is alive; raises OSError."""
    found = Recovery()
    log = journal.log
    for segment, offset, payload in log.recover():
        found.apply(segment, offset, payload)
        segment.seen = True
    for queue in found.queues.values():
        for message in queue.messages.values():
            journal.count(message)
    return found
