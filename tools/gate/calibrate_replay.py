"""Measures how often the gate by replay is wrong: `python -m tools.gate.calibrate_replay --help`.

Collects a pool of real pairs of two kinds that take turns: base against the same with nothing planted, and base against
a version with a slowdown planted in every handler. Gates are then drawn from the pool: pairs with replacement, half of
them from those in which base came first and half from the others, as in a real gate. How many of those find a
regression is the rate of false alarms for the first kind, and the rate of detection for the second, unit by unit.
"""

from __future__ import annotations

import json
import random
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from harness.console import console as make_console
from harness.entry import enter
from harness.errors import UsageError
from harness.gate.decide import rule
from harness.gate.model import Side, Verdict
from harness.gate.replay.judge import metric_name
from harness.gate.replay.pair import Pair, Version, run_pair
from harness.gate.replay.process import Steps
from harness.gate.replay.run import POLICY, UNITS, prepare, processors
from harness.gate.replay.steps import side_by_side
from harness.gate.replay.trace import Trace, code_of
from harness.gate.trees import Tree, materialise
from harness.gate.trial import workspace
from harness.gate_policy import Policy
from harness.stages import STAGES
from harness.stats.paired import SEED, bound_on_p, is_regressed
from tools.gate.plant import Kind, plant_around

SAME, SLOW = "same", "slow"


@dataclass(frozen=True)
class Measured:
    """One pair of the pool: log ratios of head's cost by metric, and whether base came first."""

    base_first: bool
    ratios: Mapping[str, float]


Pool = Mapping[str, Sequence[Measured]]
"""Pairs by kind."""


def collect(
    pool: Path, trace: Trace, base: Version, heads: Mapping[str, Version], work: Path, pairs: int, console: Console
) -> None:
    """Append so many pairs of each kind to the file `pool`; raises what a pair raises, the ones before stay."""
    cores = processors()
    before = len(_lines(pool))

    def start(number: int, kind: str) -> Callable[[int], Steps[tuple[str, Pair]]]:
        versions = {Side.BASE: base, Side.HEAD: heads[kind]}

        def steps(lane: int) -> Steps[tuple[str, Pair]]:
            return kind, (yield from run_pair(number, trace, versions, work, core=cores[lane]))

        return steps

    # Base begins in pairs of odd numbers: the kinds change places so that it does in half of the pairs of each.
    kinds = [kind for n in range(pairs) for kind in ((SAME, SLOW) if n % 2 else (SLOW, SAME))]
    starts = [start(number, kind) for number, kind in enumerate(kinds, before + 1)]
    for done, (kind, pair) in enumerate(side_by_side(starts, len(cores)), 1):
        ratios = {metric_name(name): log(unit.ratio) for name, unit in pair.units.items()}
        with pool.open("a") as file:
            file.write(json.dumps({"kind": kind, "number": pair.number, "ratios": ratios}) + "\n")
        console.print(f"pair {done} of {len(starts)}", highlight=False)


def read(pool: Path) -> Pool:
    """Return a collected pool; raises UsageError for a file with fewer than two pairs of a kind."""
    found: dict[str, list[Measured]] = {SAME: [], SLOW: []}
    for line in _lines(pool):
        found[line["kind"]].append(Measured(line["number"] % 2 == 1, line["ratios"]))
    for kind, pairs in found.items():
        if not all(any(pair.base_first is first for pair in pairs) for first in (True, False)):
            raise UsageError(f"{pool} has {len(pairs)} pairs of kind {kind}, too few", hint="--collect 10 adds some")
    return found


def _lines(pool: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pool.read_text().splitlines()] if pool.exists() else []


def draw(pool: Sequence[Measured], policy: Policy, gates: int) -> Counter[Verdict]:
    """Return how many of `gates` gates drawn from pairs of one kind ended with which verdict; seeded."""
    return Counter(verdict(drawn, policy) for drawn in _gates(pool, policy.pairs, gates))


def verdict(drawn: Mapping[str, Sequence[float]], policy: Policy) -> Verdict:
    """Return the verdict on the log ratios of a gate, by metric: what `rule` says, sooner where that is certain."""
    over = [d for d in drawn.values() if exp(statistics.median(d)) >= policy.threshold]
    if not over:
        return Verdict.PASS
    if any(bound_on_p(d) * len(drawn) <= policy.alpha for d in over):
        return Verdict.REGRESSED
    return Verdict.REGRESSED if rule(drawn, policy).regressed else Verdict.INCONCLUSIVE


