"""The wheel has all files of its packages, and does what the checkout does."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.conftest import PACKAGES, ROOT, Installed

pytestmark = pytest.mark.packaging


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder; generated corpora go elsewhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    empty = tmp_path / "empty"
    empty.mkdir()
    return empty


def result(folder: Path) -> dict[str, Any]:
    """Return the newest result below `folder`."""
    found: dict[str, Any] = json.loads((folder / "runs" / "latest" / "result.json").read_text())
    return found


def test_wheel_when_built_has_every_file_of_its_packages_and_no_other(wheel: Path) -> None:
    there = {
        path.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == there


def test_packages_when_installed_are_the_wheel_s_and_not_the_checkout_s(installed: Installed, folder: Path) -> None:
    code = f"import {', '.join(PACKAGES)}; print(*(m.__file__ for m in ({', '.join(PACKAGES)})), sep='\\n')"
    done = installed.run(folder, "-c", code, program="python")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == len(PACKAGES)
    assert all(Path(line).is_relative_to(installed.folder) for line in done.stdout.split())


def test_help_when_asked_from_an_empty_folder_lists_the_commands(installed: Installed, folder: Path) -> None:
    done = installed.run(folder, "--help")
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("run", "bench", "gate", "doctor"))


def test_run_when_started_from_an_empty_folder_audits_every_row_under_bundled_chaos(
    installed: Installed, folder: Path
) -> None:
    done = installed.run(folder, "run", "--rows", "1000", "--poison", "0", "--no-baseline", "--chaos", "ingestion")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "conserved: 1,000 in" in done.stdout
    found = result(folder)
    assert found["audit"]["conserved"]
    assert len(found["engine"]["chaos"]) > 1
    # Nothing says of which commit a wheel is; that of a repository around it would be a lie.
    assert found["fingerprint"]["git_sha"] == ""


def test_bench_load_when_started_from_an_empty_folder_uploads_and_audits(installed: Installed, folder: Path) -> None:
    options = ("--shape", "steady", "--seconds", "3", "--rate", "50", "--rows-per-file", "fixed:20", "--warmup", "0")
    done = installed.run(folder, "bench", "load", *options)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = result(folder)
    assert found["audit"]["conserved"]
    assert found["audit"]["rows"] > 0


def test_lessons_when_run_from_an_empty_folder_find_their_functions_and_templates(
    installed: Installed, folder: Path
) -> None:
    done = installed.run(folder, "lessons", "run", "descriptors", "logs", "--quick")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "2 reproduced" in done.stdout
    assert [one["verdict"] for one in result(folder)["lessons"]] == ["reproduced", "reproduced"]


def test_locust_when_started_by_its_module_has_this_project_s_file(installed: Installed, folder: Path) -> None:
    done = installed.run(folder, "-m", "loadtests", "--rows-per-file", "fixed:1", "--list", program="python")
    assert done.returncode == 0, done.stderr
    assert "Uploader" in done.stdout


def test_doctor_when_installed_from_a_wheel_finds_its_packages(installed: Installed, folder: Path) -> None:
    done = installed.run(folder, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ministack" in done.stdout
