"""What so much of one thing costs in a month, tier by tier. Pure."""

from __future__ import annotations

from decimal import Decimal

from harness.cost.prices import Price
from harness.cost.usage import EXACT


def in_tiers(quantity: Decimal, price: Price) -> Decimal:
    """Return dollars for `quantity` units in one month: each part of it at the amount of the tier in which it lies."""
    starts = [Decimal(0), *(Decimal(above) for above, _ in price.tiers)]
    amounts = [price.amount, *(amount for _, amount in price.tiers)]
    ends = [*starts[1:], quantity]
    dollars = Decimal(0)
    for start, end, amount in zip(starts, ends, amounts, strict=True):
        part = max(Decimal(0), min(quantity, end) - start)
        dollars = EXACT.add(dollars, EXACT.multiply(part, amount))
    return EXACT.divide(dollars, Decimal(price.per))
