"""The guard: cleans up after a harness that was killed, SIGKILL included.

`python -I -S guard.py WORK_DIR` holds the reading end of a pipe as standard input. While the harness lives, the
pipe stays open; when it ends, for whatever reason, the guard kills every process group registered in
`WORK_DIR/pids/`, removes the control groups listed in `WORK_DIR/control_groups` and then WORK_DIR itself. After
an orderly stop it finds nothing left to do. Uses the standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path


def wait_for_end(stream: int) -> None:
    """Return when the other end of the pipe is closed."""
    while os.read(stream, 4096):
        pass


def registered(work_dir: Path) -> list[int]:
    """Return the process groups that were alive last."""
    pids = work_dir / "pids"
    return [int(p.name) for p in pids.iterdir() if p.name.isdigit()] if pids.is_dir() else []


def kill_group(group: int) -> bool:
    """Send SIGKILL to a process group; False when it is gone."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def remove_control_groups(work_dir: Path) -> None:
    """Kill what is left in the listed control groups and remove them."""
    listing = work_dir / "control_groups"
    if not listing.exists():
        return
    for line in listing.read_text().splitlines():
        parent = Path(line)
        for _ in range(100):
            if not parent.is_dir():
                break
            groups = [p for p in parent.iterdir() if p.is_dir()]
            for group in [*groups, parent]:
                with contextlib.suppress(OSError):
                    for pid in (group / "cgroup.procs").read_text().split():
                        os.kill(int(pid), signal.SIGKILL)
                with contextlib.suppress(OSError):
                    group.rmdir()
            time.sleep(0.02)


def main() -> None:
    """Wait for the harness to end, then leave nothing behind."""
    work_dir = Path(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wait_for_end(0)
    for _ in range(100):
        # An environment that was being started when the harness died registers late.
        if not [group for group in registered(work_dir) if kill_group(group)]:
            break
        time.sleep(0.02)
    remove_control_groups(work_dir)
    shutil.rmtree(work_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
