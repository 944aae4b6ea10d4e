"""Whenever the harness ends, it leaves no process, port, control group or temporary folder behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import psutil
import pytest

from harness.processes import guard
from harness.processes.guarding import start_guard
from tests.contract.support import eventually
from tests.depth import examples
from tests.e2e.support import wait_for_rows
from tests.processes import descendants, heed_interrupts, wait_for_line

_MOMENTS = examples(5)
DELAYS = [1.05 * number / (_MOMENTS - 1) for number in range(_MOMENTS)]
"""Seconds from an engine's start; it is up after about one."""


def start(tmp_path: Path, corpora: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": str(corpora)}
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "harness", "run", "--rows", "30000", "--out", str(tmp_path / "runs")]
    return subprocess.Popen(
        [*command, "--no-baseline"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509  no threads here
    )


def control_groups(family: Iterable[psutil.Process]) -> list[Path]:
    """Return the control groups that processes of `family` made: the Lambda service names its own by its process id."""
    pids = {str(process.pid) for process in family}
    found = Path("/sys/fs/cgroup").glob("**/harness-*")
    return [path for path in found if path.is_dir() and path.name.rpartition("-")[2] in pids]


@pytest.mark.parametrize(
    ("line", "stage"),
    [(r"^corpus ", ""), (r"^deployed ", ""), (r"^uploaded ", "insert")],
    ids=["starting", "deployed", "running"],
)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_harness_when_it_is_ended_leaves_nothing_behind(
    tmp_path: Path, corpora: Path, line: str, stage: str, number: signal.Signals
) -> None:
    process = start(tmp_path, corpora)
    try:
        wait_for_line(process, line)
        if stage:
            wait_for_rows(tmp_path / "runs", stage)
        time.sleep(0.3)
        family = descendants(process.pid)
        process.send_signal(number)
        code = process.wait(120)
        assert code == (-signal.SIGKILL if number is signal.SIGKILL else 130)

        def gone() -> bool:
            alive = [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
            return not alive and not list((tmp_path / "tmp").glob("harness-*"))

        eventually("processes and folders gone", gone, seconds=60)
        eventually("control groups gone", lambda: not control_groups(family), seconds=60)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def carrying(text: str) -> list[int]:
    """Return the processes with `text` in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def nothing_of(folder: Path) -> bool:
    return not carrying(str(folder)) and not list((folder / "tmp").glob("harness-*"))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes through /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_engine_when_it_is_ended_at_any_moment_of_its_start_leaves_nothing_behind(
    tmp_path: Path, corpora: Path, number: signal.Signals
) -> None:
    family: list[psutil.Process] = []
    for delay in DELAYS:
        folder = tmp_path / f"{delay:.2f}"
        folder.mkdir()
        process = start(folder, corpora)
        try:
            wait_for_line(process, "^corpus ")
            time.sleep(delay)
            family += descendants(process.pid)
            process.send_signal(number)
            assert process.wait(120) == (-signal.SIGKILL if number is signal.SIGKILL else 130)
            eventually("everything gone", partial(nothing_of, folder), seconds=60)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
    eventually("control groups gone", lambda: not control_groups(family), seconds=60)


def test_guard_when_a_process_was_never_registered_kills_it_by_its_mark(tmp_path: Path) -> None:
    work_dir = tmp_path / "harness-work"
    (work_dir / "pids").mkdir(parents=True)
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    unregistered = subprocess.Popen(
        ["sleep", "60"], env={**os.environ, guard.MARK: str(work_dir)}, start_new_session=True
    )
    try:
        watcher = start_guard(work_dir)
        assert watcher.stdin is not None
        watcher.stdin.close()
        assert unregistered.wait(30) == -signal.SIGKILL
        assert watcher.wait(30) == 0
        assert other.poll() is None
        assert not work_dir.exists()
    finally:
        for process in (other, unregistered):
            process.kill()
            process.wait()


def test_engine_when_its_data_services_die_ends_with_an_error_and_exit_code_5(tmp_path: Path, corpora: Path) -> None:
    process = start(tmp_path, corpora)
    assert process.stdout is not None
    wait_for_rows(tmp_path / "runs", "insert")
    (server,) = [p for p in descendants(process.pid) if "harness.engines.embedded.server" in p.cmdline()]
    server.kill()
    rest = process.stdout.read()
    assert process.wait(60) == 5
    assert "data-services process ended with signal SIGKILL" in rest
