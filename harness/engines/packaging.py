"""Deployment packages and the runtime's own packages, built from what is installed here.

AWS gives Python functions awslambdaric and boto3; everything else must be in the package. Both are found through
the installed distributions' own file lists, so that nothing else of site-packages gets in.
"""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from harness.errors import REINSTALL, EngineError

RUNTIME_PACKAGES = ("awslambdaric", "boto3")
"""What Lambda's Python runtimes bring along (AWS Lambda developer guide, "Python runtimes")."""

FUNCTION_PACKAGES = ("aws-lambda-powertools",)
"""What the pipeline's handlers need on top of the runtime."""

_ZIP_TIME = (2020, 1, 1, 0, 0, 0)
_SKIPPED_SUFFIXES = (".pyc", ".pyi")


def requirements_closure(names: Iterable[str]) -> dict[str, Distribution]:
    """Return the installed distributions needed by `names`, by normalised name, extras left out.

    Raises EngineError where one is missing.
    """
    found: dict[str, Distribution] = {}
    pending = list(names)
    while pending:
        name = _normalise(pending.pop())
        if name in found:
            continue
        try:
            dist = distribution(name)
        except PackageNotFoundError:
            raise EngineError(f"package {name} is not installed", hint=REINSTALL) from None
        found[name] = dist
        for requirement in dist.requires or []:
            needed, _, marker = requirement.partition(";")
            if "extra ==" in marker:
                continue
            match = re.match(r"[A-Za-z0-9._-]+", needed)
            if match:
                pending.append(match.group())
    return found


def build_code_zip(source: Path, target: Path, *, packages: Iterable[str] = ()) -> Path:
    """Write a deployment package of folder `source` and the given distributions; returns `target`.

    A folder that is a Python package keeps its name in the zip, other folders are its root. The same input
    gives the same bytes.
    """
    members: dict[str, Path] = {}
    root = source.parent if (source / "__init__.py").exists() else source
    for path in source.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            members[path.relative_to(root).as_posix()] = path
    runtime = set(requirements_closure(RUNTIME_PACKAGES))
    for name, dist in requirements_closure(packages).items():
        if name not in runtime:
            members.update(_files(dist))
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _ZIP_TIME)
            # Programs stay programs; other permissions are this machine's affair.
            program = members[name].stat().st_mode & stat.S_IXUSR
            info.external_attr = (stat.S_IFREG | (0o755 if program else 0o644)) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, members[name].read_bytes())
    return target


def unpack(package: Path, folder: Path) -> Path:
    """Unpack a deployment package into `folder`; raises EngineError for paths that lead out of it."""
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise EngineError(f"deployment package holds the path {name!r}, which leads out of it")
        archive.extractall(folder)
    return folder


def link_runtime(folder: Path) -> Path:
    """Fill `folder` with links to the runtime's packages and to nothing else; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for dist in requirements_closure(RUNTIME_PACKAGES).values():
        for name, path in _top_level(dist):
            link = folder / name
            if not link.exists():
                link.symlink_to(path)
    return folder


def _files(dist: Distribution) -> Iterator[tuple[str, Path]]:
    for file in dist.files or []:
        if file.parts[0] == ".." or "__pycache__" in file.parts or file.suffix in _SKIPPED_SUFFIXES:
            continue
        path = Path(str(dist.locate_file(file)))
        if path.is_file():
            yield file.as_posix(), path


def _top_level(dist: Distribution) -> Iterator[tuple[str, Path]]:
    names = {file.parts[0] for file in dist.files or [] if file.parts[0] != ".."}
    for name in sorted(names - {"__pycache__"}):
        path = Path(str(dist.locate_file(name)))
        if path.exists():
            yield name, path


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
