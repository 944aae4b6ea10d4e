"""Lambda's limits, as far as this operating system can enforce them, and the word on which are in force.

`probe` tries each mechanism for real in a child process and says what it found; nothing is assumed from the
kernel's version. `harness doctor` and every result show its answer.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import EngineError

MAX_DESCRIPTORS = 1024
"""File descriptors of one execution environment (AWS Lambda quotas)."""

MAX_PROCESSES = 1024
"""Processes and threads of one execution environment (AWS Lambda quotas)."""

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")


@dataclass(frozen=True)
class Limits:
    """How each limit is enforced here; an empty string means that it is not.

    Values are for people, such as "cgroup v1" or "rlimit"; the reason for a missing one stands in `missing`.
    """

    descriptors: str
    processes: str
    memory: str
    shared_memory: str
    missing: Mapping[str, str]

    def describe(self) -> dict[str, str]:
        """Return limit name to status, for doctor and results."""
        named = {
            f"{MAX_DESCRIPTORS} file descriptors": ("descriptors", self.descriptors),
            f"{MAX_PROCESSES} processes": ("processes", self.processes),
            "function memory": ("memory", self.memory),
            "no /dev/shm": ("shared_memory", self.shared_memory),
        }
        status = {
            label: how or f"not enforced: {self.missing.get(key, 'unsupported here')}"
            for label, (key, how) in named.items()
        }
        status["timeout"] = "kills the process group" + (
            " and its control group" if self.memory.startswith("cgroup") else ""
        )
        return status


@dataclass(frozen=True)
class _Hierarchy:
    """A control group folder below which we may make groups; `controller` is memory, pids, or unified (v2)."""

    controller: str
    folder: Path


def probe() -> dict[str, str]:
    """Return limit name to how it is enforced on this machine, or "not enforced: reason"."""
    controls = ControlGroups.open(f"harness-probe-{os.getpid()}")
    try:
        return detect(controls).describe()
    finally:
        controls.close()


def detect(controls: ControlGroups) -> Limits:
    """Find out which limits can be enforced, given the control groups that could be opened."""
    missing: dict[str, str] = {}
    memory = controls.version if controls.has("memory") else ""
    if not memory:
        missing["memory"] = controls.reason or "no writable memory control group"
        if sys.platform == "linux":
            memory = "rlimit (private memory of each process)"
    processes = controls.version if controls.has("pids") else ""
    if not processes:
        # RLIMIT_NPROC counts every process of the user, so on a desktop it would strike the wrong ones.
        missing["processes"] = controls.reason or "no writable pids control group"
    shared_memory = ""
    reason = _try_hiding_shared_memory()
    if reason:
        missing["shared_memory"] = reason
    else:
        shared_memory = "mount namespace"
    return Limits("rlimit", processes, memory, shared_memory, missing)


def _try_hiding_shared_memory() -> str:
    if sys.platform != "linux":
        return f"{sys.platform} has no mount namespaces"
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import bootstrap; bootstrap.hide_shared_memory()\n"
        "import _multiprocessing\n"
        "try:\n  _multiprocessing.SemLock(1, 1, 1, '/harness-probe', True)\n"
        "except OSError: sys.exit(0)\n"
        "sys.exit('semaphores still work')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(_BOOTSTRAP.parent)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or ["the kernel refused"])[-1]


def read_small_file(path: str) -> bytes:
    """Return the first 8 KiB of a file of the kernel's; raises OSError. It is done after every invocation, and costs a
    third of pathlib's reading."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 8192)
    finally:
        os.close(descriptor)


