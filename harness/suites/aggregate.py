"""From a suite's repetitions to one document: every metric with its median and spread. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.metrics import Metric, metrics_of
from harness.results import SCHEMA_VERSION
from harness.stats.spread import spread
from harness.suites.model import Suite


def aggregate(
    suite: Suite, engine: str, results: Mapping[str, Mapping[str, Any]], fingerprint: Mapping[str, Any]
) -> dict[str, Any]:
    """Return `aggregate.json`; `results` are the repetitions' by folder name, warm-ups left out.

    A metric that some repetitions lack is named in `incomplete` and not summed up.
    """
    found = {name: metrics_of(result) for name, result in results.items()}
    names = list(dict.fromkeys(name for metrics in found.values() for name in metrics))
    complete = [name for name in names if all(name in metrics for metrics in found.values())]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "suite",
        "suite": suite.name,
        "description": suite.description,
        "engine": engine,
        "fingerprint": dict(fingerprint),
        "repetitions": list(results),
        "metrics": {name: _summary([metrics[name] for metrics in found.values()]) for name in complete},
        "incomplete": [name for name in names if name not in complete],
        "conserved": bool(results) and all(is_conserved(result) for result in results.values()),
    }


def is_conserved(result: Mapping[str, Any]) -> bool:
    """Return whether every row of a repetition was where it must be."""
    return bool(result["audit"]["conserved"] and result["audit"]["as_expected"])


def _summary(metrics: Sequence[Metric]) -> dict[str, Any]:
    found = spread([metric.value for metric in metrics])
    return {
        "unit": metrics[0].unit,
        "direction": metrics[0].direction.value,
        "values": list(found.values),
        "median": found.median,
        "low": found.low,
        "high": found.high,
        "interval": "95% of the median" if found.is_interval else "range",
        "spread": round(found.relative, 4),
    }
