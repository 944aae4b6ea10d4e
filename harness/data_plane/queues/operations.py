"""Operations on queues themselves: creating, listing, attributes, tags, permissions, move tasks.

Each takes a request and returns its answer as a mapping, or raises SqsError.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.data_plane.queues import attributes, limits
from harness.data_plane.queues.broker import Broker, Hosted
from harness.data_plane.queues.errors import SqsError, invalid, invalid_value, missing
from harness.data_plane.queues.requests import Request, integer, optional_text, text, text_map, texts, wrong_type

Answer = dict[str, Any]
_PERMITTED = {
    "*",
    "SendMessage",
    "ReceiveMessage",
    "DeleteMessage",
    "ChangeMessageVisibility",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
}
_PERMISSION_ACTIONS = 7


@dataclass(frozen=True)
class Waits:
    """Seconds that SQS makes one wait, and which are nothing here by default, because tests would wait, too."""

    purge: float = 0.0
    deleted: float = 0.0


class QueueOperations:
    """The operations, over a broker. `url_base` begins every queue URL; `ended` hears of a deleted queue, `changed` of
    one whose messages may have become visible, `moving` of a move task that was started."""

    def __init__(
        self,
        broker: Broker,
        clock: Callable[[], int],
        url_base: str,
        waits: Waits,
        ended: Callable[[Hosted], None],
        changed: Callable[[Hosted], None],
        moving: Callable[[], None],
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._url_base = url_base
        self._waits = waits
        self._ended = ended
        self._changed = changed
        self._moving = moving
        self.table: dict[str, Callable[[Request], Answer]] = {
            "CreateQueue": self.create_queue,
            "DeleteQueue": self.delete_queue,
            "GetQueueUrl": self.get_queue_url,
            "ListQueues": self.list_queues,
            "GetQueueAttributes": self.get_queue_attributes,
            "SetQueueAttributes": self.set_queue_attributes,
            "PurgeQueue": self.purge_queue,
            "ListDeadLetterSourceQueues": self.list_dead_letter_source_queues,
            "TagQueue": self.tag_queue,
            "UntagQueue": self.untag_queue,
            "ListQueueTags": self.list_queue_tags,
            "AddPermission": self.add_permission,
            "RemovePermission": self.remove_permission,
            "StartMessageMoveTask": self.start_message_move_task,
            "CancelMessageMoveTask": self.cancel_message_move_task,
            "ListMessageMoveTasks": self.list_message_move_tasks,
        }

    def find(self, request: Request) -> Hosted:
        """Return the queue that a request names by its URL, whatever host that has, or by its name alone, which SQS
        takes, too (observed on AWS); raises SqsError."""
        url = request.get("QueueUrl")
        if not isinstance(url, str):
            if url is None:
                raise missing("QueueUrl")
            raise wrong_type("QueueUrl", "a string")
        rest, _, name = url.rpartition("/")
        account = rest[rest.rfind("/") + 1 :]
        if not name:
            raise SqsError("InvalidAddress", f"The address {url} is not valid for this endpoint.")
        if rest and account != self._broker.account:
            # A queue of another account, which this endpoint does not have.
            return self._broker.get("")
        return self._broker.get(name)

    def url(self, name: str) -> str:
        """Return a queue's URL."""
        return f"{self._url_base}/{self._broker.account}/{name}"

    # queues

    def create_queue(self, request: Request) -> Answer:
        """Create a queue, or find one of the same name whose attributes do not differ from those given."""
        name = text(request, "QueueName")
        given = text_map(request, "Attributes")
        tags = text_map(request, "tags") or text_map(request, "Tags")
        now = self._clock()
        fifo = given.get("FifoQueue", "").lower() == "true"
        attributes.check_name(name, fifo=fifo)
        wanted = attributes.initial(given, fifo=fifo)
        present = self._broker.queues.get(name)
        if present is not None:
            other = attributes.differing(present.attributes, given)
            if other is not None:
                raise SqsError(
                    "QueueNameExists",
                    f"A queue already exists with the same name and a different value for attribute {other}",
                )
            return {"QueueUrl": self.url(name)}
        deleted = self._broker.deleted.get(name)
        if deleted is not None and now < deleted + self._waits.deleted * 1000:
            raise SqsError(
                "QueueDeletedRecently",
                "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
            )
        self._check_dead_letter(self._broker.arn(name), wanted, given)
        _check_tags(name, tags)
        self._broker.create(now, name, wanted, tags)
        return {"QueueUrl": self.url(name)}

    def delete_queue(self, request: Request) -> Answer:
        """Delete a queue with its messages."""
        hosted = self.find(request)
        self._broker.delete(self._clock(), hosted.queue.name)
        self._ended(hosted)
        return {}

    def get_queue_url(self, request: Request) -> Answer:
        """Return a queue's URL."""
        name = text(request, "QueueName")
        owner = optional_text(request, "QueueOwnerAWSAccountId")
        self._broker.get(name if owner in (None, self._broker.account) else "")
        return {"QueueUrl": self.url(name)}

    def list_queues(self, request: Request) -> Answer:
        """List queues by prefix, in order of name."""
        prefix = optional_text(request, "QueueNamePrefix") or ""
        names = sorted(name for name in self._broker.queues if name.startswith(prefix))
        page, token = _page(names, request)
        return {**({"QueueUrls": [self.url(name) for name in page]} if page else {}), **token}

    def purge_queue(self, request: Request) -> Answer:
        """Delete a queue's messages."""
        hosted, now = self.find(request), self._clock()
        if hosted.purged is not None and now < hosted.purged + self._waits.purge * 1000:
            raise SqsError(
                "PurgeQueueInProgress",
                f"Only one PurgeQueue operation on {hosted.queue.name} is allowed "
                f"every {limits.PURGE_SECONDS} seconds.",
            )
        hosted.purged = now
        hosted.queue.purge()
        self._broker.keep(hosted)
        return {}

    def list_dead_letter_source_queues(self, request: Request) -> Answer:
        """List the queues whose dead-letter queue this is."""
        hosted = self.find(request)
        names = sorted(source.queue.name for source in self._broker.sources(hosted.queue.arn))
        page, token = _page(names, request)
        return {"queueUrls": [self.url(name) for name in page], **token}

    # attributes

    def get_queue_attributes(self, request: Request) -> Answer:
        """Return attributes by name. Those that are not set are left out."""
        hosted = self.find(request)
        names = set(texts(request, "AttributeNames"))
        unknown = sorted(names - attributes.READABLE)
        if unknown:
            raise SqsError("InvalidAttributeName", f"Unknown Attribute {unknown[0]}.")
        if not names:
            return {}
        counts = hosted.queue.counts(self._clock())
        values = {
            **hosted.attributes,
            "QueueArn": hosted.queue.arn,
            "CreatedTimestamp": str(hosted.created // 1000),
            "LastModifiedTimestamp": str(hosted.modified // 1000),
            "ApproximateNumberOfMessages": str(counts.visible),
            "ApproximateNumberOfMessagesNotVisible": str(counts.in_flight),
            "ApproximateNumberOfMessagesDelayed": str(counts.delayed),
        }
        found = values if "All" in names else {name: value for name, value in values.items() if name in names}
        return {"Attributes": found} if found else {}

    def set_queue_attributes(self, request: Request) -> Answer:
        """Set attributes."""
        hosted, now = self.find(request), self._clock()
        given = text_map(request, "Attributes")
        wanted = attributes.merged(hosted.attributes, given, fifo=hosted.queue.config.fifo)
        self._check_dead_letter(hosted.queue.arn, wanted, given)
        self._set(hosted, now, wanted)
        hosted.queue.reconfigure(now, attributes.config_of(wanted))
        self._changed(hosted)
        return {}

    def _set(self, hosted: Hosted, now: int, wanted: dict[str, str]) -> None:
        hosted.attributes = wanted
        hosted.modified = now
        self._broker.keep(hosted)

    def _check_dead_letter(self, arn: str, wanted: Mapping[str, str], given: Mapping[str, str]) -> None:
        if not given.get("RedrivePolicy"):
            return
        config = attributes.config_of(wanted)
        if config.redrive is None:
            return
        target = self._broker.by_arn(config.redrive.target_arn)
        policy = given["RedrivePolicy"]
        if target is None:
            raise invalid_value(policy, "RedrivePolicy", "Dead letter target does not exist.")
        if target.queue.config.fifo != config.fifo:
            raise invalid_value(policy, "RedrivePolicy", "Dead-letter queue must be same type of queue as the source.")
        if not attributes.may_redrive(target.attributes, arn):
            raise invalid_value(
                policy,
                "RedrivePolicy",
                f"Queue {arn} does not have permission to use {target.queue.arn} as a dead letter queue.",
            )

    # tags

    def tag_queue(self, request: Request) -> Answer:
        """Add or replace tags."""
        hosted = self.find(request)
        tags = text_map(request, "Tags")
        if not tags:
            raise missing("Tags")
        _check_tags(hosted.queue.name, {**hosted.tags, **tags})
        hosted.tags.update(tags)
        self._broker.keep(hosted)
        return {}

    def untag_queue(self, request: Request) -> Answer:
        """Remove tags."""
        hosted = self.find(request)
        keys = texts(request, "TagKeys")
        if not keys:
            raise invalid("Tag keys must be between 1 and 128 characters in length.")
        for key in keys:
            hosted.tags.pop(key, None)
        self._broker.keep(hosted)
        return {}

    def list_queue_tags(self, request: Request) -> Answer:
        """Return the tags."""
        hosted = self.find(request)
        return {"Tags": dict(hosted.tags)} if hosted.tags else {}

    # permissions, which are statements of the queue's policy; nothing here enforces them

    def add_permission(self, request: Request) -> Answer:
        """Add a statement to the queue's policy."""
        hosted, now = self.find(request), self._clock()
        label = text(request, "Label")
        accounts, actions = texts(request, "AWSAccountIds"), texts(request, "Actions")
        if not accounts:
            raise missing("AWSAccountIds")
        if not actions:
            raise missing("Actions")
        if len(actions) > _PERMISSION_ACTIONS:
            raise SqsError("OverLimit", f"{len(actions)} Actions were found, maximum allowed is {_PERMISSION_ACTIONS}.")
        for action in actions:
            if action not in _PERMITTED:
                owned = action in self.table
                raise invalid_value(
                    f"SQS:{action}",
                    "ActionName",
                    "Only the queue owner is allowed to invoke this action."
                    if owned
                    else "Please refer to the appropriate WSDL for a list of valid actions. ",
                )
        arn = hosted.queue.arn
        policy = json.loads(hosted.attributes.get("Policy", "{}"))
        statements = _statements(policy)
        if any(s.get("Sid") == label for s in statements):
            raise invalid_value(label, "Label", "Already exists.")
        principals = [f"arn:aws:iam::{account}:root" for account in accounts]
        named = [f"SQS:{action}" for action in actions]
        statement = {
            "Sid": label,
            "Effect": "Allow",
            "Principal": {"AWS": _one_or_all(principals)},
            "Action": _one_or_all(named),
            "Resource": arn,
        }
        policy = {
            "Version": policy.get("Version", "2008-10-17"),
            "Id": policy.get("Id", f"{arn}/SQSDefaultPolicy"),
            **policy,
            "Statement": [*statements, statement],
        }
        self._set(hosted, now, {**hosted.attributes, "Policy": json.dumps(policy)})
        return {}

    def remove_permission(self, request: Request) -> Answer:
        """Take a statement out of the queue's policy; the last takes the policy with it."""
        hosted, now = self.find(request), self._clock()
        label = text(request, "Label")
        policy = json.loads(hosted.attributes.get("Policy", "{}"))
        statements = _statements(policy)
        left = [s for s in statements if s.get("Sid") != label]
        if len(left) == len(statements):
            raise invalid_value(label, "Label", "can't find label.")
        rest = {k: v for k, v in hosted.attributes.items() if k != "Policy"}
        self._set(hosted, now, {**rest, **({"Policy": json.dumps({**policy, "Statement": left})} if left else {})})
        return {}

    # move tasks

    def start_message_move_task(self, request: Request) -> Answer:
        """Start to move a dead-letter queue's messages."""
        task = self._broker.start_move(
            self._clock(),
            text(request, "SourceArn"),
            optional_text(request, "DestinationArn"),
            integer(request, "MaxNumberOfMessagesPerSecond"),
        )
        self._moving()
        return {"TaskHandle": task.handle}

    def cancel_message_move_task(self, request: Request) -> Answer:
        """Cancel a move task."""
        task = self._broker.cancel_move(text(request, "TaskHandle"))
        return {"ApproximateNumberOfMessagesMoved": task.moved}

    def list_message_move_tasks(self, request: Request) -> Answer:
        """List the newest move tasks of a queue."""
        count = integer(request, "MaxResults")
        if count is not None and not 1 <= count <= limits.MOVE_TASKS_LISTED:
            raise invalid_value(count, "MaxResults", f"Must be between 1 and {limits.MOVE_TASKS_LISTED}.")
        tasks = self._broker.moves(text(request, "SourceArn"), count or 1)
        return {"Results": [task.describe() for task in tasks]}


def _check_tags(queue: str, tags: Mapping[str, str]) -> None:
    if len(tags) > limits.TAGS:
        raise invalid(f"Too many tags added for queue {queue}.")
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise invalid(f"Tag {key[:128]}: keys have 1 to 128 characters, values at most 256.")


def _page(names: Sequence[str], request: Request) -> tuple[Sequence[str], dict[str, str]]:
    """Return one page of sorted names, and the token of the next where MaxResults was given and there is one."""
    count = integer(request, "MaxResults")
    if count is not None and not 1 <= count <= limits.LIST_RESULTS:
        raise invalid_value(count, "MaxResults", "MaxResults must be an integer between 1 and 1000")
    token = optional_text(request, "NextToken")
    if token:
        try:
            after = base64.b64decode(token, altchars=b"-_", validate=True).decode()
        except (binascii.Error, ValueError):
            raise invalid_value(token, "NextToken", "Invalid or expired next token.") from None
        names = [name for name in names if name > after]
    page = names[: count or limits.LIST_RESULTS]
    if count is None or len(page) == len(names):
        return page, {}
    return page, {"NextToken": base64.urlsafe_b64encode(page[-1].encode()).decode()}


def _statements(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    statements = policy.get("Statement", [])
    return [statements] if isinstance(statements, dict) else list(statements)


def _one_or_all(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values
