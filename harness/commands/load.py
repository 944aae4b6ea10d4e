"""bench load, bench saturation: uploads by Locust."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from harness.commands.options import (
    Capacity,
    Chaos,
    Dirty,
    EngineName,
    Out,
    Params,
    Profile,
    Seed,
    chaos_rules,
    out,
    parse_parameters,
)
from harness.errors import ExitCode

Shape = Annotated[str, typer.Option(help="How the rate runs over time: steady, ramp, spike, soak.")]
Arrivals = Annotated[str, typer.Option(help="poisson (random) or constant (evenly spaced).")]
RowsPerFile = Annotated[
    str,
    typer.Option(
        help="fixed:1000, uniform:200:2000, lognormal:200:0.8:4000 (median, sigma, most) or choice:100=7,1000=3."
    ),
]
Warmup = Annotated[float, typer.Option(help="Seconds at the same rate beforehand, for functions to start; 0: none.")]
Users = Annotated[int, typer.Option(help="Most uploads at a time.")]
StallTimeout = Annotated[float, typer.Option(help="Give up when nothing that should move does for this many seconds.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]

DEFAULT_SECONDS = {"steady": 60.0, "ramp": 120.0, "spike": 120.0, "soak": 1800.0}
SOAK_SHARE = 0.25
"""A soak's share of the engine's usual rate: half an hour of it fits into 8 GB."""


def load(
    shape: Shape = "steady",
    seconds: Annotated[
        float | None, typer.Option(help="Length of the load (default: 60, ramp and spike 120, soak 1800).")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Rows a second offered, on average (default: by engine).")] = None,
    rows_per_file: RowsPerFile = "lognormal:200:0.8:4000",
    arrivals: Arrivals = "poisson",
    warmup: Warmup = 5.0,
    seed: Seed = 1,
    dirty: Dirty = 0.05,
    quarantine: Annotated[float, typer.Option(help="Share of rows that clean must reject.")] = 0.0,
    poison: Annotated[float, typer.Option(help="Share of rows that a later stage must give up.")] = 0.0,
    users: Users = 64,
    processes: Annotated[int, typer.Option(help="Upload from this many worker processes of this machine.")] = 0,
    workers: Annotated[int, typer.Option(help="Wait for this many Locust workers started by hand; no warm-up.")] = 0,
    master_bind_host: Annotated[str, typer.Option(help="Address on which workers reach the master.")] = "127.0.0.1",
    master_bind_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on which workers reach the master; 0: a free one.")
    ] = 0,
    web: Annotated[bool, typer.Option(help="Serve Locust's web UI, and load when told to there.")] = False,
    web_host: Annotated[str, typer.Option(help="Address of the web UI.")] = "127.0.0.1",
    web_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web UI.")] = 8089,
    engine: EngineName = "embedded",
    profile: Profile = "local",
    capacity: Capacity = "unlimited",
    param: Params = None,
    chaos: Chaos = None,
    out_dir: Out = Path("runs"),
    stall_timeout: StallTimeout = 120.0,
    as_json: AsJson = False,
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
    from harness.engines.registry import check_capacity, create, kind_of
    from harness.experiments.lifecycle import Setting, conduct
    from harness.experiments.load_result import require_uploaded
    from harness.experiments.load_run import LoadExperiment, LoadOptions, rows_of
    from harness.experiments.load_summary import print_summary
    from harness.experiments.record import LOGS, recorded
    from harness.experiments.reporter import Reporter
    from harness.load.locust_process import LocustOptions, free_port
    from harness.load.schedule import LoadSpec
    from harness.results import new_run_folder

    rules = chaos_rules(chaos, engine)
    kind = kind_of(engine)
    chosen = rate if rate is not None else kind.load_rate * (SOAK_SHARE if shape == "soak" else 1)
    spec = LoadSpec(
        shape=shape,
        seconds=seconds if seconds is not None else DEFAULT_SECONDS.get(shape, 60.0),
        rate=chosen,
        rows_per_file=rows_per_file,
        arrivals=arrivals,
        seed=seed,
        dirty=dirty,
        quarantine=quarantine,
        poison=poison,
    )
    locust = LocustOptions(
        users=users,
        processes=processes,
        workers=workers,
        master_host=master_bind_host,
        master_port=master_bind_port or (free_port(master_bind_host) if processes or workers else 0),
        web=web,
        web_host=web_host,
        web_port=web_port,
    )
    experiment = LoadExperiment(LoadOptions(spec, warmup, locust, Setting(parse_parameters(param), stall_timeout)))
    if kind.data_here:
        refuse_if_too_many(rows_of(spec), "the load")
    check_capacity(engine, capacity)
    folder = new_run_folder(out_dir)
    with (
        recorded(folder),
        create(engine, profile=profile, capacity=capacity, logs=folder / LOGS, chaos=rules) as started,
    ):
        finished = conduct(experiment, started, folder, Reporter(out, quiet=as_json))
    if as_json:
        print(json.dumps(finished.result))  # noqa: T201
    else:
        print_summary(out, finished)
    if not finished.conserved:
        raise typer.Exit(ExitCode.NOT_CONSERVED)
    require_uploaded(finished.examined.finding, folder)


def saturation(
    start: Annotated[float | None, typer.Option(help="Rows a second of the first step (default: by engine).")] = None,
    step_seconds: Annotated[float, typer.Option(help="Most seconds of a step; it ends once decided.")] = 45.0,
    budget: Annotated[
        float, typer.Option(help="Seconds that the search may take, the audit after it not counted.")
    ] = 240.0,
    resolution: Annotated[float, typer.Option(help="End when the interval is this narrow, as a share.")] = 0.1,
    rows_per_file: RowsPerFile = "fixed:250",
    seed: Seed = 1,
    dirty: Dirty = 0.05,
    users: Users = 64,
    processes: Annotated[int, typer.Option(help="Upload from this many worker processes of this machine.")] = 0,
    engine: EngineName = "embedded",
    profile: Profile = "local",
    capacity: Capacity = "unlimited",
    param: Params = None,
    chaos: Chaos = None,
    out_dir: Out = Path("runs"),
    stall_timeout: StallTimeout = 120.0,
    as_json: AsJson = False,
) -> None:
    """Find the highest upload rate that the pipeline sustains with a bounded backlog.

    Raises the offered rate step by step until the rows that are unfinished keep growing, then halves the interval.
    Each step is judged by the slope of its backlog; every row of all steps is audited at the end. Fails when an upload
    fails, when a file is not sent, and when a row is not where it must be; inconclusive when no rate was sustained and
    when the machine slept meanwhile.
    """
    from harness.engines.registry import check_capacity, create, kind_of
    from harness.experiments.lifecycle import Setting, conduct
    from harness.experiments.load_result import require_uploaded
    from harness.experiments.load_run import all_conserved
    from harness.experiments.record import LOGS, recorded
    from harness.experiments.reporter import Reporter
    from harness.experiments.result_lines import print_audit, print_chaos, print_consumption, print_doubt
    from harness.experiments.saturation_run import SaturationExperiment, SearchOptions, line
    from harness.load.locust_process import LocustOptions, free_port
    from harness.load.schedule import LoadSpec
    from harness.results import chaos_of, new_run_folder, void_reason

    rules = chaos_rules(chaos, engine)
    kind = kind_of(engine)
    first = start if start is not None else kind.load_rate
    options = SearchOptions(
        start=first,
        resolution=resolution,
        step_seconds=step_seconds,
        budget=budget,
        room_here=kind.data_here,
        spec=LoadSpec(rows_per_file=rows_per_file, seed=seed, dirty=dirty),
        locust=LocustOptions(users=users, processes=processes, master_port=free_port("127.0.0.1") if processes else 0),
        setting=Setting(parse_parameters(param), stall_timeout),
    )
    check_capacity(engine, capacity)
    experiment = SaturationExperiment(options)
    folder = new_run_folder(out_dir)
    with (
        recorded(folder),
        create(engine, profile=profile, capacity=capacity, logs=folder / LOGS, chaos=rules) as started,
    ):
        found = conduct(experiment, started, folder, Reporter(out, quiet=as_json))
    if as_json:
        print(json.dumps(found.result))  # noqa: T201
    else:
        out.print(f"\nsaturation [bold]{line(found)}[/]", highlight=False, soft_wrap=True)
        print_doubt(out, found.result)
        print_consumption(out, found.result)
        print_chaos(out, chaos_of(found.result))
        print_audit(out, found.examined.finding.audit)
        if found.warmed is not None and not all_conserved(found.warmed):
            out.print("warm-up:")
            print_audit(out, found.warmed.finding.audit)
        out.print(f"results    {folder}/result.json", highlight=False, soft_wrap=True)
    if not found.conserved:
        raise typer.Exit(ExitCode.NOT_CONSERVED)
    require_uploaded(found.examined.finding, folder)
    if not found.rate or void_reason(found.result):
        raise typer.Exit(ExitCode.INCONCLUSIVE)
