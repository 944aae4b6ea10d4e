"""A report's section on what AWS would ask for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from harness.cost.bill import Bill, bill, dollars_text
from harness.cost.from_result import workload_of
from harness.cost.prices import load_prices
from harness.cost.published import published_workload
from harness.report.page import Section
from harness.report.tables import Table
from harness.results import WatchedResult


def cost_sections(result: WatchedResult) -> list[Section]:
    """Return the section of the bill; none where the engine did not tell what was used.

    Raises UsageError where the result's `usage` is not what it must be.
    """
    if result.usage is None:
        return []
    own, prices = workload_of(result), load_prices()
    made, published = bill(own, prices), bill(published_workload().scaled(own.rows), prices)
    intro = (
        f"At list prices of us-east-1, read by {prices.read}. Requests, capacity units and bytes carry over to AWS; "
        "the functions' durations are this machine's, so Lambda's part is a guess. The published design is billed for "
        "cleaning and inserting as many rows, one a message: its later stages were published without figures."
    )
    return [Section("What AWS would charge", intro, tables=[_by_stage(made), _beside(made, published)])]


def _by_stage(made: Bill) -> Table:
    services = tuple(made.by_service())
    cells: dict[str, dict[str, Decimal]] = {}
    for line in made.lines:
        of_stage = cells.setdefault(line.stage, {})
        of_stage[line.service] = of_stage.get(line.service, Decimal(0)) + line.dollars
    stages = made.by_stage()
    rows = [(name, *_texts(cells[name], services), dollars_text(total)) for name, total in stages.items()]
    rows.append(("all", *_texts(made.by_service(), services), dollars_text(made.total)))
    return Table(f"This run's {made.rows:,} rows, by stage and service", ("stage", *services, "all"), tuple(rows))


def _beside(made: Bill, published: Bill) -> Table:
    own, theirs = made.by_service(), published.by_service()
    million = made.per_million(own)
    rows = [(name, *(_text(sums, name) for sums in (own, million, theirs))) for name in own]
    totals = (made.total, made.per_million_rows, published.total)
    rows.append(("all", *(dollars_text(amount) for amount in totals)))
    return Table(
        "By service", ("service", "this run", "a million of its rows", "published design, as many rows"), tuple(rows)
    )


def _texts(sums: Mapping[str, Decimal], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_text(sums, name) for name in names)


def _text(sums: Mapping[str, Decimal], name: str) -> str:
    return dollars_text(sums[name]) if name in sums else "–"
