"""Carries out a gate by replay: the trace, pairs in order, and the verdict."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from harness.errors import HarnessError, TemplateError
from harness.gate.decide import Decision
from harness.gate.gate import Outcome, Progress
from harness.gate.model import Planned, Side, Trial, Verdict
from harness.gate.replay.functions import functions_of
from harness.gate.replay.judge import decide, metric_name, trials_of
from harness.gate.replay.pair import ROUNDS, Pair, Version, run_pair
from harness.gate.replay.process import Steps, Unanswered
from harness.gate.replay.steps import side_by_side
from harness.gate.replay.trace import Trace, code_of, record
from harness.gate.trees import Tree
from harness.gate.trial import TrialFailed
from harness.gate_policy import Policy

UNITS = ("clean", "insert", "capture", "process", "update", "clean_pool")
"""What is measured: the five functions, and clean where it starts processes."""

POLICY = Policy(pairs=28, warmup=0, threshold=1.03, alpha=0.005, deciding=tuple(metric_name(unit) for unit in UNITS))
"""The rules of a gate by replay; docs/benchmarking.md has how often they are wrong, and where that was measured."""


def prepare(trees: Mapping[str, Tree], work: Path) -> tuple[Trace, dict[Side, Version]]:
    """Record the trace of base, and lay out both versions in folder `work`.

    Raises TrialFailed where base's handlers fail or a version's template cannot be deployed.
    """
    versions: dict[Side, Version] = {}
    for side in Side:
        tree = trees[side].path
        code = code_of(tree, work / f"{side}-code")
        try:
            versions[side] = Version(code, functions_of(tree, {}))
        except (TemplateError, OSError) as error:
            raise TrialFailed(f"the template of {side} {trees[side].label} cannot be used: {error}") from error
    return record(trees[Side.BASE].path, versions[Side.BASE].code, work), versions


def processors() -> tuple[int | None, ...]:
    """Return the processors that pairs run on, one pair on each: two at most, for which the gate was calibrated; None
    stands for any, where processes cannot be kept on one."""
    return tuple(sorted(os.sched_getaffinity(0))[-2:]) if hasattr(os, "sched_getaffinity") else (None,)


def all_pairs(
    trace: Trace, versions: Mapping[Side, Version], work: Path, pairs: int, rounds: int = ROUNDS
) -> Iterator[Pair]:
    """Run so many pairs and yield them as they end; raises TrialFailed."""
    cores = processors()

    def start(number: int) -> Callable[[int], Steps[Pair]]:
        return lambda lane: run_pair(number, trace, versions, work, rounds=rounds, core=cores[lane])

    return side_by_side([start(number) for number in range(1, pairs + 1)], len(cores))


def run_replay(
    trees: Mapping[str, Tree], policy: Policy, work: Path, progress: Progress, *, rounds: int = ROUNDS
) -> Outcome:
    """Run all pairs of a policy and decide; a version that asks for what the replay does not answer ends it as
    inconclusive.

    `progress` is called after each pair with the first trial of the next, and with None once no other follows.
    """
    began = time.monotonic()
    trials: list[Trial] = []

    def ended(decision: Decision, error: HarnessError | KeyboardInterrupt | None = None) -> Outcome:
        return Outcome(decision, tuple(trials), time.monotonic() - began, error)

    try:
        trace, versions = prepare(trees, work)
        rows = {unit.name: unit.rows for unit in trace.units}
        pairs = []
        for pair in all_pairs(trace, versions, work, policy.pairs, rounds):
            pairs.append(pair)
            trials.extend(replace(trial, sha256=trace.sha256) for trial in trials_of(pair, rows))
            number = len(pairs) + 1
            progress(Planned(2 * number - 1, number, Side.BASE) if number <= policy.pairs else None, trials)
        return ended(decide(pairs, rows, policy))
    except Unanswered as error:
        reason = f"{error}; {error.hint}" if error.hint else str(error)
        return ended(Decision(Verdict.INCONCLUSIVE, (reason,), (), {}))
    except HarnessError as error:
        return ended(Decision(Verdict.FAILED, (str(error),), (), {}), error)
    except KeyboardInterrupt as interrupt:
        reason = f"interrupted after {len(trials) // 2} of {policy.pairs} pairs"
        return ended(Decision(Verdict.INTERRUPTED, (reason,), (), {}), interrupt)
