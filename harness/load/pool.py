"""The files of a load, and what must become of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.corpus import CorpusSpec, Manifest, Outcome, cached
from harness.load.schedule import LoadSpec


@dataclass(frozen=True)
class Expectation:
    """What must become of a file: rows in all, updated, quarantined, and in each stage's dead-letter queue."""

    rows: int
    updated: int
    quarantined: int
    dead: Mapping[str, int]

    @staticmethod
    def of(manifest: Manifest) -> Expectation:
        """Return a manifest's numbers."""
        dead = {
            "insert": manifest.count(Outcome.INSERT_DLQ),
            "process": manifest.count(Outcome.PROCESS_DLQ),
            "update": manifest.count(Outcome.UPDATE_DLQ),
        }
        return Expectation(
            manifest.rows,
            manifest.rows_updated,
            manifest.count(Outcome.QUARANTINED),
            {stage: count for stage, count in dead.items() if count},
        )


@dataclass(frozen=True)
class PoolFile:
    """One file of the pool."""

    path: Path
    spec: CorpusSpec
    file_bytes: int
    expectation: Expectation


def make_pool(
    spec: LoadSpec, cache: Path | None = None, progress: Callable[[int], None] | None = None
) -> list[PoolFile]:
    """Return the files of a load, generated where the cache lacks them; `progress` gets the number of files so far."""
    pool = []
    for corpus in spec.corpora():
        path, manifest = cached(corpus, cache)
        pool.append(PoolFile(path, corpus, manifest.file_bytes, Expectation.of(manifest)))
        if progress is not None:
            progress(len(pool))
    return pool
