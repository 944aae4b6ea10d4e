"""The whole of `harness gate` with versions whose trials take milliseconds: verdicts, files, exit codes, leftovers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer
from typer.testing import CliRunner, Result

from harness.commands import gate as gate_command
from harness.errors import UsageError
from harness.export import gate_markdown
from harness.gate import command
from harness.gate.command import GateRequest, policy_of
from harness.gate.decide import Decision
from harness.gate.gate import Outcome
from harness.gate.model import Planned, Side, Verdict
from harness.gate.replay.run import POLICY
from harness.gate_policy import Policy
from harness.results import GateResult, read_stored
from harness.suites.model import load_suite
from tests.processes import heed_interrupts
from tests.unit.gate.support import CPU, RATE, commit_all, git, stand_in, trial
from tests.unit.report.support import typed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]

SUITE = f'''
description = "a test"
duration = "1 s"
kind = "run"
[corpus]
rows = 1000
[parameters]
RetryDelaySeconds = 1
[gate]
pairs = 10
warmup = 1
timeout = 20
metrics = ["{RATE}", "{CPU}"]
'''


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    path = tmp_path / "tiny.toml"
    path.write_text(SUITE)
    return path


def gate(suite: Path, *arguments: str) -> Result:
    app = typer.Typer()
    gate_command.register(app)
    out = suite.parent / "runs"
    return CliRunner().invoke(app, ["--suite", str(suite), "--out", str(out), *arguments], env={"COLUMNS": "160"})


def document(suite: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((suite.parent / "runs" / "latest" / "gate.json").read_text())
    return found


def versions(tmp_path: Path, base: dict[str, Any], head: dict[str, Any]) -> tuple[str, ...]:
    return (
        *("--base", str(stand_in(tmp_path / "old", **base))),
        *("--head", str(stand_in(tmp_path / "new", **head))),
    )


def test_gate_when_nothing_changed_exits_0_and_writes_every_trial(suite: Path, tmp_path: Path) -> None:
    ended = gate(suite, *versions(tmp_path, {}, {}))
    assert ended.exit_code == 0, ended.output
    assert "no regression found" in ended.output
    found = document(suite)
    assert (found["kind"], found["verdict"], found["exit_code"]) == ("gate", "pass", 0)
    assert [t["number"] for t in found["trials"]] == list(range(1, 23))
    assert sum(t["warmup"] for t in found["trials"]) == 2
    assert all(t["conserved"] and t["metrics"][RATE] > 0 for t in found["trials"])
    assert found["corpus_sha256"] == "aa"
    assert found["metrics"][CPU]["pairs"] == 10
    assert found["metrics"][CPU]["smallest_detectable_change"] >= 0.079
    assert not found["metrics"]["insert_ms_per_1000_rows"]["deciding"]
    kept = sorted(p.name for p in (suite.parent / "runs" / "latest" / "trials").iterdir())
    assert (len(kept), kept[0], kept[-1]) == (22, "01-base.json", "22-base.json")
    summary = (suite.parent / "runs" / "latest" / "gate.md").read_text()
    assert summary == gate_markdown(typed(found, GateResult))
    assert summary.startswith("### ✅ Regression gate: No regression found\n")
    assert f"| {CPU} |" in summary
    assert "adjusted for 2 metrics" in summary


def test_gate_when_it_ended_has_a_report_and_trials_that_can_be_compared(suite: Path, tmp_path: Path) -> None:
    ended = gate(suite, *versions(tmp_path, {}, {}))
    folder = (suite.parent / "runs" / "latest").resolve()
    assert f"report     {folder / 'report.html'}" in ended.output
    assert "No regression found" in (folder / "report.html").read_text()
    kept = [read_stored(folder / "trials" / f"{name}.json") for name in ("01-base", "02-head")]
    assert [(one.document.kind, one.name) for one in kept] == [("run", "01-base"), ("run", "02-head")]


def test_gate_when_head_is_slower_exits_1_naming_the_metric(suite: Path, tmp_path: Path) -> None:
    ended = gate(suite, *versions(tmp_path, {}, {"slowdown": 1.15}))
    assert ended.exit_code == 1
    found = document(suite)
    assert found["verdict"] == "regressed"
    assert [reason.split()[0] for reason in found["reasons"]] == [RATE, CPU]
    assert found["metrics"][CPU]["median_ratio"] == pytest.approx(1.15, rel=0.02)


def test_gate_when_it_is_too_noisy_to_tell_exits_4(suite: Path, tmp_path: Path) -> None:
    ended = gate(suite, *versions(tmp_path, {"noise": 40}, {"noise": 40, "phase": 7, "slowdown": 1.25}))
    assert ended.exit_code == 4, document(suite)["metrics"]
    assert document(suite)["verdict"] == "inconclusive"


def test_gate_when_a_trial_loses_rows_exits_3_however_fast_it_is(suite: Path, tmp_path: Path) -> None:
    ended = gate(suite, *versions(tmp_path, {}, {"slowdown": 0.5, "loses_at": 4}))
    assert ended.exit_code == 3
    found = document(suite)
    assert found["verdict"] == "not_conserved"
    assert found["reasons"] == [f"trial {found['trials'][-1]['number']} (head): 3 x lost"]
    assert len(found["trials"]) < 22


def test_gate_when_a_trial_crashes_exits_5_with_its_words_and_keeps_the_rest(suite: Path, tmp_path: Path) -> None:
    broken = {"fails_at": 3, "code": 5, "words": "error: the engine is ill"}
    ended = gate(suite, *versions(tmp_path, {}, broken))
    assert isinstance(ended.exception, Exception)
    assert getattr(ended.exception, "exit_code", None) == 5
    assert "the engine is ill" in str(ended.exception)
    found = document(suite)
    assert (found["verdict"], found["exit_code"]) == ("failed", 5)
    assert len(found["trials"]) == 4
    [kept] = [path for path in (suite.parent / "runs" / "latest" / "trials").iterdir() if path.is_dir()]
    assert "the engine is ill" in (kept / "stderr").read_text()
    assert str(kept.name) in getattr(ended.exception, "hint", "")


def test_gate_when_a_trial_loses_rows_keeps_what_it_wrote(suite: Path, tmp_path: Path) -> None:
    gate(suite, *versions(tmp_path, {}, {"loses_at": 3}))
    [kept] = [path for path in (suite.parent / "runs" / "latest" / "trials").iterdir() if path.is_dir()]
    assert (kept / "rubbish").is_dir()


def test_gate_when_base_does_not_take_the_command_says_which_option(suite: Path, tmp_path: Path) -> None:
    old = {"fails_at": 1, "code": 2, "words": "No such option: --no-ceiling"}
    ended = gate(suite, *versions(tmp_path, old, {}))
    assert getattr(ended.exception, "exit_code", None) == 2
    assert "base" in str(ended.exception)
    assert "No such option: --no-ceiling" in str(ended.exception)
    assert (document(suite)["verdict"], document(suite)["exit_code"]) == ("failed", 2)
    folder = suite.parent / "runs" / "latest"
    assert "A trial failed" in (folder / "report.html").read_text()
    assert "adjusted for" not in (folder / "gate.md").read_text()


def test_gate_when_a_trial_prints_no_result_fails_naming_it(suite: Path, tmp_path: Path) -> None:
    ended = gate(suite, *versions(tmp_path, {}, {"mute": True}))
    assert "trial 2 (head" in str(ended.exception)
    assert "printed no result" in str(ended.exception)


def test_gate_when_a_trial_takes_too_long_ends_it_and_leaves_nothing(suite: Path, tmp_path: Path) -> None:
    suite.write_text(SUITE.replace("timeout = 20", "timeout = 1"))
    ended = gate(suite, *versions(tmp_path, {"sleep": 60}, {}))
    assert "took longer than 1 s" in str(ended.exception)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_gate_when_the_corpus_differs_fails_and_says_why(suite: Path, tmp_path: Path) -> None:
    ended = gate(suite, *versions(tmp_path, {}, {"sha256": "bb"}))
    assert "another corpus" in str(ended.exception)
    assert document(suite)["verdict"] == "failed"


def test_gate_when_memory_did_not_suffice_says_how_many_rows_ran(suite: Path, tmp_path: Path) -> None:
    ended = gate(suite, *versions(tmp_path, {}, {"fits": 400, "sha256": "bb"}))
    assert getattr(ended.exception, "exit_code", None) == 5
    assert str(ended.exception).startswith("trial 2 (head ")
    assert str(ended.exception).endswith("ran 400 rows, not 1,000")
    assert "memory" in getattr(ended.exception, "hint", "")
    assert (suite.parent / "runs" / "latest" / "trials" / "02-head.json").exists()


def test_gate_when_a_trial_of_fewer_rows_lost_some_exits_3(suite: Path, tmp_path: Path) -> None:
    ended = gate(suite, *versions(tmp_path, {}, {"fits": 400, "sha256": "bb", "loses_at": 1}))
    assert ended.exit_code == 3
    assert document(suite)["reasons"] == ["trial 2 (head): 3 x lost"]


def test_gate_when_the_machine_slept_in_a_trial_takes_no_such_sample(suite: Path, tmp_path: Path) -> None:
    ended = gate(suite, *versions(tmp_path, {}, {"slept_at": 2}))
    assert getattr(ended.exception, "exit_code", None) == 5
    assert str(ended.exception).startswith("the figures of trial ")
    assert str(ended.exception).endswith("are void: this machine slept for 240 s")
    assert document(suite)["verdict"] == "failed"


def test_gate_when_rows_were_lost_in_a_trial_in_which_the_machine_slept_exits_3(suite: Path, tmp_path: Path) -> None:
    assert gate(suite, *versions(tmp_path, {}, {"slept_at": 1, "loses_at": 1})).exit_code == 3


def test_gate_when_base_lacks_the_cpu_metric_judges_the_rate_alone(suite: Path, tmp_path: Path) -> None:
    ended = gate(suite, *versions(tmp_path, {"old": True}, {}))
    assert ended.exit_code == 0
    assert document(suite)["not_compared"][CPU] == "base does not report it"
    assert f"not compared: {CPU}" in ended.output
    assert "adjusted for 1 metrics" in (suite.parent / "runs" / "latest" / "gate.md").read_text()


def test_gate_when_head_lacks_the_cpu_metric_exits_4_naming_it(suite: Path, tmp_path: Path) -> None:
    ended = gate(suite, *versions(tmp_path, {}, {"old": True}))
    assert ended.exit_code == 4
    assert document(suite)["reasons"] == [f"{CPU} decides and could not be compared: head does not report it"]


def test_gate_when_checking_itself_runs_head_on_both_sides(suite: Path, tmp_path: Path) -> None:
    head = stand_in(tmp_path / "new", slowdown=3.0)
    ended = gate(suite, "--self-check", "--head", str(head))
    assert ended.exit_code == 0
    found = document(suite)
    assert found["self_check"] is True
    assert found["base"]["label"] == found["head"]["label"]
    assert "detectable" in ended.output


def test_gate_when_checking_itself_against_something_refuses(suite: Path) -> None:
    ended = gate(suite, "--self-check", "--base", "HEAD")
    assert getattr(ended.exception, "exit_code", None) == 2


def test_gate_when_run_in_a_clean_repository_compares_the_commit_with_its_parent(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = stand_in(tmp_path / "repository")
    git(repository, "init", "-q")
    commit_all(repository, "first")
    (repository / "harness" / "behaviour.json").write_text(json.dumps({"slowdown": 1.5}))
    commit_all(repository, "second")
    monkeypatch.chdir(repository)
    ended = gate(suite)
    assert ended.exit_code == 1, ended.output
    assert document(suite)["base"]["label"] == "HEAD~1"


def test_gate_when_the_first_commit_has_no_parent_exits_2_before_running_anything(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = stand_in(tmp_path / "repository")
    git(repository, "init", "-q")
    commit_all(repository, "first")
    monkeypatch.chdir(repository)
    ended = gate(suite)
    assert getattr(ended.exception, "exit_code", None) == 2
    assert not (suite.parent / "runs").exists()


def test_gate_when_head_is_a_ref_takes_that_refs_parent(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = stand_in(tmp_path / "repository")
    git(repository, "init", "-q")
    commit_all(repository, "first")
    git(repository, "tag", "v1")
    (repository / "handlers" / "new.py").write_text("")
    commit_all(repository, "second")
    monkeypatch.chdir(repository)
    ended = gate(suite, "--head", "v1")
    assert getattr(ended.exception, "exit_code", None) == 2
    assert "has no parent to compare with" in str(ended.exception)


def test_gate_when_locks_differ_says_that_packages_are_not_measured(suite: Path, tmp_path: Path) -> None:
    arguments = versions(tmp_path, {}, {})
    (tmp_path / "old" / "requirements.lock").write_text("boto3==1\n")
    (tmp_path / "new" / "requirements.lock").write_text("boto3==2\n")
    ended = gate(suite, *arguments)
    assert "the change of packages is not measured: boto3 1 -> 2" in " ".join(ended.output.split())
    assert document(suite)["lock_changes"] == ["boto3 1 -> 2"]


def test_gate_when_only_json_is_wanted_prints_the_document_alone(suite: Path, tmp_path: Path) -> None:
    ended = gate(suite, "--json", *versions(tmp_path, {}, {}))
    assert json.loads(ended.stdout) == document(suite)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--pairs", "5"), "5 pairs are too few"),
        (("--alpha", "2"), "--alpha is 2"),
        (("--threshold", "0.5"), "--threshold is 0.5"),
        (("--base", "nowhere"), "'nowhere' is no folder"),
    ],
)
def test_gate_when_asked_for_the_impossible_exits_2(suite: Path, arguments: tuple[str, ...], words: str) -> None:
    ended = gate(suite, "--head", str(stand_in(suite.parent / "new")), "--base", "nowhere", *arguments)
    assert getattr(ended.exception, "exit_code", None) == 2
    assert words in str(ended.exception)


def test_policy_of_when_the_suite_is_no_run_refuses(suite: Path) -> None:
    with pytest.raises(Exception, match="suite load is of kind load"):
        policy_of(load_suite("load"), GateRequest(None, ".", "load"))


def test_trial_command_when_run_gets_the_suites_corpus_and_parameters(suite: Path, tmp_path: Path) -> None:
    head = stand_in(tmp_path / "new")
    # The copies of the trees are gone afterwards, so the stand-in reports what it was called with by failing.
    (head / "harness" / "__main__.py").write_text("import sys\nprint(sys.argv[1:], file=sys.stderr)\nsys.exit(5)\n")
    ended = gate(suite, "--self-check", "--head", str(head), "--rows", "77")
    words = str(ended.exception)
    for expected in ("'run', '--json', '--no-ceiling'", "'--rows', '77'", "'--param', 'RetryDelaySeconds=1'"):
        assert expected in words


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_gate_when_killed_in_the_middle_leaves_no_process_and_no_folder(
    suite: Path, tmp_path: Path, number: signal.Signals
) -> None:
    arguments = versions(tmp_path, {"sleep": 60}, {})
    code = (
        "import signal, typer\nfrom harness.entry import interrupt\nfrom harness.commands import gate\n"
        "signal.signal(signal.SIGTERM, interrupt)\n"
        "app = typer.Typer()\ngate.register(app)\napp()\n"
    )
    out = str(tmp_path / "runs")
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--suite", str(suite), "--out", out, *arguments],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=heed_interrupts,  # noqa: PLW1509  no threads here
    )
    trial = _wait_for_trial(tmp_path)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == (-9 if number is signal.SIGKILL else 130)
    deadline = time.monotonic() + 30
    while (psutil.pid_exists(trial) or list((tmp_path / "tmp").iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(trial)
    assert list((tmp_path / "tmp").iterdir()) == []
    if number is not signal.SIGKILL:
        found = json.loads((tmp_path / "runs" / "latest" / "gate.json").read_text())
        assert (found["verdict"], found["trials"]) == ("interrupted", [])


def _wait_for_trial(tmp_path: Path) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pids in (tmp_path / "tmp").glob("harness-gate-*/pids/*"):
            return int(pids.name)
        time.sleep(0.02)
    raise AssertionError("no trial was started")


def replayed(trees: Any, policy: Policy, work: Path, progress: Any) -> Outcome:
    base, head = trial(Planned(1, 1, Side.BASE)), trial(Planned(2, 1, Side.HEAD))
    return Outcome(Decision(Verdict.REGRESSED, ("insert: 5 requests to AWS",), (), {}), (base, head), 3.0)


def replay(tmp_path: Path, *arguments: str, **variables: str) -> Result:
    app = typer.Typer()
    gate_command.register(app)
    options = ["--replay", "--self-check", "--head", str(ROOT), "--out", str(tmp_path / "runs"), *arguments]
    return CliRunner().invoke(app, options, env={"COLUMNS": "160", **variables})


def test_gate_when_asked_for_a_replay_writes_the_same_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "run_replay", replayed)
    # A variable that other commands heed is no reason to refuse.
    done = replay(tmp_path, HARNESS_ENGINE="localstack")
    assert done.exit_code == 1 and "insert: 5 requests to AWS" in done.output
    (folder,) = (path for path in (tmp_path / "runs").iterdir() if not path.is_symlink())
    stored = read_stored(folder).document
    assert isinstance(stored, GateResult)
    assert (stored.suite, stored.engine, stored.policy.pairs) == ("replay", "replay", POLICY.pairs)
    assert (folder / "gate.md").is_file() and (folder / "report.html").is_file()


@pytest.mark.parametrize("option", [("--suite", "ci"), ("--rows", "10"), ("--engine", "embedded")])
def test_gate_when_a_replay_is_given_what_it_has_no_use_for_refuses(tmp_path: Path, option: tuple[str, str]) -> None:
    done = replay(tmp_path, *option)
    assert isinstance(done.exception, UsageError) and option[0] in str(done.exception)
    assert not (tmp_path / "runs").exists()


def test_gate_when_a_replay_is_given_too_few_pairs_refuses(tmp_path: Path) -> None:
    done = replay(tmp_path, "--pairs", "10")
    assert isinstance(done.exception, UsageError) and "10 pairs are too few" in str(done.exception)
