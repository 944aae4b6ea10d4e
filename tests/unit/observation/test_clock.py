"""Sleep, stopped processes and set clocks are noticed, and count for nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from harness.observation.clock import BEAT_SECONDS, RunClock


class Machine:
    """Three clocks of one machine, set by hand."""

    def __init__(self) -> None:
        self.elapsed = 1000.0
        self.asleep = 0.0
        self.offset = 1.7e9

    def clock(self) -> RunClock:
        return RunClock(lambda: self.elapsed, lambda: self.elapsed - self.asleep, lambda: self.elapsed + self.offset)

    def run(self, clock: RunClock, seconds: float) -> None:
        """Let time pass with the process running."""
        for _ in range(round(seconds / BEAT_SECONDS)):
            self.elapsed += BEAT_SECONDS
            clock.awake()


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_clock_when_nothing_interferes_counts_every_second(machine: Machine) -> None:
    clock = machine.clock()
    machine.run(clock, 300)
    assert clock.awake() == 300
    assert clock.doubt().reason == ""


def test_clock_when_the_machine_sleeps_leaves_that_out_and_says_so(machine: Machine) -> None:
    clock = machine.clock()
    machine.run(clock, 10)
    machine.elapsed += 240
    machine.asleep += 240
    machine.run(clock, 10)
    assert clock.awake() == pytest.approx(20, abs=1)
    assert clock.doubt().reason == "this machine slept for 240 s"


def test_clock_when_the_process_was_stopped_leaves_that_out_and_says_so(machine: Machine) -> None:
    clock = machine.clock()
    machine.run(clock, 10)
    machine.elapsed += 90
    machine.run(clock, 10)
    assert clock.awake() == pytest.approx(20, abs=1)
    assert clock.doubt().reason == "the harness was stopped for 90 s"


def test_clock_when_the_machine_is_busy_for_a_few_seconds_is_not_alarmed(machine: Machine) -> None:
    clock = machine.clock()
    machine.run(clock, 10)
    machine.elapsed += 4.0
    assert clock.awake() == 14.0
    assert clock.doubt().reason == ""


@pytest.mark.parametrize(("jump", "way"), [(3600.0, "forward by 3600 s"), (-30.0, "back by 30 s")])
def test_clock_when_it_is_set_counts_on_and_says_so(machine: Machine, jump: float, way: str) -> None:
    clock = machine.clock()
    machine.run(clock, 10)
    machine.offset += jump
    machine.run(clock, 10)
    assert clock.awake() == 20
    assert clock.doubt().reason == f"the clock was set {way}"


def test_clock_when_it_is_set_and_set_back_still_says_so(machine: Machine) -> None:
    clock = machine.clock()
    for jump in (-30.0, 30.0):
        machine.offset += jump
        machine.run(clock, 5)
    assert clock.doubt().reason == "the clock was set back by 30 s"


def test_clock_when_ntp_slews_says_nothing(machine: Machine) -> None:
    clock = machine.clock()
    for _ in range(600):
        machine.offset += 0.0005
        machine.run(clock, 1)
    assert clock.doubt().reason == ""


def test_clock_when_several_things_happen_names_them_all(machine: Machine) -> None:
    clock = machine.clock()
    machine.elapsed += 60
    machine.asleep += 40
    machine.offset += 100
    assert clock.doubt().reason == (
        "this machine slept for 40 s and the harness was stopped for 20 s and the clock was set forward by 100 s"
    )


PROGRAM = """
import sys, time
from harness.observation import clock as module
module.STOPPED_SECONDS = 1.0
with module.RunClock() as clock:
    print("started", flush=True)
    sys.stdin.readline()
    print(clock.doubt().reason, flush=True)
"""


def test_clock_when_the_process_is_really_stopped_notices_while_it_waits_for_something_else() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        os.kill(process.pid, signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith("the harness was stopped for ")
