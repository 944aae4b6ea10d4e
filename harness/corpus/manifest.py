"""A corpus's manifest: exactly what must come out of the pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.corpus.spec import CorpusSpec
from harness.errors import UsageError

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """What a corpus must give.

    `exceptions` maps outcome to reason to row numbers, for every row that does not end updated. `block_digests`
    has, per block, the digest of the cleaned rows that must reach the table or a queue behind it, `checksum` the
    digest of those. `cells_changed` counts cells that cleaning changes.
    """

    spec: CorpusSpec
    generator_version: int
    file_bytes: int
    sha256: str
    rows: int
    rows_cleaned: int
    rows_updated: int
    cells_changed: int
    exceptions: Mapping[str, Mapping[str, list[int]]]
    block_digests: tuple[str, ...]
    checksum: str

    def count(self, outcome: str) -> int:
        """Return how many rows must end with an outcome other than updated."""
        return sum(len(rows) for rows in self.exceptions.get(outcome, {}).values())

    def save(self, path: Path) -> None:
        """Write the manifest as JSON, in one step."""
        data = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        unfinished = path.with_name(f".{path.name}.unfinished")
        unfinished.write_text(json.dumps(data, separators=(",", ":")))
        unfinished.replace(path)


def manifest_path(corpus: Path) -> Path:
    """Return where the manifest of a corpus file lies."""
    return corpus.with_name(f"{corpus.name}.manifest.json")


def load_manifest(path: Path) -> Manifest:
    """Read a manifest; raises UsageError for one that is damaged or of another version."""
    try:
        data = json.loads(path.read_text())
        version = data.pop("schema_version")
        if version != SCHEMA_VERSION:
            raise UsageError(f"{path} has schema version {version}, {SCHEMA_VERSION} is needed")
        spec = CorpusSpec(**data.pop("spec"))
        digests = tuple(data.pop("block_digests"))
        return Manifest(spec=spec, block_digests=digests, **data)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no corpus manifest: {error}", hint="generate the corpus again") from error
