"""What a result was measured on: machine, versions, code."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from harness.git import run_git
from harness.results import Fingerprint

_GIT_SECONDS = 10.0
_PACKAGES = (
    "ministack",
    "awslambdaric",
    "aws-lambda-powertools",
    "boto3",
    "orjson",
    "uvicorn",
    "uvloop",
    "aiohttp",
)


def fingerprint() -> Fingerprint:
    """Return CPU, memory, system, versions and the code's commit."""
    sha, dirty = _commit()
    return Fingerprint(
        cpu=cpu_model(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages={name: _version(name) for name in _PACKAGES},
        git_sha=sha,
        git_dirty=dirty,
    )


def cpu_model() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _commit() -> tuple[str, bool | None]:
    """Return the code's commit and whether files of it were changed; "" and None where it is no checkout."""
    here = Path(__file__).parent
    try:
        # Installed below somebody else's repository, this is not that repository's code.
        _git(here, "ls-files", "--error-unmatch", Path(__file__).name)
        sha = _git(here, "rev-parse", "HEAD")
        dirty = bool(_git(here, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return "", None
    return sha, dirty


def _git(folder: Path, *arguments: str) -> str:
    done = run_git(folder, *arguments, timeout=_GIT_SECONDS)
    done.check_returncode()
    return done.stdout.decode("utf-8", "replace").strip()
