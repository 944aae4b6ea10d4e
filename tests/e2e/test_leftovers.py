"""Whenever the harness ends, it leaves no process, port, control group or temporary folder behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.contract.support import eventually


def heed_interrupts() -> None:
    # A shell that runs the tests in the background ignores Ctrl-C, and what it starts inherits that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(tmp_path: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "harness", "run", "--rows", "30000", "--out", str(tmp_path / "runs")]
    return subprocess.Popen(
        [*command, "--no-ceiling"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509  no threads here
    )


def descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def wait_for_line(process: subprocess.Popen[str], pattern: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if re.search(pattern, line):
            return
    raise AssertionError(f"{pattern!r} was never printed")


def control_groups() -> set[str]:
    return {str(p) for p in Path("/sys/fs/cgroup").glob("**/harness-*") if p.is_dir()}


@pytest.mark.parametrize(
    "moment", [r"^corpus ", r"^deployed ", r"insert [1-9]"], ids=["starting", "deployed", "running"]
)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_harness_when_it_is_ended_leaves_nothing_behind(tmp_path: Path, moment: str, number: signal.Signals) -> None:
    groups = control_groups()
    process = start(tmp_path)
    try:
        wait_for_line(process, moment)
        time.sleep(0.3)
        family = descendants(process.pid)
        process.send_signal(number)
        code = process.wait(120)
        assert code == (-signal.SIGKILL if number is signal.SIGKILL else 130)

        def gone() -> bool:
            alive = [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
            return not alive and not list((tmp_path / "tmp").glob("harness-*"))

        eventually("processes and folders gone", gone, seconds=20)
        eventually("control groups gone", lambda: control_groups() <= groups, seconds=10)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_engine_when_its_data_services_die_ends_with_an_error_and_exit_code_5(tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    wait_for_line(process, r"insert [1-9]")
    (server,) = [p for p in descendants(process.pid) if "harness.engines.embedded.server" in p.cmdline()]
    server.kill()
    rest = process.stdout.read()
    assert process.wait(60) == 5
    assert "data-services process ended with signal SIGKILL" in rest
