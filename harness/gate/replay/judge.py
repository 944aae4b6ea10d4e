"""From replayed pairs to a verdict. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from math import log

from harness.gate.decide import Decision, MetricVerdict, judge_metric, rule, verdict_on
from harness.gate.model import Planned, Side, Trial, Verdict
from harness.gate.replay.pair import Pair, UnitPair
from harness.gate_policy import Policy
from harness.metrics import Direction, Metric

IMPORT = "import_ms"
"""Importing all handlers, once a process: shown, and too noisy to decide."""


_ENTRIES = {
    "messages sent": ("SendMessage", "SendMessageBatch"),
    "items written": ("PutItem", "BatchWriteItem"),
}
"""What both versions must do equally often for their times to be compared. What they read is their own affair."""


def metric_name(unit: str) -> str:
    """Return what a unit's cost is called."""
    return f"{unit}_us_per_row"


def trials_of(pair: Pair, rows: Mapping[str, int]) -> tuple[Trial, Trial]:
    """Return a pair as two trials, base first; `rows` are those of each unit."""
    base, head = (
        Trial(
            Planned(2 * pair.number - 1 + (side is Side.HEAD), pair.number, side),
            _metrics(pair, side, rows),
            conserved=True,
            seconds=pair.seconds[side],
        )
        for side in (Side.BASE, Side.HEAD)
    )
    return base, head


def _metrics(pair: Pair, side: Side, rows: Mapping[str, int]) -> dict[str, Metric]:
    found = [
        Metric(metric_name(name), "µs", Direction.LOWER, unit.cost_ns[side] / 1000 / rows[name])
        for name, unit in pair.units.items()
    ]
    found.append(Metric(IMPORT, "ms", Direction.LOWER, pair.import_ns[side] / 1e6))
    return {metric.name: metric for metric in found}


def decide(pairs: Sequence[Pair], rows: Mapping[str, int], policy: Policy) -> Decision:
    """Return the verdict on all pairs.

    Requests are counted exactly, so that one more than base makes is a regression. Where head answers otherwise than
    base, or writes or sends another number of entries, it does other work, and no time can be compared: inconclusive.
    """
    other = list(_other_work(pairs))
    if other:
        return Decision(Verdict.INCONCLUSIVE, tuple(other), (), {})
    differences = {metric_name(name): [log(pair.units[name].ratio) for pair in pairs] for name in pairs[0].units}
    ruling = rule(differences, policy)
    trials = [trials_of(pair, rows) for pair in pairs]
    imports = [log(pair.import_ns[Side.HEAD] / pair.import_ns[Side.BASE]) for pair in pairs]
    metrics: tuple[MetricVerdict, ...] = tuple(
        judge_metric(name, trials, values, ruling, policy) for name, values in [*differences.items(), (IMPORT, imports)]
    )
    verdict, reasons = verdict_on(metrics, {})
    more = tuple(_more_requests(pairs))
    if more:
        slower = reasons if verdict is Verdict.REGRESSED else ()
        return Decision(Verdict.REGRESSED, (*more, *slower), metrics, {})
    return Decision(verdict, reasons, metrics, {})


def _other_work(pairs: Sequence[Pair]) -> Iterator[str]:
    for name in pairs[0].units:
        for unit in (pair.units[name] for pair in pairs):
            base, head = unit.work[Side.BASE], unit.work[Side.HEAD]
            if base.answers != head.answers:
                yield f"{name}: head's handler returned something else than base's, so their times cannot be compared"
                break
            changed = _changed_entries(unit)
            if changed:
                yield f"{name}: head does other work than base ({changed}), so their times cannot be compared"
                break


def _changed_entries(unit: UnitPair) -> str:
    """Return how what a unit sent and wrote differs, by whichever operations; empty where it does not."""
    told = []
    for what, operations in _ENTRIES.items():
        base, head = (sum(unit.work[side].entries.get(name, 0) for name in operations) for side in Side)
        if base != head:
            told.append(f"{base} -> {head} {what}")
    return ", ".join(told)


def _more_requests(pairs: Sequence[Pair]) -> Iterator[str]:
    for name in pairs[0].units:
        works = [pair.units[name].work for pair in pairs]
        base, head = (statistics.median(sum(work[side].requests.values()) for work in works) for side in Side)
        if head > base:
            yield f"{name}: {head:g} requests to AWS for the same rows, base makes {base:g}"
