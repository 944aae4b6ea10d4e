"""run, generate, deploy, doctor: the commands about one pipeline."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from harness.commands.aws_options import CORPUS_ROW_BYTES, AccountGroup, AwsOptions, examine_account
from harness.commands.engine_options import EngineOptions, ExperimentOptions
from harness.commands.option_groups import grouped
from harness.commands.options import (
    Dirty,
    Params,
    Poison,
    Quarantine,
    Rows,
    Seed,
    out,
    parse_parameters,
    say,
    wait_for_interrupt,
)
from harness.commands.outcome import end_with
from harness.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from harness.corpus import CorpusSpec

_ROWS_TOLD = 1_000_000
"""Rows for which a deployment that waits for uploads says its cost."""


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (run, generate, deploy, doctor):
        app.command()(command)


@dataclass(frozen=True)
class CorpusOptions:
    """What is generated."""

    rows: Rows = 800_000
    seed: Seed = 1
    dirty: Dirty = 0.05
    quarantine: Quarantine = 0.002
    poison: Poison = 0.0002

    def spec(self) -> CorpusSpec:
        """Return the corpus; raises UsageError where it makes no sense."""
        from harness.corpus import CorpusSpec

        return CorpusSpec(self.rows, self.seed, self.dirty, self.quarantine, self.poison)


@grouped
def run(
    corpus: CorpusOptions,
    on: EngineOptions,
    aws: AwsOptions,
    options: ExperimentOptions,
    file: Annotated[Path | None, typer.Option(help="Run your own CSV instead of a generated corpus.")] = None,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline/--no-baseline",
            "--ceiling/--no-ceiling",
            help="First measure the engine's bare rates, for comparison (never on engine aws).",
        ),
    ] = True,
    keep: Annotated[bool, typer.Option(help="Keep the engine up afterwards, for `harness dlq`, until Ctrl-C.")] = False,
) -> None:
    """Generate, deploy, upload, watch, audit: the main job.

    Every row is followed to its end: rows in = updated + quarantined + in a dead-letter queue, checked one by one.

    Examples:

      harness run                              800,000 rows
      harness run --rows 50000 --poison 0.01   a small run with many bad rows
      harness run --file my.csv                your own file
      harness run -p RowsPerMessage=1          one row a message, as in the published design
      harness run -p BillingMode=PROVISIONED -p WriteCapacity=500 -p ReadCapacity=500 --capacity aws
      harness run --chaos rules.toml           with faults injected: docs/chaos.md
      harness run --rows 10000 --engine aws --aws-profile test --max-usd 1    in a real account: docs/aws.md
    """
    from harness.experiments.lifecycle import conduct
    from harness.experiments.upload_run import UploadExperiment, generated_input, own_input
    from harness.experiments.upload_summary import print_summary
    from harness.results import RunResult, json_of, new_run_folder
    from harness.session import remember

    chosen, setting, reporter = on.choose(billed_too=True), options.setting(RunResult), options.reporter()
    if keep and chosen.kind.billed:
        raise UsageError(
            "--keep: a stack in an account stays up by itself", hint="`harness deploy --engine aws --once`"
        )
    if file is not None and not file.is_file():
        raise UsageError(f"{file} is not a file")
    spec, room_here = corpus.spec(), chosen.kind.data_here
    if file is not None:
        uploaded = own_input(file, setting, reporter, room_here=room_here)
    else:
        uploaded = generated_input(spec, setting, reporter, room_here=room_here)
    account = aws.agree(chosen.kind, uploaded.rows, uploaded.path.stat().st_size, setting.parameters, options.say)
    experiment = UploadExperiment(uploaded, setting, baseline=baseline and not chosen.kind.billed)
    folder = new_run_folder(options.out_dir)
    with chosen.started(folder, account) as engine:
        finished = conduct(experiment, engine, folder, reporter)
        if options.as_json:
            print(json_of(finished.result, indent=0))  # noqa: T201
        else:
            print_summary(out, finished)
        if keep:
            with remember(engine, finished.deployment):
                wait_for_interrupt()
    end_with(conserved=finished.conserved, objectives=finished.result.objectives)


@grouped
def generate(
    path: Annotated[Path, typer.Argument(help="Where to write the CSV; its manifest goes beside it.")],
    corpus: CorpusOptions,
) -> None:
    """Write a corpus and its manifest, which says what must become of every row.

    Example: harness generate transactions.csv --rows 100000 --seed 7
    """
    from harness.corpus import generate as write
    from harness.corpus import manifest_path
    from harness.experiments.reporter import ProgressBar

    spec = corpus.spec()
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name the file to write")
    with ProgressBar(out, "generating", spec.rows) as advance:
        manifest = write(path, spec, advance)
    size = f"{manifest.rows:,} rows, {manifest.file_bytes:,} bytes"
    out.print(f"{path}: {size}, sha256 {manifest.sha256}", highlight=False)
    out.print(f"{manifest_path(path)}: {manifest.rows_updated:,} rows must be updated", highlight=False)


@grouped
def deploy(
    on: EngineOptions,
    aws: AwsOptions,
    param: Params = None,
    once: Annotated[
        bool, typer.Option(help="Deploy to an engine that stays up by itself (LocalStack, AWS), and end.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Keep tables and queues in this folder; the next deploy with it goes on from there."),
    ] = None,
) -> None:
    """Start an engine with the pipeline deployed and keep it up until Ctrl-C.

    Upload with any S3 client to the endpoint it prints; look at dead letters with `harness dlq` in another terminal.

    With --data the table's items, the queues' messages and the position in the table's stream outlive the command. Not
    kept: uploaded and quarantined objects, logs, and objects whose cleaning had not ended: upload those again.
    """
    from harness.engines.registry import check_data, create, outlives_its_command
    from harness.experiments.lifecycle import STACK, TEMPLATE
    from harness.experiments.result_lines import print_chaos
    from harness.session import remember

    parameters, chosen = parse_parameters(param), on.choose(billed_too=True)
    if once and not outlives_its_command(on.engine):
        raise UsageError(f"--once: the functions of engine {on.engine} end with this command", hint="leave --once out")
    check_data(on.engine, data)
    account = aws.agree(chosen.kind, _ROWS_TOLD, _ROWS_TOLD * CORPUS_ROW_BYTES, parameters, say)
    with create(
        on.engine,
        profile=on.profile,
        capacity=on.capacity,
        data=data,
        chaos=chosen.rules,
        account=account,
        keep=once,
    ) as started:
        deployment = started.deploy(TEMPLATE, parameters, stack_name=STACK)
        table = Table("output", "value", box=None, header_style="bold")
        for key, value in sorted(deployment.outputs.items()):
            table.add_row(key, value)
        out.print(table)
        say(f"\ncapacity   {started.report().capacity}\nendpoint   {started.endpoints.default}")
        copy = f"s3 cp my.csv s3://{deployment.output('UploadBucket')}/"
        if chosen.kind.billed:
            say(f"           aws --region {started.endpoints.region} {copy}")
            if once:
                say("           it costs until it is removed: `harness doctor --engine aws --remove`")
        else:
            say(
                f"           AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION={started.endpoints.region} "
                f"aws --endpoint-url {started.endpoints.default} {copy}"
            )
        if once:
            return
        with nullcontext() if chosen.kind.billed else remember(started, deployment):
            wait_for_interrupt()
        print_chaos(out, started.report().chaos)


@grouped
def doctor(
    group: AccountGroup,
    engine: Annotated[
        str | None, typer.Option(help="aws: look for what deployments left in an account, by their tag.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove what was found there, after asking.")] = False,
) -> None:
    """Check what this machine can do, and say what to do about the rest. Exits with 5 if a run cannot work.

    With --engine aws look into an account instead: exits with 5 if something of a deployment is left there.
    """
    from harness.doctor.checks import Status, examine

    if engine == "aws":
        if not examine_account(group, remove=remove, say=say):
            raise typer.Exit(ExitCode.ENVIRONMENT)
        return
    if engine is not None:
        raise UsageError(f"--engine {engine}: only an account is looked into", hint="--engine aws, or leave it out")
    group.refuse_with("embedded")
    if remove:
        raise UsageError("--remove: leftovers of this machine are removed by hand", hint="--engine aws --remove")
    colours = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "red"}
    results = examine()
    table = Table("", "check", "found", "what to do", box=None, header_style="bold")
    for result in results:
        table.add_row(f"[{colours[result.status]}]{result.status}[/]", result.name, result.found, result.advice)
    out.print(table)
    if any(r.status is Status.FAIL for r in results):
        raise typer.Exit(ExitCode.ENVIRONMENT)
