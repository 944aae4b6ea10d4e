"""What a corpus is made from, and what must become of its rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from harness.errors import UsageError

GENERATOR_VERSION = 1
"""Part of every cache key: raise it whenever the same spec would give other bytes."""

BLOCK_ROWS = 1000
"""Rows that are generated from one seed of their own, so that any block can be made again alone."""

COLUMNS = (
    "transaction_id",
    "account_id",
    "customer_name",
    "email",
    "merchant",
    "category",
    "amount",
    "currency",
    "country",
    "city",
    "occurred_at",
    "channel",
    "card_last4",
    "ip_address",
    "device",
    "note",
)

DEFAULT_ROWS = 800_000


class Outcome(StrEnum):
    """Where a row must end."""

    UPDATED = "updated"
    QUARANTINED = "quarantined"
    INSERT_DLQ = "insert_dlq"
    PROCESS_DLQ = "process_dlq"
    UPDATE_DLQ = "update_dlq"


@dataclass(frozen=True)
class CorpusSpec:
    """A corpus: rows, seed, and the shares of rows of each kind.

    `dirty` rows need cleaning and come out right; `quarantine` rows must be rejected by clean; `poison` rows are
    clean, and a later stage must give them up. Shares are fractions of all rows. Rows that are large (hundreds of
    kilobytes) come in small absolute numbers; see `harness.corpus.special`.
    """

    rows: int = DEFAULT_ROWS
    seed: int = 1
    dirty: float = 0.05
    quarantine: float = 0.002
    poison: float = 0.0002

    def __post_init__(self) -> None:
        if self.rows < 0:
            raise UsageError(f"a corpus of {self.rows} rows cannot be made", hint="--rows takes 0 or more")
        for name in ("dirty", "quarantine", "poison"):
            share = getattr(self, name)
            if not 0.0 <= share <= 1.0:
                raise UsageError(f"--{name} is {share}, a fraction between 0 and 1 is needed")
        if self.dirty + self.quarantine + self.poison > 1.0:
            raise UsageError("the shares of dirty, quarantined and poisonous rows exceed 1 together")

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.rows // BLOCK_ROWS)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


@dataclass(frozen=True)
class ExpectedRow:
    """What must become of one row. `cells` are the cleaned cells, None for a quarantined row; `reason` is why it
    is not updated, empty if it is."""

    row: int
    cells: tuple[str, ...] | None
    outcome: Outcome
    reason: str = ""
