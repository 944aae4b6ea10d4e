"""Deployment packages of lessons: functions of a lesson's own beside the pipeline's, as one Lambda package."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.engines.packaging import FUNCTION_PACKAGES, build_code_zip, unpack
from harness.engines.stacks import HANDLERS


def beside_ours(own: Path, folder: Path) -> Path:
    """Fill `folder` with the pipeline's package unpacked and the Python package `own` beside it; returns it.

    An engine's `deploy` takes the result as `code`. Raises EngineError where a needed distribution is not installed.
    """
    archive = build_code_zip(HANDLERS, folder / "ours.zip", packages=FUNCTION_PACKAGES)
    unpack(archive, folder)
    archive.unlink()
    shutil.copytree(own, folder / own.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
