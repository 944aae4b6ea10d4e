"""What `harness gate` does: versions, trials, verdict, results on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from harness.errors import UsageError
from harness.export import gate_markdown
from harness.fingerprint import fingerprint
from harness.gate.display import GateProgress, print_outcome
from harness.gate.document import document
from harness.gate.gate import Outcome, run_gate
from harness.gate.model import Side
from harness.gate.replay.run import POLICY as REPLAY_POLICY
from harness.gate.replay.run import processors, run_replay
from harness.gate.trees import Tree, changed_locks, default_base, materialise
from harness.gate.trial import ProcessTrials, Workload, workspace
from harness.gate_policy import Policy
from harness.report import write_report
from harness.results import GATE, GateResult, new_run_folder, save_result
from harness.suites.model import Kind, Suite, load_suite

REPLAY = "replay"
"""What stands for suite and engine in the result of a gate by replay."""


@dataclass(frozen=True)
class GateRequest:
    """What the command line asks for; None takes the suite's value, or the replay's."""

    base: str | None
    head: str
    suite: str
    pairs: int | None = None
    rows: int | None = None
    threshold: float | None = None
    alpha: float | None = None
    self_check: bool = False
    engine: str = "embedded"
    replay: bool = False


@dataclass(frozen=True)
class Finished:
    """A gate that has ended, and what was written of it."""

    folder: Path
    outcome: Outcome
    document: GateResult


def policy_of(suite: Suite | None, request: GateRequest) -> Policy:
    """Return the policy of a suite, or of a replay where there is none, with what was asked for; raises UsageError for
    rules that cannot find anything."""
    if suite is not None and suite.kind is not Kind.RUN:
        raise UsageError(f"suite {suite.name} is of kind {suite.kind}; the gate's trials are runs", hint="--suite ci")
    policy = REPLAY_POLICY if suite is None else suite.gate.policy
    given = {name: getattr(request, name) for name in ("pairs", "threshold", "alpha")}
    policy = replace(policy, **{name: value for name, value in given.items() if value is not None})
    policy.check()
    return policy


def carry_out(request: GateRequest, out_dir: Path, console: Console, *, quiet: bool = False) -> Finished:
    """Run a gate and write `gate.json`, `gate.md`, `report.html` and every trial's result.

    A gate that fails or is interrupted writes them too. Raises UsageError for versions that cannot be used, before
    anything runs.
    """
    suite = None if request.replay else load_suite(request.suite)
    policy = policy_of(suite, request)

    def say(text: str) -> None:
        if not quiet:
            console.print(text, highlight=False, soft_wrap=True)

    with workspace() as work:
        trees = _trees(request, work)
        folder = new_run_folder(out_dir)
        changes = changed_locks(trees[Side.BASE], trees[Side.HEAD])
        say(_versions(trees, changes))
        lanes = len(processors()) if suite is None else 1
        with GateProgress(console, policy, quiet=quiet, lanes=lanes) as progress:
            if suite is None:
                outcome = run_replay(trees, policy, work, progress)
            else:
                trials = ProcessTrials(trees, _workload(request, suite), work, folder / "trials")
                outcome = run_gate(trials, policy, progress)
    written = document(
        outcome,
        policy,
        trees,
        run=folder.name,
        suite=REPLAY if suite is None else suite.name,
        engine=REPLAY if suite is None else request.engine,
        self_check=request.self_check,
        lock_changes=changes,
        fingerprint=fingerprint(),
    )
    save_result(folder, written, GATE)
    (folder / "gate.md").write_text(gate_markdown(written), "utf-8")
    page = write_report(folder)
    if not quiet:
        print_outcome(console, outcome, policy)
    say(f"report     {page}\nresults    {folder / GATE}")
    return Finished(folder, outcome, written)


def _workload(request: GateRequest, suite: Suite) -> Workload:
    corpus = suite.corpus if request.rows is None else replace(suite.corpus, rows=request.rows)
    return Workload(corpus, suite.parameters, request.engine, timeout=suite.gate.timeout)


def _trees(request: GateRequest, work: Path) -> dict[str, Tree]:
    """Put the versions that are asked for below `work`; a self-check compares the head with itself."""
    repository = Path(request.head) if Path(request.head).is_dir() else Path()
    base = request.head if request.self_check else request.base or default_base(request.head, repository)
    return {
        Side.BASE: materialise(base, work / Side.BASE, repository),
        Side.HEAD: materialise(request.head, work / Side.HEAD, repository),
    }


def _versions(trees: Mapping[str, Tree], lock_changes: Sequence[str]) -> str:
    lines = [f"base       {describe(trees[Side.BASE])}", f"head       {describe(trees[Side.HEAD])}"]
    if lock_changes:
        lines.append(
            "[yellow]locks differ:[/] both sides run with the packages installed here, so the change of packages "
            f"is not measured: {', '.join(lock_changes)}"
        )
    return "\n".join(lines)


def describe(tree: Tree) -> str:
    """Return a line about a version."""
    commit = f", commit {tree.commit[:12]}" if tree.commit else ""
    return f"{tree.label}{commit}{', with uncommitted changes' if tree.dirty else ''}"
