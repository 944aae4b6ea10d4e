"""From a suite's repetitions to one document: every metric with its median and spread. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.metrics import Direction, Metric, metrics_of
from harness.objectives import judge_all
from harness.results import Fingerprint, MetricSummary, Result, SuiteResult
from harness.stats.spread import spread
from harness.suites.model import Suite


def aggregate(
    run: str, suite: Suite, engine: str, results: Mapping[str, Result], fingerprint: Fingerprint
) -> SuiteResult:
    """Return what a suite leaves in the folder `run`; `results` are the repetitions' by folder name, warm-ups left out.

    A metric that some repetitions lack is named in `incomplete` and not summed up. Objectives are about the medians.
    """
    found = {name: metrics_of(result) for name, result in results.items()}
    names = list(dict.fromkeys(name for metrics in found.values() for name in metrics))
    complete = [name for name in names if all(name in metrics for metrics in found.values())]
    summaries = {name: _summary([metrics[name] for metrics in found.values()]) for name in complete}
    return SuiteResult(
        run=run,
        suite=suite.name,
        description=suite.description,
        engine=engine,
        fingerprint=fingerprint,
        repetitions=list(results),
        metrics=summaries,
        objectives=judge_all(suite.objectives, _medians(summaries)),
        incomplete=[name for name in names if name not in complete],
        conserved=bool(results) and all(result.conserved for result in results.values()),
    )


def _medians(metrics: Mapping[str, MetricSummary]) -> dict[str, Metric]:
    """Return what objectives of a suite are about."""
    return {name: Metric(name, m.unit, Direction(m.direction), m.median) for name, m in metrics.items()}


def _summary(metrics: Sequence[Metric]) -> MetricSummary:
    found = spread([metric.value for metric in metrics])
    return MetricSummary(
        unit=metrics[0].unit,
        direction=metrics[0].direction.value,
        values=list(found.values),
        median=found.median,
        low=found.low,
        high=found.high,
        interval="95% of the median" if found.is_interval else "range",
        spread=round(found.relative, 4),
    )
