"""Where every row of an arrangement is in the end: read from its table and its dead-letter queue, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from handlers.record_batch import KEY, decode, parse_record_id
from harness.engines.base import Deployment, Engine
from harness.errors import EnvironmentProblem
from harness.lessons.stacks import strings_of


@dataclass(frozen=True)
class Account:
    """All rows of an arrangement, each in one place. Rows in the table count there even where the dead-letter queue has
    them too (`in_both`); `lost` ones are in neither, though no message waits any more."""

    rows: int
    in_table: int
    in_dlq: int
    in_both: int

    @property
    def lost(self) -> int:
        """Rows that are nowhere."""
        return self.rows - self.in_table - self.in_dlq

    @property
    def kept_share(self) -> float:
        """The share of the rows that is in the table, 0 to 1."""
        return self.in_table / self.rows


def account(rows: int, in_table: AbstractSet[int], in_dlq: AbstractSet[int]) -> Account:
    """Return where the rows 1 to `rows` are; raises EnvironmentProblem where one was found that was never sent."""
    found = in_table | in_dlq
    if found and not (min(found) >= 1 and max(found) <= rows):
        raise EnvironmentProblem(
            f"rows {min(found)} to {max(found)} were found, but 1 to {rows} were sent",
            hint="something else wrote to the lesson's tables; run it again",
        )
    return Account(rows, len(in_table), len(in_dlq - in_table), len(in_dlq & in_table))


def read_account(engine: Engine, deployment: Deployment, rows: int) -> Account:
    """Read an arrangement's table and empty its dead-letter queue; nothing may be under way any more."""
    in_table = {parse_record_id(key)[1] for key in strings_of(engine, deployment.output("TableName"), KEY)}
    return account(rows, in_table, set(_rows_of_queue(engine.client("sqs"), deployment.output("DlqUrl"))))


def _rows_of_queue(sqs: Any, url: str) -> Iterator[int]:
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages"):
        for message in messages:
            yield from (row[0] for row in decode(message["Body"]).rows)
        entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
