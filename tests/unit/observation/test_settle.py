"""When nothing is under way, wherever it may hide, and when nothing moves that should."""

from __future__ import annotations

import random
from typing import Any

import pytest

from harness.observation.settle import (
    RETRY_WAIT_SECONDS,
    UNSEEN_CALM_SECONDS,
    Patience,
    Reading,
    Settling,
    Stall,
    stream_empty_by_counts,
    under_way,
)
from harness.queues import Depth
from tests.unit.observation.support import activity, depths, reading, totals

PATIENCE = Patience(quiet=70.0, hidden=360.0)


def settled(*readings: Reading) -> list[bool]:
    settling = Settling(PATIENCE)
    return [settling.observe(one) for one in readings]


def test_settled_when_two_looks_find_nothing_is_true_at_the_second() -> None:
    assert settled(reading(1.0), reading(2.0)) == [False, True]


@pytest.mark.parametrize(
    "busy",
    [
        {"running": 1},
        {"events": 1},
        {"messages": 1},
        {"records": 1},
        {"log_lines": 1},
        {"streams_read_at": None},
        {"streams_read_at": 0.5},
        {"internal": 1},
        {"delivered": False},
        *(
            {"depths": found}
            for depth in (Depth(visible=1), Depth(in_flight=1), Depth(delayed=1))
            for found in (depths(insert=depth), depths(process=depth), depths(update=depth))
        ),
    ],
    ids=str,
)
def test_settled_when_anything_is_under_way_is_false_however_long(busy: dict[str, Any]) -> None:
    assert settled(*(reading(float(at), **busy) for at in (1, 2, 3, 600))) == [False] * 4


def test_settled_when_something_was_taken_in_between_the_looks_begins_anew() -> None:
    assert settled(reading(1.0, moved=7), reading(2.0, moved=8), reading(3.0, moved=8)) == [False, False, True]


def test_settled_when_duplicates_come_late_out_of_the_stream_waits_for_them() -> None:
    # The counts of rows looked complete from the first look on; the third put's changes were still in the window.
    looks = [
        reading(1.0, records=40, streams_read_at=None, moved=100),
        reading(2.0, records=40, due_seconds=1.0, moved=100),
        reading(3.0, running=1, records=40, moved=101),
        reading(4.0, depths=depths(process=Depth(visible=1)), moved=101),
        reading(5.0, running=1, messages=1, moved=103, depths=depths(process=Depth(in_flight=1))),
        reading(6.0, depths=depths(update=Depth(visible=1)), moved=103),
        reading(7.0, moved=105),
        reading(8.0, moved=105),
    ]
    assert settled(*looks) == [False] * 7 + [True]


def test_settled_when_the_stream_was_last_read_before_the_first_look_waits_for_the_next_read() -> None:
    assert settled(reading(1.0), reading(1.1, streams_read_at=0.9), reading(1.4, streams_read_at=1.2)) == [
        False,
        False,
        True,
    ]


def test_settled_when_a_dead_letter_arrives_late_begins_anew() -> None:
    late = depths({"process": Depth(1)})
    assert settled(reading(1.0), reading(2.0, depths=late), reading(3.0, depths=late)) == [False, False, True]


def test_settled_when_someone_looks_at_the_dead_letters_meanwhile_is_true() -> None:
    shown = [depths({"process": Depth(visible=2)}), depths({"process": Depth(in_flight=2)})]
    assert settled(*(reading(float(at), depths=one) for at, one in enumerate(shown, 1))) == [False, True]


def test_settled_when_the_service_was_started_anew_begins_anew() -> None:
    assert settled(reading(1.0), reading(2.0, service="two"), reading(3.0, service="two")) == [False, False, True]


def test_settled_when_an_event_waits_two_minutes_for_its_last_attempt_waits_too() -> None:
    waiting = [reading(float(at), events=1, due_seconds=120.0 - at) for at in range(1, 120, 7)]
    assert settled(*waiting, reading(121.0, moved=8), reading(122.0, moved=8)) == [False] * (len(waiting) + 1) + [True]


def test_undisturbed_when_nothing_moved_since_is_true_and_else_false() -> None:
    settling = Settling(PATIENCE)
    assert not settling.undisturbed(reading(0.0))
    settling.observe(reading(1.0))
    assert not settling.undisturbed(reading(1.5)), "one look proves nothing"
    assert settling.observe(reading(2.0))
    assert settling.undisturbed(reading(50.0))
    for moved in ({"moved": 8}, {"running": 1}, {"depths": depths(insert=Depth(1))}, {"service": "two"}):
        assert not settling.undisturbed(reading(51.0, **moved))
    assert not settling.undisturbed(reading(51.0, depths=depths({"insert": Depth(1)})))


# An engine that does not tell what its Lambda service does.


def unseen(at: float, **changed: Any) -> Reading:
    return reading(at, activity=None, **changed)


def test_settled_when_the_service_is_unseen_and_counts_prove_the_stream_empty_waits_a_little() -> None:
    said = totals(insert=90, capture=90, update=90)
    looks = [unseen(at, totals=said) for at in (1.0, UNSEEN_CALM_SECONDS, 1.0 + UNSEEN_CALM_SECONDS)]
    assert settled(*looks) == [False, False, True]


