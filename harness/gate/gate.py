"""Carries out a gate: trials in order, the same conditions checked for all of them, and the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.errors import HarnessError
from harness.gate.decide import Decision, decide
from harness.gate.model import Planned, Trial, Verdict, plan
from harness.gate.trial import TrialFailed
from harness.gate_policy import Policy

Progress = Callable[[Planned | None, Sequence[Trial]], None]
"""Gets the trial that begins, None after the last one, and all that ended."""


class Trials(Protocol):
    """Runs one trial at a time."""

    def run(self, planned: Planned) -> Trial:
        """Run a trial; raises TrialFailed or UsageError where it cannot be carried out."""


@dataclass(frozen=True)
class Outcome:
    """A gate's end: the decision, every trial that ended, how long it took, and the error that ended it early.

    Also a gate that failed or was interrupted has its trials here: none is dropped.
    """

    decision: Decision
    trials: tuple[Trial, ...]
    seconds: float
    error: HarnessError | KeyboardInterrupt | None = None


def run_gate(trials: Trials, policy: Policy, progress: Progress) -> Outcome:
    """Run all trials of a policy and decide.

    `progress` is called before each trial, and with None once no other follows.

    The only verdict that is certain early is the loss of rows, which ends the gate at once, whatever else was wrong
    with that trial. Speed is decided after the planned number of pairs and never before: looking at every pair would
    multiply the false alarms.
    """
    began = time.monotonic()
    done: list[Trial] = []

    def ended(decision: Decision, error: HarnessError | KeyboardInterrupt | None = None) -> Outcome:
        return Outcome(decision, tuple(done), time.monotonic() - began, error)

    order = list(plan(policy.pairs, policy.warmup))
    try:
        for planned in order:
            progress(planned, done)
            trial = trials.run(planned)
            done.append(trial)
            if not trial.conserved:
                break
            _same_conditions(done[0], trial)
        progress(None, done)
        return ended(decide(done, policy))
    except HarnessError as error:
        return ended(Decision(Verdict.FAILED, (str(error),), (), {}), error)
    except KeyboardInterrupt as interrupt:
        reason = f"interrupted after {len(done)} of {len(order)} trials"
        return ended(Decision(Verdict.INTERRUPTED, (reason,), (), {}), interrupt)


def _same_conditions(first: Trial, trial: Trial) -> None:
    """Raise TrialFailed where a trial ran on other bytes or another engine than the first one."""
    if trial.sha256 != first.sha256:
        raise TrialFailed(
            f"trial {trial.planned.number} ({trial.planned.side}) had another corpus: sha256 {trial.sha256[:12]}, "
            f"not {first.sha256[:12]}",
            hint="the corpus generator differs between base and head; their rates cannot be compared",
        )
    if trial.versions != first.versions:
        changed = [
            f"{name} {first.versions.get(name, 'absent')} -> {trial.versions.get(name, 'absent')}"
            for name in sorted({*first.versions, *trial.versions})
            if first.versions.get(name) != trial.versions.get(name)
        ]
        raise TrialFailed(
            f"trial {trial.planned.number} ({trial.planned.side}) had another engine: {', '.join(changed)}"
        )
