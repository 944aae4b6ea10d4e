"""Scaling of pollers and functions on an injected clock, reservations, routes of S3 notifications."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.lambda_service.concurrency import (
    ENVIRONMENTS_AT_ONCE,
    ENVIRONMENTS_PER_SECOND,
    ConcurrencyLedger,
    FunctionScaling,
    PollerScaling,
    ProvisionedPollers,
    Scaling,
    TokenBucket,
    admit,
    profile_named,
    profiles,
    scaling_of,
    throttle_pauses,
)
from harness.lambda_service.event_sources.s3 import matching
from harness.lambda_service.model import NotificationRoute
from tests.depth import examples


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


@pytest.mark.parametrize(
    ("least", "most", "minutes", "expected"),
    [
        (2, 200, 0, 20),
        (2, 200, 0.011, 30),
        (2, 200, 1, 1020),
        (2, 200, 2, 2000),
        (200, 2000, 0, 2000),
        (200, 2000, 18, 20_000),
        (200, 2000, 60, 20_000),
    ],
)
def test_provisioned_pollers_when_a_backlog_lasts_grow_by_1000_invocations_a_minute(
    least: int, most: int, minutes: float, expected: int
) -> None:
    scaling = ProvisionedPollers(least, most)
    assert scaling.allowed(0.0) == least * 10
    scaling.observe(True, 100.0)
    assert scaling.allowed(100.0 + minutes * 60) == expected


def test_provisioned_pollers_when_the_queue_was_empty_for_a_minute_are_the_least_again() -> None:
    scaling = ProvisionedPollers(3, 50)
    scaling.observe(True, 0.0)
    scaling.observe(True, 120.0)
    assert scaling.pollers(120.0) == 50
    scaling.observe(False, 180.0)
    assert scaling.pollers(180.0) == 3


def test_provisioned_pollers_when_polled_too_fast_wait_for_their_turn() -> None:
    scaling = ProvisionedPollers(2, 2)
    waits = [scaling.take_poll(0.0) for _ in range(22)]
    assert waits == [0.0] * 20 + [pytest.approx(0.05), pytest.approx(0.1)]
    assert scaling.take_poll(10.0) == 0.0


def test_provisioned_pollers_when_messages_are_large_wait_until_their_bytes_are_through() -> None:
    scaling = ProvisionedPollers(2, 2)
    scaling.received(6_000_000, 0.0)
    assert scaling.take_poll(0.0) == pytest.approx(2.0)
    assert scaling.take_poll(2.0) == 0.0


@pytest.mark.parametrize(
    ("profile", "provisioned", "kind", "at_first", "in_the_end"),
    [
        ("2026", None, PollerScaling, 5, 7),
        ("2026", (2, 3), ProvisionedPollers, 20, 30),
        # What suits this machine: never more than the mapping would have on AWS.
        ("local", (2, 200), PollerScaling, profiles()["local"].ceiling, profiles()["local"].ceiling),
    ],
)
def test_scaling_of_a_mapping_is_as_its_profile_and_its_pollers_say(
    profile: str, provisioned: tuple[int, int] | None, kind: type, at_first: int, in_the_end: int
) -> None:
    scaling = scaling_of(profile_named(profile), 7 if provisioned is None else None, provisioned)
    assert type(scaling) is kind
    scaling.observe(True, 0.0)
    assert (scaling.allowed(0.0), scaling.allowed(600.0)) == (at_first, in_the_end)


@settings(max_examples=examples(100), deadline=None)
@given(
    scaling=st.one_of(
        st.builds(
            lambda name, most: (PollerScaling(profile_named(name), most), most),
            st.sampled_from(["2021", "2026"]),
            st.integers(2, 1250),
        ),
        st.builds(
            lambda least, more: (ProvisionedPollers(least, least + more), (least + more) * 10),
            st.integers(2, 200),
            st.integers(0, 1800),
        ),
    ),
    steps=st.lists(st.floats(0.0, 300.0), max_size=20),
)
def test_ramp_while_a_backlog_lasts_never_falls_and_never_exceeds_its_ceiling(
    scaling: tuple[Scaling, int], steps: list[float]
) -> None:
    made, ceiling = scaling
    now, before = 0.0, made.allowed(0.0)
    for step in steps:
        now += step
        made.observe(True, now)
        assert before <= made.allowed(now) <= ceiling
        before = made.allowed(now)


@settings(max_examples=examples(100), deadline=None)
@given(capacity=st.integers(1, 50), per_second=st.floats(0.5, 100.0), steps=st.lists(st.floats(0.0, 5.0), max_size=200))
def test_bucket_in_any_window_gives_no_more_than_its_capacity_and_its_rate(
    capacity: int, per_second: float, steps: list[float]
) -> None:
    bucket = TokenBucket(capacity, per_second)
    now, taken = 0.0, []
    for step in steps:
        now += step
        if bucket.try_take(now):
            taken.append(now)
    for first, start in enumerate(taken):
        for last, end in enumerate(taken[first:], start=first):
            assert last - first + 1 <= capacity + per_second * (end - start) + 1e-6


def test_bucket_when_its_rate_changes_keeps_what_was_taken() -> None:
    bucket = TokenBucket(10, 10)
    assert bucket.take(15, 0.0) == pytest.approx(0.5)
    bucket.set_rate(20, 20, 0.0)
    assert bucket.take(0, 0.0) == 0.0
    assert bucket.take(15, 0.0) == pytest.approx(0.5)
    bucket.set_rate(5, 5, 100.0)
    assert bucket.take(6, 100.0) == pytest.approx(0.2)


def test_function_when_it_scales_gets_1000_environments_then_100_a_second() -> None:
    scaling = FunctionScaling()
    assert sum(scaling.try_start(0.0) for _ in range(3_000)) == ENVIRONMENTS_AT_ONCE
    assert sum(scaling.try_start(1.0) for _ in range(3_000)) == ENVIRONMENTS_PER_SECOND
    # None are saved up.
    assert sum(scaling.try_start(1_000.0) for _ in range(3_000)) == ENVIRONMENTS_AT_ONCE


def test_invocation_when_it_needs_an_environment_too_many_gives_its_slot_back() -> None:
    ledger, scaling = ConcurrencyLedger(5_000), FunctionScaling()
    cold = [admit(ledger, scaling, "f", warm=False, now=0.0) for _ in range(1_001)]
    assert cold == [True] * 1_000 + [False]
    assert ledger.running("f") == 1_000
    assert admit(ledger, scaling, "f", warm=True, now=0.0)
    assert not admit(ConcurrencyLedger(0), FunctionScaling(), "f", warm=True, now=0.0)


def test_pauses_of_a_throttled_batch_double_up_to_five_seconds() -> None:
    assert list(islice(throttle_pauses(), 8)) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


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
