"""Poller ramps on an injected clock, reservations, routes of S3 notifications."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.lambda_service.concurrency import ConcurrencyLedger, PollerScaling, profile_named, profiles
from harness.lambda_service.event_sources.s3 import matching
from harness.lambda_service.model import NotificationRoute


@pytest.mark.parametrize(
    ("profile", "minutes", "expected"),
    [
        ("2021", 0, 5),
        ("2021", 1, 65),
        ("2021", 4.37, 267),
        ("2021", 30, 1000),
        ("2026", 0, 5),
        ("2026", 1, 305),
        ("2026", 10, 1250),
    ],
)
def test_pollers_when_a_backlog_lasts_grow_as_documented(profile: str, minutes: float, expected: int) -> None:
    scaling = PollerScaling(profile_named(profile), None)
    scaling.observe(True, 100.0)
    assert scaling.allowed(100.0 + minutes * 60) == expected


def test_pollers_when_maximum_concurrency_is_set_stop_there() -> None:
    scaling = PollerScaling(profile_named("2026"), 7)
    scaling.observe(True, 0.0)
    assert (scaling.allowed(0.0), scaling.allowed(600.0)) == (5, 7)


def test_pollers_when_the_queue_was_empty_for_a_minute_start_again() -> None:
    scaling = PollerScaling(profile_named("2021"), None)
    scaling.observe(True, 0.0)
    scaling.observe(True, 120.0)
    scaling.observe(False, 150.0)
    assert scaling.allowed(150.0) > 100
    scaling.observe(False, 180.0)
    assert scaling.allowed(180.0) == 5


def test_local_profile_when_cores_differ_has_one_poller_more() -> None:
    assert [profiles(cores)["local"].ceiling for cores in (1, 2, 8)] == [2, 3, 9]


def test_profile_when_unknown_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="2022") as caught:
        profile_named("2022")
    assert "local, 2021, 2026" in caught.value.hint


def test_ledger_when_a_function_reserved_concurrency_keeps_to_it_and_off_the_rest() -> None:
    ledger = ConcurrencyLedger(3)
    ledger.reserve("a", 1)
    assert [ledger.try_acquire("a"), ledger.try_acquire("a")] == [True, False]
    assert [ledger.try_acquire("b"), ledger.try_acquire("c"), ledger.try_acquire("b")] == [True, True, False]
    ledger.release("a")
    assert ledger.try_acquire("a")


def test_ledger_when_reservations_exceed_the_account_refuses() -> None:
    ledger = ConcurrencyLedger(10)
    ledger.reserve("a", 8)
    with pytest.raises(UsageError, match="b reserves 3 of an account limit of 10"):
        ledger.reserve("b", 3)


def test_ledger_when_released_too_often_says_so() -> None:
    with pytest.raises(AssertionError, match="released more"):
        ConcurrencyLedger(1).release("a")


@pytest.mark.parametrize(
    ("key", "event", "matches"),
    [
        ("in/a+b.csv", "ObjectCreated:Put", True),
        ("in/a.csv", "ObjectCreated:CompleteMultipartUpload", True),
        ("in/a.txt", "ObjectCreated:Put", False),
        ("out/a.csv", "ObjectCreated:Put", False),
        ("in/a.csv", "ObjectRemoved:Delete", False),
    ],
)
def test_notification_when_routed_honours_event_prefix_and_suffix(key: str, event: str, matches: bool) -> None:
    route = NotificationRoute("bucket", "fn", ("s3:ObjectCreated:*",), "in/", ".csv")
    record = {"eventName": event, "s3": {"bucket": {"name": "bucket"}, "object": {"key": key}}}
    assert bool(matching([route], record)) is matches
