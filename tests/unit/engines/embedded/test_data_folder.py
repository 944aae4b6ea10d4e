"""The folder of `--data`: one engine at a time, and what tables were made from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.engines.embedded.data_folder import DataFolder, KeptPlans
from harness.errors import EngineError

HOLDS = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


class Time:
    """A clock that only sleeping moves; `meanwhile` is called with each sleep."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.now = 0.0
        self.meanwhile = meanwhile

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()


def test_folder_when_it_is_in_use_is_refused_by_the_process_that_has_it(tmp_path: Path) -> None:
    first = DataFolder(tmp_path / "data")
    with pytest.raises(EngineError, match=rf"data is in use by process {os.getpid()}"):
        DataFolder(tmp_path / "data")
    first.close()
    first.close()
    DataFolder(tmp_path / "data").close()


def test_folder_when_its_engine_was_killed_waits_for_the_last_of_its_processes(tmp_path: Path) -> None:
    DataFolder(tmp_path).close()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "engine.lock").write_text(str(gone.pid))
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path / "engine.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        never = Time()
        with pytest.raises(EngineError, match=f"in use by process {gone.pid}"):
            DataFolder(tmp_path, clock=never.clock, sleep=never.sleep, ending=10.0)
        assert never.now >= 10.0

        def end() -> None:
            child.kill()
            child.wait()

        ends = Time(end)
        DataFolder(tmp_path, clock=ends.clock, sleep=ends.sleep).close()


def test_folder_of_something_else_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(EngineError, match="is not empty, and no folder of"):
        DataFolder(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_folder_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="file cannot be used for data: "):
        DataFolder(tmp_path / "file")


def test_plans_when_read_again_say_what_was_made_whole(tmp_path: Path) -> None:
    path = tmp_path / "tables.json"
    plans = KeptPlans(path)
    plans.begin("t", [("CreateTable", {"TableName": "t"})])
    assert (KeptPlans(path).begun("t"), KeptPlans(path).made("t")) == (True, None)
    plans.complete("t")
    assert (KeptPlans(path).begun("t"), KeptPlans(path).made("t")) == (False, [["CreateTable", {"TableName": "t"}]])
    plans.forget("t")
    assert KeptPlans(path).made("t") is None


@pytest.mark.parametrize("text", ["", "[]", '{"t": {}}', '{"t": 1}'])
def test_plans_in_a_file_of_something_else_are_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "tables.json").write_text(text)
    with pytest.raises(EngineError, match=r"tables.json does not say what tables were made from"):
        KeptPlans(tmp_path / "tables.json")
