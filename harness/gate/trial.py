"""Runs one trial: `python -m harness run` of a source tree, in a process of its own that is never left behind.

The command is the whole interface between the gate and the versions it compares, old ones included:
`run --rows --seed --dirty --quarantine --poison --engine --profile --param --no-ceiling --json --out`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.corpus import CorpusSpec
from harness.errors import EnvironmentProblem, ExitCode, HarnessError, UsageError
from harness.gate.model import Planned, Trial
from harness.gate.trees import Tree
from harness.host_environment import DOCKER, ENGINE, child_environment
from harness.metrics import metrics_of
from harness.processes.guard import MARK
from harness.processes.guarding import start_guard
from harness.processes.supervision import tail
from harness.results import OLD_VERSION, RunResult, document_of, json_of
from harness.signals import signals_held

STOP_SECONDS = 30.0
_STDERR_LINES = 6


class TrialFailed(EnvironmentProblem):
    """A trial could not be carried out; the message says which and why."""


@dataclass(frozen=True)
class Workload:
    """What every trial runs. `timeout` is seconds for one trial, after which it has failed."""

    spec: CorpusSpec
    parameters: Mapping[str, str] = field(default_factory=dict)
    engine: str = "embedded"
    profile: str = "local"
    timeout: float = 300.0

    def arguments(self, out: Path) -> list[str]:
        """Return the arguments of `python -m harness`."""
        spec = self.spec
        parameters = [part for name, value in self.parameters.items() for part in ("--param", f"{name}={value}")]
        return [
            *("run", "--json", "--no-ceiling", "--engine", self.engine, "--profile", self.profile),
            *("--rows", str(spec.rows), "--seed", str(spec.seed), "--dirty", str(spec.dirty)),
            *("--quarantine", str(spec.quarantine), "--poison", str(spec.poison), "--out", str(out)),
            *parameters,
        ]


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """Give a temporary folder for trees and trials; it and its trials are gone afterwards, even after SIGKILL."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="harness-gate-"))
    (folder / "pids").mkdir()
    guard = start_guard(folder)
    try:
        yield folder
    finally:
        if guard.stdin is not None:
            guard.stdin.close()
        guard.wait()
        shutil.rmtree(folder, ignore_errors=True)


