"""bench load, bench saturation: uploads by Locust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from harness.commands.aws_options import CORPUS_ROW_BYTES, AwsOptions
from harness.commands.engine_options import EngineOptions, ExperimentOptions
from harness.commands.option_groups import grouped
from harness.commands.options import Dirty, Poison, Quarantine, Seed, out
from harness.commands.outcome import end_with
from harness.errors import ExitCode
from harness.load.schedule import SPEC_OPTIONS, LoadSpec

if TYPE_CHECKING:
    from harness.engines.registry import EngineKind
    from harness.experiments.saturation_run import Saturation
    from harness.load.locust_process import LocustOptions

RowsPerFile = Annotated[str, typer.Option(help=SPEC_OPTIONS["rows_per_file"].help)]
Users = Annotated[int, typer.Option(help="Most uploads at a time.")]
Processes = Annotated[int, typer.Option(help="Upload from this many worker processes of this machine.")]

DEFAULT_SECONDS = {"steady": 60.0, "ramp": 120.0, "spike": 120.0, "soak": 1800.0}
SOAK_SHARE = 0.25
"""A soak's share of the engine's usual rate: half an hour of it fits into 8 GB."""


@dataclass(frozen=True)
class ScheduleOptions:
    """Which files are uploaded when."""

    shape: Annotated[str, typer.Option(help=SPEC_OPTIONS["shape"].help)] = LoadSpec.shape
    seconds: Annotated[
        float | None, typer.Option(help="Length of the load (default: 60, ramp and spike 120, soak 1800).")
    ] = None
    rate: Annotated[float | None, typer.Option(help="Rows a second offered, on average (default: by engine).")] = None
    rows_per_file: RowsPerFile = LoadSpec.rows_per_file
    arrivals: Annotated[str, typer.Option(help=SPEC_OPTIONS["arrivals"].help)] = LoadSpec.arrivals
    warmup: Annotated[
        float, typer.Option(help="Seconds at the same rate beforehand, for functions to start; 0: none.")
    ] = 5.0
    seed: Seed = 1
    dirty: Dirty = 0.05
    quarantine: Quarantine = 0.0
    poison: Poison = 0.0

    def spec(self, kind: EngineKind) -> LoadSpec:
        """Return the load for an engine of this kind; raises UsageError where it makes no sense."""
        usual = kind.load_rate * (SOAK_SHARE if self.shape == "soak" else 1)
        return LoadSpec(
            shape=self.shape,
            seconds=self.seconds if self.seconds is not None else DEFAULT_SECONDS.get(self.shape, 60.0),
            rate=self.rate if self.rate is not None else usual,
            rows_per_file=self.rows_per_file,
            arrivals=self.arrivals,
            seed=self.seed,
            dirty=self.dirty,
            quarantine=self.quarantine,
            poison=self.poison,
        )


@dataclass(frozen=True)
class ClientOptions:
    """From where the files are uploaded."""

    users: Users = 64
    processes: Processes = 0
    workers: Annotated[int, typer.Option(help="Wait for this many Locust workers started by hand; no warm-up.")] = 0
    master_bind_host: Annotated[str, typer.Option(help="Address on which workers reach the master.")] = "127.0.0.1"
    master_bind_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on which workers reach the master; 0: a free one.")
    ] = 0
    web: Annotated[bool, typer.Option(help="Serve Locust's web UI, and load when told to there.")] = False
    web_host: Annotated[str, typer.Option(help="Address of the web UI.")] = "127.0.0.1"
    web_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web UI.")] = 8089

    def locust(self) -> LocustOptions:
        """Return how Locust runs."""
        from harness.load.locust_process import LocustOptions, free_port

        port = self.master_bind_port or (free_port(self.master_bind_host) if self.processes or self.workers else 0)
        return LocustOptions(
            users=self.users,
            processes=self.processes,
            workers=self.workers,
            master_host=self.master_bind_host,
            master_port=port,
            web=self.web,
            web_host=self.web_host,
            web_port=self.web_port,
        )


@dataclass(frozen=True)
class SearchedFiles:
    """What the files of a search are, and from how many processes they are uploaded."""

    rows_per_file: RowsPerFile = "fixed:250"
    seed: Seed = 1
    dirty: Dirty = 0.05
    users: Users = 64
    processes: Processes = 0


@grouped
def load(
    schedule: ScheduleOptions, client: ClientOptions, on: EngineOptions, aws: AwsOptions, options: ExperimentOptions
) -> None:
    """Upload files by a schedule, follow each to its last durable row, audit all of them.

    An open model: files are sent when the schedule says, however fast the pipeline is, and every latency counts from
    that moment. Fails when an upload fails, when a file is not sent, and when a row is not where it must be.

    Examples:

      harness bench load                                     a minute at a steady rate
      harness bench load --shape spike --rate 600            five times the base rate for a tenth of the time
      harness bench load --rows-per-file choice:100=9,50000=1
      harness bench load --web                               by hand, in Locust's web UI
    """
    from harness.doctor.room import refuse_if_too_many
    from harness.experiments.lifecycle import conduct
    from harness.experiments.load_result import require_uploaded
    from harness.experiments.load_run import LoadExperiment, LoadOptions, rows_of
    from harness.experiments.load_summary import print_summary
    from harness.results import LoadResult, json_of, new_run_folder

    chosen = on.choose(billed_too=True)
    spec = schedule.spec(chosen.kind)
    experiment = LoadExperiment(LoadOptions(spec, schedule.warmup, client.locust(), options.setting(LoadResult)))
    if chosen.kind.data_here:
        refuse_if_too_many(rows_of(spec), "the load")
    rows, reporter = rows_of(spec), options.reporter()
    account = aws.agree(chosen.kind, rows, rows * CORPUS_ROW_BYTES, experiment.setting.parameters, options.say)
    folder = new_run_folder(options.out_dir)
    with chosen.started(folder, account) as engine:
        finished = conduct(experiment, engine, folder, reporter)
    if options.as_json:
        print(json_of(finished.result, indent=0))  # noqa: T201
    else:
        print_summary(out, finished)
    if finished.conserved:
        require_uploaded(finished.examined.finding, folder)
    end_with(conserved=finished.conserved, objectives=finished.result.objectives)


@grouped
def saturation(
    files: SearchedFiles,
    on: EngineOptions,
    options: ExperimentOptions,
    start: Annotated[float | None, typer.Option(help="Rows a second of the first step (default: by engine).")] = None,
    step_seconds: Annotated[float, typer.Option(help="Most seconds of a step; it ends once decided.")] = 45.0,
    budget: Annotated[
        float, typer.Option(help="Seconds that the search may take, the audit after it not counted.")
    ] = 240.0,
    resolution: Annotated[float, typer.Option(help="End when the interval is this narrow, as a share.")] = 0.1,
) -> None:
    """Find the highest upload rate that the pipeline sustains with a bounded backlog.

    Raises the offered rate step by step until the rows that are unfinished keep growing, then halves the interval.
    Each step is judged by the slope of its backlog; every row of all steps is audited at the end. Fails when an upload
    fails, when a file is not sent, and when a row is not where it must be; inconclusive when no rate was sustained and
    when the machine slept meanwhile.
    """
    from harness.experiments.lifecycle import conduct
    from harness.experiments.load_result import require_uploaded
    from harness.experiments.saturation_run import SaturationExperiment, SearchOptions
    from harness.load.locust_process import LocustOptions, free_port
    from harness.results import SaturationResult, json_of, new_run_folder

    chosen = on.choose()
    master_port = free_port("127.0.0.1") if files.processes else 0
    experiment = SaturationExperiment(
        SearchOptions(
            start=start if start is not None else chosen.kind.load_rate,
            resolution=resolution,
            step_seconds=step_seconds,
            budget=budget,
            room_here=chosen.kind.data_here,
            spec=LoadSpec(rows_per_file=files.rows_per_file, seed=files.seed, dirty=files.dirty),
            locust=LocustOptions(users=files.users, processes=files.processes, master_port=master_port),
            setting=options.setting(SaturationResult),
        )
    )
    folder = new_run_folder(options.out_dir)
    with chosen.started(folder) as engine:
        found = conduct(experiment, engine, folder, options.reporter())
    if options.as_json:
        print(json_of(found.result, indent=0))  # noqa: T201
    else:
        _print_saturation(found)
    if found.conserved:
        require_uploaded(found.examined.finding, folder)
    end_with(conserved=found.conserved, objectives=found.result.objectives)
    if not found.rate or found.result.figures_void_reason:
        raise typer.Exit(ExitCode.INCONCLUSIVE)


def _print_saturation(found: Saturation) -> None:
    from harness.experiments.load_run import all_conserved
    from harness.experiments.result_lines import (
        print_audit,
        print_chaos,
        print_consumption,
        print_doubt,
        print_objectives,
    )
    from harness.experiments.saturation_run import line

    out.print(f"\nsaturation [bold]{line(found)}[/]", highlight=False, soft_wrap=True)
    print_doubt(out, found.result)
    print_consumption(out, found.result)
    print_chaos(out, found.result.engine.chaos)
    print_audit(out, found.examined.finding.audit)
    if found.warmed is not None and not all_conserved(found.warmed):
        out.print("warm-up:")
        print_audit(out, found.warmed.finding.audit)
    print_objectives(out, found.result.objectives)
    out.print(f"results    {found.folder}/result.json", highlight=False, soft_wrap=True)
