"""Deployment packages of the service: uploaded as zip files, unpacked once, named by their content."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from harness.errors import TemplateError

UPLOAD_LIMIT = 50 * 1024 * 1024
"""Bytes of a zip file uploaded directly (AWS Lambda quotas)."""

UNZIPPED_LIMIT = 250 * 1024 * 1024
"""Bytes of an unpacked deployment package, layers included (AWS Lambda quotas)."""


_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNIX = 3
"""The system of an entry whose external attributes hold a Unix mode (PKWARE's appnote, 4.4.2)."""

_ENCRYPTED = 0x1


def store(root: Path, package: bytes) -> Path:
    """Unpack a zip file below `root` and return its folder; the same bytes give the same folder, made once.

    Files keep their Unix permissions, symbolic links stay links. Raises TemplateError for what AWS would refuse, and
    for paths and links that lead out of the folder.
    """
    folder = root / hashlib.sha256(package).hexdigest()[:32]
    if folder.exists():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    # Unpacked aside and renamed, so that a folder of that name is always whole.
    aside = Path(tempfile.mkdtemp(dir=root))
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            _unpack(archive, aside)
        aside.chmod(0o755)
        aside.replace(folder)
    except zipfile.BadZipFile as error:
        raise TemplateError(f"the deployment package is not a zip file: {error}") from error
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise TemplateError(f"the deployment package cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    entries = archive.infolist()
    unzipped = sum(info.file_size for info in entries)
    if unzipped > UNZIPPED_LIMIT:
        raise TemplateError(f"the deployment package unpacks to {unzipped} bytes, allowed are {UNZIPPED_LIMIT}")
    links: dict[PurePosixPath, str] = {}
    for info in entries:
        path = _checked(info)
        if stat.S_ISLNK(_mode(info)):
            links[path] = archive.read(info).decode("utf-8", "surrogateescape")
    for info in entries:
        path = PurePosixPath(info.filename)
        if path in links:
            continue
        through = [parent for parent in path.parents if parent in links]
        if through:
            raise _refused(info, f"goes through the link {through[0]}")
        _write(archive, info, folder / path)
    # Links come last, so that nothing is ever written through one, and are judged when all are there, because each
    # may lead through others.
    for path, target in links.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(target)
    inside = os.path.realpath(folder)
    for path, target in links.items():
        if os.path.commonpath([inside, os.path.realpath(folder / path)]) != inside or target.startswith("/"):
            raise TemplateError(f"the deployment package holds the link {str(path)!r} to {target!r}, outside of it")


def _checked(info: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(info.filename)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise _refused(info, "leads out of it")
    if info.flag_bits & _ENCRYPTED:
        raise _refused(info, "is encrypted")
    if info.compress_type not in _COMPRESSIONS:
        raise _refused(info, f"is compressed by method {info.compress_type}, neither stored nor deflated")
    kind = stat.S_IFMT(_mode(info))
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        raise _refused(info, "is neither a file, a folder nor a link")
    return path


def _refused(info: zipfile.ZipInfo, why: str) -> TemplateError:
    return TemplateError(f"the deployment package holds the path {info.filename!r}, which {why}")


def _write(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    permissions = _mode(info) & 0o777
    if info.is_dir() or stat.S_ISDIR(_mode(info)):
        target.mkdir(parents=True, exist_ok=True)
        target.chmod((permissions or 0o755) | 0o700)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    # An entry without a mode was made by a tool that knows none.
    target.chmod(permissions if _mode(info) else 0o644)


def _mode(info: zipfile.ZipInfo) -> int:
    return info.external_attr >> 16 if info.create_system == _UNIX else 0
