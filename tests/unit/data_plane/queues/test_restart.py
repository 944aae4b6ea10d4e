"""Queues from their log: after a restart, after a kill at any byte, and with old segments cleaned away."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.data_plane.queues import attributes
from harness.data_plane.queues.broker import Broker, Hosted
from harness.data_plane.queues.errors import SqsError
from harness.data_plane.queues.fifo import FifoQueue
from harness.data_plane.queues.journal import SLACK_SEGMENTS, Journal, StorageError
from harness.data_plane.queues.log import FRAME
from harness.data_plane.queues.message import Extra
from harness.data_plane.queues.move_tasks import RUNNING
from tests.unit.data_plane.queues.support import body_of, kept

BITS = 12
"""Segments of 4 KiB, so that there are many."""


class Service:
    """A broker on a directory, with a clock, that can be opened anew."""

    def __init__(self, directory: Path, now: int = 1_000_000, bits: int = BITS) -> None:
        self.directory, self.now, self.bits = directory, now, bits
        self.open()

    def open(self) -> None:
        self.journal = Journal(self.directory, self.bits)
        self.broker = Broker("000000000000", "us-east-1", lambda _queue: None, journal=self.journal)
        self.broker.recover()

    def reopen(self) -> None:
        """As after a kill: nothing is closed in an orderly way but the files."""
        self.journal.close()
        self.open()

    def create(self, name: str, tags: dict[str, str] | None = None, **given_: str) -> Hosted:
        fifo = name.endswith(".fifo")
        if fifo:
            given_ = {"FifoQueue": "true", **given_}
        hosted = self.broker.create(self.now, name, attributes.initial(given_, fifo=fifo), tags or {})
        self.journal.commit()
        return hosted

    def send(self, name: str, *bodies: str, delay: int = 0, extra: Extra | None = None) -> None:
        queue = self.broker.get(name).queue
        for body in bodies:
            queue.put(self.now, kept(body), self.now, delay, extra)
        self.journal.commit()

    def send_fifo(self, name: str, group: str, body: str) -> bool:
        """Whether it was new."""
        queue = self.broker.get(name).queue
        assert isinstance(queue, FifoQueue)
        new = queue.earlier(self.now, group, body) is None
        if new:
            queue.send_in_group(self.now, kept(body), body.rjust(36, "x"), group, body, Extra())
        self.journal.commit()
        return new

    def receive(self, name: str, count: int = 10, visibility: int | None = None) -> dict[str, str]:
        queue = self.broker.get(name).queue
        found = {body_of(queue, m): queue.handle(m) for m in queue.receive(self.now, count, visibility)}
        self.journal.commit()
        return found

    def delete(self, name: str, *handles: str) -> None:
        for handle in handles:
            self.broker.get(name).queue.delete(self.now, handle)
        self.journal.commit()


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "queues")


def state(service: Service) -> dict[str, Any]:
    """Everything that a client could find out, by queue."""
    found: dict[str, Any] = {}
    for name, hosted in service.broker.queues.items():
        queue = hosted.queue
        # What came back by itself is in no log: it is found by whoever looks.
        queue.counts(service.now)
        messages = [
            (m.number, m.state, m.due if m.state else 0, m.receives, m.first_received, m.sent, m.group,
             service.journal.contents([m])[0])
            for m in sorted(queue.messages.values(), key=lambda m: m.number)
        ]  # fmt: skip
        found[name] = (queue.token, hosted.attributes, dict(hosted.tags), hosted.created, hosted.purged, messages)
    return found


def test_queues_with_attributes_and_tags_are_there_again_and_deleted_ones_are_not(service: Service) -> None:
    service.create("kept", {"team": "a"}, DelaySeconds="3", VisibilityTimeout="9")
    service.create("gone")
    service.send("gone", "x")
    service.broker.delete(service.now, "gone")
    service.create("gone.fifo")
    service.reopen()
    kept_ = service.broker.get("kept")
    assert kept_.attributes["DelaySeconds"] == "3"
    assert kept_.queue.config.visibility == 9_000
    assert kept_.tags == {"team": "a"}
    with pytest.raises(SqsError, match="does not exist"):
        service.broker.get("gone")
    assert service.broker.deleted == {"gone": service.now}
    assert service.broker.get("gone.fifo").queue.config.fifo


def test_message_in_flight_comes_back_when_its_visibility_ends_and_its_handle_still_works(service: Service) -> None:
    service.create("q", VisibilityTimeout="10")
    service.send("q", "a", "b", "c")
    service.send("q", "later", delay=20_000)
    handles = service.receive("q", 2)
    service.reopen()
    counts = service.broker.get("q").queue.counts(service.now)
    assert (counts.visible, counts.in_flight, counts.delayed) == (1, 2, 1)
    service.delete("q", handles["a"])
    service.now += 10_000
    service.reopen()
    assert list(service.receive("q")) == ["b", "c"]
    assert service.broker.get("q").queue.messages[2].receives == 2
    service.now += 10_000
    assert list(service.receive("q")) == ["b", "c", "later"]


def test_numbers_go_on_so_that_an_old_handle_names_no_new_message(service: Service) -> None:
    service.create("q")
    service.send("q", "a")
    [handle] = service.receive("q").values()
    service.delete("q", handle)
    for _ in range(3):
        service.reopen()
    service.send("q", "b")
    service.delete("q", handle)
    assert list(service.receive("q")) == ["b"]


def test_extra_and_dead_letter_are_kept(service: Service) -> None:
    service.create("dead")
    arn = service.broker.arn("dead")
    service.create("q", RedrivePolicy=f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":1}}')
    service.send("q", "a", extra=Extra(b'{"k":1}', "0" * 32, "trace"))
    service.receive("q", visibility=0)
    service.reopen()
    assert service.receive("q") == {}
    service.reopen()
    assert list(service.receive("dead")) == ["a"]
    dead = service.broker.get("dead").queue
    [(_, extra)] = service.journal.contents(list(dead.messages.values()))
    assert extra == Extra(b'{"k":1}', "0" * 32, "trace", source_arn=service.broker.arn("q"), receives_before=1)
    assert not service.broker.get("q").queue.messages


def test_purge_is_kept_with_its_time(service: Service) -> None:
    hosted = service.create("q")
    service.send("q", "a")
    hosted.purged = service.now
    hosted.queue.purge()
    service.broker.keep(hosted)
    service.send("q", "b")
    service.reopen()
    assert list(service.receive("q")) == ["b"]
    assert service.broker.get("q").purged == service.now


@pytest.mark.parametrize("scope", ["queue", "messageGroup"])
def test_deduplication_ids_are_remembered_for_their_five_minutes(service: Service, scope: str) -> None:
    service.create("q.fifo", DeduplicationScope=scope)
    assert service.send_fifo("q.fifo", "g", "a")
    service.delete("q.fifo", *service.receive("q.fifo").values())
    service.reopen()
    assert not service.send_fifo("q.fifo", "g", "a")
    assert service.send_fifo("q.fifo", "other", "a") == (scope == "messageGroup")
    service.now += 300_000
    service.reopen()
    assert service.send_fifo("q.fifo", "g", "a")


def test_deduplication_ids_are_remembered_though_the_segment_of_their_message_went(service: Service) -> None:
    service.create("q.fifo")
    service.create("other")
    assert service.send_fifo("q.fifo", "g", "a")
    service.delete("q.fifo", *service.receive("q.fifo").values())
    first = service.journal.log.segments[0]
    while first in service.journal.log.segments:
        service.send("other", "x" * 1000)
        service.delete("other", *service.receive("other").values())
    service.reopen()
    assert not service.send_fifo("q.fifo", "g", "a")


def test_order_and_blocking_of_a_group_are_kept(service: Service) -> None:
    service.create("q.fifo", VisibilityTimeout="10")
    for body in "abc":
        service.send_fifo("q.fifo", "g", body)
    service.send_fifo("q.fifo", "h", "z")
    handles = service.receive("q.fifo", 1)
    service.reopen()
    assert list(service.receive("q.fifo")) == ["z"]
    service.delete("q.fifo", *handles.values())
    assert list(service.receive("q.fifo")) == ["b", "c"]


def test_move_task_goes_on_after_a_restart(service: Service) -> None:
    service.create("dead")
    arn = service.broker.arn("dead")
    service.create("q", RedrivePolicy=f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":1}}')
    service.send("dead", *"abcde")
    service.broker.start_move(service.now, arn, service.broker.arn("q"), 1)
    assert service.broker.run_moves(service.now)
    service.journal.commit()
    service.reopen()
    [task] = service.broker.moves(arn, 10)
    assert (task.status, task.moved, task.to_move) == (RUNNING, 1, 5)
    service.now += 10_000
    assert not service.broker.run_moves(service.now)
    service.journal.commit()
    service.reopen()
    assert sorted(service.receive("q")) == list("abcde")
    assert service.broker.get("dead").queue.messages == {}


def test_second_process_on_a_directory_is_refused(service: Service) -> None:
    with pytest.raises(OSError, match="in use by another process"):
        Journal(service.directory)


def test_disk_use_is_bounded_by_what_is_alive(service: Service) -> None:
    """One message in each hundred stays: every segment would be kept by one, were none copied."""
    service.create("q")
    service.create("kept")
    log = service.journal.log
    for round_ in range(400):
        service.send("q", *(f"{round_}-{i}" + "x" * 50 for i in range(10)))
        if not round_ % 10:
            service.send("kept", f"keep-{round_}")
        service.delete("q", *service.receive("q").values())
        # Cleaning goes on with the writes, so that one segment more than allowed may be under way.
        assert log.size <= 2 * service.journal.live_bytes + ((SLACK_SEGMENTS + 2) << BITS)
    assert log.size == sum(p.stat().st_size for p in service.directory.glob("*.queues-log"))
    before = state(service)
    service.reopen()
    assert state(service) == before
    assert sorted(service.receive("kept", 100)) == sorted(f"keep-{i}" for i in range(0, 400, 10))


def test_empty_queue_leaves_next_to_nothing_on_disk(service: Service) -> None:
    service.create("q")
    for _ in range(50):
        service.send("q", *("x" * 100 for _ in range(10)))
        queue = service.broker.get("q").queue
        service.delete("q", *(queue.handle(m) for m in queue.receive(service.now, 10)))
    assert len(service.journal.log.segments) == 1


def test_message_larger_than_a_segment(service: Service) -> None:
    service.create("q")
    service.send("q", "x" * 20_000, "y")
    service.send("q", "z" * 9_000)
    service.reopen()
    assert sorted(map(len, service.receive("q"))) == [1, 9_000, 20_000]
    assert len(service.journal.log.segments) > 2


def test_damage_that_is_no_torn_end_is_an_error_and_not_a_cut(service: Service) -> None:
    service.create("q")
    for _ in range(20):
        service.send("q", "x" * 1000)
    service.journal.close()
    files = sorted(service.directory.glob("*.queues-log"))
    for path in (files[0], files[-2]):
        data = bytearray(path.read_bytes())
        data[FRAME.size + 3] ^= 1
        damaged = service.directory.with_name("damaged")
        shutil.copytree(service.directory, damaged)
        (damaged / path.name).write_bytes(data)
        with pytest.raises(OSError, match=f"{path.name} is damaged at byte"):
            Service(damaged)
        shutil.rmtree(damaged)


STEP = st.sampled_from(
    ["send", "send", "fifo", "receive", "receive", "receive-fifo", "delete", "hide", "purge", "wait", "tag", "reopen"]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.tuples(STEP, st.integers(0, 9)), max_size=40), cut=st.floats(0, 1))
def test_log_cut_at_any_byte_gives_the_state_after_some_request(steps: list[tuple[str, int]], cut: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder) / "queues", bits=30)
        # Where the log ended after each request, and what clients saw then.
        seen: list[tuple[int, int, dict[str, Any]]] = [(0, service.now, {})]
        for name in ("q", "q.fifo"):
            service.create(name, VisibilityTimeout="1")
            seen.append((service.journal.log.end, service.now, state(service)))
        handles: dict[str, str] = {}
        for step, number in steps:
            _take(service, step, number, handles)
            service.journal.commit()
            seen.append((service.journal.log.end, service.now, state(service)))
        last = service.journal.log.segments[-1]
        kept_bytes = round(cut * last.size)
        service.journal.close()
        os.truncate(sorted(service.directory.glob("*.queues-log"))[-1], kept_bytes)
        survived = Service(service.directory, bits=30)
        try:
            _, survived.now, then = [s for s in seen if s[0] <= last.base + kept_bytes][-1]
            assert state(survived) == then
        finally:
            survived.journal.close()


def _take(service: Service, step: str, number: int, handles: dict[str, str]) -> None:
    queue = service.broker.get("q").queue
    if step == "send":
        service.send("q", *(f"m{number}" for _ in range(number)), delay=number % 3 * 500)
    elif step == "fifo":
        service.send_fifo("q.fifo", f"g{number % 2}", f"f{number}")
    elif step == "receive":
        handles.update(service.receive("q", number + 1, None if number % 2 else 100 * number))
    elif step == "receive-fifo":
        service.receive("q.fifo", number + 1)
    elif step == "delete" and handles:
        service.delete("q", handles.pop(sorted(handles)[number % len(handles)]))
    elif step == "hide" and handles:
        handle = handles[sorted(handles)[number % len(handles)]]
        try:
            queue.change_visibility(service.now, handle, number * 300)
        except SqsError as error:
            assert error.code == "InvalidParameterValue"
    elif step == "purge" and number == 0:
        queue.purge()
    elif step == "wait":
        service.now += 300 * number
    elif step == "tag":
        service.broker.get("q").tags[str(number)] = "x"
        service.broker.keep(service.broker.get("q"))
    elif step == "reopen":
        service.reopen()


def test_failed_write_refuses_the_request_and_all_others_until_there_is_room(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.create("q")
    service.send("q", "a")
    log = service.journal.log
    before = sorted((p.name, p.stat().st_size) for p in service.directory.iterdir())

    def full(_payload: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(log, "write", full)
        with pytest.raises(StorageError, match="No space left on device") as caught:
            service.send("q", "b")
        assert (caught.value.status, caught.value.code) == (503, "ServiceUnavailable")
        for _ in range(3):
            with pytest.raises(StorageError):
                service.journal.commit()
        assert sorted((p.name, p.stat().st_size) for p in service.directory.iterdir()) == before
    service.journal.commit()
    expected = state(service)
    service.reopen()
    assert state(service) == expected
    assert list(service.receive("q")) == ["a", "b"]


def test_process_that_dies_with_a_refused_request_has_what_was_acknowledged(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.create("q")
    service.send("q", "a")
    monkeypatch.setattr(service.journal.log, "write", lambda _payload: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(StorageError):
        service.send("q", "b")
    service.reopen()
    assert list(service.receive("q")) == ["a"]


def test_segment_that_cannot_be_begun_fails_no_request_and_is_begun_later(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.create("q")
    log = service.journal.log
    with monkeypatch.context() as patched:
        patched.setattr(log, "roll", lambda: (_ for _ in ()).throw(OSError(28, "full")))
        service.send("q", *("x" * 1000 for _ in range(9)))
    assert len(log.segments) == 1
    service.send("q", "y")
    assert len(log.segments) == 2
    service.reopen()
    assert len(service.broker.get("q").queue.messages) == 10
