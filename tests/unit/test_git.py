"""git is asked about the repository, not about the user."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness import fingerprint as fingerprints
from harness.fingerprint import fingerprint
from harness.gate.trees import is_dirty, materialise, resolve
from harness.git import run_git
from tests import hostile
from tests.unit.gate.support import commit_all, git, stand_in


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    stand_in(folder)
    git(folder, "init", "-q")
    (folder / "harness" / "lines.txt").write_bytes(b"one\ntwo\n")
    commit_all(folder, "first")
    return folder


def the_user_has(monkeypatch: pytest.MonkeyPatch, home: Path, settings: str) -> None:
    home.mkdir(exist_ok=True)
    (home / ".gitconfig").write_text(settings)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def test_run_git_when_the_machine_is_hostile_answers_of_the_folder(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = resolve(repository, "HEAD")
    hostile.make_home(tmp_path / "home", "http://127.0.0.1:9")
    for name, value in hostile.variables(tmp_path / "home", "http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    assert commit is not None
    assert resolve(repository, "HEAD") == commit
    assert not is_dirty(repository)
    assert materialise("HEAD", tmp_path / "tree", repository).commit == commit
    assert fingerprint().git_sha != ""


def test_fingerprint_when_installed_below_another_repository_does_not_say_its_commit(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked, installed = repository / "harness" / "lines.txt", repository / ".venv" / "fingerprint.py"
    monkeypatch.setattr(fingerprints, "__file__", str(tracked))
    assert fingerprint().git_sha == resolve(repository, "HEAD")
    installed.parent.mkdir()
    installed.write_text("")
    monkeypatch.setattr(fingerprints, "__file__", str(installed))
    assert fingerprint().git_sha == ""
    assert fingerprint().git_dirty is None


@pytest.mark.parametrize("settings", ["not a setting\n", "[core\n", "[include]\n\tpath = /nonexistent\n"])
def test_run_git_when_the_user_s_configuration_is_broken_does_without(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    the_user_has(monkeypatch, tmp_path / "home", settings)
    assert run_git(repository, "status", "--porcelain").returncode == 0


def test_materialise_when_the_user_converts_line_ends_copies_the_commit_s(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    the_user_has(monkeypatch, tmp_path / "home", "[core]\n\tautocrlf = true\n\tattributesFile = ~/attributes\n")
    (tmp_path / "home" / "attributes").write_text("*.txt export-ignore\n")
    materialise("HEAD", tmp_path / "tree", repository)
    assert (tmp_path / "tree" / "harness" / "lines.txt").read_bytes() == b"one\ntwo\n"


def test_is_dirty_when_the_user_hides_untracked_files_still_sees_them(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    the_user_has(monkeypatch, tmp_path / "home", "[status]\n\tshowUntrackedFiles = no\n")
    assert not is_dirty(repository)
    (repository / "harness" / "new.py").write_text("")
    assert is_dirty(repository)


def test_is_dirty_when_the_user_ignores_files_of_an_editor_does_not_count_them(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "harness" / ".lines.txt.swp").write_text("")
    the_user_has(monkeypatch, tmp_path / "home", "")
    assert is_dirty(repository)
    the_user_has(monkeypatch, tmp_path / "home", "[core]\n\texcludesFile = ~/ignored\n")
    (tmp_path / "home" / "ignored").write_text("*.swp\n")
    assert not is_dirty(repository)


def test_is_dirty_when_a_work_tree_was_checked_out_with_crlf_heeds_the_setting_that_made_it(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    the_user_has(monkeypatch, tmp_path / "home", "[core]\n\tautocrlf = true\n")
    lines = repository / "harness" / "lines.txt"
    lines.unlink()
    git(repository, "checkout", "--", "harness/lines.txt")
    assert lines.read_bytes() == b"one\r\ntwo\r\n"
    # With another time on it, git compares the content and not what it remembers of the file.
    os.utime(lines, (1, 1))
    assert not is_dirty(repository)
    lines.write_bytes(b"one\r\n2\r\n")
    assert is_dirty(repository)


def test_run_git_when_asked_runs_no_program_of_the_user(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    monitor = tmp_path / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch {ran}\n")
    monitor.chmod(0o755)
    the_user_has(monkeypatch, tmp_path / "home", f"[core]\n\tfsmonitor = {monitor}\n")
    git(repository, "config", "core.fsmonitor", str(monitor))
    run_git(repository, "status", "--porcelain")
    assert not ran.exists()


def test_run_git_when_it_takes_too_long_raises(repository: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_git(repository, "status", timeout=0.0)
