"""The two versions of a gate as source trees: from a git ref, a folder or a wheel, copied into a temporary folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import git
from harness.engines.packaging import unpack
from harness.errors import EnvironmentProblem, UsageError

PACKAGES = ("harness", "handlers")
LOCK = "requirements.lock"


@dataclass(frozen=True)
class Tree:
    """One version, ready to run. `commit` is empty where it is not known; `dirty` says that a folder's tracked files
    differ from that commit. `lock` has the versions of `requirements.lock`, empty without one."""

    label: str
    path: Path
    commit: str = ""
    dirty: bool = False
    lock: Mapping[str, str] | None = None


def default_base(head: str, repository: Path) -> str:
    """Return what the version `head` names is compared with.

    For a folder that is its commit where tracked files were changed, otherwise the parent; for a git ref of
    `repository` the parent. Raises UsageError where there is none, as for a wheel.
    """
    folder = Path(head).is_dir()
    if not folder and head.endswith(".whl"):
        raise UsageError(f"{head} knows no parent to compare with", hint="--base names a folder, a wheel or a git ref")
    ref = "HEAD" if folder else head
    commit = resolve(repository, ref)
    if commit is None and folder:
        raise UsageError(
            f"{repository} is no git repository with a commit", hint="--base names a folder, a wheel or a git ref"
        )
    if commit is None:
        raise _unknown(head, repository)
    if folder and is_dirty(repository):
        return ref
    if resolve(repository, f"{ref}~1") is None:
        raise UsageError(
            f"commit {commit[:12]} has no parent to compare with",
            hint="--base names another version; a shallow clone lacks the parent: git fetch --deepen 1",
        )
    return f"{ref}~1"


def materialise(spec: str, target: Path, repository: Path) -> Tree:
    """Copy the version `spec` names (a folder, a wheel, or a git ref of `repository`) to `target`.

    Copies, so that neither side changes while trials run. Raises UsageError where it names nothing that can be run.
    """
    path = Path(spec)
    if path.is_dir():
        tree = _from_folder(path, target)
    elif spec.endswith(".whl"):
        tree = _from_wheel(path, target)
    else:
        tree = _from_git(spec, target, repository)
    missing = [name for name in PACKAGES if not (target / name / "__init__.py").is_file()]
    if missing:
        raise UsageError(f"{spec} has no package {' and no package '.join(missing)}", hint="is it a version of this?")
    return tree


def changed_locks(base: Tree, head: Tree) -> list[str]:
    """Return a line for every package whose pinned version differs; empty where either has no lock."""
    if base.lock is None or head.lock is None:
        return []
    names = sorted(base.lock.keys() | head.lock.keys())
    return [
        f"{name} {base.lock.get(name, 'absent')} -> {head.lock.get(name, 'absent')}"
        for name in names
        if base.lock.get(name) != head.lock.get(name)
    ]


def resolve(repository: Path, ref: str) -> str | None:
    """Return the commit that a ref names, None where it names none."""
    done = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    return done.stdout.decode().strip() if done.returncode == 0 else None


def is_dirty(repository: Path) -> bool:
    """Return whether files of the packages or the lock differ from the commit; new ones count."""
    done = _git(repository, "status", "--porcelain", "--untracked-files=normal", "--", *PACKAGES, LOCK)
    return done.returncode == 0 and bool(done.stdout.strip())


def _unknown(ref: str, repository: Path) -> UsageError:
    return UsageError(
        f"{ref!r} is no folder, wheel or git ref of {repository.resolve()}",
        hint="a shallow clone has few refs: git fetch --unshallow, or fetch-depth: 0 in actions/checkout",
    )


def _from_git(ref: str, target: Path, repository: Path) -> Tree:
    commit = resolve(repository, ref)
    if commit is None:
        raise _unknown(ref, repository)
    package = target.with_suffix(".zip")
    # A work tree may have been checked out with other line ends than its commits have.
    unconverted = ("-c", "core.autocrlf=false")
    done = _git(repository, *unconverted, "archive", "--format=zip", f"--output={package.resolve()}", commit)
    if done.returncode != 0:
        raise EnvironmentProblem(f"git archive {ref}: {done.stderr.decode(errors='replace').strip()}")
    unpack(package, target)
    package.unlink()
    return Tree(ref, target, commit, False, _lock(target))


def _from_folder(folder: Path, target: Path) -> Tree:
    target.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__")
    for name in PACKAGES:
        if (folder / name).is_dir():
            shutil.copytree(folder / name, target / name, ignore=ignored)
    for name in (LOCK, "pyproject.toml"):
        if (folder / name).is_file():
            shutil.copy(folder / name, target / name)
    commit = resolve(folder, "HEAD") or ""
    return Tree(str(folder), target, commit, bool(commit) and is_dirty(folder), _lock(target))


def _from_wheel(wheel: Path, target: Path) -> Tree:
    try:
        unpack(wheel, target)
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{wheel} cannot be read as a wheel: {error}") from error
    return Tree(wheel.name, target)


def _lock(tree: Path) -> dict[str, str] | None:
    path = tree / LOCK
    if not path.is_file():
        return None
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", path.read_text(), re.MULTILINE))


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return git.run_git(folder, *arguments)
    except FileNotFoundError as error:
        raise EnvironmentProblem("git is not installed", hint="--base and --head also take folders") from error
    except subprocess.TimeoutExpired as error:
        raise EnvironmentProblem(f"git took longer than {git.TIMEOUT_SECONDS:g} s: {' '.join(arguments)}") from error
