"""Usages, workloads and prices made by hand or drawn."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal

from hypothesis import strategies as st

from harness.cost.usage import Usage, Workload

STAGES = ("clean", "insert", "table")


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Usages of whole amounts, as everything is that is counted."""
    amounts = {one.name: Decimal(draw(st.integers(0, 10**15))) for one in fields(Usage)}
    empty = min(amounts["sqs_empty_receives"], amounts["sqs_requests"])
    return Usage(**amounts | {"sqs_empty_receives": empty})


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """Workloads of some stages."""
    names = draw(st.lists(st.sampled_from(STAGES), min_size=1, unique=True))
    hours = draw(st.integers(1, 100))
    return Workload(draw(st.integers(1, 10**9)), {name: draw(usages()) for name in names}, (), hours)


def one(**amounts: int) -> Workload:
    """A workload of a thousand rows in which one stage used this."""
    return Workload(1000, {"insert": Usage(**{name: Decimal(value) for name, value in amounts.items()})})


def amounts(*values: Decimal) -> list[object]:
    """Amounts as a list that compares with whole numbers and decimals."""
    return list(values)
