"""Lessons as a user runs them: real engines, real functions, and Ctrl-C in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from harness.results import LessonsResult, read_stored
from tests.contract.support import eventually
from tests.processes import descendants, heed_interrupts, wait_for_line


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    (tmp_path / "tmp").mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "lessons", "run", *arguments, "--out", str(tmp_path / "runs")],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509  no threads here
    )


def test_lessons_when_run_are_reproduced_and_leave_a_page(tmp_path: Path) -> None:
    process = start(tmp_path, "descriptors", "logs", "--quick")
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0, said
    result = read_stored(tmp_path / "runs" / "latest").document
    assert isinstance(result, LessonsResult)
    assert {one.name: one.verdict for one in result.lessons} == {"descriptors": "reproduced", "logs": "reproduced"}, (
        said
    )
    assert "Too many open files" in said
    assert "2 reproduced" in said
    assert (tmp_path / "runs" / "latest" / "report.html").is_file()
    assert list((tmp_path / "tmp").glob("harness-*")) == []


def test_lesson_when_interrupted_says_so_and_leaves_nothing_running(tmp_path: Path) -> None:
    process = start(tmp_path, "descriptors")
    try:
        wait_for_line(process, r"^descriptors ")
        # The engine's processes, and a function with the processes of a cleaner below it.
        eventually("a cleaner at work", lambda: len(descendants(process.pid)) >= 8, seconds=60)
        family = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130

        def gone() -> bool:
            alive = [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
            return not alive and not list((tmp_path / "tmp").glob("harness-*"))

        eventually("processes and folders gone", gone, seconds=60)
        folder = tmp_path / "runs" / "latest"
        assert '"interrupted"' in (folder / "error.json").read_text()
        assert '"interrupted"' in (folder / "descriptors" / "error.json").read_text()
        assert not (folder / "result.json").exists()
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
