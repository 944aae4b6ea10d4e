"""What a person sees of a gate: progress with the time left, and the table of the verdict."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column, Table

from harness.gate.decide import Decision
from harness.gate.document import HEADLINES, rows
from harness.gate.gate import Outcome
from harness.gate.model import Planned, Side, Trial, Verdict, plan
from harness.gate_policy import Policy
from harness.observation.display import clock

_COLOURS = {Verdict.PASS: "green", Verdict.INCONCLUSIVE: "yellow"}


class GateProgress:
    """A progress bar on a terminal, a line for every pair elsewhere; silent if `quiet`."""

    def __init__(self, console: Console, policy: Policy, *, quiet: bool = False, lanes: int = 1) -> None:
        """`lanes` is how many pairs run at a time."""
        self._lanes = lanes
        self._console = console
        self._quiet = quiet
        self._plan = list(plan(policy.pairs, policy.warmup))
        self._bar = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=len(self._plan), left="")

    def __enter__(self) -> GateProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, planned: Planned | None, done: Sequence[Trial]) -> None:
        """Show that a trial begins, or that none does any more."""
        left = self.remaining(done)
        if planned is None:
            what = "deciding"
        else:
            what = f"pair {planned.pair}, {planned.side}" if planned.pair else f"warm-up, {planned.side}"
        self._bar.update(self._task, completed=len(done), description=what, left=f"remaining {clock(left)}")
        if self._quiet or self._console.is_terminal or not done:
            return
        last = done[-1].planned
        seconds = {t.planned.side: t.seconds for t in done if t.planned.pair == last.pair}
        if last.pair and len(seconds) == len(Side):
            self._console.print(
                f"  pair {last.pair}  base {seconds[Side.BASE]:.1f} s  head {seconds[Side.HEAD]:.1f} s  "
                f"remaining {clock(left)}",
                highlight=False,
            )

    def remaining(self, done: Sequence[Trial]) -> float | None:
        """Return the seconds left if trials go on as they did; None before the first."""
        if not done:
            return None
        return statistics.median(t.seconds for t in done) * (len(self._plan) - len(done)) / self._lanes


def print_outcome(console: Console, outcome: Outcome, policy: Policy) -> None:
    """Print the table of metrics, the verdict and its reasons."""
    decision = outcome.decision
    if decision.metrics:
        console.print(_table(decision))
    for name, why in decision.not_compared.items():
        console.print(f"[yellow]not compared:[/] {name}: {why}", highlight=False, soft_wrap=True)
    compared = sum(m.deciding for m in decision.metrics)
    adjusted = f", adjusted for {compared} metrics" if compared else ""
    stolen = max((t.cpu_stolen_share for t in outcome.trials), default=0.0)
    console.print(
        f"\n{len(outcome.trials)} trials in {clock(outcome.seconds)}; regressed means a median cost at least "
        f"{policy.threshold - 1:.0%} higher and p ≤ {policy.alpha:g}{adjusted}; "
        "detectable is what would be found nine times in ten",
        highlight=False,
        soft_wrap=True,
    )
    if stolen >= 0.02:
        console.print(f"[yellow]noisy[/]: the host withheld up to {stolen:.0%} of this machine's CPU time")
    colour = _COLOURS.get(decision.verdict, "bold red")
    console.print(f"verdict    [{colour}]{HEADLINES[decision.verdict]}[/]", highlight=False)
    for reason in decision.reasons:
        console.print(f"           {reason}", highlight=False, markup=False, soft_wrap=True)


def _table(decision: Decision) -> Table:
    table = Table(Column("metric", no_wrap=True), box=None, header_style="bold", pad_edge=False)
    for name in ("base", "head", "cost", "95% interval", "p", "detectable"):
        table.add_column(name, justify="right")
    regressed = {m.name for m in decision.metrics if m.regressed}
    for cells in rows(decision):
        table.add_row(*cells, style="bold red" if cells[0] in regressed else "" if cells[6] else "dim")
    return table
