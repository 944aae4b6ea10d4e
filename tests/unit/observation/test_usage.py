"""Who used the machine: real processes, in the groups they belong to."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from harness.observation.usage import FUNCTIONS, HARNESS, OTHER, UsageSampler

BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
WAIT = "input()\n"
SPAWN = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])\n"


@pytest.fixture
def start() -> Iterator[object]:
    with ExitStack() as stack:

        def run(code: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stack.callback(stream.close)
            return process

        yield run


def until_ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"


def test_sample_when_processes_burn_cpu_counts_it_in_their_group(start: object) -> None:
    assert callable(start)
    server = start(BURN + "print('ready', flush=True)\n" + WAIT)
    # The service's child has ended and been waited for when it says so: its seconds are the functions'.
    service = start(SPAWN + "print('ready', flush=True)\n" + WAIT)
    sampler = UsageSampler({"data-services": server.pid, "lambda-service": service.pid})
    until_ready(server)
    until_ready(service)
    used = sampler.sample()
    seconds = sampler.cpu_seconds()
    assert seconds["data-services"] > 0.15
    assert seconds[FUNCTIONS] > 0.15
    assert seconds["lambda-service"] < seconds[FUNCTIONS]
    assert used.cpu["data-services"] > 0
    assert used.memory["data-services"] > 1_000_000
    assert used.memory_bytes == sum(used.memory.values())
    assert 0 <= used.busy <= 1
    assert 0 <= used.steal <= 1


def test_sample_when_a_process_has_no_group_counts_it_as_other_and_follow_gives_it_one(start: object) -> None:
    assert callable(start)
    sampler = UsageSampler({})
    stranger = start("print('ready', flush=True)\n" + WAIT)
    until_ready(stranger)
    assert OTHER in sampler.sample().memory
    sampler.follow("locust", stranger.pid)
    used = sampler.sample()
    assert "locust" in used.memory
    assert "locust" in used.cpu


def test_sample_when_this_process_works_counts_it_as_the_harness() -> None:
    sampler = UsageSampler({})
    before = psutil.Process().cpu_times()
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    used = sampler.sample()
    after = psutil.Process().cpu_times()
    assert sampler.cpu_seconds()[HARNESS] == pytest.approx(
        after.user + after.system - before.user - before.system, abs=0.06
    )
    assert used.cpu[HARNESS] > 0


def test_sample_when_a_process_is_gone_is_never_negative(start: object) -> None:
    assert callable(start)
    server = start(BURN + "print('ready', flush=True)\n" + WAIT)
    until_ready(server)
    sampler = UsageSampler({"data-services": server.pid})
    server.kill()
    server.wait()
    used = sampler.sample()
    assert used.cpu["data-services"] == 0.0
    assert "data-services" not in used.memory
    assert sampler.cpu_seconds()["data-services"] == 0.0


def test_sample_when_a_process_was_started_again_counts_on_in_its_group(start: object) -> None:
    assert callable(start)
    first = start(BURN + "print('ready', flush=True)\n" + WAIT)
    sampler = UsageSampler({"tables": first.pid})
    until_ready(first)
    sampler.renew({"tables": first.pid})
    sampler.sample()
    before = sampler.cpu_seconds()["tables"]
    first.kill()
    first.wait()
    second = start(BURN + "print('ready', flush=True)\n" + WAIT)
    until_ready(second)
    sampler.renew({"tables": second.pid})
    assert "tables" in sampler.sample().memory
    assert before > 0.15
    assert sampler.cpu_seconds()["tables"] > before + 0.15
