"""The business rule: what the pipeline computes for one row. Pure; replace `rule_for` to plug in another.

For transactions (columns `amount` and `currency`): the amount in the currency's minor unit, the amount in euros at
fixed rates, and a risk band. Rows of any other kind pass through unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from handlers.record_batch import AMOUNT_BASE, AMOUNT_MINOR, RISK_BAND

BASE_CURRENCY = "EUR"

RATES: Mapping[str, tuple[int, Decimal]] = {
    code: (exponent, Decimal(rate))
    for code, exponent, rate in (
        ("AUD", 2, "0.6049"),
        ("BHD", 3, "2.4431"),
        ("BRL", 2, "0.1634"),
        ("CAD", 2, "0.6694"),
        ("CHF", 2, "1.0428"),
        ("CNY", 2, "0.1274"),
        ("CZK", 2, "0.0398"),
        ("DKK", 2, "0.1341"),
        ("EUR", 2, "1"),
        ("GBP", 2, "1.1873"),
        ("HKD", 2, "0.1181"),
        ("HUF", 2, "0.0025"),
        ("INR", 2, "0.0109"),
        ("JPY", 0, "0.0061"),
        ("KRW", 0, "0.00067"),
        ("KWD", 3, "2.9976"),
        ("MXN", 2, "0.0494"),
        ("NOK", 2, "0.0853"),
        ("NZD", 2, "0.5512"),
        ("PLN", 2, "0.2331"),
        ("SEK", 2, "0.0873"),
        ("SGD", 2, "0.6871"),
        ("USD", 2, "0.9187"),
        ("ZAR", 2, "0.0502"),
    )
}
"""Currency to (ISO 4217 minor-unit exponent, euros for one unit). A fixed table: runs must be repeatable."""

HIGH_RISK_FROM = Decimal(10_000)
MEDIUM_RISK_FROM = Decimal(1_000)
"""Euros from which a transaction's absolute amount is in the high or medium risk band."""

REASONS = ("amount_not_a_number", "unknown_currency", "amount_precision")
"""Why a transaction cannot be processed, in the order in which the rule looks."""

ATTRIBUTES = (AMOUNT_MINOR, AMOUNT_BASE, RISK_BAND)

_AMOUNT = re.compile(r"-?[0-9]{1,12}(?:\.([0-9]{1,4}))?")
_CENT = Decimal("0.01")


class ProcessingError(ValueError):
    """A row that the rule cannot process; `reason` is one of `REASONS`, `detail` says more without the row."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Rule:
    """A rule for one set of columns: the attributes it adds, and the function from a row's cells to their values.

    `apply` takes the cells in column order and returns one string per attribute; raises ProcessingError.
    """

    attributes: tuple[str, ...]
    apply: Callable[[Sequence[Any]], tuple[str, ...]]


def rule_for(columns: Sequence[str]) -> Rule:
    """Return the rule for rows with these columns."""
    if "amount" not in columns or "currency" not in columns:
        return Rule((), lambda _: ())
    amount_at, currency_at = columns.index("amount"), columns.index("currency")

    def apply(cells: Sequence[Any]) -> tuple[str, ...]:
        return _transaction(cells[amount_at], cells[currency_at])

    return Rule(ATTRIBUTES, apply)


def _transaction(amount: str, currency: str) -> tuple[str, str, str]:
    match = _AMOUNT.fullmatch(amount)
    if match is None:
        raise ProcessingError("amount_not_a_number", f"amount of {len(amount)} characters")
    known = RATES.get(currency)
    if known is None:
        raise ProcessingError("unknown_currency", f"currency of {len(currency)} characters")
    exponent, rate = known
    decimals = match.group(1)
    if decimals is not None and len(decimals) > exponent:
        raise ProcessingError("amount_precision", f"{len(decimals)} decimals, the currency has {exponent}")
    value = Decimal(amount)
    base = (value * rate).quantize(_CENT, ROUND_HALF_EVEN)
    size = abs(base)
    band = "high" if size >= HIGH_RISK_FROM else "medium" if size >= MEDIUM_RISK_FROM else "low"
    # Adding zero turns a negative zero into a plain one.
    return str(int(value.scaleb(exponent))), f"{base + 0:f}", band
