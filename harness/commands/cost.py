"""cost: what a stored run would have cost on AWS."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from harness.commands.options import out
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.cost.bill import Bill
    from harness.cost.prices import Prices
    from harness.cost.usage import Workload


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(cost)


def cost(
    run: Annotated[Path, typer.Argument(help="A run's folder or result.")] = Path("runs/latest"),
    scale: Annotated[int | None, typer.Option(help="Bill so many rows, in proportion; default: the run's own.")] = None,
    monthly_files: Annotated[int | None, typer.Option(help="Also bill a month with so many such files.")] = None,
    prices: Annotated[Path | None, typer.Option(help="TOML file with prices to take instead: docs/cost.md.")] = None,
    free_tier: Annotated[
        bool, typer.Option(help="Take off the free tier of a month, as if it were all unused.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the bills as JSON and nothing else.")] = False,
) -> None:
    """Say what a run would cost on AWS in us-east-1, by stage and by service, beside the published design.

    Counts are the run's own and carry over to AWS; durations are this machine's and do not, so Lambda's share is a
    guess. Everything is a list price of the first tier, without taxes; docs/cost.md has what is counted.

    Examples:

      harness cost runs/latest                          this run, and a million rows of it
      harness cost runs/latest --scale 558000           as many rows as the published design had
      harness cost runs/latest --monthly-files 1000     a month, with the polling of idle queues
      harness cost runs/latest --prices mine.toml       other prices: sqs_request_standard = "0.32"
    """
    from harness.cost.bill import bill
    from harness.cost.from_result import workload_of
    from harness.cost.month import month_of
    from harness.cost.prices import load_prices
    from harness.cost.published import published_workload
    from harness.results import read_stored

    for option, number in (("--scale", scale), ("--monthly-files", monthly_files)):
        if number is not None and number <= 0:
            raise UsageError(f"{option} {number}: at least 1 is needed")
    table = load_prices(prices)
    own = workload_of(read_stored(run).document)
    own = own.scaled(scale or own.rows)
    published = published_workload().scaled(own.rows)
    jobs = {"this run": own, "published": published}
    if monthly_files is not None:
        jobs["a month"] = month_of(own, monthly_files)
    bills = {name: bill(job, table, free_tier=free_tier) for name, job in jobs.items()}
    if as_json:
        print(json.dumps(_as_json(bills, own, published, table)))  # noqa: T201
        return
    _print(bills, own, published, table)


def _print(bills: dict[str, Bill], own: Workload, published: Workload, prices: Prices) -> None:
    def say(text: str) -> None:
        out.print(text, highlight=False, soft_wrap=True, markup=False)

    say(f"{own.rows:,} rows in us-east-1, dollars at list prices read by {prices.read}\n")
    for title in ("by_stage", "by_service", "by_price"):
        out.print(_table(title.removeprefix("by_"), {name: getattr(made, title)() for name, made in bills.items()}))
        out.print()
    totals = {name: {"total": made.total, "per million rows": made.per_million_rows} for name, made in bills.items()}
    out.print(_table("all", totals))
    say(f"\nthe author's tests: 6.6 TB of logs, {_dollars(_logs_of_author(prices))} dollars to ingest, in no column")
    for made in bills.values():
        for key in made.above_first_tier:
            say(f"note       {key} is above its first tier: AWS charges less than this")
    for note in own.notes:
        say(f"note       this run: {note}")
    for note in published.notes:
        say(f"note       published: {note.removeprefix('published: ')}")


def _table(title: str, columns: dict[str, dict[str, Decimal]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(title, min_width=28)
    for name in columns:
        table.add_column(name, justify="right")
    for key in dict.fromkeys(key for column in columns.values() for key in column):
        table.add_row(key, *(_dollars(column[key]) if key in column else "–" for column in columns.values()))
    return table


def _dollars(amount: Decimal) -> str:
    """Return dollars to six decimals: below that is no money, though the sums behind it are exact."""
    return f"{amount:,.6f}" if abs(amount) < 1 else f"{amount:,.2f}"


def _logs_of_author(prices: Prices) -> Decimal:
    from harness.cost.published import LOG_GB_OF_ALL_TESTS
    from harness.cost.tiers import in_tiers

    return in_tiers(LOG_GB_OF_ALL_TESTS, prices["logs_ingested"])


def _as_json(bills: dict[str, Bill], own: Workload, published: Workload, prices: Prices) -> dict[str, Any]:
    """Return the bills as plain data. Dollars and quantities are decimal text: a binary float would change them."""
    return {
        "bills": {
            name.replace(" ", "_"): {
                "rows": made.rows,
                "total": format(made.total, "f"),
                "per_million_rows": format(made.per_million_rows, "f"),
                "by_stage": _texts(made.by_stage()),
                "by_service": _texts(made.by_service()),
                "lines": [
                    vars(line) | {"quantity": format(line.quantity, "f"), "dollars": format(line.dollars, "f")}
                    for line in made.lines
                ],
                "above_first_tier": list(made.above_first_tier),
            }
            for name, made in bills.items()
        },
        "notes": {"this_run": list(own.notes), "published": list(published.notes)},
        "prices": {
            key: {"amount": format(price.amount, "f"), "per": price.per, "unit": price.unit, "source": price.source}
            for key, price in prices.table.items()
        },
    }


def _texts(sums: dict[str, Decimal]) -> dict[str, str]:
    return {key: format(amount, "f") for key, amount in sums.items()}
