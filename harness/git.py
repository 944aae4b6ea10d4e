"""git, asked about a repository: answers that depend on the repository and not on the user's settings."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from harness.host_environment import NO_HOME, chosen

TIMEOUT_SECONDS = 60.0

WORK_TREE_SETTINGS = ("safe.directory", "core.excludesFile", "core.autocrlf", "core.eol")
"""The user's settings that say what a work tree is: whose it may be, which files are none of it, and with which line
ends it was checked out. Without them a clean work tree would look changed, or be refused."""

_USER = ("PATH", "HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")

_ALWAYS = (
    # Programs and rules of the user's own, which the repository does not ask for.
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", f"core.attributesFile={os.devnull}"),
    *("-c", "color.ui=false"),
)


def run_git(folder: Path, *arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run git in `folder` and return how it ended, its output as bytes.

    Variables such as GIT_DIR are not heeded, nor is the user's configuration beyond WORK_TREE_SETTINGS; the
    repository's own is. Raises FileNotFoundError without git, subprocess.TimeoutExpired after `timeout` seconds
    (default: TIMEOUT_SECONDS).
    """
    timeout = TIMEOUT_SECONDS if timeout is None else timeout
    with tempfile.TemporaryDirectory(prefix="harness-git-") as scratch:
        settings = Path(scratch) / "config"
        environment = {
            **chosen(os.environ, ("PATH", "TMPDIR")),
            # Where the user's own list of ignored files lies by default.
            **chosen(os.environ, ("HOME", "XDG_CONFIG_HOME")),
            "LC_ALL": "C",
            "GIT_CONFIG_GLOBAL": str(settings),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
        }
        _copy_settings(settings, timeout)
        return _run(["git", "-C", str(folder), *_ALWAYS, *arguments], environment, timeout)


def _copy_settings(target: Path, timeout: float) -> None:
    """Write the user's WORK_TREE_SETTINGS to `target`; none where their files cannot be read."""
    target.touch()
    user = chosen(os.environ, _USER)
    own = {**chosen(os.environ, ("PATH",)), "HOME": NO_HOME, "GIT_CONFIG_NOSYSTEM": "1"}
    pattern = "^(" + "|".join(name.lower().replace(".", r"\.") for name in WORK_TREE_SETTINGS) + ")$"
    # From the root folder: a repository that the user stands in is not part of the user's settings.
    found = _run(["git", "-C", "/", "config", "--null", "--get-regexp", pattern], user, timeout)
    for entry in found.stdout.decode("utf-8", "surrogateescape").split("\0"):
        name, separator, value = entry.partition("\n")
        if separator:
            _run(["git", "-C", "/", "config", "--file", str(target), "--add", name, value], own, timeout)


def _run(command: list[str], environment: dict[str, str], timeout: float) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=timeout
    )