class ProcessTrials:
    """Runs trials of two trees as processes; their temporary files lie in `work`, their results are kept in `kept`."""

    def __init__(self, trees: Mapping[str, Tree], workload: Workload, work: Path, kept: Path) -> None:
        self._trees = trees
        self._workload = workload
        self._work = work
        self._kept = kept

    def run(self, planned: Planned) -> Trial:
        """Run one trial; raises TrialFailed, and UsageError where that version does not take the command.

        Of a trial that fails or is not conserved, what it wrote is kept beside the results, and the error names it.
        """
        try:
            trial = self._run(planned)
        except BaseException as error:
            words = self._keep_folder(planned)
            if isinstance(error, HarnessError):
                error.hint = f"{error.hint}\n{words}".lstrip()
            raise
        if not trial.conserved:
            self._keep_folder(planned)
        shutil.rmtree(self._work / "runs", ignore_errors=True)
        return trial

    def _run(self, planned: Planned) -> Trial:
        tree = self._trees[planned.side]
        out, tmp = self._work / "runs", self._work / "tmp"
        for folder in (out, tmp):
            folder.mkdir(exist_ok=True)
        began = time.monotonic()
        code, stdout, stderr = self._execute(tree, self._workload.arguments(out), tmp, planned)
        seconds = time.monotonic() - began
        if code == ExitCode.USAGE:
            raise UsageError(
                f"{planned.side} {tree.label} does not take the trial's command: {stderr}",
                hint="versions that lack an option of `harness run` cannot be compared by trials",
            )
        if code not in (ExitCode.OK, ExitCode.NOT_CONSERVED):
            raise TrialFailed(f"trial {planned.number} ({planned.side} {tree.label}) ended with {code}: {stderr}")
        try:
            # The other side may be of an older version, whose results are brought up to this one's.
            result = document_of({"schema_version": OLD_VERSION, **json.loads(stdout)})
            if not isinstance(result, RunResult):
                raise TypeError(f"a result of kind {result.kind!r}")
            trial = trial_of(planned, result, seconds, conserved=code == ExitCode.OK)
            rows = int(result.spec["rows"])
        except (ValueError, KeyError, TypeError) as error:
            raise TrialFailed(
                f"trial {planned.number} ({planned.side} {tree.label}) printed no result: {error!r} {stderr}"
            ) from error
        self._keep(planned, result)
        if trial.conserved and (reason := result.figures_void_reason):
            raise TrialFailed(
                f"the figures of trial {planned.number} ({planned.side} {tree.label}) are void: {reason}",
                hint="run the gate again and keep the machine awake",
            )
        asked = self._workload.spec.rows
        if trial.conserved and rows != asked:
            raise TrialFailed(
                f"trial {planned.number} ({planned.side} {tree.label}) ran {rows:,} rows, not {asked:,}",
                hint="`harness run` does fewer rows where memory is short: free some, or ask for fewer with --rows",
            )
        return trial

    def _keep(self, planned: Planned, result: RunResult) -> None:
        self._kept.mkdir(parents=True, exist_ok=True)
        name = f"{planned.number:02d}-{planned.side}"
        (self._kept / f"{name}.json").write_text(json_of(msgspec.structs.replace(result, run=name)) + "\n")

    def _keep_folder(self, planned: Planned) -> str:
        """Copy the trial's own folders and its output to `trials/NN-side`; returns where they are, or why not."""
        kept = self._kept / f"{planned.number:02d}-{planned.side}"
        try:
            for folder in (self._work / "runs").glob("*"):
                if folder.is_dir() and not folder.is_symlink():
                    shutil.copytree(folder, kept / folder.name, ignore=shutil.ignore_patterns("*.html"))
            kept.mkdir(parents=True, exist_ok=True)
            for name in ("stdout", "stderr"):
                if (self._work / name).is_file():
                    shutil.copy(self._work / name, kept / name)
        except OSError as error:
            return f"what the trial wrote could not be kept: {error}"
        return f"kept: {kept}"

    def _execute(self, tree: Tree, arguments: list[str], tmp: Path, planned: Planned) -> tuple[int, str, str]:
        # Files rather than pipes: a trial that is killed leaves pipes open in its children.
        out, err = self._work / "stdout", self._work / "stderr"
        path = tree.path.resolve()
        fixed = {"PYTHONPATH": str(path), "TMPDIR": str(tmp), MARK: str(self._work)}
        variables = child_environment(os.environ, (*ENGINE, *DOCKER), fixed)
        with out.open("wb") as stdout, err.open("wb") as stderr, signals_held():
            process = subprocess.Popen(
                [sys.executable, "-m", "harness", *arguments],
                cwd=path,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=_release_signals,  # noqa: PLW1509  only the signal mask is touched
            )
            registered = self._work / "pids" / str(process.pid)
            registered.write_text(f"trial-{planned.number}")
        try:
            code = process.wait(self._workload.timeout)
        except subprocess.TimeoutExpired:
            raise TrialFailed(
                f"trial {planned.number} ({planned.side} {tree.label}) took longer than {self._workload.timeout:g} s",
                hint="fewer rows, or a larger timeout in the suite's [gate]",
            ) from None
        finally:
            _end(process)
            registered.unlink(missing_ok=True)
        return code, out.read_text("utf-8", "replace"), tail(err, _STDERR_LINES)


def trial_of(planned: Planned, result: RunResult, seconds: float, *, conserved: bool) -> Trial:
    """Return the trial of a run's result."""
    good = conserved and result.conserved
    problems = ", ".join(f"{count:,} x {problem}" for problem, count in result.audit.problems.items())
    return Trial(
        planned=planned,
        metrics=metrics_of(result),
        conserved=good,
        seconds=seconds,
        sha256=result.corpus.sha256,
        versions=dict(result.engine.versions),
        problem="" if good else problems or "rows are not where they must be",
        cpu_stolen_share=result.cpu_stolen_share,
    )


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let a process that is still there clean up after itself, then make sure that it is gone."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
