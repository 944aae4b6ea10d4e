"""The table of prices: read, checked, and overridden by a user's file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from importlib import resources
from pathlib import Path
from typing import Any

from harness.errors import UsageError

_FIELDS = ("amount", "per", "unit", "source", "read", "free", "first_tier", "tiers")
_USERS_SOURCE = "--prices"
_MOST_DOLLARS, _MOST_UNITS, _FINEST = 1_000_000, 10**9, Decimal("1e-15")


@dataclass(frozen=True)
class Price:
    """What one service charges for one thing: `amount` dollars for `per` units.

    `free` units a month cost nothing where the free tier counts; the amount holds up to `first_tier` units a month,
    above which AWS charges less (None: everywhere). `tiers` are pairs of the units a month from which another amount
    holds and that amount, ascending, () where they are not known. `read` is when the source was read.
    """

    amount: Decimal
    per: int
    unit: str
    source: str
    read: date
    free: int = 0
    first_tier: int | None = None
    tiers: tuple[tuple[int, Decimal], ...] = ()


@dataclass(frozen=True)
class Prices:
    """All prices by key; the keys are those of `prices.toml`."""

    table: Mapping[str, Price]

    def __getitem__(self, key: str) -> Price:
        return self.table[key]

    @property
    def read(self) -> date:
        """When the oldest of the sources was read."""
        return min(price.read for price in self.table.values())


def shipped_prices() -> Prices:
    """Return the prices that come with the harness, for us-east-1."""
    text = resources.files("harness.cost").joinpath("prices.toml").read_text("utf-8")
    return Prices({key: _price(key, entry, None, "prices.toml") for key, entry in tomllib.loads(text).items()})


def load_prices(path: Path | None = None) -> Prices:
    """Return the shipped prices with what a user's TOML file says instead.

    The file has the shipped table's keys and fields; what it leaves out stays. `key = "0.5"` is short for a table with
    an amount. Raises UsageError, naming key and field, where one is unknown, or a number is none or negative.
    """
    shipped = shipped_prices()
    if path is None:
        return shipped
    try:
        given = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="--prices names a TOML file") from error
    except ValueError as error:
        raise UsageError(f"{path} is no TOML: {error}", hint="harness/cost/prices.toml is an example") from error
    table = dict(shipped.table)
    for key, entry in given.items():
        if key not in table:
            raise UsageError(f"{path}: unknown price {key!r}", hint=f"known are: {', '.join(sorted(table))}")
        table[key] = _price(key, entry if isinstance(entry, dict) else {"amount": entry}, table[key], str(path))
    return Prices(table)


def _price(key: str, entry: Mapping[str, Any], base: Price | None, where: str) -> Price:
    for name in entry:
        if name not in _FIELDS:
            raise UsageError(f"{where}: {key} has an unknown field {name!r}", hint=f"known are: {', '.join(_FIELDS)}")
    fields: dict[str, Any] = dict(vars(base)) if base is not None else {}
    if base is not None:
        fields["source"] = _USERS_SOURCE
        # AWS's amounts above the first tier have nothing to do with a user's own amount.
        fields["tiers"] = ()
    fields |= entry
    if isinstance(entry.get("amount", ""), bool):
        raise UsageError(f"{where}: {key} has amount {entry['amount']!r}, which is no number")
    return Price(
        amount=_amount(fields["amount"], f"{where}: {key}"),
        per=_per(fields["per"], f"{where}: {key} has per"),
        unit=_text(fields["unit"], f"{where}: {key} has unit"),
        source=_text(fields["source"], f"{where}: {key} has source"),
        read=_date(fields["read"], f"{where}: {key} has read"),
        free=_count(fields.get("free", 0), f"{where}: {key} has free"),
        first_tier=None
        if fields.get("first_tier") is None
        else _count(fields["first_tier"], f"{where}: {key} has first_tier", least=1),
        tiers=_tiers(fields.get("tiers", ()), f"{where}: {key}"),
    )


def _amount(value: object, where: str) -> Decimal:
    """Return dollars. Floats are taken as they are written: 0.1 is a tenth."""
    try:
        amount = Decimal(str(value)) if isinstance(value, str | int | float | Decimal) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite():
        raise UsageError(f"{where} has amount {value!r}, which is no number")
    if amount < 0:
        raise UsageError(f"{where} has amount {value!r}, which is negative")
    if amount > _MOST_DOLLARS or amount != amount.quantize(_FINEST):
        raise UsageError(f"{where} has amount {value!r}, not one of at most {_MOST_DOLLARS:,} with 15 decimals")
    return amount


def _tiers(value: object, where: str) -> tuple[tuple[int, Decimal], ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, list | tuple) and len(one) == 2 for one in value):
        raise UsageError(f"{where} has tiers {value!r}, which are no pairs of units and an amount")
    found = tuple(
        (_count(above, f"{where} has a tier from", least=1), _amount(amount, where)) for above, amount in value
    )
    if list(found) != sorted(found) or len({above for above, _ in found}) < len(found):
        raise UsageError(f"{where} has tiers {value!r}, which do not ascend")
    return found


def _per(value: object, where: str) -> int:
    """Return a number of units; only by a power of ten every sum can be divided exactly."""
    per = _count(value, where, least=1)
    if set(str(per)) - {"0"} != {"1"} or not str(per).startswith("1") or per > _MOST_UNITS:
        raise UsageError(f"{where} {value!r}, which is no power of ten up to {_MOST_UNITS:,}")
    return per


def _count(value: object, where: str, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{where} {value!r}, which is no whole number from {least} on")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where} {value!r}, which is no text")
    return value


def _date(value: object, where: str) -> date:
    if type(value) is not date:
        raise UsageError(f"{where} {value!r}, which is no date")
    return value
