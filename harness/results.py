"""A run's folder and its `result.json`; docs/results.md explains every field."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import EnvironmentProblem

SCHEMA_VERSION = 2


def new_run_folder(out: Path) -> Path:
    """Make and return a new folder below `out`, named by time, with `out/latest` pointing at it.

    Raises EnvironmentProblem where `out` cannot be written.
    """
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
    folder = out / name
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"{out} cannot hold results: {error.strerror}", hint="--out names another folder"
        ) from error
    link, fresh = out / "latest", out / f".latest-{name}"
    fresh.symlink_to(name)
    fresh.replace(link)
    return folder


def save_result(folder: Path, result: dict[str, Any]) -> Path:
    """Write `result.json` in one step; returns its path."""
    path = folder / "result.json"
    unfinished = folder / ".result.json.unfinished"
    unfinished.write_text(json.dumps({"schema_version": SCHEMA_VERSION, **result}, indent=2) + "\n")
    unfinished.replace(path)
    return path
