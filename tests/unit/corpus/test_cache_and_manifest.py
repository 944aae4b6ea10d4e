"""The cache gives whole corpora only, and manifests survive a round trip."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.corpus import CorpusSpec, Manifest, cached, corpus_bytes, default_cache, load_manifest, manifest_path
from harness.errors import UsageError

SPEC = CorpusSpec(rows=1200, quarantine=0.05, poison=0.02)


def generations(folder: Path, spec: CorpusSpec = SPEC) -> tuple[Path, Manifest, int]:
    """Return what `cached` gives, and how often it reported progress: not at all where nothing was generated."""
    heard: list[int] = []
    path, manifest = cached(spec, folder, heard.append)
    return path, manifest, len(heard)


def assert_whole(path: Path, manifest: Manifest) -> None:
    assert path.read_bytes() == b"".join(corpus_bytes(SPEC))
    assert load_manifest(manifest_path(path)) == manifest


def test_cached_when_asked_twice_generates_once(tmp_path: Path) -> None:
    first, manifest, made = generations(tmp_path / "new" / "folder")
    assert made == 2
    assert generations(tmp_path / "new" / "folder") == (first, manifest, 0)
    assert_whole(first, manifest)


def test_cached_when_the_spec_differs_gives_another_file(tmp_path: Path) -> None:
    paths = {
        cached(spec, tmp_path)[0]
        for spec in (CorpusSpec(rows=10), CorpusSpec(rows=10, seed=2), CorpusSpec(rows=10, dirty=0.1))
    }
    assert len(paths) == 3


def test_cached_when_the_manifest_is_missing_generates_again(tmp_path: Path) -> None:
    path, manifest, _ = generations(tmp_path)
    manifest_path(path).unlink()
    assert generations(tmp_path) == (path, manifest, 2)
    assert_whole(path, manifest)


def test_cached_when_the_corpus_is_missing_generates_again(tmp_path: Path) -> None:
    path, manifest, _ = generations(tmp_path)
    path.unlink()
    assert generations(tmp_path) == (path, manifest, 2)
    assert_whole(path, manifest)


def test_cached_when_the_corpus_is_truncated_generates_again(tmp_path: Path) -> None:
    path, manifest, _ = generations(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    assert generations(tmp_path) == (path, manifest, 2)
    assert_whole(path, manifest)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        b"[]",
        b'{"schema_version":1',
        b'{"schema_version":99}',
        b'{"schema_version":1,"spec":{"rows":-1},"block_digests":[]}',
        b'{"schema_version":1,"spec":{"unknown":1},"block_digests":[]}',
        b'{"schema_version":1,"spec":{},"block_digests":[],"surplus":1}',
    ],
)
def test_cached_when_the_manifest_is_damaged_generates_again(tmp_path: Path, damaged: bytes) -> None:
    path, manifest, _ = generations(tmp_path)
    manifest_path(path).write_bytes(damaged)
    assert generations(tmp_path) == (path, manifest, 2)
    assert_whole(path, manifest)


def test_cached_when_interrupted_is_made_whole_the_next_time(tmp_path: Path) -> None:
    def interrupt(_rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(SPEC, tmp_path, interrupt)
    assert [path.suffix for path in tmp_path.iterdir() if path.suffix != ".lock"] == []
    path, manifest, made = generations(tmp_path)
    assert made == 2
    assert_whole(path, manifest)


def test_default_cache_when_xdg_is_set_lies_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "ingestion-harness" / "corpus"
    path, _ = cached(CorpusSpec(rows=1))
    assert path.parent == default_cache()


def test_default_cache_when_xdg_is_not_set_lies_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "ingestion-harness" / "corpus"


def test_manifest_when_saved_is_versioned_json_and_leaves_no_other_file(tmp_path: Path) -> None:
    path, manifest = cached(SPEC, tmp_path)
    other = tmp_path / "alone" / "m.json"
    other.parent.mkdir()
    manifest.save(other)
    data = json.loads(other.read_text())
    assert data["schema_version"] == 1
    assert data["spec"] == SPEC.to_json()
    assert list(other.parent.iterdir()) == [other]
    assert load_manifest(other) == load_manifest(manifest_path(path)) == manifest


def test_manifest_when_an_outcome_has_no_rows_counts_none(tmp_path: Path) -> None:
    _, manifest = cached(CorpusSpec(rows=50, quarantine=0, poison=0), tmp_path)
    assert manifest.count("quarantined") == 0
    assert manifest.rows_updated == manifest.rows_cleaned == 50


def test_load_manifest_when_of_another_version_says_both(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text('{"schema_version": 7}')
    with pytest.raises(UsageError, match="schema version 7, 1 is needed"):
        load_manifest(path)


def test_load_manifest_when_missing_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.json is no corpus manifest") as caught:
        load_manifest(tmp_path / "nowhere.json")
    assert caught.value.hint == "generate the corpus again"
