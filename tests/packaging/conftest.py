"""The project as its users get it: a wheel, installed where the checkout cannot be imported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("handlers", "harness", "loadtests")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel in it. Its dependencies are those of the Python that runs the tests."""

    folder: Path

    def run(self, folder: Path, *arguments: str, program: str = "harness") -> subprocess.CompletedProcess[str]:
        """Run one of its programs in `folder`, with nothing of the tests' own Python in its environment."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(
            [self.folder / "bin" / program, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="session")
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of --wheel, or one built from a copy of the checkout's files."""
    given = request.config.getoption("--wheel")
    if given:
        return Path(given).resolve()
    # A copy: what an earlier build left in build/ would get into the wheel.
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", target)
    subprocess.run([*PIP, "wheel", *options, source], check=True, timeout=300)
    [built] = target.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel installed without its dependencies."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    install = (*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel)
    subprocess.run(install, check=True, timeout=300)
    # The path alone: .pth files of that folder, such as the one that makes the checkout importable, are not read.
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    return Installed(folder)
