"""The gate by replay with the real handlers: this version against itself with something planted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from harness.gate.gate import Outcome
from harness.gate.model import Side, Verdict
from harness.gate.replay.judge import metric_name
from harness.gate.replay.run import POLICY, run_replay
from harness.gate.trees import materialise
from harness.gate.trial import TrialFailed, workspace
from harness.gate_policy import Policy
from tools.gate.plant import Kind, plant_around

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
TWO_PAIRS = Policy(pairs=2, warmup=0, deciding=POLICY.deciding)
"""For what is certain after one: requests and answers."""

ONE_BY_ONE = """

_all = send_messages


def send_messages(sqs, queue_url, bodies, deadline):
    return [(n, error) for n, body in enumerate(bodies) for _, error in _all(sqs, queue_url, [body], deadline)]
"""

LOSSY = """

_kept = process


def process(delivery, config):
    bodies, refused = _kept(delivery, config)
    return bodies[1:], refused
"""


def replayed(change: Callable[[Path], None], policy: Policy, rounds: int) -> Outcome:
    with workspace() as work:
        trees = {side: materialise(str(ROOT), work / side, ROOT) for side in Side}
        change(trees[Side.HEAD].path)
        outcome = run_replay(
            {side.value: tree for side, tree in trees.items()}, policy, work, lambda planned, done: None, rounds=rounds
        )
        assert not list((work / "pids").iterdir())
    workers = [p for p in psutil.Process().children(recursive=True) if "harness.gate.replay.worker" in p.cmdline()]
    assert not workers
    return outcome


def appended(module: str, code: str) -> Callable[[Path], None]:
    def change(tree: Path) -> None:
        path = tree / "handlers" / module
        path.write_text(path.read_text("utf-8") + code, "utf-8")

    return change


def test_run_replay_when_two_handlers_are_slower_by_computing_and_by_waiting_names_both_alone() -> None:
    def change(tree: Path) -> None:
        plant_around(tree, "process", 0.5, Kind.CPU)
        plant_around(tree, "insert", 0.5, Kind.WAIT)

    outcome = replayed(change, Policy(12, 0, 1.25, 0.05, POLICY.deciding), rounds=8)
    assert outcome.decision.verdict is Verdict.REGRESSED, outcome.decision.reasons
    regressed = {m.name for m in outcome.decision.metrics if m.regressed}
    assert regressed == {metric_name("process"), metric_name("insert")}
    assert len(outcome.trials) == 24 and all(trial.sha256 for trial in outcome.trials)


def test_run_replay_when_head_sends_every_message_by_itself_counts_the_requests() -> None:
    outcome = replayed(appended("aws.py", ONE_BY_ONE), TWO_PAIRS, rounds=6)
    assert outcome.decision.verdict is Verdict.REGRESSED
    assert [r for r in outcome.decision.reasons if r.startswith("process: ") and "requests to AWS" in r]


def test_run_replay_when_head_loses_a_message_compares_no_times() -> None:
    outcome = replayed(appended("process.py", LOSSY), TWO_PAIRS, rounds=6)
    assert outcome.decision.verdict is Verdict.INCONCLUSIVE
    assert outcome.decision.reasons[0].startswith("process: head does other work than base (52 -> 0 messages sent)")


def test_run_replay_when_head_fails_says_where_and_why() -> None:
    outcome = replayed(appended("update.py", "\n\nhandler = None\n"), TWO_PAIRS, rounds=6)
    assert outcome.decision.verdict is Verdict.FAILED and isinstance(outcome.error, TrialFailed)
    assert "head, replaying update: TypeError" in outcome.decision.reasons[0]
