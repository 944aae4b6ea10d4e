"""A verdict waits until nothing is under way anywhere, and outlives a closed laptop."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.corpus import CorpusSpec
from harness.engines import stacks
from harness.engines.embedded import EmbeddedEngine
from harness.stages import STAGES
from tests.e2e.support import run_pipeline, wait_for_rows

SPEC = CorpusSpec(rows=600, seed=8, dirty=0.1, quarantine=0.0, poison=0.0)

FAILS_AFTER_ALL_IS_SENT = """

_done, _attempts = handler, 0


def handler(event, context):
    global _attempts
    _attempts += 1
    answer = _done(event, context)
    if _attempts < {successful}:
        raise RuntimeError("failed after everything was sent")
    return answer
"""
"""Appended to clean: every row is on its way, and told of, when an attempt fails."""


def plant(stage: str, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the pipeline's functions deployed with `text` at the end of one of them."""
    handlers = folder / "handlers"
    shutil.copytree(stacks.HANDLERS, handlers, ignore=shutil.ignore_patterns("__pycache__"))
    with (handlers / f"{stage}.py").open("a") as code:
        code.write(text)
    monkeypatch.setattr(stacks, "HANDLERS", handlers)


@pytest.mark.parametrize("successful", [3, 4], ids=["third", "never"])
def test_run_when_clean_fails_after_sending_waits_for_every_attempt_and_all_that_comes_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, successful: int
) -> None:
    plant("clean", FAILS_AFTER_ALL_IS_SENT.format(successful=successful), tmp_path, monkeypatch)
    with EmbeddedEngine(async_retry_delays=(4.0, 4.0)) as engine:
        # Rows of an attempt are long updated when the next one begins, and its changes wait in the stream's window.
        finished = run_pipeline(engine, tmp_path, SPEC, parameters={"CaptureWindowSeconds": "3"})
    report = finished.audit
    assert (report.conserved, report.as_expected) == (True, True), report.findings
    passed_on = {stage.name: finished.observed.totals[stage.name].rows_ok for stage in STAGES}
    assert passed_on == dict.fromkeys(passed_on, 3 * SPEC.rows)


SLOW_AND_FAILING_ONCE = """

import time as _time

_done, _calls = handler, 0


def handler(event, context):
    global _calls
    _calls += 1
    answer = _done(event, context)
    _time.sleep(2.5)
    if _calls == 1:
        raise RuntimeError("failed after everything was done")
    return answer
"""


@pytest.mark.parametrize("stage", ["insert", "capture", "process", "update"])
def test_run_when_a_stage_is_slow_and_fails_after_its_work_waits_for_the_retry(
    engine: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    plant(stage, SLOW_AND_FAILING_ONCE, tmp_path, monkeypatch)
    finished = run_pipeline(engine, tmp_path, SPEC, parameters={"VisibilityTimeout": "8", "WorkerTimeout": "10"})
    assert engine.activity().idle
    assert (finished.audit.conserved, finished.audit.as_expected) == (True, True), finished.audit.findings
    said = finished.observed.totals
    assert said[stage].rows_ok >= said["update"].rows_ok >= SPEC.rows
    # Whatever the second delivery brought forth was waited for, down to the last stage.
    assert said["update"].rows_ok > SPEC.rows or stage == "update"


@contextlib.contextmanager
def harness_run(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start `harness run` and give its process; whatever is left of it afterwards is killed."""
    command = [sys.executable, "-m", "harness", "run", "--json", "--no-baseline", "--out", str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()


def test_run_when_every_process_is_stopped_for_a_while_ends_conserved_and_says_that_figures_are_void(
    tmp_path: Path,
) -> None:
    quick = ("VisibilityTimeout=12", "WorkerTimeout=10", "RetryDelaySeconds=1", "RowsPerMessage=50")
    parameters = [part for one in quick for part in ("-p", one)]
    with harness_run(tmp_path, "--rows", "12000", "--stall-timeout", "14", *parameters) as process:
        wait_for_rows(tmp_path, "update")
        root = psutil.Process(process.pid)
        stopped = [root.pid, *(child.pid for child in root.children(recursive=True))]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        # Longer than every time-out of the run: of functions, of visibility, and of a stage that is stuck.
        time.sleep(16)
        for pid in reversed(stopped):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        output, _ = process.communicate(timeout=240)
    result = json.loads(output)
    assert (process.returncode, result["audit"]["conserved"], result["audit"]["as_expected"]) == (0, True, True)
    assert result["figures_void_reason"].startswith("the harness was stopped for 1")
    report = next(tmp_path.glob("latest/report.html")).read_text()
    assert "figures void" in report