def found(pool: Sequence[Measured], name: str, policy: Policy, gates: int, *, added: float = 0.0) -> float:
    """Return the share of drawn gates in which one metric by itself finds a regression; seeded.

    `added` is a slowdown, as a fraction, that is added to every pair by calculation.
    """
    alpha, shift = policy.alpha / len(pool[0].ratios), log(1 + added)
    drawn = _gates(pool, policy.pairs, gates)
    return sum(is_regressed([d + shift for d in gate[name]], policy.threshold, alpha) for gate in drawn) / gates


def _gates(pool: Sequence[Measured], pairs: int, gates: int) -> Iterator[dict[str, list[float]]]:
    generator = random.Random(SEED)
    strata = [[p for p in pool if p.base_first is first] for first in (True, False)]
    for _ in range(gates):
        drawn = [generator.choice(strata[i % 2]) for i in range(pairs)]
        yield {name: [d.ratios[name] for d in drawn] for name in drawn[0].ratios}


def calibrate(
    pool: Annotated[Path, typer.Argument(help="File of pairs; new ones are added to it.")],
    add: Annotated[int, typer.Option("--collect", help="Collect so many pairs of each kind first.")] = 0,
    share: Annotated[float, typer.Option(help="Slowdown that is planted, as a share of a handler's own time.")] = 0.05,
    kind: Annotated[Kind, typer.Option(help="cpu computes for longer, wait sleeps.")] = Kind.CPU,
    pairs: Annotated[int | None, typer.Option(help="Pairs of a gate (default: the gate's).")] = None,
    gates: Annotated[int, typer.Option(help="Gates drawn from the pool.")] = 10_000,
) -> None:
    """Collect pairs with and without a planted slowdown, and print the rates of false alarms and of detection."""
    console = make_console()
    policy = POLICY if pairs is None else replace(POLICY, pairs=pairs)
    policy.check()
    if add:
        with workspace() as work:
            base = materialise(".", work / "base", Path())
            trees: dict[str, Tree] = dict.fromkeys(Side, base)
            trace, versions = prepare(trees, work)
            heads = {}
            for name, planted in ((SAME, 0.0), (SLOW, share)):
                code = code_of(base.path, work / f"{name}-code")
                for stage in STAGES:
                    plant_around(code, stage.name, planted, kind)
                heads[name] = Version(code, versions[Side.HEAD].functions)
            collect(pool, trace, versions[Side.BASE], heads, work, add, console)
    known = read(pool)
    counts = " and ".join(f"{len(pairs)} {name}" for name, pairs in known.items())
    console.print(f"{counts} pairs; {gates} gates of {policy.pairs} pairs drawn; alpha {policy.alpha:g}")
    console.print(_verdicts(known, policy, gates))
    console.print(_metrics(known, policy, gates, share))


def _verdicts(pool: Pool, policy: Policy, gates: int) -> Table:
    table = Table("kind", box=None, header_style="bold")
    shown = (Verdict.REGRESSED, Verdict.INCONCLUSIVE, Verdict.PASS)
    for name in shown:
        table.add_column(name.value, justify="right")
    for kind, pairs in pool.items():
        verdicts = draw(pairs, policy, gates)
        table.add_row(kind, *(f"{verdicts[v] / gates:.2%}" for v in shown))
    return table


def _metrics(pool: Pool, policy: Policy, gates: int, share: float) -> Table:
    """Return, by metric: noise of a pair, the ratio of the slow version, and how often the metric alone finds that,
    nothing, and the planted share added to nothing by calculation."""
    table = Table(Column("metric", min_width=22, no_wrap=True), box=None, header_style="bold")
    for name in ("noise", "slow", "found", "false", f"found +{share:.0%}"):
        table.add_column(name, justify="right")
    for name in map(metric_name, UNITS):
        same, slow = ([p.ratios[name] for p in pool[kind]] for kind in (SAME, SLOW))
        table.add_row(
            name,
            f"{statistics.stdev(same):.1%}",
            f"{exp(statistics.median(slow)) - 1:+.1%}",
            f"{found(pool[SLOW], name, policy, gates):.2%}",
            f"{found(pool[SAME], name, policy, gates):.2%}",
            f"{found(pool[SAME], name, policy, gates, added=share):.2%}",
        )
    return table


if __name__ == "__main__":
    enter(lambda: typer.run(calibrate))
