"""bench: suites by name or from a file, and single benchmarks with options of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from typer.core import TyperGroup

from harness.commands.engine_options import EngineOptions
from harness.commands.load import load, saturation
from harness.commands.option_groups import grouped
from harness.commands.options import Out, Require, Rows, out
from harness.commands.outcome import end_with
from harness.errors import UsageError
from harness.suites.catalogue import summaries

SUITES = "Suites: warm-up, repetitions on fresh engines, every row audited, median and spread"
SINGLE = "Single benchmarks, with options of their own"


class _Group(TyperGroup):
    """Takes the path of a suite's .toml file for a command, too."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of that name; a name that ends in .toml is a suite of the user's own."""
        if cmd_name.endswith(".toml"):
            single = typer.Typer(add_completion=False)
            single.command(help=f"Run the suite of {cmd_name}.")(_suite_command(cmd_name))
            return typer.main.get_command(single)
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    help="Benchmarks. `harness bench my.toml` runs a suite of your own.",
)
app.command("load", rich_help_panel=SINGLE)(load)
app.command("saturation", rich_help_panel=SINGLE)(saturation)


@app.command("engine", rich_help_panel=SINGLE)
def bench_engine(
    calls: Annotated[int, typer.Option(help="Calls per loop.")] = 800,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare bare loops of the pipeline's calls on our tables and queues with MiniStack's."""
    from harness.bench.engine import Contender, compare
    from harness.engines.base import Endpoints
    from harness.engines.embedded import EmbeddedEngine
    from harness.fingerprint import fingerprint

    if calls < 8:
        raise UsageError(f"--calls is {calls}, 8 or more are needed")
    with EmbeddedEngine() as engine:
        # The engine's data services are MiniStack as it is, and serve nothing else meanwhile.
        session, pids, default = engine.session(), engine.processes, engine.endpoints.default
        ours = Contender(engine.endpoints, session, (pids["tables"], pids["queues"]))
        theirs = Contender(Endpoints(default, engine.endpoints.region), session, (pids["data-services"],))
        pairs = compare(ours, theirs, calls=calls)
    if as_json:
        seen = msgspec.to_builtins(fingerprint())
        print(json.dumps({"fingerprint": seen, "loops": [pair.to_json() for pair in pairs]}))  # noqa: T201
        return
    table = Table("loop", box=None, header_style="bold")
    for name in ("clients", "items/s", "MiniStack", "ratio", "CPU ms/call", "MiniStack", "MB", "MiniStack"):
        table.add_column(name, justify="right")
    for pair in pairs:
        both = (pair.ours, pair.theirs)
        table.add_row(
            pair.ours.loop.name,
            str(pair.ours.loop.clients),
            *(f"{found.loop.items_per_second:,.0f}" for found in both),
            f"{pair.ratio:.1f}",
            *(f"{found.loop.server_cpu_ms:.2f}" for found in both),
            *(f"{found.memory_before / 1e6:.0f} → {found.memory_after / 1e6:.0f}" for found in both),
        )
    out.print(table)


@app.command("clean", rich_help_panel=SINGLE)
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
    if path is not None and not path.is_file():
        raise UsageError(f"{path} is not a file")
    if repetitions < 1:
        raise UsageError(f"--repetitions is {repetitions}, 1 or more are needed")
    if path is None:
        path, _ = cached(CorpusSpec(rows=rows, poison=0))
    results = run_clean_bench(path, repetitions, None if as_json else out, only or CONTESTANTS)
    if as_json:
        print(json.dumps({"fingerprint": msgspec.to_builtins(fingerprint()), "results": [vars(r) for r in results]}))  # noqa: T201
    else:
        print_table(out, results)


@dataclass(frozen=True)
class SuiteChoices:
    """How often a suite is run, and how its aggregate is given."""

    repetitions: Annotated[int | None, typer.Option(help="Repetitions (default: the suite's).")] = None
    out_dir: Out = Path("runs")
    as_json: Annotated[bool, typer.Option("--json", help="Print aggregate.json and nothing else.")] = False
    require: Require = None


_SHADOWED = [f"  {name}: {summary}" for name, summary in summaries().items() if name in ("clean", "load")]
_SUITE_HELP = "Run any suite by name or file, also those whose names are benchmarks with options:\n\n" + "\n\n".join(
    _SHADOWED
)


@app.command("suite", help=_SUITE_HELP, rich_help_panel=SUITES)
@grouped
def bench_suite(
    name: Annotated[str, typer.Argument(help="A suite's name, or the path of a .toml file.")],
    on: EngineOptions,
    choices: SuiteChoices,
) -> None:
    """Run a suite, print its aggregate, and write the report."""
    _run_suite(name, on, choices)


def _run_suite(name: str, on: EngineOptions, choices: SuiteChoices) -> None:
    from dataclasses import replace

    from harness.experiments.record import recorded
    from harness.report import write_report
    from harness.results import json_of, new_run_folder
    from harness.suites.model import Kind, load_suite
    from harness.suites.run import SuiteOptions, print_aggregate, run_suite

    suite = load_suite(name).requiring(choices.require or [], "--require")
    chosen = on.choose()
    if chosen.rules is not None and suite.kind is Kind.CLEAN:
        raise UsageError(f"--chaos: suite {suite.name} runs no engine", hint="leave --chaos out")
    if choices.repetitions is not None:
        if choices.repetitions < 1:
            raise UsageError(f"--repetitions is {choices.repetitions}, 1 or more are needed")
        suite = replace(suite, repetitions=choices.repetitions)
    folder = new_run_folder(choices.out_dir)
    options = SuiteOptions(on.engine, on.profile, out, on.capacity, quiet=choices.as_json, chaos=chosen.rules)
    with recorded(folder):
        found = run_suite(suite, options, folder)
        page = write_report(folder)
    if choices.as_json:
        print(json_of(found, indent=0))  # noqa: T201
    else:
        print_aggregate(out, found)
        out.print(f"results    {folder}/aggregate.json", highlight=False, soft_wrap=True)
        out.print(f"report     {page}", highlight=False, soft_wrap=True)
    end_with(conserved=found.conserved, objectives=found.objectives)


def _suite_command(name: str) -> Callable[..., None]:
    @grouped
    def run(on: EngineOptions, choices: SuiteChoices) -> None:
        _run_suite(name, on, choices)

    return run


for _name, _summary in summaries().items():
    if _name not in {command.name for command in app.registered_commands}:
        app.command(_name, help=_summary[0].upper() + _summary[1:] + ".", rich_help_panel=SUITES)(_suite_command(_name))
