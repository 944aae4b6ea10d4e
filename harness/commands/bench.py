"""bench: benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.commands.options import Rows, out

app = typer.Typer(no_args_is_help=True, help="Benchmarks.")


@app.command("engine")
def bench_engine(
    stock: Annotated[bool, typer.Option(help="Run MiniStack without our replacements of its hot spots.")] = False,
    calls: Annotated[int, typer.Option(help="Calls per loop.")] = 800,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the engine's ceiling: bare loops of the calls the pipeline is made of."""
    from harness.bench.engine import measure
    from harness.engines.embedded import EmbeddedEngine
    from harness.fingerprint import fingerprint

    with EmbeddedEngine(stock=stock) as engine:
        loops = measure(engine, engine.pids["data-services"], calls=calls)
    if as_json:
        print(json.dumps({"fingerprint": fingerprint(), "loops": [loop.to_json() for loop in loops]}))  # noqa: T201
        return
    table = Table("loop", box=None, header_style="bold")
    for name in ("clients", "calls/s", "items/s", "server CPU ms/call"):
        table.add_column(name, justify="right")
    for loop in loops:
        table.add_row(
            loop.name,
            str(loop.clients),
            f"{loop.calls / loop.seconds:,.0f}",
            f"{loop.items_per_second:,.0f}",
            f"{loop.server_cpu_ms:.2f}",
        )
    out.print(table)


@app.command("clean")
def bench_clean(
    rows: Rows = 800_000,
    repetitions: Annotated[int, typer.Option(help="Runs of each contestant; they take turns.")] = 3,
    file: Annotated[Path | None, typer.Option(help="Clean your own CSV instead.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Run only this cleaner; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare our cleaner with csv + regex, polars, pyarrow and pandas on the same bytes."""
    from harness.bench.clean import CONTESTANTS, print_table, run_clean_bench
    from harness.corpus import CorpusSpec, cached
    from harness.fingerprint import fingerprint

    path = file
    if path is None:
        path, _ = cached(CorpusSpec(rows=rows, poison=0))
    results = run_clean_bench(path, repetitions, None if as_json else out, only or CONTESTANTS)
    if as_json:
        print(json.dumps({"fingerprint": fingerprint(), "results": [vars(r) for r in results]}))  # noqa: T201
    else:
        print_table(out, results)
