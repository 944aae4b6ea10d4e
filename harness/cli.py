"""The command line. The one place where errors become messages and exit codes."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from harness.errors import ExitCode, HarnessError, UsageError

app = typer.Typer(
    name="harness",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Local emulation and load test of an event-driven ingestion pipeline on AWS.\n\n"
    "Exit codes: 0 ok, 1 regression, 2 usage, 3 rows not conserved or not where expected, "
    "4 inconclusive, 5 environment, 130 interrupted.",
)
dlq_app = typer.Typer(no_args_is_help=True, help="Dead-letter queues: list, show, redrive.")
bench_app = typer.Typer(no_args_is_help=True, help="Benchmarks.")
app.add_typer(dlq_app, name="dlq")
app.add_typer(bench_app, name="bench")

out = Console()
err = Console(stderr=True)

Rows = Annotated[int, typer.Option("--rows", "-n", help="Rows of the generated corpus.")]
Seed = Annotated[int, typer.Option(help="Seed: the same seed gives the same bytes on any machine.")]
Dirty = Annotated[float, typer.Option(help="Share of rows that need cleaning.")]
Quarantine = Annotated[float, typer.Option(help="Share of rows that clean must reject.")]
Poison = Annotated[float, typer.Option(help="Share of rows that a later stage must give up.")]
EngineName = Annotated[
    str, typer.Option("--engine", envvar="HARNESS_ENGINE", help="Engine to run on: embedded, localstack.")
]
Profile = Annotated[str, typer.Option(help="Concurrency profile of the embedded engine: local, 2021, 2026.")]
Params = Annotated[
    list[str] | None, typer.Option("--param", "-p", metavar="KEY=VALUE", help="Template parameter; repeatable.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder for results; each run gets a folder of its own in it.")]


def parse_parameters(given: list[str] | None) -> dict[str, str]:
    """Return template parameters given as KEY=VALUE; raises UsageError naming the one that is not."""
    parameters = {}
    for text in given or []:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise UsageError(f"--param {text!r} is not KEY=VALUE", hint="for example --param RowsPerMessage=1")
        parameters[name] = value
    return parameters


@app.command()
def run(
    rows: Rows = 800_000,
    seed: Seed = 1,
    dirty: Dirty = 0.05,
    quarantine: Quarantine = 0.002,
    poison: Poison = 0.0002,
    file: Annotated[Path | None, typer.Option(help="Run your own CSV instead of a generated corpus.")] = None,
    engine: EngineName = "embedded",
    profile: Profile = "local",
    param: Params = None,
    out_dir: Out = Path("runs"),
    stall_timeout: Annotated[float, typer.Option(help="Give up when nothing moves for this many seconds.")] = 120.0,
    ceiling: Annotated[bool, typer.Option(help="First measure the engine's bare rates, for comparison.")] = True,
    keep: Annotated[bool, typer.Option(help="Keep the engine up afterwards, for `harness dlq`, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")] = False,
) -> None:
    """Generate, deploy, upload, watch, audit: the main job.

    Every row is followed to its end: rows in = updated + quarantined + in a dead-letter queue, checked one by one.

    Examples:

      harness run                              800,000 rows
      harness run --rows 50000 --poison 0.01   a small run with many bad rows
      harness run --file my.csv                your own file
      harness run -p RowsPerMessage=1          one row a message, as in the published design
    """
    from harness.corpus import CorpusSpec
    from harness.engines.registry import create
    from harness.results import new_run_folder
    from harness.run.core import Runner, RunOptions
    from harness.run.summary import print_summary
    from harness.session import remember

    parameters = parse_parameters(param)
    if file is not None and not file.is_file():
        raise UsageError(f"{file} is not a file")
    spec = CorpusSpec(rows=rows, seed=seed, dirty=dirty, quarantine=quarantine, poison=poison)
    options = RunOptions(spec, file, parameters, stall_timeout, ceiling)
    runner = Runner(out, quiet=as_json)
    given = runner.prepare(options, in_memory=engine == "embedded")
    folder = new_run_folder(out_dir)
    with create(engine, profile=profile) as started:
        finished = runner.run(started, given, options, folder)
        if as_json:
            print(json.dumps(finished.result))  # noqa: T201
        else:
            print_summary(out, finished)
        if keep:
            with remember(started, finished.deployment):
                _wait_for_interrupt()
    if not (finished.audit.conserved and finished.audit.as_expected):
        raise typer.Exit(ExitCode.NOT_CONSERVED)


@app.command()
def generate(
    path: Annotated[Path, typer.Argument(help="Where to write the CSV; its manifest goes beside it.")],
    rows: Rows = 800_000,
    seed: Seed = 1,
    dirty: Dirty = 0.05,
    quarantine: Quarantine = 0.002,
    poison: Poison = 0.0002,
) -> None:
    """Write a corpus and its manifest, which says what must become of every row.

    Example: harness generate transactions.csv --rows 100000 --seed 7
    """
    from harness.corpus import CorpusSpec, manifest_path
    from harness.corpus import generate as write
    from harness.run.core import ProgressBar

    spec = CorpusSpec(rows=rows, seed=seed, dirty=dirty, quarantine=quarantine, poison=poison)
    with ProgressBar(out, "generating", rows) as advance:
        manifest = write(path, spec, advance)
    size = f"{manifest.rows:,} rows, {manifest.file_bytes:,} bytes"
    out.print(f"{path}: {size}, sha256 {manifest.sha256}", highlight=False)
    out.print(f"{manifest_path(path)}: {manifest.rows_updated:,} rows must be updated", highlight=False)


@app.command()
def deploy(
    engine: EngineName = "embedded",
    profile: Profile = "local",
    param: Params = None,
    once: Annotated[
        bool, typer.Option(help="Deploy to an engine that stays up by itself (LocalStack), and end.")
    ] = False,
) -> None:
    """Start an engine with the pipeline deployed and keep it up until Ctrl-C.

    Upload with any S3 client to the endpoint it prints; look at dead letters with `harness dlq` in another terminal.
    """
    from harness.engines.registry import create
    from harness.run.core import STACK, TEMPLATE
    from harness.session import remember

    parameters = parse_parameters(param)
    if once and engine == "embedded":
        raise UsageError("--once: the embedded engine ends with this command", hint="leave --once out")
    with create(engine, profile=profile) as started:
        deployment = started.deploy(TEMPLATE, parameters, stack_name=STACK)
        table = Table("output", "value", box=None, header_style="bold")
        for key, value in sorted(deployment.outputs.items()):
            table.add_row(key, value)
        out.print(table)
        out.print(f"\nendpoint   {started.endpoints.default}", highlight=False)
        out.print(
            f"           AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION={started.endpoints.region} "
            f"aws --endpoint-url {started.endpoints.default} s3 cp my.csv s3://{deployment.output('UploadBucket')}/",
            highlight=False,
            soft_wrap=True,
        )
        if once:
            return
        with remember(started, deployment):
            _wait_for_interrupt()


@app.command()
def doctor() -> None:
    """Check what this machine can do, and say what to do about the rest. Exits with 5 if a run cannot work."""
    from harness.doctor.checks import Status, examine

    colours = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "red"}
    results = examine()
    table = Table("", "check", "found", "what to do", box=None, header_style="bold")
    for result in results:
        table.add_row(f"[{colours[result.status]}]{result.status}[/]", result.name, result.found, result.advice)
    out.print(table)
    if any(r.status is Status.FAIL for r in results):
        raise typer.Exit(ExitCode.ENVIRONMENT)


@dlq_app.command("list")
def dlq_list(engine: EngineName = "embedded") -> None:
    """Count the dead letters of every stage of the engine that is up (`harness deploy`, `harness run --keep`)."""
    from harness import dlq
    from harness.run.core import STACK
    from harness.session import attach

    session = attach(engine, STACK)
    table = Table("stage", "messages", box=None, header_style="bold")
    for stage, count in dlq.counts(session.client("sqs"), session.deployment).items():
        table.add_row(stage, f"{count:,}")
    out.print(table)


@dlq_app.command("show")
def dlq_show(
    stage: Annotated[str, typer.Argument(help="clean, insert, capture, process or update.")],
    limit: Annotated[int, typer.Option(help="Show at most this many letters.")] = 20,
    engine: EngineName = "embedded",
) -> None:
    """Show a stage's dead letters: which rows, and why. Nothing is taken out of the queue."""
    from itertools import islice

    from harness import dlq
    from harness.run.core import STACK
    from harness.session import attach

    session = attach(engine, STACK)
    wanted = dlq.stage_named(stage)
    table = Table("message", "source", "rows", "receives", "reason", "detail", box=None, header_style="bold")
    for letter in islice(dlq.letters(session.client("sqs"), session.deployment, wanted), limit):
        rows = ", ".join(map(str, letter.rows[:5])) + (f" … {len(letter.rows)} in all" if len(letter.rows) > 5 else "")
        table.add_row(letter.message_id[:8], letter.source_id, rows, str(letter.receives), letter.reason, letter.detail)
    out.print(table)


@dlq_app.command("redrive")
def dlq_redrive(
    stage: Annotated[str, typer.Argument(help="insert, process or update.")], engine: EngineName = "embedded"
) -> None:
    """Send a stage's dead letters back to its queue; each is deleted only once its copy was accepted."""
    from harness import dlq
    from harness.run.core import STACK
    from harness.session import attach

    session = attach(engine, STACK)
    moved = dlq.redrive(session.client("sqs"), session.deployment, dlq.stage_named(stage))
    out.print(f"{moved:,} messages sent back to {stage}", highlight=False)


@bench_app.command("engine")
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


@bench_app.command("clean")
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


def _wait_for_interrupt() -> None:
    out.print("\nup until Ctrl-C")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        out.print("stopping")


def _on_terminate(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _on_terminate)
    try:
        app(prog_name="harness")
    except HarnessError as error:
        err.print(f"[bold red]error:[/] {_escape(str(error))}", highlight=False, soft_wrap=True)
        if error.hint:
            err.print(f"[dim]{_escape(error.hint)}[/]", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except SystemExit as ended:
        # Typer ends an interrupted command with this code and without a word.
        if ended.code == ExitCode.INTERRUPTED:
            err.print("interrupted: the engine is stopped, nothing is left running")
        raise


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
