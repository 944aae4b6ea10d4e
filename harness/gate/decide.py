"""From trials to a verdict. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp

from harness.gate.model import Side, Trial, Verdict
from harness.gate_policy import Policy
from harness.metrics import Direction, Metric
from harness.stats.paired import Comparison, compare, holm, log_ratios, sign_flip_p, smallest_detectable_change


@dataclass(frozen=True)
class MetricVerdict:
    """One metric of head against base. `p_adjusted` and `detectable` only where the metric decides.

    `detectable` is the smallest slowdown, as a fraction, that as many pairs with this noise find with 90% probability;
    None where none would be.
    """

    name: str
    unit: str
    direction: Direction
    deciding: bool
    base_median: float
    head_median: float
    comparison: Comparison
    p_adjusted: float | None = None
    detectable: float | None = None
    regressed: bool = False
    suspicious: bool = False


@dataclass(frozen=True)
class Decision:
    """The verdict, why, every metric that could be compared, and why the others could not."""

    verdict: Verdict
    reasons: tuple[str, ...]
    metrics: tuple[MetricVerdict, ...]
    not_compared: Mapping[str, str]


def decide(trials: Sequence[Trial], policy: Policy) -> Decision:
    """Return the verdict on complete trials: conservation first, which no figure can outweigh.

    A deciding metric whose median reaches the threshold without a small enough p-value makes the gate inconclusive: it
    looks like a regression that these trials cannot tell from noise. So does one that cannot be compared, unless base
    never reports it: a base may be older than the metric, but what head lost cannot be called unchanged.
    """
    lost = [t for t in trials if not t.conserved]
    if lost:
        reasons = tuple(f"trial {t.planned.number} ({t.planned.side}): {t.problem or 'not conserved'}" for t in lost)
        return Decision(Verdict.NOT_CONSERVED, reasons, (), {})
    pairs = complete_pairs(trials)
    names = sorted({name for b, h in pairs for name in (*b.metrics, *h.metrics)})
    differences: dict[str, list[float]] = {}
    not_compared: dict[str, str] = {}
    for name in (*names, *(n for n in policy.deciding if n not in names)):
        found = differences_of(name, pairs)
        if isinstance(found, str):
            not_compared[name] = found
        else:
            differences[name] = found
    deciding = [name for name in policy.deciding if name in differences]
    ruling = rule({name: differences[name] for name in deciding}, policy)
    metrics = tuple(
        judge_metric(name, pairs, differences[name], ruling, policy)
        for name in (*deciding, *(n for n in differences if n not in deciding))
    )
    unjudged = {n: not_compared[n] for n in policy.deciding if not_compared.get(n, _BASE_LACKS_IT) != _BASE_LACKS_IT}
    verdict, reasons = verdict_on(metrics, unjudged)
    return Decision(verdict, reasons, metrics, not_compared)


@dataclass(frozen=True)
class Ruling:
    """What the test says of the deciding metrics: adjusted p-values, and which regressed or only look like it."""

    p_adjusted: Mapping[str, float]
    regressed: frozenset[str]
    suspicious: frozenset[str]


def rule(differences: Mapping[str, Sequence[float]], policy: Policy) -> Ruling:
    """Apply the policy to the log ratios of the deciding metrics, all of them judged at once."""
    adjusted = holm({name: sign_flip_p(values) for name, values in differences.items()})
    over = {name for name, values in differences.items() if exp(statistics.median(values)) >= policy.threshold}
    regressed = frozenset(name for name in over if adjusted[name] <= policy.alpha)
    return Ruling(adjusted, regressed, frozenset(over - regressed))


def complete_pairs(trials: Sequence[Trial]) -> list[tuple[Trial, Trial]]:
    """Return (base, head) of every pair, in order; raises ValueError where one of a pair is missing."""
    by_pair: dict[int, dict[Side, Trial]] = {}
    for trial in trials:
        if trial.planned.pair:
            by_pair.setdefault(trial.planned.pair, {})[trial.planned.side] = trial
    for number, sides in by_pair.items():
        if len(sides) != 2:
            raise ValueError(f"pair {number} is not complete")
    return [(sides[Side.BASE], sides[Side.HEAD]) for _, sides in sorted(by_pair.items())]


def differences_of(name: str, pairs: Sequence[tuple[Trial, Trial]]) -> list[float] | str:
    """Return the log ratios of one metric, or why there are none."""
    for side, index in ((Side.BASE, 0), (Side.HEAD, 1)):
        missing = sum(name not in pair[index].metrics for pair in pairs)
        if missing:
            return _lacks(side) if missing == len(pairs) else f"{side} lacks it in {missing} trials"
    base = [b.metrics[name].value for b, _ in pairs]
    head = [h.metrics[name].value for _, h in pairs]
    if min(*base, *head) <= 0:
        return "it is 0 in some trials"
    return log_ratios(base, head, higher_is_better=_sample(name, pairs).direction is Direction.HIGHER)


def _lacks(side: Side) -> str:
    return f"{side} does not report it"


_BASE_LACKS_IT = _lacks(Side.BASE)


def _sample(name: str, pairs: Sequence[tuple[Trial, Trial]]) -> Metric:
    return pairs[0][0].metrics[name]


def judge_metric(
    name: str,
    pairs: Sequence[tuple[Trial, Trial]],
    differences: Sequence[float],
    ruling: Ruling,
    policy: Policy,
) -> MetricVerdict:
    """Return what the log ratios of one metric, one a pair, say; `ruling` is on all that decide."""
    sample = _sample(name, pairs)
    decides = name in ruling.p_adjusted
    detectable = None
    if decides:
        alpha = policy.alpha / len(ruling.p_adjusted)
        detectable = smallest_detectable_change(differences, len(pairs), policy.threshold, alpha)
    return MetricVerdict(
        name=name,
        unit=sample.unit,
        direction=sample.direction,
        deciding=decides,
        base_median=statistics.median(b.metrics[name].value for b, _ in pairs),
        head_median=statistics.median(h.metrics[name].value for _, h in pairs),
        comparison=compare(differences),
        p_adjusted=ruling.p_adjusted.get(name),
        detectable=detectable,
        regressed=name in ruling.regressed,
        suspicious=name in ruling.suspicious,
    )


def verdict_on(metrics: Sequence[MetricVerdict], unjudged: Mapping[str, str]) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict and its reasons; `unjudged` are deciding metrics that could not be compared, and why."""
    regressed = [m for m in metrics if m.regressed]
    doubts = [f"{_sentence(m)}: too noisy to tell" for m in metrics if m.suspicious]
    doubts += [f"{name} decides and could not be compared: {why}" for name, why in unjudged.items()]
    if regressed:
        return Verdict.REGRESSED, tuple(_sentence(m) for m in regressed)
    if doubts:
        return Verdict.INCONCLUSIVE, tuple(doubts)
    if not any(m.deciding for m in metrics):
        return Verdict.INCONCLUSIVE, ("no deciding metric could be compared",)
    return Verdict.PASS, ()


def _sentence(m: MetricVerdict) -> str:
    c = m.comparison
    return (
        f"{m.name} costs {c.median_ratio - 1:+.1%} (95% {c.low - 1:+.1%} to {c.high - 1:+.1%}, "
        f"p {m.p_adjusted:.2g} adjusted)"
    )