def test_settled_when_the_service_is_unseen_and_counts_prove_nothing_outlasts_everything_hidden() -> None:
    said = totals(insert=90, capture=80)
    looks = [unseen(at, totals=said) for at in (1.0, 60.0, PATIENCE.quiet, 1.0 + PATIENCE.quiet)]
    assert settled(*looks) == [False, False, False, True]


def test_settled_when_the_service_is_unseen_and_a_function_speaks_begins_anew() -> None:
    settling = Settling(PATIENCE)
    # A reader goes on adding to the same totals, as here.
    said = totals(insert=90, capture=80)
    assert not settling.observe(unseen(1.0, totals=said))
    said["capture"].rows_ok = 89
    assert not settling.observe(unseen(69.0, totals=said))
    assert not settling.observe(unseen(72.0, totals=said))
    assert settling.observe(unseen(69.0 + PATIENCE.quiet, totals=said))


@pytest.mark.parametrize(("stage", "field"), [("insert", "errors"), ("capture", "errors"), ("capture", "rows_failed")])
def test_counts_when_a_batch_failed_prove_nothing(stage: str, field: str) -> None:
    said = totals(insert=5, capture=5)
    assert stream_empty_by_counts(said)
    setattr(said[stage], field, 1)
    assert not stream_empty_by_counts(said)


@pytest.mark.parametrize("passed_on", [4, 6])
def test_counts_when_capture_has_not_passed_on_what_was_inserted_prove_nothing(passed_on: int) -> None:
    assert not stream_empty_by_counts(totals(insert=5, capture=passed_on))


def test_patience_when_parameters_are_given_outlasts_each_of_them() -> None:
    given = Patience.of({"CaptureWindowSeconds": "300", "WorkerTimeout": "900", "RetryDelaySeconds": "4000"})
    assert given.quiet > 300 + 900
    assert given.hidden == 4000
    assert Patience.of({"VisibilityTimeout": "24", "RetryDelaySeconds": "1"}).hidden == 24
    assert Patience.of({}) == Patience(quiet=76.0, hidden=360.0)


# Stuck or only slow?


def still(*readings: Reading) -> float:
    stall = Stall(PATIENCE)
    return [stall.observe(one) for one in readings][-1]


def test_stall_when_nothing_moves_and_nothing_will_counts_from_the_last_motion() -> None:
    waiting = depths(insert=Depth(visible=1))
    assert still(reading(5.0, depths=waiting), reading(125.0, depths=waiting)) == 120.0


def test_stall_when_anything_moves_begins_anew() -> None:
    for change in ({"moved": 8}, {"internal": 1}, {"running": 1}, {"depths": depths(update=Depth(1))}):
        assert still(reading(5.0), reading(100.0, **change)) == 0.0
    assert still(reading(5.0), reading(100.0, totals=totals(update=1))) == 0.0


def test_stall_when_a_slow_invocation_runs_waits_for_its_time_out() -> None:
    running = [reading(float(at), running=1, due_seconds=900.0 - at) for at in (5, 300, 899)]
    assert still(*running) == 0.0
    # It ended, and yet nothing follows.
    hung = [reading(at, running=1, due_seconds=0.0) for at in (905.0, 1000.0)]
    assert still(*running, *hung) == 100.0


def test_stall_when_a_message_is_in_flight_waits_until_it_is_visible_again() -> None:
    hidden = depths(insert=Depth(in_flight=1))
    assert still(reading(5.0, depths=hidden), reading(365.0, depths=hidden)) == 0.0
    assert still(reading(5.0, depths=hidden), reading(375.0, depths=hidden)) == 10.0


def test_stall_when_an_event_waits_for_its_retry_waits_as_well() -> None:
    assert still(*(reading(float(at), events=1, due_seconds=120.0 - at) for at in (1, 60, 119))) == 0.0


def test_stall_when_clean_failed_on_an_unseen_service_waits_for_its_retry() -> None:
    said = totals()
    failed = [unseen(at, delivered=False, totals=said) for at in (1.0, 121.0)]
    assert still(*failed) == 120.0
    said["clean"].errors = 1
    failed = [unseen(at, delivered=False, totals=said) for at in (1.0, 1.0 + RETRY_WAIT_SECONDS)]
    assert still(*failed) == 0.0


def test_stall_when_an_unseen_service_may_hide_a_record_waits_for_it() -> None:
    said = totals(insert=2, capture=1)
    assert still(unseen(1.0, totals=said), unseen(1.0 + PATIENCE.quiet, totals=said)) == 0.0


def test_under_way_when_something_is_names_it() -> None:
    busy = reading(
        1.0,
        running=1,
        events=2,
        messages=3,
        records=4000,
        log_lines=5,
        streams_read_at=None,
        internal=1,
        depths=depths(insert=Depth(1, 1, 1)),
        delivered=False,
    )
    assert under_way(busy) == (
        "1 invocations running, 2 asynchronous events not finished, 3 messages in the hands of pollers, 4,000 stream "
        "records not processed, 5 log lines not stored, the table's stream not read to its end, 4 messages in queues, "
        "an uploaded object that clean has not finished"
    )
    assert under_way(reading(1.0)) == ""
    assert under_way(unseen(1.0)) == ""


