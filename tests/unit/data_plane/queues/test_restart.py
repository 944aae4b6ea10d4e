"""Queues after a restart on their directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data_plane.queues.errors import SqsError
from harness.data_plane.queues.message import Extra
from harness.data_plane.queues.move_tasks import RUNNING
from tests.unit.data_plane.queues.durable import Service


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "queues")


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
