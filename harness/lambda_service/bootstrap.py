"""First code in an execution environment's process: take on the limits, then become AWS's runtime client.

Runs under `python -P -s -S` with an environment made for it, so neither the host's variables nor its site-packages are
visible; the only import paths are the interpreter's standard library, the function's package, PYTHONPATH as the
template sets it and the runtime's own packages. Uses the standard library alone and must stay importable without the
project.

Argument: one JSON object, see `harness.lambda_service.environment`.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 0x1000, 0x4000, 0x40000
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
PARENT_VARIABLE = "HARNESS_PARENT"
"""Environment variable with the process id of whoever starts a process of the engine. Asking the kernel instead would
come too late: a parent that died while its child was starting is no longer the parent."""


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; Linux only.

    Exits at once where `parent` (its process id) is gone already, because the signal would never come.
    """
    if sys.platform != "linux":
        return
    _libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def parent_from_environment() -> int:
    """Return the process id of whoever started this process: PARENT_VARIABLE, or else the present parent."""
    return int(os.environ.get(PARENT_VARIABLE) or os.getppid())


def hide_shared_memory() -> None:
    """Mount an empty read-only file system over /dev/shm, in a mount namespace of this process's own.

    As on Lambda, POSIX semaphores and shared memory then fail with OSError. Raises OSError where the kernel
    refuses; needs root, or unprivileged user namespaces.
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNS if uid == 0 else CLONE_NEWNS | CLONE_NEWUSER
    _check(_libc().unshare(flags), "unshare")
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _check(_libc().mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount --make-rprivate /")
    _check(
        _libc().mount(b"tmpfs", b"/dev/shm", b"tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, b"size=4k"),
        "mount over /dev/shm",
    )


def name_user(passwd: str) -> None:
    """Put the file `passwd` in the place of /etc/passwd, in the mount namespace that `hide_shared_memory` made.

    The home folder of the user is then not that of whoever runs the harness, and HOME is unset, as on Lambda. Raises
    OSError where the kernel refuses.
    """
    _check(_libc().mount(passwd.encode(), b"/etc/passwd", None, MS_BIND, None), "mount over /etc/passwd")


def _user_is_named(passwd: str) -> bool:
    try:
        name_user(passwd)
    except OSError:
        return False  # HOME does instead
    return True


def apply_limits(options: dict[str, Any]) -> None:
    """Join the control groups and set the resource limits named in `options`; raises OSError."""
    for procs in options["cgroup_procs"]:
        Path(procs).write_text("0")
    for name, value in options["rlimits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if options["hide_shm"]:
        hide_shared_memory()
    if not options["hide_shm"] or not options["passwd"] or not _user_is_named(options["passwd"]):
        os.environ["HOME"] = options["home"]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def main() -> None:
    """Take on the limits, set the import path, and hand over to awslambdaric's loop."""
    options = json.loads(sys.argv[1])
    die_with_parent(options["parent"])
    apply_limits(options)
    # The folder of this script is not part of the function's world.
    outside = (str(Path(__file__).resolve().parent), options["runtime_dir"])
    others = [p for p in sys.path if p and p not in outside]
    sys.path[:] = [options["code_dir"], *others, options["runtime_dir"]]
    handler = options["handler"]
    sys.argv = ["bootstrap", handler]
    from awslambdaric.__main__ import main as run_runtime

    run_runtime(["bootstrap", handler])


if __name__ == "__main__":
    main()
