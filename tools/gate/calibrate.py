"""Measures how often the gate is wrong: `python -m tools.gate.calibrate --help`.

Collects a pool of real trials of three versions that take turns: base, the same with nothing planted (0%), and one with
a slowdown planted in one handler. Gates are then drawn from the pool: pairs with replacement, half of them from rounds
in which base came first and half from the others, as in a real gate. How many of those find a regression is the rate of
false alarms for the 0% version, and the rate of detection for the other.
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from harness.console import console as make_console
from harness.entry import enter
from harness.errors import EnvironmentProblem, UsageError
from harness.gate.decide import differences_of, rule
from harness.gate.model import Planned, Side, Trial, Verdict
from harness.gate.trees import PACKAGES, Tree, materialise
from harness.gate.trial import ProcessTrials, Workload, workspace
from harness.gate_policy import Policy
from harness.metrics import Direction, Metric
from harness.stats.paired import SEED, is_regressed, smallest_detectable_change
from harness.suites.model import load_suite
from tools.gate.plant import Kind, plant

THRESHOLDS = (1.05, 1.06, 1.07, 1.08, 1.1)
_ROUND = (("same", Side.HEAD), ("same", Side.BASE), ("slow", Side.HEAD))
"""Base stands in the middle, so that it is the neighbour of both others; every second round runs backwards."""


@dataclass(frozen=True)
class Pool:
    """Pairs (base, version) by version, "same" and "slow", in the order of their rounds."""

    pairs: Mapping[str, Sequence[tuple[Trial, Trial]]]

    def strata(self, version: str) -> list[list[tuple[Trial, Trial]]]:
        """Return the pairs in which base came first, and those in which it came second."""
        both: list[list[tuple[Trial, Trial]]] = [[], []]
        for base, head in self.pairs[version]:
            both[base.planned.number > head.planned.number].append((base, head))
        return both


def collect(trials: Mapping[str, ProcessTrials], pool: Path, seconds: float, console: Console) -> None:
    """Append whole rounds of trials to the file `pool` until `seconds` are over.

    Raises EnvironmentProblem for a trial that is not conserved, and what a trial raises; the rounds before stay.
    """
    began = time.monotonic()
    done = len(_lines(pool))
    longest = 0.0
    while time.monotonic() - began + longest < seconds:
        started = time.monotonic()
        order = _ROUND if done % 2 == 0 else _ROUND[::-1]
        ran: dict[str, Any] = {}
        for place, (version, side) in enumerate(order):
            trial = trials[version].run(Planned(3 * done + place + 1, done + 1, side))
            if not trial.conserved:
                raise EnvironmentProblem(f"a trial of {version} was not conserved: {trial.problem}")
            ran["base" if side is Side.BASE else version] = _stored(trial)
        with pool.open("a") as file:
            file.write(json.dumps(ran) + "\n")
        done += 1
        longest = max(longest, time.monotonic() - started)
        console.print(f"round {done}, {time.monotonic() - began:.0f} of {seconds:.0f} s", highlight=False)


def read(pool: Path) -> Pool:
    """Return a collected pool; raises UsageError for a file that is none or has fewer than two rounds."""
    lines = _lines(pool)
    if len(lines) < 2:
        raise UsageError(f"{pool} has {len(lines)} rounds, at least 2 are needed", hint="--seconds collects them")
    return Pool(
        {v: [(_restored(x["base"], Side.BASE), _restored(x[v], Side.HEAD)) for x in lines] for v in ("same", "slow")}
    )


def draw(pool: Pool, version: str, policy: Policy, gates: int) -> Counter[Verdict]:
    """Return how many of `gates` gates drawn from the pool ended with which verdict; seeded."""
    names = compared(pool, version, policy)
    verdicts: Counter[Verdict] = Counter()
    for drawn in _gates(pool, version, names, policy.pairs, gates):
        ruling = rule(drawn, policy)
        if ruling.regressed:
            verdicts[Verdict.REGRESSED] += 1
        elif ruling.suspicious:
            verdicts[Verdict.INCONCLUSIVE] += 1
        else:
            verdicts[Verdict.PASS] += 1
    return verdicts


def found_by(pool: Pool, version: str, name: str, policy: Policy, gates: int, *, added: float = 0.0) -> float:
    """Return the share of drawn gates in which metric `name` by itself would have found a regression; seeded.

    Alpha is divided by the number of deciding metrics, as if no other had found anything. `added` is a slowdown, as a
    fraction, that is added to every pair by calculation.
    """
    alpha = policy.alpha / len(compared(pool, version, policy))
    shift = log(1 + added)
    hits = sum(
        is_regressed([d + shift for d in drawn[name]], policy.threshold, alpha)
        for drawn in _gates(pool, version, [name], policy.pairs, gates)
    )
    return hits / gates


def compared(pool: Pool, version: str, policy: Policy) -> list[str]:
    """Return the deciding metrics that every trial of the pool has."""
    return [n for n in policy.deciding if not isinstance(differences_of(n, pool.pairs[version]), str)]


def _gates(pool: Pool, version: str, names: Sequence[str], pairs: int, gates: int) -> Iterator[dict[str, list[float]]]:
    """Yield the log ratios of drawn gates by metric."""
    generator = random.Random(SEED)
    known = [[{n: _difference(n, pair) for n in names} for pair in stratum] for stratum in pool.strata(version)]
    for _ in range(gates):
        drawn = [generator.choice(known[i % 2]) for i in range(pairs)]
        yield {n: [d[n] for d in drawn] for n in names}


def _difference(name: str, pair: tuple[Trial, Trial]) -> float:
    found = differences_of(name, [pair])
    if isinstance(found, str):
        raise EnvironmentProblem(f"{name}: {found}")
    return found[0]


def _stored(trial: Trial) -> dict[str, Any]:
    return {
        "number": trial.planned.number,
        "round": trial.planned.pair,
        "seconds": round(trial.seconds, 2),
        "cpu_stolen_share": trial.cpu_stolen_share,
        "metrics": {m.name: [m.unit, m.direction.value, m.value] for m in trial.metrics.values()},
    }


def _restored(data: Mapping[str, Any], side: Side) -> Trial:
    metrics = {n: Metric(n, unit, Direction(way), value) for n, (unit, way, value) in data["metrics"].items()}
    return Trial(Planned(data["number"], data["round"], side), metrics, True, data["seconds"])


def _lines(pool: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pool.read_text().splitlines()] if pool.exists() else []


def _planted(tree: Tree, target: Path, stage: str, share: float, kind: Kind) -> Tree:
    for name in PACKAGES:
        shutil.copytree(tree.path / name, target / name)
    plant(target, stage, share, kind)
    return replace(tree, label=f"{share:.0%} in {stage}", path=target)


def calibrate(
    pool: Annotated[Path, typer.Argument(help="File of trials; rounds are added to it.")],
    seconds: Annotated[float, typer.Option(help="Collect for about so long first; 0 only evaluates.")] = 0.0,
    stage: Annotated[str, typer.Option(help="Stage whose handler is slowed down.")] = "insert",
    share: Annotated[float, typer.Option(help="Slowdown as a share of the handler's own time.")] = 0.15,
    kind: Annotated[Kind, typer.Option(help="cpu computes for longer, wait sleeps.")] = Kind.CPU,
    suite: Annotated[str, typer.Option(help="Suite whose trials and policy are taken.")] = "ci",
    pairs: Annotated[int | None, typer.Option(help="Pairs of a gate (default: the suite's).")] = None,
    gates: Annotated[int, typer.Option(help="Gates drawn from the pool.")] = 2000,
) -> None:
    """Collect trials with and without a planted slowdown, and print the rates of false alarms and of detection."""
    console = make_console()
    chosen = load_suite(suite)
    policy = chosen.gate.policy if pairs is None else replace(chosen.gate.policy, pairs=pairs)
    policy.check()
    if seconds:
        with workspace() as work:
            workload = Workload(chosen.corpus, chosen.parameters, timeout=chosen.gate.timeout)
            base = materialise(".", work / "base", Path())
            versions = {
                "same": _planted(base, work / "same", stage, 0.0, kind),
                "slow": _planted(base, work / "slow", stage, share, kind),
            }
            trials = {
                name: ProcessTrials({Side.BASE: base, Side.HEAD: tree}, workload, work, work / "kept")
                for name, tree in versions.items()
            }
            trials["same"].run(Planned(0, 0, Side.BASE))
            collect(trials, pool, seconds, console)
    found = read(pool)
    rounds = len(found.pairs["same"])
    console.print(f"{rounds} rounds; {gates} gates of {policy.pairs} pairs drawn; alpha {policy.alpha:g}")
    console.print(_verdicts(found, policy, gates))
    console.print(_metrics(found, policy, gates, share))


def _verdicts(pool: Pool, policy: Policy, gates: int) -> Table:
    table = Table("threshold", box=None, header_style="bold")
    shown = (Verdict.REGRESSED, Verdict.INCONCLUSIVE, Verdict.PASS)
    for name in ("version", *(v.value for v in shown)):
        table.add_column(name, justify="right")
    for threshold in sorted({*THRESHOLDS, policy.threshold}):
        for version in ("same", "slow"):
            verdicts = draw(pool, version, replace(policy, threshold=threshold), gates)
            table.add_row(f"{threshold:g}", version, *(f"{verdicts[v] / gates:.1%}" for v in shown))
    return table


def _metrics(pool: Pool, policy: Policy, gates: int, share: float) -> Table:
    """Return, by metric: noise of a pair, what can be detected, the ratio of the slow version, and how often the metric
    alone finds that, nothing, and the planted share added to nothing by calculation."""
    table = Table(Column("metric", min_width=28, no_wrap=True), box=None, header_style="bold")
    for name in ("noise", "detectable", "slow", "found", "false", f"found +{share:.0%}"):
        table.add_column(name, justify="right")
    names = compared(pool, "same", policy)
    for name in names:
        same, slow = (differences_of(name, pool.pairs[version]) for version in ("same", "slow"))
        if isinstance(same, str) or isinstance(slow, str):
            continue
        detectable = smallest_detectable_change(same, policy.pairs, policy.threshold, policy.alpha / len(names))
        table.add_row(
            name,
            f"{statistics.stdev(same):.1%}",
            "none" if detectable is None else f"{detectable:.0%}",
            f"{exp(statistics.median(slow)) - 1:+.1%}",
            f"{found_by(pool, 'slow', name, policy, gates):.1%}",
            f"{found_by(pool, 'same', name, policy, gates):.1%}",
            f"{found_by(pool, 'same', name, policy, gates, added=share):.1%}",
        )
    return table


if __name__ == "__main__":
    enter(lambda: typer.run(calibrate))
