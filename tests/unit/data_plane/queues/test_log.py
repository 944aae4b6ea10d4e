"""The queues' log: cut at any byte, cleaned, damaged, and when it cannot be written."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.data_plane.queues.errors import SqsError
from harness.data_plane.queues.journal import SLACK_SEGMENTS, Journal, StorageError
from harness.data_plane.queues.log import FRAME
from tests.unit.data_plane.queues.durable import BITS, Service, state


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "queues")


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
