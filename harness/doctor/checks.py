"""The checks behind `harness doctor`: small classes with the same method, so that adding one is adding a class."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

import psutil

from harness.corpus.cache import default_cache
from harness.corpus.spec import DEFAULT_ROWS
from harness.data_plane.tables.module import SUPPORTED_VERSION
from harness.doctor.room import free_room, room_for, rows_that_fit
from harness.errors import REINSTALL
from harness.host_environment import DOCKER, chosen
from harness.lambda_service import limits


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Result:
    """One line of the doctor's report; `advice` says what to do."""

    name: str
    status: Status
    found: str
    advice: str = ""


class Check(Protocol):
    """Looks at one aspect of the machine."""

    def run(self) -> Iterable[Result]:
        """Return what was found."""


class Python:
    """The interpreter's version."""

    def run(self) -> Iterable[Result]:
        """Return one result."""
        ok = sys.version_info >= (3, 11)
        found = f"{platform.python_implementation()} {platform.python_version()}"
        yield Result("python", Status.OK if ok else Status.FAIL, found, "" if ok else "install Python 3.11 or newer")


class Packages:
    """Versions on which figures depend."""

    def run(self) -> Iterable[Result]:
        """Return one result per package."""
        for name, wanted in (("ministack", SUPPORTED_VERSION), ("awslambdaric", ""), ("boto3", "")):
            try:
                found = version(name)
            except PackageNotFoundError:
                yield Result(name, Status.FAIL, "missing", REINSTALL)
                continue
            if wanted and found != wanted:
                yield Result(name, Status.FAIL, found, f"{wanted} is needed: {REINSTALL}")
            else:
                yield Result(name, Status.OK, found)


class RoomForRows:
    """Whether the main job's rows fit into memory and onto the disk of temporary files."""

    def run(self) -> Iterable[Result]:
        """Return one result."""
        free = free_room()
        fits = rows_that_fit(free)
        found = f"{free} are free, {fits:,} rows fit"
        if fits >= DEFAULT_ROWS:
            yield Result("room", Status.OK, found)
        else:
            status = Status.WARN if fits >= 1000 else Status.FAIL
            need = f"{DEFAULT_ROWS:,} rows need {room_for(DEFAULT_ROWS)}"
            yield Result("room", status, found, f"{need}; `harness run` takes what fits and says so")


class Disk:
    """Room for the corpus and the run's results."""

    NEEDED = 1_000_000_000

    def run(self) -> Iterable[Result]:
        """Return one result."""
        folder = default_cache()
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        ok = free >= self.NEEDED
        advice = "" if ok else "a corpus of 800,000 rows takes 150 MB; set XDG_CACHE_HOME to a larger disk"
        yield Result("disk", Status.OK if ok else Status.FAIL, f"{free / 1e9:.1f} GB free for corpora", advice)


class Loopback:
    """Whether servers can listen on 127.0.0.1."""

    def run(self) -> Iterable[Result]:
        """Return one result."""
        try:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                port = listener.getsockname()[1]
        except OSError as error:
            yield Result("loopback", Status.FAIL, str(error), "allow listening on 127.0.0.1")
            return
        yield Result("loopback", Status.OK, f"listened on 127.0.0.1:{port}")


class LambdaLimits:
    """Which of Lambda's limits this system can enforce; running without them is possible."""

    def run(self) -> Iterable[Result]:
        """Return one result per limit."""
        for name, how in limits.probe().items():
            if how.startswith("not enforced"):
                yield Result(name, Status.WARN, how, "functions are not stopped by it here, as they would be on AWS")
            elif how.startswith("rlimit (private"):
                yield Result(name, Status.WARN, how, "counted per process; with writable control groups, per function")
            else:
                yield Result(name, Status.OK, how)


class Docker:
    """Whether there is a Docker engine; only the LocalStack engine needs one."""

    def run(self) -> Iterable[Result]:
        """Return one result."""
        client = shutil.which("docker")
        if client is None:
            yield Result("docker", Status.OK, "not installed (the embedded engine does without)")
            return
        try:
            done = subprocess.run(
                [client, "info", "--format", "{{.ServerVersion}}"],
                env=chosen(os.environ, ("PATH", "HOME", *DOCKER)),
                capture_output=True,
                text=True,
                timeout=10,
                check=False,
            )
        except subprocess.TimeoutExpired:
            yield Result("docker", Status.OK, "installed, does not answer")
            return
        found = f"engine {done.stdout.strip()}" if done.returncode == 0 else "client only, no engine answers"
        yield Result("docker", Status.OK, found)


class Leftovers:
    """Folders of engines that did not stop as they should."""

    def run(self) -> Iterable[Result]:
        """Return one result."""
        import tempfile

        pids = {p.pid for p in psutil.process_iter()}
        stale = []
        for folder in Path(tempfile.gettempdir()).glob("harness-*/pids"):
            alive = [p for p in folder.iterdir() if p.name.isdigit() and int(p.name) in pids]
            if not alive:
                stale.append(str(folder.parent))
        if stale:
            yield Result("leftovers", Status.WARN, ", ".join(stale), "nothing runs in them: remove them")
        else:
            yield Result("leftovers", Status.OK, "none")


CHECKS: tuple[Check, ...] = (
    Python(),
    Packages(),
    RoomForRows(),
    Disk(),
    Loopback(),
    LambdaLimits(),
    Docker(),
    Leftovers(),
)


def examine() -> list[Result]:
    """Run every check."""
    return [result for check in CHECKS for result in check.run()]