class ControlGroups:
    """One parent control group per service and one child per execution environment; v1 or v2.

    Open it with `ControlGroups.open`; where nothing is writable it has no controllers and every method is a
    no-op that returns nothing, so that callers need not ask twice.
    """

    def __init__(self, name: str, hierarchies: tuple[_Hierarchy, ...], version: str, reason: str) -> None:
        self.name = name
        self.version = version
        self.reason = reason
        self._hierarchies = hierarchies

    @classmethod
    def open(cls, name: str) -> ControlGroups:
        """Make the parent group called `name` wherever this process may; never raises for a refusal."""
        if sys.platform != "linux":
            return cls(name, (), "", f"{sys.platform} has no control groups")
        found, reasons = [], []
        for controller in ("memory", "pids"):
            folder, reason = _make_v1(controller, name)
            if folder is not None:
                found.append(_Hierarchy(controller, folder))
            else:
                reasons.append(reason)
        if found:
            return cls(name, tuple(found), "cgroup v1", "")
        folder, reason = _make_v2(name)
        if folder is not None:
            return cls(name, (_Hierarchy("unified", folder),), "cgroup v2", "")
        return cls(name, (), "", reason or "; ".join(reasons))

    def has(self, controller: str) -> bool:
        """Return whether groups can limit `memory` or `pids`."""
        return any(h.controller in (controller, "unified") for h in self._hierarchies)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The parent groups' folders, for whoever cleans up after a crash."""
        return tuple(h.folder for h in self._hierarchies)

    def create(self, child: str, memory_bytes: int, processes: int) -> list[str]:
        """Make a child group with limits; returns the `cgroup.procs` files its first process must join.

        Raises EngineError where a group that could be probed cannot be made.
        """
        procs = []
        try:
            for h in self._hierarchies:
                folder = h.folder / child
                folder.mkdir()
                unified = h.controller == "unified"
                if unified or h.controller == "memory":
                    (folder / ("memory.max" if unified else "memory.limit_in_bytes")).write_text(str(memory_bytes))
                if unified or h.controller == "pids":
                    (folder / "pids.max").write_text(str(processes))
                procs.append(str(folder / "cgroup.procs"))
        except OSError as error:
            raise EngineError(f"control group {child}: {error}") from error
        return procs

    def peak_memory(self, child: str) -> int | None:
        """Return the most bytes a child group has used, or None where the kernel does not say."""
        for h in self._hierarchies:
            name = {"memory": "memory.max_usage_in_bytes", "unified": "memory.peak"}.get(h.controller)
            if name:
                with contextlib.suppress(OSError, ValueError):  # kernels before 5.19 have no memory.peak
                    return int(read_small_file(f"{h.folder}/{child}/{name}"))
        return None

    def members(self, child: str) -> set[int]:
        """Return the process ids in a child group, those that left the process group included."""
        pids: set[int] = set()
        for h in self._hierarchies:
            with contextlib.suppress(FileNotFoundError):
                pids.update(int(p) for p in (h.folder / child / "cgroup.procs").read_text().split())
        return pids

    def remove(self, child: str) -> None:
        """Remove an empty child group; a group that is still busy is left for `close`."""
        for h in self._hierarchies:
            with contextlib.suppress(OSError):
                (h.folder / child).rmdir()

    def close(self) -> None:
        """Remove the parent groups and whatever empty children are left."""
        for h in self._hierarchies:
            remove_group_tree(h.folder)


def remove_group_tree(folder: Path, patience: float = 2.0) -> None:
    """Remove a control group and its children, waiting `patience` seconds for killed members to be reaped."""
    deadline = time.monotonic() + patience
    while folder.exists():
        try:
            for child in [p for p in folder.iterdir() if p.is_dir()]:
                child.rmdir()
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)


def _own_group(prefix: str) -> str | None:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if prefix in controllers.split(","):
            return path
    return None


def _make_v1(controller: str, name: str) -> tuple[Path | None, str]:
    root = Path("/sys/fs/cgroup") / controller
    if not (root / "cgroup.procs").exists():
        return None, f"no cgroup v1 {controller} hierarchy"
    own = root / (_own_group(controller) or "/").lstrip("/")
    folder = (own if own.is_dir() else root) / name
    try:
        folder.mkdir(exist_ok=True)
        _try_joining(folder)
    except (OSError, subprocess.SubprocessError) as error:
        remove_group_tree(folder)
        return None, f"cgroup v1 {controller}: {error}"
    return folder, ""


def _make_v2(name: str) -> tuple[Path | None, str]:
    root = Path("/sys/fs/cgroup")
    if not (root / "cgroup.controllers").exists():
        return None, "no cgroup v2 hierarchy"
    own = root / (_own_group("") or "/").lstrip("/")
    reason = "no cgroup that this user may divide"
    # The own group cannot be divided while processes are in it (the "no internal processes" rule), its parent
    # often can where it was delegated, as systemd does for user sessions.
    for parent in (own, own.parent):
        folder = parent / name
        try:
            wanted = {"memory", "pids"}
            enabled = set((parent / "cgroup.subtree_control").read_text().split())
            if not wanted <= enabled:
                (parent / "cgroup.subtree_control").write_text("+memory +pids")
            folder.mkdir(exist_ok=True)
            (folder / "cgroup.subtree_control").write_text("+memory +pids")
            probe_child = folder / "probe"
            probe_child.mkdir(exist_ok=True)
            _try_joining(probe_child)
            probe_child.rmdir()
        except (OSError, subprocess.SubprocessError) as error:
            reason = f"cgroup v2 {parent}: {error}"
            remove_group_tree(folder)
            continue
        return folder, ""
    return None, reason


def _try_joining(folder: Path) -> None:
    code = "import sys; open(sys.argv[1], 'w').write('0')"
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(folder / "cgroup.procs")],
        check=True,
        capture_output=True,
        timeout=20,
    )
