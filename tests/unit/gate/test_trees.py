"""Versions from git refs, folders and wheels."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from harness import git as harness_git
from harness.errors import EnvironmentProblem, UsageError
from harness.gate.trees import changed_locks, default_base, materialise
from tests.unit.gate.support import commit_all, git, stand_in


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = stand_in(tmp_path / "repository", slowdown=1.0)
    (folder / "requirements.lock").write_text("boto3==1.0 \\\n    --hash=sha256:aa\nrich==14.0\n")
    git(folder, "init", "-q", "-b", "main")
    commit_all(folder, "first")
    return folder


def second_commit(repository: Path) -> None:
    (repository / "handlers" / "new.py").write_text("")
    commit_all(repository, "second")


def test_default_base_when_the_tree_is_clean_is_the_parent(repository: Path) -> None:
    second_commit(repository)
    assert default_base(str(repository), repository) == "HEAD~1"


@pytest.mark.parametrize("changed", ["handlers/__init__.py", "harness/untracked.py", "requirements.lock"])
def test_default_base_when_files_were_changed_is_the_commit(repository: Path, changed: str) -> None:
    second_commit(repository)
    (repository / changed).write_text("# changed\n")
    assert default_base(str(repository), repository) == "HEAD"


def test_default_base_when_only_other_files_were_changed_is_the_parent(repository: Path) -> None:
    second_commit(repository)
    (repository / "notes.txt").write_text("x")
    assert default_base(str(repository), repository) == "HEAD~1"


def test_default_base_when_the_commit_has_no_parent_refuses_and_says_what_to_do(repository: Path) -> None:
    with pytest.raises(UsageError, match="has no parent to compare with") as refused:
        default_base(str(repository), repository)
    assert "--base" in refused.value.hint


def test_default_base_when_there_is_no_repository_refuses(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no git repository"):
        default_base(str(tmp_path), tmp_path)


@pytest.mark.parametrize("head", ["v1.1", "HEAD"])
def test_default_base_when_head_is_a_ref_is_that_refs_parent_whatever_the_checkout(repository: Path, head: str) -> None:
    second_commit(repository)
    git(repository, "tag", "v1.1")
    (repository / "handlers" / "third.py").write_text("")
    commit_all(repository, "third")
    (repository / "handlers" / "third.py").write_text("# changed\n")
    assert default_base(head, repository) == f"{head}~1"


def test_default_base_when_the_refs_commit_has_no_parent_refuses(repository: Path) -> None:
    git(repository, "tag", "v1.0")
    second_commit(repository)
    with pytest.raises(UsageError, match="has no parent to compare with"):
        default_base("v1.0", repository)


def test_default_base_when_the_ref_is_unknown_names_it_as_given(repository: Path) -> None:
    with pytest.raises(UsageError, match="'nowhere' is no folder, wheel or git ref"):
        default_base("nowhere", repository)


def test_default_base_when_head_is_a_wheel_asks_for_base(repository: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.whl knows no parent") as refused:
        default_base("x.whl", repository)
    assert "--base" in refused.value.hint


def test_materialise_when_given_a_ref_exports_that_commit(repository: Path, tmp_path: Path) -> None:
    second_commit(repository)
    tree = materialise("HEAD~1", tmp_path / "base", repository)
    assert not (tree.path / "handlers" / "new.py").exists()
    assert (tree.path / "harness" / "__main__.py").exists()
    assert len(tree.commit) == 40
    assert tree.lock == {"boto3": "1.0", "rich": "14.0"}
    assert not tree.dirty
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("base")] == ["base"]
    assert not (repository / ".git" / "worktrees").exists()


def test_materialise_when_given_a_folder_copies_its_changes_and_says_dirty(repository: Path, tmp_path: Path) -> None:
    (repository / "handlers" / "new.py").write_text("x = 1\n")
    tree = materialise(str(repository), tmp_path / "head", repository)
    (repository / "handlers" / "new.py").write_text("x = 2\n")
    assert (tree.path / "handlers" / "new.py").read_text() == "x = 1\n"
    assert tree.dirty
    assert len(tree.commit) == 40


def test_materialise_when_given_a_folder_outside_git_knows_no_commit(tmp_path: Path) -> None:
    tree = materialise(str(stand_in(tmp_path / "plain")), tmp_path / "head", tmp_path)
    assert (tree.commit, tree.dirty, tree.lock) == ("", False, None)


def test_materialise_when_given_a_wheel_unpacks_it(tmp_path: Path) -> None:
    source = stand_in(tmp_path / "source")
    wheel = tmp_path / "ingestion_harness-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in source.rglob("*.py"):
            archive.write(path, path.relative_to(source))
    tree = materialise(str(wheel), tmp_path / "base", tmp_path)
    assert (tree.path / "harness" / "__main__.py").exists()
    assert tree.label == wheel.name


@pytest.mark.parametrize("spec", ["no-such-ref", "--upload-pack=x", "HEAD~99"])
def test_materialise_when_the_ref_is_unknown_refuses_naming_it(repository: Path, tmp_path: Path, spec: str) -> None:
    with pytest.raises(UsageError, match="is no folder, wheel or git ref") as refused:
        materialise(spec, tmp_path / "base", repository)
    assert spec in str(refused.value)


@pytest.mark.parametrize("content", [None, b"no zip"])
def test_materialise_when_the_wheel_is_none_refuses(tmp_path: Path, content: bytes | None) -> None:
    wheel = tmp_path / "x.whl"
    if content is not None:
        wheel.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.whl cannot be read as a wheel"):
        materialise(str(wheel), tmp_path / "base", tmp_path)


def test_materialise_when_the_folder_is_something_else_refuses(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="has no package harness and no package handlers"):
        materialise(str(tmp_path / "other"), tmp_path / "base", tmp_path)


def test_materialise_when_git_is_missing_says_so(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(EnvironmentProblem, match="git is not installed"):
        materialise("HEAD", tmp_path / "base", repository)


def test_materialise_when_git_hangs_says_so(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness_git, "TIMEOUT_SECONDS", 0.0)
    with pytest.raises(EnvironmentProblem, match="git took longer than 0 s: rev-parse"):
        materialise("HEAD", tmp_path / "base", repository)


def test_changed_locks_when_versions_differ_names_each(repository: Path, tmp_path: Path) -> None:
    (repository / "requirements.lock").write_text("boto3==2.0\nnew==1\n")
    base = materialise("HEAD", tmp_path / "base", repository)
    head = materialise(str(repository), tmp_path / "head", repository)
    assert changed_locks(base, head) == ["boto3 1.0 -> 2.0", "new absent -> 1", "rich 14.0 -> absent"]
    assert changed_locks(base, base) == []


def test_changed_locks_when_one_side_has_no_lock_knows_nothing(repository: Path, tmp_path: Path) -> None:
    base = materialise("HEAD", tmp_path / "base", repository)
    plain = materialise(str(stand_in(tmp_path / "plain")), tmp_path / "head", tmp_path)
    assert changed_locks(base, plain) == []
