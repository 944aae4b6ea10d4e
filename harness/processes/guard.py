"""The guard: cleans up after a harness that was killed, SIGKILL included.

`python -I -S guard.py WORK_DIR` holds the reading end of a pipe as standard input. While the harness lives, the
pipe stays open; when it ends, for whatever reason, the guard kills every process group registered in
`WORK_DIR/pids/` and every process that carries WORK_DIR as its mark, removes the control groups of the killed and
those listed in `WORK_DIR/control_groups`, and then WORK_DIR itself. After an orderly stop it finds nothing left to do.
Uses the standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

MARK = "HARNESS_WORK_DIR"
"""Environment variable of the engine's processes. It tells them from others even when the harness was ended between
starting one and registering it."""


def wait_for_end(stream: int) -> None:
    """Return when the other end of the pipe is closed."""
    while os.read(stream, 4096):
        pass


def registered(work_dir: Path) -> list[int]:
    """Return the process groups that were alive last."""
    pids = work_dir / "pids"
    return [int(p.name) for p in pids.iterdir() if p.name.isdigit()] if pids.is_dir() else []


def marked(work_dir: Path) -> list[int]:
    """Return the process groups of all processes that carry `work_dir` as their mark; none where there is no /proc."""
    mark = f"{MARK}={work_dir}".encode()
    groups = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone, or another user's
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                groups.append(os.getpgid(int(entry.name)))
    return groups


def kill_group(group: int) -> bool:
    """Send SIGKILL to a process group; False when it is gone."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def control_groups(work_dir: Path, killed: set[int]) -> set[Path]:
    """Return the listed control groups, and those of killed Lambda services that had not listed theirs yet."""
    listing = work_dir / "control_groups"
    found = {Path(line) for line in listing.read_text().splitlines()} if listing.exists() else set()
    for group in killed:
        found |= set(Path("/sys/fs/cgroup").glob(f"**/harness-{group}"))
    return found


def remove_control_groups(groups: set[Path]) -> None:
    """Kill what is left in control groups and remove them."""
    for parent in groups:
        for _ in range(100):
            if not parent.is_dir():
                break
            children = [p for p in parent.iterdir() if p.is_dir()]
            for group in [*children, parent]:
                with contextlib.suppress(OSError):
                    for pid in (group / "cgroup.procs").read_text().split():
                        os.kill(int(pid), signal.SIGKILL)
                with contextlib.suppress(OSError):
                    group.rmdir()
            time.sleep(0.02)


def keep_logs(work_dir: Path, kept: Path) -> None:
    """Copy the engine's logs to where they outlive it. What cannot be written is given up: nobody is left to tell."""
    with contextlib.suppress(OSError):
        kept.mkdir(parents=True, exist_ok=True)
        for log in work_dir.glob("*.log"):
            shutil.copy(log, kept / log.name)


def main() -> None:
    """Wait for the harness to end, then leave nothing behind."""
    work_dir = Path(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wait_for_end(0)
    killed: set[int] = set()
    for _ in range(100):
        # An environment that was being started when the harness died registers late.
        now = {group for group in {*registered(work_dir), *marked(work_dir)} if kill_group(group)}
        if not now:
            break
        killed |= now
        time.sleep(0.02)
    remove_control_groups(control_groups(work_dir, killed))
    if len(sys.argv) > 2:
        keep_logs(work_dir, Path(sys.argv[2]))
    shutil.rmtree(work_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
