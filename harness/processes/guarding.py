"""Starts the guard, which kills what a process left behind and removes its folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness.host_environment import child_environment
from harness.processes import guard


def start_guard(work_dir: Path, logs: Path | None = None) -> subprocess.Popen[bytes]:
    """Start the guard; it acts when this process ends or closes the returned process's standard input.

    Before it removes `work_dir` it copies the logs in it to `logs`, if given: also those of a harness that was killed.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__, str(work_dir), *([str(logs.resolve())] if logs else [])],
        # The mark of whoever started this process: its guard must find this one too.
        env=child_environment(os.environ, (guard.MARK,)),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
