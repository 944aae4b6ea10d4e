"""Processes that are started again when they end by themselves, and given up when that does not help."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.engines.embedded.supervision import MAX_RESTARTS, Child, Supervised
from harness.errors import EngineError

SERVES = "import signal; print('ready', flush=True); signal.pause()"


class Starter:
    """Starts Python processes that run `code`; `started` counts them, `number` waits for one."""

    def __init__(self, folder: Path, code: str = SERVES) -> None:
        (folder / "pids").mkdir()
        self.folder = folder
        self.code = code
        self.started = 0
        self._changed = threading.Condition()

    def __call__(self) -> Child:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", self.code], stdout=subprocess.PIPE, start_new_session=True
        )
        child = Child("service", process, self.folder, graceful=False)
        assert process.stdout is not None
        with process.stdout as output:
            ready = output.readline()
        if not ready:
            process.wait()
        with self._changed:
            self.started += 1
            self._changed.notify_all()
        if not ready:
            child.check()
        return child

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.started >= count, 60)


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[[Starter], Supervised]]:
    made: list[Supervised] = []

    def start(starter: Starter) -> Supervised:
        made.append(Supervised(starter, socket.create_server(("127.0.0.1", 0))))
        return made[-1]

    yield start
    for supervised in made:
        supervised.stop()


def kill(supervised: Supervised) -> None:
    os.kill(supervised.process.pid, signal.SIGKILL)


def test_process_when_killed_is_started_again(tmp_path: Path, supervise: Callable[[Starter], Supervised]) -> None:
    starter = Starter(tmp_path)
    supervised = supervise(starter)
    first = supervised.process.pid
    kill(supervised)
    starter.wait_for(2)
    supervised.check()
    supervised.stop()
    assert supervised.restarts == 1
    assert supervised.process.pid != first
    assert list((tmp_path / "pids").iterdir()) == []


def test_process_when_it_keeps_ending_is_given_up(tmp_path: Path, supervise: Callable[[Starter], Supervised]) -> None:
    starter = Starter(tmp_path, "print('ready', flush=True)")
    supervised = supervise(starter)
    starter.wait_for(1 + MAX_RESTARTS)
    supervised._thread.join(60)
    with pytest.raises(EngineError, match="the service process ended with exit status 0"):
        supervised.check()
    assert supervised.restarts == MAX_RESTARTS


def test_process_when_it_cannot_start_again_is_given_up(
    tmp_path: Path, supervise: Callable[[Starter], Supervised]
) -> None:
    starter = Starter(tmp_path)
    supervised = supervise(starter)
    starter.code = "raise SystemExit(3)"
    kill(supervised)
    supervised._thread.join(60)
    with pytest.raises(EngineError, match="the service process ended with exit status 3"):
        supervised.check()


def test_process_when_stopped_is_not_started_again(tmp_path: Path, supervise: Callable[[Starter], Supervised]) -> None:
    starter = Starter(tmp_path)
    supervised = supervise(starter)
    supervised.stop()
    supervised.stop()
    assert starter.started == 1
    supervised.check()


def test_process_when_it_cannot_start_at_first_closes_its_socket(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with pytest.raises(EngineError, match="exit status 3"):
        Supervised(Starter(tmp_path, "raise SystemExit(3)"), listener)
    assert listener.fileno() == -1
