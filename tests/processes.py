"""What tests that start processes of their own share."""

from __future__ import annotations

import re
import signal
import subprocess

import psutil


def heed_interrupts() -> None:
    """For `preexec_fn`: a shell that runs the tests in the background ignores Ctrl-C, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def wait_for_line(process: subprocess.Popen[str], pattern: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if re.search(pattern, line):
            return
    raise AssertionError(f"{pattern!r} was never printed")
