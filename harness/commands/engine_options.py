"""What every command on an engine takes: which engine under which rules, and where an experiment's results go."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands.options import (
    AsJson,
    Capacity,
    Chaos,
    EngineName,
    Out,
    Params,
    Profile,
    Require,
    StallTimeout,
    chaos_rules,
    out,
    parse_parameters,
    say,
)
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.data_plane.chaos.rules import RuleSet
    from harness.engines.aws import Account
    from harness.engines.base import Engine
    from harness.engines.registry import EngineKind
    from harness.experiments.lifecycle import Setting
    from harness.experiments.reporter import Reporter
    from harness.results import Result


@dataclass(frozen=True)
class EngineOptions:
    """Which engine, and the rules that hold on it."""

    engine: EngineName = "embedded"
    profile: Profile = "local"
    capacity: Capacity = "unlimited"
    chaos: Chaos = None

    def choose(self, *, billed_too: bool = False) -> ChosenEngine:
        """Return the engine to start; raises UsageError for one that there is not, for rules it does not know, and for
        one that is billed where the command is not made for that."""
        from harness.engines.registry import check_capacity, check_profile, kind_of

        kind = kind_of(self.engine)
        if kind.billed and not billed_too:
            raise UsageError(
                f"--engine {self.engine}: this command repeats its runs, for which a real account is not used",
                hint="`harness run` and `harness bench load` take it",
            )
        rules = chaos_rules(self.chaos, self.engine)
        check_capacity(self.engine, self.capacity)
        check_profile(self.engine, self.profile)
        return ChosenEngine(self, kind, rules)


@dataclass(frozen=True)
class ChosenEngine:
    """An engine that may be started: its options were found to fit together."""

    options: EngineOptions
    kind: EngineKind
    rules: RuleSet | None

    @contextlib.contextmanager
    def started(self, folder: Path, account: Account | None = None) -> Iterator[Engine]:
        """Run the engine for an experiment whose results go to `folder`; what fails is recorded there. `account` is
        that of an engine which is one."""
        from harness.engines.registry import create
        from harness.experiments.record import LOGS, recorded

        given = self.options
        with (
            recorded(folder),
            create(
                given.engine,
                profile=given.profile,
                capacity=given.capacity,
                logs=folder / LOGS,
                chaos=self.rules,
                account=account,
            ) as engine,
        ):
            yield engine


@dataclass(frozen=True)
class ExperimentOptions:
    """What every experiment is told, and how its result is given."""

    param: Params = None
    out_dir: Out = Path("runs")
    stall_timeout: StallTimeout = 120.0
    as_json: AsJson = False
    require: Require = None

    def setting(self, kind: type[Result]) -> Setting:
        """Return what an experiment with this kind of result is told; raises UsageError for a parameter that is not
        KEY=VALUE, and for an objective that is none or about a figure that the result will not have."""
        from harness.experiments.lifecycle import Setting
        from harness.metrics import names_of
        from harness.objectives import parse_objectives

        objectives = parse_objectives(self.require or [], names_of(kind), "--require")
        return Setting(parse_parameters(self.param), self.stall_timeout, objectives=objectives)

    def say(self, text: str) -> None:
        """Say what must be known before the experiment begins: beside the result where that is JSON."""
        say(text, aside=self.as_json)

    def reporter(self) -> Reporter:
        """Return what tells of the experiment: nothing where its result is to be JSON."""
        from harness.experiments.reporter import Reporter

        return Reporter(out, quiet=self.as_json)
