"""The page of a regression gate: verdict, what it rests on, and every trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.report.charts import RED, Chart, layout, plain
from harness.report.metric_charts import ROW_PIXELS
from harness.report.page import Page, Section
from harness.report.sections import Tile, Verdict
from harness.report.tables import Table, number, percent, seconds_text
from harness.results import GateMetric, GateResult, GateTrial, PolicyFigures, Stored, Tree

VERDICTS: Mapping[str, tuple[str, str]] = {
    "pass": ("good", "No regression found"),
    "regressed": ("bad", "Regressed"),
    "inconclusive": ("warn", "Inconclusive"),
    "not_conserved": ("bad", "Rows were not conserved"),
    "failed": ("bad", "A trial failed"),
    "interrupted": ("warn", "Interrupted"),
}
"""Tone and words for each verdict of the gate (docs/benchmarking.md)."""


def gate_page(stored: Stored[GateResult]) -> Page:
    """Return the page of a stored gate."""
    gate = stored.document
    policy, metrics, seen = gate.policy, gate.metrics, gate.fingerprint
    deciding = {name: m for name, m in metrics.items() if m.deciding}
    charts = [_cost_chart("deciding", "Cost of head relative to base: metrics that decide", deciding, policy)]
    others = {name: m for name, m in metrics.items() if not m.deciding}
    charts.append(_cost_chart("others", "Cost of head relative to base: other metrics", others, policy))
    return Page(
        kind="regression gate",
        title=f"{tree_name(gate.head)} against {tree_name(gate.base)}",
        facts=[
            stored.name,
            f"suite {gate.suite}",
            f"engine {gate.engine}",
            f"{seen.cores} cores, {seen.cpu}",
            "self-check: both sides are the same code" if gate.self_check else "",
        ],
        verdict=_verdict(gate),
        tiles=[
            Tile("pairs", f"{policy.pairs}", "", f"{policy.warmup} warm-up trials of each side discarded"),
            Tile("threshold", f"{policy.threshold - 1:+.0%}", "cost", "of the median that counts as regressed"),
            Tile("alpha", f"{policy.alpha:g}", "", f"for {len(deciding)} metrics together" if deciding else ""),
            Tile("took", *_split(seconds_text(gate.seconds)), f"{len(gate.trials)} trials"),
        ],
        limits=[],
        sections=[
            Section("Metrics", charts=[chart for chart in charts if chart.table.rows]),
            Section("Notes", tables=_notes(gate)),
            Section("Trials", tables=[_trials(gate.trials, policy.deciding)]),
            Section("Environment", tables=_environment(gate)),
        ],
    )


def tree_name(tree: Tree) -> str:
    """Return how a side of the gate is called: its label, commit, and whether it had changes."""
    commit, label = tree.commit or "", tree.label
    named = label if not commit or commit.startswith(label) else f"{label} {commit[:12]}"
    return f"{named} with changes" if tree.dirty else named


def metric_rows(metrics: Mapping[str, GateMetric]) -> tuple[tuple[str, ...], ...]:
    """Return a row of texts for every metric: name, unit, medians, cost, interval, p, detectable change, finding."""
    return tuple(
        (
            name,
            m.unit,
            number(m.base_median),
            number(m.head_median),
            f"{m.median_ratio - 1:+.1%}",
            f"{m.low - 1:+.1%} to {m.high - 1:+.1%}",
            f"{m.p if m.p_adjusted is None else m.p_adjusted:.2g}",
            "–" if m.smallest_detectable_change is None else f"{m.smallest_detectable_change:+.0%}",
            "regressed" if m.regressed else "suspicious" if m.suspicious else "",
        )
        for name, m in metrics.items()
    )


METRIC_COLUMNS = ("metric", "unit", "base", "head", "cost", "95% interval", "p, adjusted", "detectable", "finding")


def _split(text: str) -> tuple[str, str]:
    value, _, unit = text.partition(" ")
    return value, unit


def _verdict(gate: GateResult) -> Verdict:
    tone, word = VERDICTS.get(gate.verdict, ("bad", gate.verdict))
    reasons = "; ".join(gate.reasons)
    return Verdict(tone, word, f"{reasons}." if reasons else "Nothing speaks against head.")


def _cost_chart(name: str, title: str, metrics: Mapping[str, GateMetric], policy: PolicyFigures) -> Chart:
    names = [plain(name) for name in metrics]
    change = [round((m.median_ratio - 1) * 100, 3) for m in metrics.values()]
    error = {
        "type": "data",
        "array": [round((m.high - m.median_ratio) * 100, 3) for m in metrics.values()],
        "arrayminus": [round((m.median_ratio - m.low) * 100, 3) for m in metrics.values()],
        "color": "#2f7fd1",
    }
    symbols = ["x" if m.regressed else "diamond" if m.suspicious else "circle" for m in metrics.values()]
    colours = [RED if m.regressed else "#2f7fd1" for m in metrics.values()]
    style = layout("", "change of cost in %: more to the right is worse", hovermode="closest", showlegend=False)
    style |= {"height": 90 + ROW_PIXELS * max(1, len(names)), "margin": {"l": 250, "r": 16, "t": 8, "b": 44}}
    style["xaxis"] = {**style["xaxis"], "rangemode": "normal", "zeroline": True}
    style["yaxis"] = {"autorange": "reversed", "automargin": True}
    threshold = (policy.threshold - 1) * 100
    style["shapes"] = [
        {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": colour, "dash": dash}}
        for x, colour, dash in ((0, "#8a8f98", "solid"), (threshold, RED, "dot"))
    ]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": "change of cost",
        "x": change,
        "y": names,
        "error_x": error,
        "marker": {"color": colours, "size": 10, "symbol": symbols},
        "hovertemplate": "%{x:+.1f} %",
    }
    return Chart(
        f"cost-{name}",
        title,
        "Median over pairs of head's cost over base's, with the 95% bootstrap interval; for figures that are better "
        "higher, cost is the inverse. The dotted line is the threshold; × means regressed, ◆ suspicious.",
        {"data": [trace], "layout": style},
        Table("Metrics", METRIC_COLUMNS, metric_rows(metrics), 2),
        wide=True,
    )


def _notes(gate: GateResult) -> list[Table]:
    rows = [("reason", str(text)) for text in gate.reasons]
    rows += [("dependencies differ", str(text)) for text in gate.lock_changes]
    rows += [("not compared", f"{name}: {why}") for name, why in gate.not_compared.items()]
    return [Table("What the verdict rests on, and what could not be judged", ("what", "note"), tuple(rows), 2)]


def _trials(trials: Sequence[GateTrial], names: Sequence[str]) -> Table:
    rows = tuple(
        (
            f"{t.number}",
            "warm-up" if t.warmup else f"{t.pair}",
            t.side,
            "yes" if t.conserved else "no",
            t.problem,
            seconds_text(t.seconds),
            percent(t.cpu_stolen_share),
            *(number(t.metrics.get(name)) for name in names),
        )
        for t in trials
    )
    columns = ("trial", "pair", "side", "conserved", "problem", "took", "CPU withheld", *names)
    return Table("Every trial, in the order in which they ran", columns, rows, 5)


def _environment(gate: GateResult) -> list[Table]:
    seen = gate.fingerprint
    machine = [("CPU", seen.cpu), ("cores", seen.cores), ("system", seen.system), ("Python", seen.python)]
    machine.append(("corpus SHA-256", gate.corpus_sha256))
    versions = sorted({**seen.packages, **gate.versions}.items())
    return [
        Table("Machine and input", ("what", "value"), tuple((a, str(b)) for a, b in machine), 2),
        Table("Versions", ("what", "value"), tuple((a, str(b)) for a, b in versions), 2),
    ]
