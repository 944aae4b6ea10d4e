"""A regression gate as Markdown, for a comment on a pull request."""

from __future__ import annotations

from harness.export.markdown import details, escape, table_lines
from harness.report.gate_page import METRIC_COLUMNS, VERDICTS, metric_rows, tree_name
from harness.report.tables import Table
from harness.results import GateResult

MARKS = {"good": "✅", "warn": "⚠️", "bad": "❌"}


def gate_markdown(gate: GateResult) -> str:
    """Return the verdict, its reasons, the metrics that decide, and, folded, the others."""
    tone, word = VERDICTS.get(gate.verdict, ("bad", gate.verdict))
    policy, metrics = gate.policy, gate.metrics
    deciding = {name: m for name, m in metrics.items() if m.deciding}
    others = {name: m for name, m in metrics.items() if not m.deciding}
    adjusted = f", adjusted for {len(deciding)} metrics" if deciding else ""
    lines = [
        f"### {MARKS[tone]} Regression gate: {escape(word)}",
        "",
        f"{escape(tree_name(gate.head))} against {escape(tree_name(gate.base))}, suite {escape(gate.suite)}, "
        f"{policy.pairs} pairs, {gate.seconds / 60:.1f} min. Regressed means: the median cost is at least "
        f"{policy.threshold - 1:.0%} higher and p ≤ {policy.alpha:g}{adjusted}.",
        "",
        *(f"- {escape(reason)}" for reason in gate.reasons),
        *([""] if gate.reasons else []),
    ]
    if deciding:
        lines += [*table_lines(Table("", METRIC_COLUMNS, metric_rows(deciding), 2)), ""]
    if others:
        lines += details("Metrics that do not decide", [Table("Metrics", METRIC_COLUMNS, metric_rows(others), 2)])
    lines += [f"- not compared: {escape(name)}, {escape(why)}" for name, why in gate.not_compared.items()]
    return "\n".join(lines).rstrip() + "\n"
