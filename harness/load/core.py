"""`harness bench load`: deploys, drives a load by Locust, waits until everything is durable, audits, reports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.engines.base import Deployment, Engine
from harness.engines.clients import translated
from harness.load.locust_process import LocustOptions
from harness.load.result import load_result, write_samples
from harness.load.schedule import LoadSpec, schedule
from harness.load.session import Found, LoadSession
from harness.report import write_report
from harness.results import save_result
from harness.run.clock import RunClock
from harness.run.core import STACK, TEMPLATE, ProgressBar, deployed_line
from harness.run.display import make_display
from harness.run.record import logs_kept, recorded

WARMUP_SEED = 1000
"""Added to the load's seed, so that the warm-up has other files."""


@dataclass(frozen=True)
class LoadOptions:
    """What to load. `parameters` are the template's. `warmup` seconds of the same rate come first: functions start
    cold, and what that costs belongs to no latency; its files are audited too."""

    spec: LoadSpec
    warmup: float = 5.0
    locust: LocustOptions = field(default_factory=LocustOptions)
    parameters: dict[str, str] = field(default_factory=dict)
    stall_timeout: float = 120.0
    cache: Path | None = None


@dataclass(frozen=True)
class LoadRun:
    """A finished load run and what result.json holds of it; `warmed` is what the warm-up found, None without one."""

    folder: Path
    options: LoadOptions
    found: Found
    warmed: Found | None
    result: dict[str, Any]

    @property
    def conserved(self) -> bool:
        """Whether every row of the load and of its warm-up is where it must be."""
        return all_conserved(self.found, self.warmed)


def all_conserved(*found: Found | None) -> bool:
    """Return whether every row of several sessions is where it must be; those that there were not count as good."""
    return all(f.audit.conserved and f.audit.as_expected for f in found if f is not None)


def rows_of(spec: LoadSpec) -> int:
    """Return the rows of all files of a load."""
    sizes = spec.sizes
    return sum(sizes[arrival.file] for arrival in schedule(spec))


class Loader:
    """Runs loads on an engine that is started by the caller's `with`."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet

    def run(self, engine: Engine, options: LoadOptions, folder: Path) -> LoadRun:
        """Drive one load and audit it; writes the results into `folder`.

        Raises EnvironmentProblem where nothing was uploaded, StageStuck, and EngineError where the engine ends; then
        `folder` has the logs and `error.json`, and the error's hint names it.
        """
        spec = options.spec
        with recorded(folder), logs_kept(engine, folder), translated(engine):
            deployment = engine.deploy(TEMPLATE, options.parameters, stack_name=STACK)
            self.say(deployed_line(engine, deployment))
            warmed = self.warm_up(engine, deployment, options, folder)
            self.say(
                f"load       {spec.shape}, {spec.files:,} files in {spec.seconds:g} s, {spec.rate:g} rows/s, "
                f"{spec.rows_per_file} rows a file, {spec.arrivals} arrivals, seed {spec.seed}"
            )
            if options.locust.web:
                self.say(
                    f"web UI     http://{options.locust.web_host}:{options.locust.web_port}, charts at /pipeline; "
                    "Ctrl-C here ends the loads and audits them"
                )
            if options.locust.workers:
                self.say(
                    f"workers    {options.locust.workers} to be started by hand, with --master-host "
                    f"{options.locust.master_host} --master-port {options.locust.master_port}"
                )
            with self.session(engine, deployment, options, folder) as session:
                with session.display:
                    session.drive(spec, options.locust)
                    session.drain()
                found = session.finish(self.bar)
                driven = [load.start.spec for load in session.loads]
            result = load_result(engine, driven, options.locust, found, options.parameters)
            result["load"]["warmup_seconds"] = options.warmup if warmed is not None else 0
        if warmed is not None:
            result["warmup_audit"] = warmed.audit.to_json()
        write_samples(folder, found.outcomes)
        save_result(folder, {"run": folder.name, **result})
        write_report(folder)
        return LoadRun(folder, options, found, warmed, result)

    def warm_up(self, engine: Engine, deployment: Deployment, options: LoadOptions, folder: Path) -> Found | None:
        """Load for `options.warmup` seconds, wait, and audit; None where that is 0, in the web UI, or with workers that
        were started by hand: they would end with the warm-up's master."""
        if not options.warmup or options.locust.web or options.locust.workers:
            return None
        spec = replace(
            options.spec,
            shape="steady",
            arrivals="constant",
            seconds=options.warmup,
            seed=options.spec.seed + WARMUP_SEED,
        )
        self.say(f"warm-up    {spec.files:,} files in {spec.seconds:g} s")
        aside = folder / "warmup"
        aside.mkdir()
        with self.session(engine, deployment, options, aside, shown=False) as session:
            session.drive(spec, options.locust)
            session.drain()
            return session.finish(self.bar)

    @contextmanager
    def session(
        self, engine: Engine, deployment: Deployment, options: LoadOptions, folder: Path, *, shown: bool = True
    ) -> Iterator[LoadSession]:
        """Give a session, whose live display is `shown`; the engine's logs are kept in `folder` when it ends."""
        with RunClock() as clock:
            session = LoadSession(
                engine,
                deployment,
                folder,
                make_display(self._console, quiet=self._quiet or not shown),
                stall_timeout=options.stall_timeout,
                cache=options.cache,
                clock=clock,
            )
            with logs_kept(engine, folder), closing(session):
                yield session

    def say(self, text: str) -> None:
        """Print a line, unless quiet."""
        if not self._quiet:
            self._console.print(text, highlight=False, soft_wrap=True)

    def bar(self, label: str, total: int) -> ProgressBar:
        """Return a progress bar for a long step."""
        return ProgressBar(self._console, label, total, hidden=self._quiet)
