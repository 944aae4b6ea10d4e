"""What is billed: amounts of each thing, by stage. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from fractions import Fraction
from typing import Any

EXACT = Context(prec=120, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
"""Arithmetic that raises rather than rounds. A byte count over 2**30 has 30 decimals, times a price of 10."""

BY_THE_HOUR = frozenset({"write_capacity_hours", "read_capacity_hours", "metric_hours"})
"""Amounts that a job has for every hour that it touches, however many rows it has."""

_DECIMALS = 12
MEGABYTES_PER_GB = 1024
MS_PER_SECOND = 1000


@dataclass(frozen=True)
class Usage:
    """What one stage used, or all of them. Every amount is at least 0.

    Lambda: `invocations` billed as requests; `billed_mb_ms`, memory in MB times billed milliseconds, of functions on
    `x86` and `arm`. SQS: requests, each 64 KB of payload one, of standard and FIFO queues; `sqs_empty_receives` are
    those of them that brought nothing. DynamoDB: units on demand, capacity in units times hours provisioned, and calls
    of GetRecords by Lambda (which cost nothing) and by others. `…_stored_bytes` are kept for a month. `metric_hours`
    are custom metrics times hours in which they had a value.
    """

    invocations: Decimal = Decimal(0)
    billed_mb_ms_x86: Decimal = Decimal(0)
    billed_mb_ms_arm: Decimal = Decimal(0)
    sqs_requests: Decimal = Decimal(0)
    sqs_empty_receives: Decimal = Decimal(0)
    sqs_fifo_requests: Decimal = Decimal(0)
    write_request_units: Decimal = Decimal(0)
    read_request_units: Decimal = Decimal(0)
    write_capacity_hours: Decimal = Decimal(0)
    read_capacity_hours: Decimal = Decimal(0)
    stream_reads_by_lambda: Decimal = Decimal(0)
    stream_reads: Decimal = Decimal(0)
    table_stored_bytes: Decimal = Decimal(0)
    s3_puts: Decimal = Decimal(0)
    s3_gets: Decimal = Decimal(0)
    s3_stored_bytes: Decimal = Decimal(0)
    log_bytes: Decimal = Decimal(0)
    log_stored_bytes: Decimal = Decimal(0)
    metric_hours: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not isinstance(value, Decimal) or not value.is_finite() or value < 0:
                raise ValueError(f"{one.name} is {value!r}: no amount")
        if self.sqs_empty_receives > self.sqs_requests + self.sqs_fifo_requests:
            raise ValueError("sqs_empty_receives are more than all requests")

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{n: EXACT.add(v, getattr(other, n)) for n, v in asdict(self).items()})

    def times(self, factor: Decimal) -> Usage:
        """Return `factor` times as much of everything."""
        return Usage(**{name: EXACT.multiply(value, factor) for name, value in asdict(self).items()})

    def in_proportion(self, rows: int, of_rows: int) -> Usage:
        """Return what `rows` rows use where `of_rows` use this. What a job has by the hour and not by the row stays."""
        amounts = {
            name: value if name in BY_THE_HOUR else proportion(value, rows, of_rows)
            for name, value in asdict(self).items()
        }
        return Usage(**amounts)

    def to_json(self) -> dict[str, str]:
        """Return the amounts that are not 0, as decimal text: a binary float would change them."""
        return {name: format(value, "f") for name, value in asdict(self).items() if value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Usage:
        """Return what `to_json` gave. Raises ValueError naming a field that is unknown or no amount."""
        known = {one.name for one in fields(cls)}
        amounts = {}
        for name, value in data.items():
            if name not in known:
                raise ValueError(f"usage has no {name!r}")
            try:
                amounts[name] = Decimal(value) if isinstance(value, str) else Decimal("NaN")
            except InvalidOperation:
                raise ValueError(f"{name} is {value!r}: no amount") from None
        return cls(**amounts)


@dataclass(frozen=True)
class Workload:
    """What a job of `rows` rows used, by stage; `table` is what no stage alone did to the tables. `hours` are those
    that it touched.

    `notes` say what is not in it, or not as AWS would measure it.
    """

    rows: int
    stages: Mapping[str, Usage]
    notes: tuple[str, ...] = ()
    hours: int = 1

    def __post_init__(self) -> None:
        if self.rows <= 0 or self.hours <= 0:
            raise ValueError(f"a workload of {self.rows} rows in {self.hours} hours")

    def scaled(self, rows: int) -> Workload:
        """Return the same job with another number of rows: in proportion, but for what it has by the hour
        (`BY_THE_HOUR`). Amounts that do not come out even are rounded to 12 decimals. Raises ValueError for no rows."""
        if rows <= 0:
            raise ValueError(f"a workload of {rows} rows")
        stages = {name: usage.in_proportion(rows, self.rows) for name, usage in self.stages.items()}
        return Workload(rows, stages, self.notes, self.hours)

    def total(self) -> Usage:
        """Return the sum over stages."""
        return sum(self.stages.values(), Usage())

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        stages = {name: usage.to_json() for name, usage in self.stages.items()}
        return {"rows": self.rows, "hours": self.hours, "stages": stages, "notes": list(self.notes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Workload:
        """Return what `to_json` gave; raises KeyError, TypeError or ValueError where it is something else."""
        stages = {str(name): Usage.from_json(usage) for name, usage in data["stages"].items()}
        return cls(int(data["rows"]), stages, tuple(str(note) for note in data["notes"]), int(data["hours"]))


def proportion(value: Decimal, part: int, whole: int) -> Decimal:
    """Return `part` of a `whole` that has this value, rounded to 12 decimals."""
    amount = Fraction(value) * part / whole
    # Fractions are exact; a quotient that does not end has to be cut somewhere.
    return EXACT.divide(Decimal(round(amount * 10**_DECIMALS)), Decimal(10**_DECIMALS))


def gb_seconds(mb_ms: Decimal) -> Decimal:
    """Return megabyte-milliseconds in the GB-seconds that Lambda bills."""
    return EXACT.divide(mb_ms, Decimal(MEGABYTES_PER_GB * MS_PER_SECOND))