# The law, over every order in which work can move while a look goes on.

QUEUES = ("insert", "process", "update")
SEEDS = 4000


class Model:
    """A pipeline of pieces of work that are in a queue, in the service's hands, or in the stream.

    `choose` draws the next of several; a piece that is taken in may fail and stay, be sent on, double, or become a dead
    letter. Duplicates and retries are bounded by `fuel`.
    """

    def __init__(self, choose: Any, events: int, fuel: int) -> None:
        self.choose = choose
        self.fuel = fuel
        self.events = events
        self.queues = dict.fromkeys(QUEUES, 0)
        self.hidden = dict.fromkeys(QUEUES, 0)
        self.letters = 0
        self.stream = 0
        self.hands: list[str] = []
        self.moved = events
        self.clock = 0.0
        self.read_at: float | None = None

    @property
    def work(self) -> int:
        pieces = sum(self.queues.values()) + sum(self.hidden.values())
        return self.events + pieces + self.stream + len(self.hands)

    def act(self) -> None:
        """Let one thing happen."""
        self.clock += 0.1
        actions: list[Any] = [self.read_stream]
        actions += [lambda q=q: self.receive(q) for q in QUEUES if self.queues[q]]
        actions += [lambda q=q: self.show(q) for q in QUEUES if self.hidden[q]]
        actions += [self.finish] if self.hands else []
        actions += [self.clean] if self.events else []
        self.choose(actions)()

    def receive(self, queue: str) -> None:
        self.queues[queue] -= 1
        self.hidden[queue] += 1
        self.hands.append(queue)
        self.moved += 1

    def show(self, queue: str) -> None:
        """Let a visibility time-out end: of a message that nobody holds any more, or, for fuel, of one in hand."""
        if self.hidden[queue] <= self.hands.count(queue):
            if not self.fuel:
                return
            self.fuel -= 1
        self.hidden[queue] -= 1
        self.queues[queue] += 1

    def read_stream(self) -> None:
        if not self.stream:
            self.read_at = self.clock
            return
        self.read_at = None
        self.stream -= 1
        self.moved += 1
        self.hands.append("capture")

    def clean(self) -> None:
        self.queues["insert"] += 1
        if self.fuel and self.choose([True, False]):
            # It fails after sending; the event stays and is retried.
            self.fuel -= 1
            return
        self.events -= 1

    def finish(self) -> None:
        held = self.hands.pop(self.choose(range(len(self.hands))))
        failed = bool(self.fuel) and self.choose([True, False])
        if held == "insert":
            self.stream += 1
        elif held == "capture":
            self.queues["process"] += 1
        elif held == "process":
            if self.choose([True, False]):
                self.queues["update"] += 1
            else:
                self.letters += 1
        if held == "capture":
            return
        if failed:
            # Sent on and not deleted: it comes back when its visibility time-out ends.
            self.fuel -= 1
        elif self.hidden[held]:
            self.hidden[held] -= 1

    def look(self) -> Reading:
        """Read one place after another, with work going on in between; the law must hold for any order of queues."""
        self.clock += 0.1
        seen = activity(
            self.clock,
            events=self.events,
            messages=len([h for h in self.hands if h != "capture"]),
            records=self.hands.count("capture"),
            moved=self.moved,
            streams_read_at=self.read_at,
        )
        found = {}
        for queue in self.choose((QUEUES, QUEUES[::-1])):
            self.between()
            found[queue] = Depth(visible=self.queues[queue], in_flight=self.hidden[queue])
        self.between()
        return Reading(self.clock, seen, depths({"process": Depth(self.letters)}, **found), 0, True, totals())

    def between(self) -> None:
        for _ in range(self.choose((0, 0, 0, 0, 1, 2, 9))):
            self.act()


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS // 4))
def test_settled_in_whatever_order_work_moves_means_that_none_is_left(first: int) -> None:
    found = 0
    for seed in range(first, first + SEEDS // 4):
        chance = random.Random(seed)
        model = Model(lambda options, chance=chance: chance.choice(list(options)), chance.randint(0, 2), seed % 4)
        model.stream = seed % 2
        settling = Settling(PATIENCE)
        for _ in range(40):
            look = model.look()
            if settling.observe(look):
                assert model.work == 0, seed
                assert look.depths.dlqs["process"].total == model.letters
                assert settling.undisturbed(model.look())
                found += 1
                break
            model.between()
    assert found > SEEDS // 20, "a law that never applies says nothing"


@pytest.mark.parametrize("seed", range(50))
def test_settled_once_all_work_is_done_comes_within_a_few_looks(seed: int) -> None:
    chance = random.Random(seed)
    model = Model(lambda options: chance.choice(list(options)), chance.randint(0, 3), seed % 5)
    while model.work:
        model.act()
    settling = Settling(PATIENCE)
    answers = []
    for _ in range(3):
        answers.append(settling.observe(model.look()))
        model.read_stream()
    assert answers[-1]
