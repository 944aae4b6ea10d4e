"""Generated corpora, kept by content: the same spec is generated once."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from filelock import FileLock

from harness.corpus.generator import Progress, generate
from harness.corpus.manifest import Manifest, load_manifest, manifest_path
from harness.corpus.spec import GENERATOR_VERSION, CorpusSpec
from harness.errors import EnvironmentProblem, UsageError
from harness.host_environment import cache_home


def default_cache() -> Path:
    """Return the folder for corpora: below XDG_CACHE_HOME, or ~/.cache; raises EnvironmentProblem without either."""
    try:
        return cache_home(os.environ) / "ingestion-harness" / "corpus"
    except RuntimeError as error:
        raise EnvironmentProblem(
            "this user has no home folder for generated corpora", hint="XDG_CACHE_HOME names a folder for them"
        ) from error


def cached(spec: CorpusSpec, folder: Path | None = None, progress: Progress | None = None) -> tuple[Path, Manifest]:
    """Return a corpus file and its manifest, generating them where they are missing or damaged.

    Safe to call from several processes at once. Raises EnvironmentProblem where the folder cannot be made.
    """
    folder = folder or default_cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"{folder} cannot hold generated corpora: {error.strerror}", hint="XDG_CACHE_HOME names another folder"
        ) from error
    key = json.dumps([GENERATOR_VERSION, spec.to_json()], sort_keys=True)
    name = f"{spec.rows}-rows-{hashlib.sha256(key.encode()).hexdigest()[:12]}.csv"
    path = folder / name
    with FileLock(folder / f"{name}.lock"):
        manifest = _intact(path)
        if manifest is None:
            manifest = generate(path, spec, progress)
    return path, manifest


def _intact(path: Path) -> Manifest | None:
    if not path.exists() or not manifest_path(path).exists():
        return None
    try:
        manifest = load_manifest(manifest_path(path))
    except UsageError:
        return None
    return manifest if path.stat().st_size == manifest.file_bytes else None
