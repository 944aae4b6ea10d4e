"""One pair: a new process of either version, on one processor, taking turns at every unit of the trace."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.gate.model import Side
from harness.gate.replay.functions import Functions
from harness.gate.replay.process import Pass, Steps, WorkerProcess
from harness.gate.replay.trace import Trace

ROUNDS = 36
"""Turns of each version in a pair. With it and 28 pairs the gate's rates are as docs/benchmarking.md has them."""

_WARM_UP_ROUNDS = 2


@dataclass(frozen=True)
class Version:
    """One side of the gate: the folder with its handlers, and its functions."""

    code: Path
    functions: Functions


@dataclass(frozen=True)
class Work:
    """What a pass asked of services, and what its handlers answered: the same in every pass of a version."""

    requests: Mapping[str, int]
    entries: Mapping[str, int]
    answers: tuple[Any, ...]


@dataclass(frozen=True)
class UnitPair:
    """One unit of a pair: median cost of a pass in nanoseconds by side, the median over rounds of head's cost over
    base's, and the work of either."""

    cost_ns: Mapping[Side, float]
    ratio: float
    work: Mapping[Side, Work]


@dataclass(frozen=True)
class Pair:
    """A finished pair: its units by name, CPU nanoseconds of importing all handlers, and seconds spent, by side."""

    number: int
    units: Mapping[str, UnitPair]
    import_ns: Mapping[Side, int]
    seconds: Mapping[Side, float]


def run_pair(
    number: int,
    trace: Trace,
    versions: Mapping[Side, Version],
    work: Path,
    *,
    rounds: int = ROUNDS,
    core: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Steps[Pair]:
    """Run one pair, as steps; raises TrialFailed where a version cannot be run. `rounds` is 6 or more: some units run
    in one round of 6.

    Both processes hash strings with the same seed, and every pair with another: the order of sets and the collisions of
    dictionaries are then no difference between versions, and no constant of the gate.
    """
    order = (Side.BASE, Side.HEAD) if number % 2 else (Side.HEAD, Side.BASE)
    workers: dict[Side, WorkerProcess] = {}
    imports = dict.fromkeys(Side, 0)
    seconds = dict.fromkeys(Side, 0.0)
    try:
        for side in order:
            began = clock()
            workers[side] = WorkerProcess(
                side.value, versions[side].code, work, objects=trace.objects, core=core, seed=number
            )
            functions = versions[side].functions
            for unit in trace.units:
                handler, variables = functions.of_stage(unit.stage).handler, functions.variables(unit.stage)
                imports[side] += yield from workers[side].load(unit.name, handler, variables, unit.events)
            seconds[side] += clock() - began
        passes: dict[str, dict[Side, list[Pass]]] = {u.name: {side: [] for side in Side} for u in trace.units}
        for turn in range(rounds + _WARM_UP_ROUNDS):
            for unit in trace.units:
                if turn % unit.every:
                    continue
                for side in order if turn % 2 else order[::-1]:
                    began = clock()
                    done = yield from workers[side].run(unit.name)
                    seconds[side] += clock() - began
                    if turn >= _WARM_UP_ROUNDS:
                        passes[unit.name][side].append(done)
    finally:
        for worker in workers.values():
            worker.close()
    units = {unit.name: _unit_pair(passes[unit.name]) for unit in trace.units}
    return Pair(number, units, imports, seconds)


def _unit_pair(passes: Mapping[Side, list[Pass]]) -> UnitPair:
    """Return what one pair says of a unit. Neighbouring passes are compared with each other, and the median of their
    ratios taken: what disturbs one moment disturbs both or is left out."""
    base, head = passes[Side.BASE], passes[Side.HEAD]
    ratio = statistics.median(h.cost_ns / b.cost_ns for b, h in zip(base, head, strict=True))
    cost = {side: statistics.median(p.cost_ns for p in passes[side]) for side in Side}
    return UnitPair(cost, ratio, {side: _work(passes[side]) for side in Side})


def _work(passes: list[Pass]) -> Work:
    """Return the work of a version's passes; where they differ, the most that was asked for."""
    operations = {name for p in passes for name in p.requests}
    return Work(
        {name: max(p.requests.get(name, 0) for p in passes) for name in sorted(operations)},
        {name: max(p.entries.get(name, 0) for p in passes) for name in sorted(operations)},
        tuple(passes[0].answers),
    )
