"""The worker of a version, with handlers of a few lines: answers, counts, and every way to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.gate.replay import process
from harness.gate.replay.process import Pass, Unanswered, WorkerProcess
from harness.gate.replay.steps import alone
from harness.gate.trial import TrialFailed

HANDLERS = """
import http.client
import json
import os
import sys
import time

print("printed while importing")


def answers(event, context):
    print("printed while running")
    return {"got": event, "variable": os.environ["WORD"], "left": context.get_remaining_time_in_millis()}


def computes(event, context):
    until = time.process_time() + 0.03
    while time.process_time() < until:
        pass


def waits(event, context):
    time.sleep(0.03)


def forks(event, context):
    child = os.fork()
    if child == 0:
        computes(event, context)
        os._exit(0)
    os.waitpid(child, 0)


def raises(event, context):
    raise KeyError("what it raised")


def asks(event, context):
    connection = http.client.HTTPConnection("127.0.0.1", 9)
    connection.request("POST", "/", b"{}", {"X-Amz-Target": "DynamoDB_20120810." + event["operation"]})
    connection.getresponse().read()


def exits(event, context):
    print("last words", file=sys.stderr)
    os._exit(7)


def hangs(event, context):
    time.sleep(60)
"""

Start = Callable[..., WorkerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    code, work = tmp_path / "code", tmp_path / "work"
    (code / "handlers").mkdir(parents=True)
    (work / "pids").mkdir(parents=True)
    (code / "handlers" / "__init__.py").write_text("")
    (code / "handlers" / "thing.py").write_text(HANDLERS)
    made: list[WorkerProcess] = []

    def starting(seed: int = 1) -> WorkerProcess:
        made.append(WorkerProcess("head", code, work, objects={}, core=None, seed=seed))
        return made[-1]

    yield starting
    for worker in made:
        worker.close()
    assert not list((work / "pids").iterdir())


def ran(worker: WorkerProcess, handler: str, *events: bytes, record: bool = False) -> Pass:
    alone(worker.load(handler, f"handlers.thing.{handler}", {"WORD": "told"}, events or (b"{}",)))
    return alone(worker.run(handler, record=record))


def test_run_gives_every_event_to_the_handler_with_its_variables(start: Start) -> None:
    worker = start()
    found = ran(worker, "answers", b'{"n": 1}', '{"n": "é"}'.encode())
    assert found.answers == [{"got": {"n": n}, "variable": "told", "left": 60_000} for n in (1, "é")]
    assert found.requests == {} and found.kept == []
    again = alone(worker.run("answers"))
    assert again.answers == found.answers and again.cpu_ns > 0


def test_load_tells_the_cpu_time_of_an_import(start: Start) -> None:
    worker = start()
    assert alone(worker.load("a", "handlers.thing.answers", {"WORD": ""}, [])) > 0


def test_run_tells_computing_from_waiting(start: Start) -> None:
    worker = start()
    computing, waiting = ran(worker, "computes"), ran(worker, "waits")
    assert computing.cpu_ns >= 30_000_000 > waiting.cpu_ns
    assert waiting.waited_ns >= 25_000_000
    assert waiting.cost_ns == waiting.cpu_ns + waiting.waited_ns


def test_run_counts_the_cpu_time_of_children_and_their_parent_does_not_wait(start: Start) -> None:
    found = ran(start(), "forks")
    assert found.cpu_ns >= 30_000_000 and found.waited_ns == 0


def test_run_counts_and_keeps_requests(start: Start) -> None:
    found = ran(start(), "asks", b'{"operation": "PutItem"}', record=True)
    assert found.requests == {"PutItem": 1} and [tuple(one) for one in found.kept] == [("PutItem", "{}")]


def test_run_when_a_request_is_not_answered_here_says_so_and_the_way_out(start: Start) -> None:
    with pytest.raises(Unanswered, match="head, replaying asks: it asks for Query, which") as caught:
        ran(start(), "asks", b'{"operation": "Query"}')
    assert "without --replay" in caught.value.hint


def test_run_when_the_handler_raises_says_what(start: Start) -> None:
    worker = start()
    with pytest.raises(TrialFailed, match="head, replaying raises: KeyError: 'what it raised'"):
        ran(worker, "raises")
    assert ran(worker, "answers").answers


def test_load_when_there_is_no_such_handler_says_so(start: Start) -> None:
    with pytest.raises(TrialFailed, match=r"importing handlers\.other\.handler: ModuleNotFoundError"):
        alone(start().load("x", "handlers.other.handler", {}, []))


def test_run_when_the_process_ends_tells_its_code_and_its_last_words(start: Start) -> None:
    worker = start()
    with pytest.raises(TrialFailed, match=r"ended with 7: last words"):
        ran(worker, "exits")
    with pytest.raises(TrialFailed, match="ended with 7"):
        ran(worker, "answers")


def test_run_when_the_handler_hangs_is_given_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = start()
    ran(worker, "answers")
    alone(worker.load("hangs", "handlers.thing.hangs", {}, [b"{}"]))
    monkeypatch.setattr(process, "PASS_SECONDS", 0.3)
    with pytest.raises(TrialFailed, match=r"replaying hangs: no end after 0.3 s"):
        alone(worker.run("hangs"))


def test_close_ends_the_process_at_once_and_twice(start: Start) -> None:
    worker = start()
    ran(worker, "answers")
    children = {child.pid for child in psutil.Process().children()}
    worker.close()
    worker.close()
    assert worker._process.pid in children
    assert not psutil.pid_exists(worker._process.pid)
