"""The life of every experiment: deploy, warm up, drive, watch, settle, audit, save, report; written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from harness.engines.base import Deployment, Engine
from harness.engines.clients import translated
from harness.experiments.record import logs_kept, recorded
from harness.experiments.reporter import Reporter
from harness.metrics import metrics_of
from harness.objectives import Objective, judge_all
from harness.observation.clock import RunClock
from harness.observation.rest import audited_at_rest
from harness.observation.settle import Patience
from harness.observation.watch import Intake, Observed, Watch
from harness.report import write_report
from harness.results import Result, save_result

TEMPLATE = Path(__file__).resolve().parents[2] / "handlers" / "template.yaml"
STACK = "ingestion"
WARMUP_FOLDER = "warmup"

Finding = TypeVar("Finding")
Kind = TypeVar("Kind", bound=Result)
Finding_co = TypeVar("Finding_co", covariant=True)
Finished_co = TypeVar("Finished_co", bound="HasResult", covariant=True)


@dataclass(frozen=True)
class Setting:
    """What every experiment is told: the template's parameters, for how many seconds nothing may stand still that
    should move, where generated files are kept (None: the usual cache), and what its figures must keep."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    stall_timeout: float = 120.0
    cache: Path | None = None
    objectives: Sequence[Objective] = ()


@dataclass(frozen=True)
class Testbed:
    """A deployed pipeline under watch, which an experiment drives; its files go to `folder`."""

    __test__ = False

    engine: Engine
    deployment: Deployment
    folder: Path
    reporter: Reporter
    watch: Watch


@dataclass(frozen=True)
class Examined(Generic[Finding]):
    """What an experiment found once everything had come to rest: by watching, and by looking at every row."""

    observed: Observed
    finding: Finding


def judged(result: Kind, setting: Setting) -> Kind:
    """Return a result with what became of the objectives that it was to keep."""
    if not setting.objectives:
        return result
    return msgspec.structs.replace(result, objectives=judge_all(setting.objectives, metrics_of(result)))


class HasResult(Protocol):
    """A finished experiment."""

    @property
    def result(self) -> Result:
        """What `result.json` holds of it."""


class Drive(Protocol[Finding_co]):
    """What is driven into a deployment, and what is made of the rows that come out of it.

    `shown` says whether the live display shows it, `only` see `Watch`.
    """

    setting: Setting
    shown: bool
    only: set[str] | None

    def intake(self, engine: Engine, deployment: Deployment, folder: Path, /) -> Intake:
        """Return what knows what has been uploaded; called once, before anything is."""

    def patience(self, deployment: Deployment, /) -> Patience:
        """Return how long things may be hidden in this deployment."""

    def drive(self, bed: Testbed, /) -> None:
        """Upload what is to be uploaded and return once nothing more comes."""

    def examine(self, bed: Testbed, observed: Observed, /) -> Finding_co:
        """Return where every row is; called while nothing is under way, and anew where something moved meanwhile."""


class Experiment(Drive[Finding], Protocol[Finding, Finished_co]):
    """A whole experiment: a drive with what comes before and after it.

    `has_page` says whether `harness report` knows a page of its kind.
    """

    has_page: bool

    def before(self, engine: Engine, reporter: Reporter, /) -> None:
        """Do what has to be done on the started engine before anything is deployed."""

    def template(self, folder: Path, /) -> Path:
        """Return the template to deploy."""

    def warm_up(self, reporter: Reporter, /) -> Drive[Finding] | None:
        """Return what is driven first, for functions to start; None for nothing."""

    def announce(self, reporter: Reporter, /) -> None:
        """Say what is driven."""

    def finish(self, bed: Testbed, examined: Examined[Finding], warmed: Examined[Finding] | None, /) -> Finished_co:
        """Return the finished experiment; the engine is still up."""


def conduct(
    experiment: Experiment[Finding, Finished_co], engine: Engine, folder: Path, reporter: Reporter
) -> Finished_co:
    """Conduct an experiment on an engine that is started by the caller's `with`; writes the results into `folder`.

    Raises StageStuck, EnvironmentProblem where rows never come to rest, EngineError where the engine ends or no longer
    answers, and what the experiment raises; `folder` then has the logs and `error.json`, and the error's hint names it.
    """
    with recorded(folder), logs_kept(engine, folder), translated(engine), RunClock() as clock:
        experiment.before(engine, reporter)
        deployment = engine.deploy(experiment.template(folder), dict(experiment.setting.parameters), stack_name=STACK)
        reporter.say(deployed_line(engine, deployment))
        first = experiment.warm_up(reporter)
        warmed = None
        if first is not None:
            aside = folder / WARMUP_FOLDER
            aside.mkdir()
            with logs_kept(engine, aside):
                _, warmed = _carry_out(first, engine, deployment, aside, reporter, clock)
        experiment.announce(reporter)
        bed, examined = _carry_out(experiment, engine, deployment, folder, reporter, clock)
        finished = experiment.finish(bed, examined, warmed)
    save_result(folder, finished.result)
    if experiment.has_page:
        write_report(folder)
    return finished


def _carry_out(
    drive: Drive[Finding], engine: Engine, deployment: Deployment, folder: Path, reporter: Reporter, clock: RunClock
) -> tuple[Testbed, Examined[Finding]]:
    display = reporter.display(shown=drive.shown)
    with Watch(
        engine,
        deployment,
        drive.intake(engine, deployment, folder),
        display,
        folder=folder,
        clock=clock,
        stall_timeout=drive.setting.stall_timeout,
        patience=drive.patience(deployment),
        only=drive.only,
    ) as watch:
        bed = Testbed(engine, deployment, folder, reporter, watch)

        def examine() -> Examined[Finding]:
            observed = watch.observed()
            return Examined(observed, drive.examine(bed, observed))

        with display:
            drive.drive(bed)
            watch.settle()
        return bed, audited_at_rest(lambda: watch.settle(shown=False), examine, watch.undisturbed)


def deployed_line(engine: Engine, deployment: Deployment) -> str:
    """Return the line of an experiment's header about what was deployed, and under which rules tables throttle."""
    return (
        f"deployed   stack {STACK} on engine {engine.name}, capacity {engine.report().capacity}, "
        f"{len(deployment.outputs)} outputs"
    )
