"""What is printed of a gate outside a terminal: a line for every pair, and the verdict's table."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.gate.decide import decide
from harness.gate.display import GateProgress, print_outcome
from harness.gate.gate import Outcome, run_gate
from harness.gate.model import Planned, Trial
from harness.gate_policy import Policy
from tests.unit.gate.support import CPU, RATE, jitter, metrics, trial

POLICY = Policy(pairs=10, warmup=1, deciding=(RATE, CPU))


class Steady:
    """Trials that take two seconds each; the trial `loses_at`, if any, loses rows."""

    def __init__(self, loses_at: int = 0, cpu: float | None = 50.0) -> None:
        self._loses_at = loses_at
        self._cpu = cpu

    def run(self, planned: Planned) -> Trial:
        factor = jitter(planned.number)
        found = metrics(1000 * factor, self._cpu and self._cpu * factor)
        return trial(planned, found, conserved=planned.number != self._loses_at)


def console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=160, force_terminal=False), text


def lines_of(trials: Steady, *, quiet: bool = False) -> list[str]:
    out, text = console()
    with GateProgress(out, POLICY, quiet=quiet) as progress:
        run_gate(trials, POLICY, progress)
    return text.getvalue().splitlines()


def test_progress_when_all_pairs_ended_has_a_line_for_each_of_them() -> None:
    lines = lines_of(Steady())
    assert [line.split()[:2] for line in lines] == [["pair", str(n)] for n in range(1, 11)]
    assert all("base 2.0 s  head 2.0 s" in line for line in lines)


def test_progress_when_a_pair_ended_in_its_middle_has_no_line_for_it() -> None:
    assert [line.split()[1] for line in lines_of(Steady(loses_at=7))] == ["1", "2"]


def test_progress_when_quiet_prints_nothing() -> None:
    assert lines_of(Steady(), quiet=True) == []


@pytest.mark.parametrize(("cpu", "words"), [(50.0, "adjusted for 2 metrics"), (None, "adjusted for 1 metrics")])
def test_print_outcome_when_a_metric_was_not_compared_counts_those_that_were(cpu: float | None, words: str) -> None:
    out, text = console()
    done = run_gate(Steady(cpu=cpu), POLICY, lambda planned, done: None).trials
    print_outcome(out, Outcome(decide(done, POLICY), done, 60.0), POLICY)
    assert words in text.getvalue()


def test_print_outcome_when_rows_were_lost_names_no_number_of_metrics() -> None:
    out, text = console()
    print_outcome(out, run_gate(Steady(loses_at=3), POLICY, lambda planned, done: None), POLICY)
    assert "rows were not conserved" in text.getvalue()
    assert "adjusted for" not in text.getvalue()
