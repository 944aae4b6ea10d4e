"""A bill: usage times prices, exactly. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce

from harness.cost.prices import Prices
from harness.cost.usage import EXACT, Usage, Workload, gb_seconds

GB = 2**30
"""Bytes in what AWS bills as a GB."""

ROWS_OF_RATE = 1_000_000
FREE_TIER = "free tier"


@dataclass(frozen=True)
class Item:
    """What is billed at one price: the service on the bill, the price's key, and how much of it a usage holds, in the
    price's unit."""

    service: str
    price: str
    quantity: Callable[[Usage], Decimal]


def _gigabytes(name: str) -> Callable[[Usage], Decimal]:
    return lambda usage: EXACT.divide(getattr(usage, name), Decimal(GB))


def _amount(name: str) -> Callable[[Usage], Decimal]:
    return lambda usage: Decimal(getattr(usage, name))


ITEMS = (
    Item("Lambda", "lambda_request", _amount("invocations")),
    Item("Lambda", "lambda_gb_second_x86", lambda usage: gb_seconds(usage.billed_mb_ms_x86)),
    Item("Lambda", "lambda_gb_second_arm", lambda usage: gb_seconds(usage.billed_mb_ms_arm)),
    Item("SQS", "sqs_request_standard", _amount("sqs_requests")),
    Item("SQS", "sqs_request_fifo", _amount("sqs_fifo_requests")),
    Item("DynamoDB", "dynamodb_write_request_unit", _amount("write_request_units")),
    Item("DynamoDB", "dynamodb_read_request_unit", _amount("read_request_units")),
    Item("DynamoDB", "dynamodb_write_capacity_hour", _amount("write_capacity_hours")),
    Item("DynamoDB", "dynamodb_read_capacity_hour", _amount("read_capacity_hours")),
    Item("DynamoDB", "dynamodb_stream_read", _amount("stream_reads")),
    Item("DynamoDB", "dynamodb_storage", _gigabytes("table_stored_bytes")),
    Item("S3", "s3_put", _amount("s3_puts")),
    Item("S3", "s3_get", _amount("s3_gets")),
    Item("S3", "s3_storage", _gigabytes("s3_stored_bytes")),
    Item("CloudWatch", "logs_ingested", _gigabytes("log_bytes")),
    Item("CloudWatch", "logs_stored", _gigabytes("log_stored_bytes")),
    Item("CloudWatch", "metric_hour", _amount("metric_hours")),
)


@dataclass(frozen=True)
class Line:
    """One line of a bill: dollars for so much of what has this price. A line of the free tier is negative."""

    stage: str
    service: str
    price: str
    quantity: Decimal
    dollars: Decimal


@dataclass(frozen=True)
class Bill:
    """What `rows` rows cost. `above_first_tier` are prices of which so much was used that AWS charges less."""

    rows: int
    lines: tuple[Line, ...]
    above_first_tier: tuple[str, ...] = ()

    @property
    def total(self) -> Decimal:
        """All dollars."""
        return _sum(self.lines)

    @property
    def per_million_rows(self) -> Decimal:
        """Dollars for a million rows, rounded to 9 decimals: a quotient need not end."""
        return self._of_a_million(self.total)

    def per_million(self, sums: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Return sums of this bill for a million rows, rounded likewise."""
        return {name: self._of_a_million(amount) for name, amount in sums.items()}

    def _of_a_million(self, amount: Decimal) -> Decimal:
        return (amount * ROWS_OF_RATE / self.rows).quantize(Decimal("1e-9"))

    def by_stage(self) -> dict[str, Decimal]:
        """Return dollars by stage."""
        return self._by(lambda line: line.stage)

    def by_service(self) -> dict[str, Decimal]:
        """Return dollars by service."""
        return self._by(lambda line: line.service)

    def by_price(self) -> dict[str, Decimal]:
        """Return dollars by the price's key."""
        return self._by(lambda line: line.price)

    def _by(self, key: Callable[[Line], str]) -> dict[str, Decimal]:
        sums: dict[str, Decimal] = {}
        for line in self.lines:
            sums[key(line)] = EXACT.add(sums.get(key(line), Decimal(0)), line.dollars)
        return sums


def bill(workload: Workload, prices: Prices, *, free_tier: bool = False) -> Bill:
    """Return what a workload costs. With `free_tier`, what a month's free tier leaves out comes off, in lines of
    their own: a free tier is the account's, not a stage's."""
    lines = [line for stage, usage in workload.stages.items() for line in _lines(stage, usage, prices)]
    used: dict[str, Decimal] = {}
    for line in lines:
        used[line.price] = EXACT.add(used.get(line.price, Decimal(0)), line.quantity)
    if free_tier:
        lines += _free(used, prices)
    above = tuple(key for key, quantity in used.items() if quantity > (prices[key].first_tier or quantity))
    return Bill(workload.rows, tuple(lines), above)


def dollars_text(amount: Decimal) -> str:
    """Return dollars as a reader says them: cents from a dollar on, two figures below, what is no money as that."""
    if amount >= 1 or not amount:
        return f"${amount:,.2f}"
    if amount < Decimal("0.0001"):
        return "< $0.0001"
    return f"${amount:.{1 - amount.adjusted()}f}"


def _lines(stage: str, usage: Usage, prices: Prices) -> list[Line]:
    found = []
    for item in ITEMS:
        quantity = item.quantity(usage)
        if quantity:
            found.append(Line(stage, item.service, item.price, quantity, _dollars(quantity, item.price, prices)))
    return found


def _free(used: Mapping[str, Decimal], prices: Prices) -> list[Line]:
    services = {item.price: item.service for item in ITEMS}
    found = []
    left: dict[str, Decimal] = {}
    for key, quantity in used.items():
        # Both architectures, and both kinds of queues, share one allowance (Lambda pricing, SQS pricing).
        shared = key.removesuffix("_x86").removesuffix("_arm").removesuffix("_standard").removesuffix("_fifo")
        allowance = left.get(shared, Decimal(prices[key].free))
        free = min(quantity, allowance)
        left[shared] = EXACT.subtract(allowance, free)
        if free:
            # Decimal's own minus rounds to 28 digits.
            dollars = _dollars(free, key, prices).copy_negate()
            found.append(Line(FREE_TIER, services[key], key, free.copy_negate(), dollars))
    return found


def _dollars(quantity: Decimal, key: str, prices: Prices) -> Decimal:
    price = prices[key]
    return EXACT.divide(EXACT.multiply(quantity, price.amount), Decimal(price.per))


def _sum(lines: tuple[Line, ...]) -> Decimal:
    return reduce(EXACT.add, (line.dollars for line in lines), Decimal(0))
