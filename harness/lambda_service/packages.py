"""Deployment packages of the service: uploaded as zip files, unpacked once, named by their content."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from harness.errors import TemplateError

UPLOAD_LIMIT = 50 * 1024 * 1024
"""Bytes of a zip file uploaded directly (AWS Lambda quotas)."""

UNZIPPED_LIMIT = 250 * 1024 * 1024
"""Bytes of an unpacked deployment package, layers included (AWS Lambda quotas)."""


def store(root: Path, package: bytes) -> Path:
    """Unpack a zip file below `root` and return its folder; the same bytes give the same folder, made once.

    Raises TemplateError for what AWS would refuse, and for paths that lead out of the folder.
    """
    folder = root / hashlib.sha256(package).hexdigest()[:32]
    if folder.exists():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    # Unpacked aside and renamed, so that a folder of that name is always whole.
    aside = Path(tempfile.mkdtemp(dir=root))
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            _check(archive)
            archive.extractall(aside)
        aside.chmod(0o755)
        aside.replace(folder)
    except zipfile.BadZipFile as error:
        raise TemplateError(f"the deployment package is not a zip file: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _check(archive: zipfile.ZipFile) -> None:
    unzipped = sum(info.file_size for info in archive.infolist())
    if unzipped > UNZIPPED_LIMIT:
        raise TemplateError(f"the deployment package unpacks to {unzipped} bytes, allowed are {UNZIPPED_LIMIT}")
    for name in archive.namelist():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise TemplateError(f"the deployment package holds the path {name!r}, which leads out of it")
