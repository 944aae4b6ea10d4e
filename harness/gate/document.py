"""What a gate leaves behind, `gate.json` (docs/benchmarking.md explains it), and its metrics as texts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from harness import results
from harness.errors import HarnessError
from harness.gate.decide import Decision, MetricVerdict
from harness.gate.gate import Outcome
from harness.gate.model import Side, Trial, Verdict
from harness.gate.trees import Tree
from harness.gate_policy import Policy
from harness.metrics import figure
from harness.results import Fingerprint, GateMetric, GateResult, GateTrial, PolicyFigures

HEADLINES = {
    Verdict.PASS: "no regression found",
    Verdict.REGRESSED: "regressed",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.NOT_CONSERVED: "rows were not conserved",
    Verdict.FAILED: "a trial failed",
    Verdict.INTERRUPTED: "interrupted",
}


def document(
    outcome: Outcome,
    policy: Policy,
    trees: Mapping[str, Tree],
    *,
    run: str,
    suite: str,
    engine: str,
    self_check: bool,
    lock_changes: Sequence[str],
    fingerprint: Fingerprint,
) -> GateResult:
    """Return the whole of `gate.json`; its exit code is that of the error which ended the gate, if one did."""
    decision, error = outcome.decision, outcome.error
    code = error.exit_code if isinstance(error, HarnessError) else decision.verdict.exit_code
    return GateResult(
        run=run,
        suite=suite,
        engine=engine,
        self_check=self_check,
        verdict=decision.verdict.value,
        exit_code=int(code),
        reasons=list(decision.reasons),
        base=_tree(trees[Side.BASE]),
        head=_tree(trees[Side.HEAD]),
        lock_changes=list(lock_changes),
        policy=PolicyFigures(**{**asdict(policy), "deciding": list(policy.deciding)}),
        fingerprint=fingerprint,
        corpus_sha256=outcome.trials[0].sha256 if outcome.trials else "",
        versions=dict(outcome.trials[0].versions) if outcome.trials else {},
        seconds=round(outcome.seconds, 1),
        metrics={m.name: _metric(m) for m in decision.metrics},
        not_compared=dict(decision.not_compared),
        trials=[_trial(t) for t in outcome.trials],
    )


def _tree(tree: Tree) -> results.Tree:
    return results.Tree(label=tree.label, commit=tree.commit, dirty=tree.dirty)


def _metric(m: MetricVerdict) -> GateMetric:
    c = m.comparison
    return GateMetric(
        unit=m.unit,
        direction=m.direction.value,
        deciding=m.deciding,
        base_median=m.base_median,
        head_median=m.head_median,
        pairs=c.pairs,
        median_ratio=round(c.median_ratio, 6),
        low=round(c.low, 6),
        high=round(c.high, 6),
        p=c.p_value,
        exact=c.exact,
        p_adjusted=m.p_adjusted,
        smallest_detectable_change=None if m.detectable is None else round(m.detectable, 4),
        regressed=m.regressed,
        suspicious=m.suspicious,
    )


def _trial(trial: Trial) -> GateTrial:
    return GateTrial(
        number=trial.planned.number,
        pair=trial.planned.pair,
        side=trial.planned.side.value,
        warmup=trial.planned.pair == 0,
        seconds=round(trial.seconds, 2),
        conserved=trial.conserved,
        problem=trial.problem,
        cpu_stolen_share=trial.cpu_stolen_share,
        metrics={name: metric.value for name, metric in sorted(trial.metrics.items())},
    )


def rows(decision: Decision) -> list[list[str]]:
    """Return a row of texts for every metric: name, base, head, cost, interval, p (adjusted where it decides), and the
    smallest detectable change, empty for a metric that does not decide."""
    table = []
    for m in decision.metrics:
        c = m.comparison
        detectable = "none" if m.detectable is None else f"{m.detectable:+.0%}"
        table.append(
            [
                m.name,
                f"{figure(m.base_median)} {m.unit}",
                f"{figure(m.head_median)} {m.unit}",
                f"{c.median_ratio - 1:+.1%}",
                f"{c.low - 1:+.1%} to {c.high - 1:+.1%}",
                f"{c.p_value if m.p_adjusted is None else m.p_adjusted:.2g}",
                detectable if m.deciding else "",
            ]
        )
    return table
