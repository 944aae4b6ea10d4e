"""A machine whose variables and files are all wrong for an engine of ours changes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import hostile
from tests.processes import heed_interrupts, wait_for_line

HARNESS = str(Path(sys.executable).with_name("harness"))


@dataclass
class Machine:
    """A hostile machine: how a command is started on it, and who followed its proxies and endpoints."""

    folder: Path
    environment: dict[str, str]
    listener: hostile.Listener

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [HARNESS, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    home, folder, tmp = tmp_path / "home", tmp_path / "here", tmp_path / "tmp"
    tmp.mkdir()
    hostile.make_folder(folder)
    with hostile.listener() as listener:
        hostile.make_home(home, listener.url)
        environment = {
            "PATH": os.environ["PATH"],
            **hostile.variables(home, listener.url),
            "TMPDIR": str(tmp),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        yield Machine(folder, environment, listener)
        assert listener.connections == []
        assert list(tmp.iterdir()) == []


def test_run_when_the_machine_is_hostile_ends_conserved(machine: Machine) -> None:
    done = machine.run("run", "--rows", "500", "--poison", "0.01", "--no-baseline", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["audit"]["conserved"]
    assert result["audit"]["as_expected"]


def test_load_when_the_machine_is_hostile_uploads_every_file(machine: Machine) -> None:
    load = ("--seconds", "4", "--rate", "200", "--rows-per-file", "fixed:50", "--warmup", "0", "--users", "7")
    done = machine.run("bench", "load", *load, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["audit"]["conserved"]
    assert result["load"]["files"] == 16
    events = [
        json.loads(line) for line in (machine.folder / "runs" / "latest" / "events.jsonl").read_text().splitlines()
    ]
    # LOCUST_USERS, ~/.locust.conf, locust.conf and pyproject.toml say 1.
    assert [event["users"] for event in events if event["event"] == "start"] == [7]


def test_deploy_and_dlq_when_the_machine_is_hostile_work(machine: Machine) -> None:
    deployed = subprocess.Popen(
        [HARNESS, "deploy"],
        cwd=machine.folder,
        env=machine.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509  no threads here
    )
    try:
        wait_for_line(deployed, "up until Ctrl-C")
        listed = machine.run("dlq", "list")
        assert listed.returncode == 0, listed.stderr
        assert "process" in listed.stdout
        assert machine.run("dlq", "redrive", "process").returncode == 0
        deployed.send_signal(signal.SIGINT)
        assert deployed.wait(60) == 0
    finally:
        deployed.kill()
        deployed.wait()
        if deployed.stdout is not None:
            deployed.stdout.close()


def test_run_when_its_output_is_read_no_longer_stops_everything_and_exits_130(machine: Machine) -> None:
    process = subprocess.Popen(
        [HARNESS, "run", "--rows", "2000", "--no-baseline"],
        cwd=machine.folder,
        env=machine.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        wait_for_line(process, "^corpus ")
        process.stdout.close()
        assert process.wait(120) == 130
        said = process.stderr.read()
        assert "nobody reads the output any more" in said
        assert "Traceback" not in said
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
