"""A backlog drained in virtual time: nothing is lost, no limit is exceeded, arithmetic by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.lambda_service.concurrency import (
    ENVIRONMENTS_AT_ONCE,
    INVOCATIONS_OF_A_POLLER,
    PollerScaling,
    Profile,
    ProvisionedPollers,
    Scaling,
    profile_named,
)
from harness.lessons.ramp.simulation import Backlog, drain
from tests.depth import examples


def fixed(concurrency: int) -> Scaling:
    return PollerScaling(Profile("fixed", concurrency, 0, concurrency, ()), None)


@pytest.mark.parametrize(
    ("backlog", "concurrency", "peak", "seconds"),
    [
        # 10 batches of 1 s, four at a time: three rounds.
        (Backlog(100, 10, 0.1, 100), 4, 4, 3.0),
        # The last batch has 5 messages and takes half as long.
        (Backlog(25, 10, 0.1, 100), 1, 1, 2.5),
        # Fewer batches than pollers.
        (Backlog(20, 10, 0.1, 100), 9, 2, 1.0),
    ],
    ids=["rounds", "a-smaller-last-batch", "more-pollers-than-batches"],
)
def test_backlog_under_a_fixed_concurrency_takes_what_arithmetic_says(
    backlog: Backlog, concurrency: int, peak: int, seconds: float
) -> None:
    drained = drain(backlog, fixed(concurrency))
    assert (drained.peak, drained.messages, drained.environments) == (peak, backlog.messages, peak)
    assert drained.seconds == pytest.approx(seconds)
    assert drained.throttles == 0
    assert drained.samples[-1] == (drained.seconds, 0.0)


def test_ramp_is_as_far_as_its_time_when_the_queue_is_empty() -> None:
    drained = drain(Backlog(100_000, 10, 0.06, 100), PollerScaling(profile_named("2021"), None))
    assert drained.peak == 5 + int(drained.peak_at)
    assert drained.received_at - 2 < drained.peak_at <= drained.received_at
    risen = [running for at, running in drained.samples if at <= drained.received_at]
    assert risen == sorted(risen)


def test_account_limit_below_the_pollers_throttles_and_loses_nothing() -> None:
    drained = drain(Backlog(2_000, 10, 0.1, 100), fixed(8), account_concurrency=3)
    assert (drained.peak, drained.messages, drained.environments) == (3, 2_000, 3)
    assert drained.throttles > 0
    # 200 batches of a second, three at a time; what is throttled comes back within the longest pause.
    assert 66.0 < drained.seconds < 80.0


def test_function_scaling_is_the_limit_where_the_account_has_none() -> None:
    drained = drain(Backlog(100_000, 10, 0.5, 100), ProvisionedPollers(200, 200), account_concurrency=10_000)
    first = dict(drained.samples)
    assert first[0.0] == ENVIRONMENTS_AT_ONCE
    assert first[1.0] <= ENVIRONMENTS_AT_ONCE + 100
    assert drained.peak > ENVIRONMENTS_AT_ONCE
    assert drained.throttles > 0


def test_provisioned_pollers_are_held_to_ten_polls_a_second_each() -> None:
    # 2 pollers, 20 polls of 10 messages a second and as many at once: 1,000 batches take 49 s, though each takes 1 ms.
    drained = drain(Backlog(10_000, 10, 0.0001, 100), ProvisionedPollers(2, 2))
    assert drained.seconds == pytest.approx(49.0, abs=0.5)


def test_provisioned_pollers_are_held_to_a_megabyte_a_second_each() -> None:
    # 20 polls at once bring 20 MB before a byte is counted; 80 MB are left at 2 MB a second.
    drained = drain(Backlog(1_000, 10, 0.0001, 100_000), ProvisionedPollers(2, 2))
    assert drained.seconds == pytest.approx(40.0, abs=1.0)


@settings(max_examples=examples(30), deadline=None)
@given(
    messages=st.integers(1, 3_000),
    batch=st.integers(1, 50),
    seconds=st.floats(0.0005, 0.2),
    account=st.integers(1, 60),
    scaling=st.one_of(
        st.tuples(st.just("ramp"), st.sampled_from(["2021", "2026"]), st.integers(2, 100)),
        st.tuples(st.just("provisioned"), st.integers(2, 5), st.integers(5, 20)),
    ),
)
def test_backlog_whatever_it_is_ends_whole_and_below_every_limit(
    messages: int, batch: int, seconds: float, account: int, scaling: tuple[str, str | int, int]
) -> None:
    kind, first, most = scaling
    made: Scaling
    if kind == "ramp":
        made, ceiling = PollerScaling(profile_named(str(first)), most), most
    else:
        made, ceiling = ProvisionedPollers(int(first), most), most * INVOCATIONS_OF_A_POLLER
    backlog = Backlog(messages, batch, seconds, 1_000)
    drained = drain(backlog, made, account)
    assert drained.messages == messages
    assert 1 <= drained.environments <= drained.peak <= min(account, ceiling)
    assert drained.received_at <= drained.seconds
    # Work cannot be done faster than all at once that ever ran.
    assert drained.seconds * drained.peak >= messages * seconds * 0.999
    assert all(0 <= running <= drained.peak for _, running in drained.samples)
