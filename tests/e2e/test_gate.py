"""The gate's trials for real: this version against itself with something planted, a few trials, no verdict on speed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.corpus import CorpusSpec
from harness.gate.gate import run_gate
from harness.gate.model import Planned, Side, Verdict
from harness.gate.trees import materialise
from harness.gate.trial import ProcessTrials, Workload, workspace
from harness.gate_policy import Policy
from tools.gate.plant import Kind, plant

ROOT = Path(__file__).resolve().parents[2]
WORKLOAD = Workload(CorpusSpec(rows=2000, poison=0.002), {"RetryDelaySeconds": "0"}, timeout=120.0)


@pytest.mark.slow
def test_trials_when_a_handler_is_slowed_down_show_it_in_its_own_cpu_time_and_lose_nothing(tmp_path: Path) -> None:
    name = "process_cpu_ms_per_1000_rows"
    with workspace() as work:
        trees = {side: materialise(str(ROOT), work / side, ROOT) for side in Side}
        plant(trees[Side.HEAD].path, "process", 10.0, Kind.CPU)
        trials = ProcessTrials({side.value: tree for side, tree in trees.items()}, WORKLOAD, work, tmp_path / "kept")
        found = {side: trials.run(Planned(number, 1, side)) for number, side in enumerate(Side, start=1)}
        assert not list((work / "tmp").iterdir())
    assert not work.exists()
    assert all(trial.conserved and trial.metrics["dlq_rows"].value > 0 for trial in found.values())
    assert found[Side.BASE].sha256 == found[Side.HEAD].sha256
    assert found[Side.BASE].versions == found[Side.HEAD].versions
    # Eleven times the handler's time, in figures that have what starting the function costs as well; anything below
    # twice would mean that the trees were mixed up.
    base, head = (found[side].metrics[name].value for side in (Side.BASE, Side.HEAD))
    assert head > 2 * base, (head, base)
    assert len(list((tmp_path / "kept").iterdir())) == 2


@pytest.mark.slow
def test_run_gate_when_head_loses_rows_ends_with_not_conserved(tmp_path: Path) -> None:
    with workspace() as work:
        trees = {side: materialise(str(ROOT), work / side, ROOT) for side in Side}
        module = trees[Side.HEAD].path / "handlers" / "process.py"
        lossy = (
            "\n\n_kept = process\n\n\ndef process(delivery, config):\n    bodies, refused = _kept(delivery, config)\n"
        )
        module.write_text(module.read_text() + lossy + "    return bodies[1:], refused\n")
        trials = ProcessTrials({side.value: tree for side, tree in trees.items()}, WORKLOAD, work, tmp_path / "kept")
        outcome = run_gate(trials, Policy(warmup=1), lambda planned, done: None)
    assert outcome.decision.verdict is Verdict.NOT_CONSERVED
    assert len(outcome.trials) == 2
    assert outcome.trials[0].conserved
    assert "lost" in outcome.decision.reasons[0] or "unexpected place" in outcome.decision.reasons[0]
