"""All queues of one account and region: names, redrive to dead-letter queues, move tasks; and all of it from a log."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from harness.data_plane.queues import limits
from harness.data_plane.queues.attributes import config_of
from harness.data_plane.queues.errors import SqsError, invalid, no_such_queue
from harness.data_plane.queues.fifo import FifoQueue
from harness.data_plane.queues.journal import Journal
from harness.data_plane.queues.message import Extra, Message, all_receives, body_of, md5_of
from harness.data_plane.queues.move_tasks import CANCELLED, COMPLETED, FAILED, RUNNING, MoveTask, named_by
from harness.data_plane.queues.queue import Queue, QueueConfig
from harness.data_plane.queues.recovery import Recovered, recover

_ARN_FORMAT = "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"


@dataclass
class Hosted:
    """A queue with what the API keeps beside its messages; times in ms. `attributes` has what was set, as text."""

    queue: Queue
    attributes: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)
    created: int = 0
    modified: int = 0
    purged: int | None = None


class Broker:
    """The queues. `arrived` is called with a queue into which a message was moved."""

    def __init__(
        self,
        account: str,
        region: str,
        arrived: Callable[[Queue], None],
        *,
        partition: str = "aws",
        in_flight_limit: int = limits.IN_FLIGHT,
        journal: Journal | None = None,
    ) -> None:
        self._prefix = f"arn:{partition}:sqs:{region}:{account}:"
        self.account = account
        self.region = region
        self._arrived = arrived
        self._in_flight_limit = in_flight_limit
        self.queues: dict[str, Hosted] = {}
        self.deleted: dict[str, int] = {}
        self._tasks: dict[str, MoveTask] = {}
        self._identities = 0
        self.journal = journal or Journal()
        self.journal.snapshot = self._snapshot

    def recover(self) -> None:
        """Take on what the journal's log has, and begin a segment; raises OSError."""
        found = recover(self.journal)
        self._identities = found.highest
        self.deleted = found.deleted
        for identity, recovered in found.queues.items():
            self._restore(identity, recovered)
        for members in found.tasks.values():
            self._add_task(MoveTask.kept(members))
        self.journal.roll()

    def _restore(self, identity: int, recovered: Recovered) -> None:
        kept = recovered.description
        queue = self._queue(kept["name"], identity, config_of(kept["attributes"]))
        queue.token = kept["token"]
        queue.numbers = max(kept["numbers"], recovered.highest)
        queue.restore(recovered.messages)
        for members in sorted(recovered.seen.values(), key=lambda m: int(m["until"])):
            queue.restore_seen(members)
        self.queues[kept["name"]] = Hosted(
            queue, kept["attributes"], kept["tags"], kept["created"], kept["modified"], kept["purged"]
        )

    def _snapshot(self) -> Iterator[dict[str, Any]]:
        """Yield documents that describe everything but messages."""
        for hosted in self.queues.values():
            yield _description(hosted)
        for task in self._tasks.values():
            yield {"task": task.to_keep()}
        if self.deleted:
            yield {"deleted": self.deleted}

    def keep(self, hosted: Hosted) -> None:
        """Note a queue that was made, or what was changed about it."""
        self.journal.document(_description(hosted))

    def _queue(self, name: str, identity: int, config: QueueConfig) -> Queue:
        kind = FifoQueue if config.fifo else Queue
        return kind(self.arn(name), config, self._dead_letter, self._in_flight_limit, self.journal, identity)

    def arn(self, name: str) -> str:
        """Return the ARN of a queue of this name."""
        return self._prefix + name

    def get(self, name: str) -> Hosted:
        """Return a queue by name; raises SqsError."""
        hosted = self.queues.get(name)
        if hosted is None:
            raise no_such_queue()
        return hosted

    def by_arn(self, arn: str) -> Hosted | None:
        """Return a queue by ARN, None when it is not here."""
        return self.queues.get(arn[len(self._prefix) :]) if arn.startswith(self._prefix) else None

    def create(self, now: int, name: str, attributes: dict[str, str], tags: dict[str, str]) -> Hosted:
        """Add a queue with checked attributes; its name must be free."""
        config = config_of(attributes)
        self._identities += 1
        queue = self._queue(name, self._identities, config)
        hosted = Hosted(queue, attributes, tags, created=now, modified=now)
        self.queues[name] = hosted
        self.keep(hosted)
        self.deleted.pop(name, None)
        return hosted

    def delete(self, now: int, name: str) -> Hosted:
        """Take a queue away with its messages; raises SqsError."""
        hosted = self.get(name)
        del self.queues[name]
        self.journal.emptied(hosted.queue.messages.values())
        del self.journal.queues[hosted.queue.identity]
        self.journal.document({"drop": hosted.queue.identity, "now": now})
        for earlier, then in list(self.deleted.items()):
            if then + limits.PURGE_SECONDS * 1000 > now:
                break
            del self.deleted[earlier]
        self.deleted[name] = now
        return hosted

    def sources(self, arn: str) -> list[Hosted]:
        """Return the queues whose dead-letter queue this is."""
        return [
            hosted
            for hosted in self.queues.values()
            if hosted.queue.config.redrive is not None and hosted.queue.config.redrive.target_arn == arn
        ]

    def _dead_letter(self, queue: Queue, message: Message, now: int) -> bool:
        """Move a message to its queue's dead-letter queue. It keeps its id, its attributes and its receive count; in a
        standard queue also the time from which its retention counts."""
        redrive = queue.config.redrive
        target = self.by_arn(redrive.target_arn) if redrive is not None else None
        if target is None or target.queue is queue:
            return False
        [(content, given)] = self.journal.contents([message])
        extra = replace(given or Extra(), source_arn=queue.arn, receives_before=all_receives(message, given))
        sent = now if target.queue.config.fifo else message.sent
        target.queue.put(now, content, sent, 0, extra, first_received=message.first_received)
        self._arrived(target.queue)
        return True

    # move tasks

    def start_move(self, now: int, source_arn: str, destination_arn: str | None, rate: int | None) -> MoveTask:
        """Start to move the messages of a dead-letter queue; raises SqsError. `run_moves` does the moving."""
        source = self._required(source_arn, "SourceArn")
        if destination_arn is not None:
            self._required(destination_arn, "DestinationArn")
        if rate is not None and not 1 <= rate <= limits.MOVE_TASK_RATE:
            raise invalid(
                f"Value {rate} for parameter MaxNumberOfMessagesPerSecond is invalid. "
                f"Reason: You must enter a value between 1 and {limits.MOVE_TASK_RATE}."
            )
        if not self.sources(source_arn):
            raise invalid("Source queue must be configured as a Dead Letter Queue.")
        if any(t.source_arn == source_arn and t.status == RUNNING for t in self._tasks.values()):
            raise invalid(
                "There is already a task running. "
                "Only one active task is allowed for a source queue arn at a given time."
            )
        task = MoveTask(
            str(uuid.uuid4()),
            source_arn,
            destination_arn,
            rate,
            rate or limits.MOVE_TASK_RATE,
            now,
            source.queue.counts(now).visible,
        )
        self._add_task(task)
        self._keep_task(task)
        return task

    def _add_task(self, task: MoveTask) -> None:
        """Add a task; of those of a queue only as many are kept as are ever listed."""
        self._tasks[task.task_id] = task
        of_source = [t for t in self._tasks.values() if t.source_arn == task.source_arn]
        for old in of_source[: -limits.MOVE_TASKS_LISTED]:
            del self._tasks[old.task_id]

    def cancel_move(self, handle: str) -> MoveTask:
        """Cancel a running task; raises SqsError."""
        named = named_by(handle)
        if named is None:
            raise invalid("Value for parameter TaskHandle is invalid.")
        task_id, source_arn = named
        if self.by_arn(source_arn) is None:
            raise _no_resource("SourceArn")
        task = self._tasks.get(task_id)
        if task is None or task.source_arn != source_arn:
            raise SqsError("ResourceNotFoundException", "Task does not exist.")
        if task.status != RUNNING:
            raise invalid("Only active tasks can be cancelled.")
        task.status = CANCELLED
        self._keep_task(task)
        return task

    def moves(self, source_arn: str, count: int) -> list[MoveTask]:
        """Return the newest tasks of a source queue, the newest first; raises SqsError."""
        self._required(source_arn, "SourceArn")
        return [t for t in reversed(self._tasks.values()) if t.source_arn == source_arn][:count]

    def run_moves(self, now: int) -> bool:
        """Move what running tasks may move at this moment; returns whether any still runs."""
        running = [t for t in self._tasks.values() if t.status == RUNNING]
        for task in running:
            before = task.to_keep()
            self._step(now, task)
            if task.to_keep() != before:
                self._keep_task(task)
        return any(t.status == RUNNING for t in running)

    def _keep_task(self, task: MoveTask) -> None:
        self.journal.document({"task": task.to_keep()})

    def _step(self, now: int, task: MoveTask) -> None:
        source = self.by_arn(task.source_arn)
        if source is None:
            task.status, task.failure = FAILED, no_such_queue().code
            return
        for _ in range(task.allowance(now)):
            message = source.queue.take_for_move(now)
            if message is None:
                task.status = COMPLETED
                return
            [(content, given)] = self.journal.contents([message])
            extra = given or Extra()
            arn = task.destination_arn or extra.source_arn
            target = self.by_arn(arn)
            if target is None or (target.queue.config.fifo and extra.group is None):
                # It must not be lost: it stays in the dead-letter queue.
                kept = replace(extra, receives_before=all_receives(message, given))
                source.queue.put(now, content, message.sent, 0, kept)
                task.status = FAILED
                task.failure = no_such_queue().code if arn else "CouldNotDetermineMessageSource"
                return
            # A redriven message counts as a new one: new id, new timestamp, no receives.
            renamed = md5_of(content) + str(uuid.uuid4()).encode() + body_of(content)
            target.queue.put(now, renamed, now, 0, replace(extra, source_arn="", receives_before=0))
            task.moved += 1
            self._arrived(target.queue)

    def _required(self, arn: str, parameter: str) -> Hosted:
        parts = arn.split(":")
        if len(parts) != 6 or parts[0] != "arn" or parts[2] != "sqs" or not all(parts):
            raise invalid(f"You must use this format to specify the {parameter}: {_ARN_FORMAT}")
        hosted = self.by_arn(arn)
        if hosted is None:
            raise _no_resource(parameter)
        return hosted


def _description(hosted: Hosted) -> dict[str, Any]:
    queue = hosted.queue
    return {
        "queue": {
            "id": queue.identity,
            "name": queue.name,
            "fifo": queue.config.fifo,
            "token": queue.token,
            "numbers": queue.numbers,
            "attributes": hosted.attributes,
            "tags": hosted.tags,
            "created": hosted.created,
            "modified": hosted.modified,
            "purged": hosted.purged,
        }
    }


def _no_resource(parameter: str) -> SqsError:
    return SqsError(
        "ResourceNotFoundException", f"The resource that you specified for the {parameter} parameter doesn't exist."
    )
