"""Corpora: seeded CSV files of transactions, with the exact expectation of every row."""

from harness.corpus.cache import cached, default_cache
from harness.corpus.foreign import ForeignSummary, scan_foreign
from harness.corpus.generator import corpus_bytes, expected_block, expected_cells, generate
from harness.corpus.manifest import Manifest, load_manifest, manifest_path
from harness.corpus.spec import BLOCK_ROWS, COLUMNS, CorpusSpec, ExpectedRow, Outcome

__all__ = [
    "BLOCK_ROWS",
    "COLUMNS",
    "CorpusSpec",
    "ExpectedRow",
    "ForeignSummary",
    "Manifest",
    "Outcome",
    "cached",
    "corpus_bytes",
    "default_cache",
    "expected_block",
    "expected_cells",
    "generate",
    "load_manifest",
    "manifest_path",
    "scan_foreign",
]
