"""The capacity model on a clock that the test turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data_plane.tables.capacity import (
    PEAK_AGE_SECONDS,
    Bucket,
    Ledger,
    Throttled,
    Throughput,
    Usage,
    read_units,
    write_units,
)

KEY = ("000000000000", "us-east-1", "table")
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/table"


class World:
    """A ledger with one table, and its clock."""

    def __init__(self, settings: Throughput, indexes: dict[str, Throughput] | None = None) -> None:
        self.now = 0.0
        self.ledger = Ledger(True, lambda: self.now)
        self.ledger.configure(KEY, ARN, settings, indexes or {})

    def write(self, units: float = 1.0, hashed: int = 0) -> str | None:
        try:
            self.ledger.require_write((KEY, hashed, units, ()))
        except Throttled as throttled:
            assert throttled.resource == ARN
            return throttled.reason
        return None

    def written_in(self, seconds: float, attempts: int, units: float = 1.0) -> int:
        """Try `attempts` writes evenly over the time and all keys, and return how many were admitted."""
        admitted = 0
        start = self.now
        for number in range(attempts):
            self.now = start + seconds * number / attempts
            admitted += self.write(units, number * 2654435761 % (1 << 32)) is None
        self.now = start + seconds
        return admitted


@pytest.mark.parametrize(("size", "units"), [(0, 1), (1, 1), (1024, 1), (1025, 2), (400 * 1024, 400)])
def test_writes_cost_a_unit_per_started_kilobyte(size: int, units: int) -> None:
    assert write_units(size) == units


@pytest.mark.parametrize(("size", "units"), [(0, 1), (4096, 1), (4097, 2), (400 * 1024, 100)])
def test_reads_cost_a_unit_per_started_four_kilobytes_or_half(size: int, units: int) -> None:
    assert read_units(size, True) == units
    assert read_units(size, False) == units / 2


def test_five_units_write_at_most_three_thousand_rows_in_five_minutes() -> None:
    """FACTS: 1,500 of burst and 1,500 that flow in; half of it when the table is new."""
    world = World(Throughput(False, write=5, read=5))
    assert 1_500 <= world.written_in(300, 9_000) <= 1_506
    world.now += 300
    assert 2_999 <= world.written_in(300, 9_000) <= 3_001


def test_burst_keeps_five_minutes_and_no_more() -> None:
    world = World(Throughput(False, write=10, read=1))
    world.now = 10_000
    assert sum(world.write() is None for _ in range(5_000)) == 1_000
    for _ in range(4):
        world.now += 1
        assert sum(world.write() is None for _ in range(5_000)) >= 10


def test_burst_does_not_lift_the_limit_of_a_partition() -> None:
    world = World(Throughput(False, write=900, read=1))
    world.now = 10_000
    reasons = [world.write() for _ in range(1_200)]
    assert reasons.count(None) == 1_000
    assert set(reasons[1_000:]) == {"TableWriteKeyRangeThroughputExceeded"}


def test_adaptive_capacity_gives_one_partition_the_whole_table_up_to_its_limit() -> None:
    world = World(Throughput(False, write=3_000, read=1))
    world.now = 1_000
    one = sum(world.write(hashed=0) is None for _ in range(2_000))
    assert one == 1_000
    other = sum(world.write(hashed=1 << 31) is None for _ in range(2_000))
    assert other == 1_000


def test_partition_that_keeps_throttling_is_split_for_heat() -> None:
    world = World(Throughput(False, write=40_000, read=1))
    world.now = 1_000
    keys = (0, (1 << 32) // 64 - 1)
    before = sum(world.write(hashed=keys[n % 2]) is None for n in range(3_000))
    for _ in range(70):
        world.now += 1
        for n in range(1_200):
            world.write(hashed=keys[n % 2])
    world.now += 1
    after = sum(world.write(hashed=keys[n % 2]) is None for n in range(3_000))
    alone = sum(world.write(hashed=0) is None for n in range(3_000))
    assert (before, after, alone) == (1_000, 2_000, 0)


def test_new_on_demand_table_serves_four_thousand_writes_a_second() -> None:
    world = World(Throughput(True))
    assert world.written_in(10, 3_900, units=10) == 3_900
    assert 4_300 <= world.written_in(10, 8_000, units=10) <= 4_420


def test_on_demand_serves_the_published_rate_from_the_start() -> None:
    world = World(Throughput(True))
    assert world.written_in(60, 60 * 186, units=10) == 60 * 186


def test_on_demand_serves_twice_the_previous_peak() -> None:
    world = World(Throughput(True))
    world.written_in(130, 130 * 36, units=100)
    world.now += PEAK_AGE_SECONDS
    assert 700 * 10 <= world.written_in(10, 10_000, units=10) <= 730 * 11


def test_new_on_demand_table_serves_twelve_thousand_reads_a_second_and_a_partition_three_thousand() -> None:
    world = World(Throughput(True))
    spread = [(KEY, n * 2654435761 % (1 << 32), 1.0, ()) for n in range(20_000)]
    assert 11_000 <= sum(world.ledger.admit_reads(spread)) <= 12_000
    world.now = 10
    assert sum(world.ledger.admit_reads([(KEY, 0, 1.0, ())] * 5_000)) == 3_000
    assert world.ledger.usage[KEY].throttled_requests["TableReadKeyRangeThroughputExceeded"] == 2


@pytest.mark.parametrize(("provisioned", "served"), [(100, 4_000), (9_000, 9_000)])
def test_table_that_was_provisioned_serves_as_much_on_demand(provisioned: int, served: int) -> None:
    world = World(Throughput(False, write=provisioned, read=1))
    world.now = 1
    world.ledger.configure(KEY, ARN, Throughput(False, write=1, read=1), {})
    world.ledger.configure(KEY, ARN, Throughput(True), {})
    world.now = 2
    spread = [(KEY, n * 2654435761 % (1 << 32), 1.0, ()) for n in range(20_000)]
    assert 0.85 * served <= sum(world.ledger.admit_writes(spread)) <= served


def test_warm_throughput_is_served_at_once() -> None:
    world = World(Throughput(True, warm_write=9_000))
    assert world.written_in(10, 9_000, units=10) >= 8_800


def test_maximum_of_an_on_demand_table_is_kept() -> None:
    world = World(Throughput(True, max_write=10))
    reasons = [world.write() for _ in range(15)]
    assert reasons.count(None) == 10
    assert set(reasons[10:]) == {"TableWriteMaxOnDemandThroughputExceeded"}


def test_item_of_more_than_a_second_goes_through_and_is_paid_for_later() -> None:
    world = World(Throughput(False, write=5, read=5))
    world.now = 1
    assert world.write(400) is None
    for _ in range(78):
        world.now += 1
        assert world.write() == "TableWriteProvisionedThroughputExceeded"
    world.now += 2
    assert world.write() is None


def test_index_throttles_with_its_own_name() -> None:
    world = World(Throughput(False, write=100, read=100), {"by-city": Throughput(False, write=1, read=1)})
    world.ledger.require_write((KEY, 0, 1, (("by-city", 1.0),)))
    with pytest.raises(Throttled) as refused:
        world.ledger.require_write((KEY, 0, 1, (("by-city", 1.0),)))
    assert refused.value.reason == "IndexWriteProvisionedThroughputExceeded"
    assert refused.value.resource == f"{ARN}/index/by-city"
    # Nothing was taken from the table for what the index refused.
    assert sum(world.write() is None for _ in range(200)) == 99


def test_batch_is_admitted_in_part_and_refused_only_as_a_whole() -> None:
    world = World(Throughput(False, write=5, read=5))
    charges = [(KEY, number, 1.0, ()) for number in range(8)]
    assert list(world.ledger.admit_writes(charges)) == [True] * 5 + [False] * 3
    with pytest.raises(Throttled):
        world.ledger.admit_writes(charges)
    assert list(world.ledger.admit_writes([])) == []
    assert world.ledger.usage[KEY].write_units == 5
    assert world.ledger.usage[KEY].throttled == {"TableWriteProvisionedThroughputExceeded": 11}
    assert world.ledger.usage[KEY].throttled_requests == {"TableWriteProvisionedThroughputExceeded": 2}


def test_reads_and_writes_have_capacities_of_their_own() -> None:
    world = World(Throughput(False, write=1, read=2))
    assert list(world.ledger.admit_reads([(KEY, 0, 0.5, ())] * 5)) == [True] * 4 + [False]
    assert world.write() is None
    assert world.write() == "TableWriteProvisionedThroughputExceeded"


def test_nothing_is_refused_unless_enforced() -> None:
    ledger = Ledger(False, lambda: 0.0)
    ledger.configure(KEY, ARN, Throughput(False, write=1, read=1), {})
    assert all(ledger.admit_writes([(KEY, 0, 10.0, ())] * 50))
    ledger.require_read((KEY, 0, 1_000, ()))
    assert (ledger.usage[KEY].write_units, ledger.usage[KEY].read_units) == (500, 1_000)


def test_who_only_looks_on_is_admitted_and_not_counted() -> None:
    world = World(Throughput(False, write=1, read=1))
    with world.ledger.paused():
        assert world.ledger.admit_reads([(KEY, 0, 10.0, ())] * 50) == [True] * 50
        world.ledger.require_write((KEY, 0, 10.0, ()))
        world.ledger.count_writes(KEY, 1.0)
        world.ledger.count_stream_read(KEY)
    assert world.ledger.usage[KEY] == Usage()
    assert [world.write(), world.write()] == [None, "TableWriteProvisionedThroughputExceeded"]


def test_more_capacity_takes_effect_at_once_and_less_cuts_the_burst() -> None:
    world = World(Throughput(False, write=1, read=1))
    world.now = 1_000
    world.ledger.configure(KEY, ARN, Throughput(False, write=100, read=1), {})
    assert world.written_in(1, 1_000) >= 390
    world.now += 1_000
    world.ledger.configure(KEY, ARN, Throughput(False, write=1, read=1), {})
    assert 300 <= world.written_in(1, 1_000) <= 302


def test_forgotten_table_starts_anew() -> None:
    world = World(Throughput(False, write=5, read=5))
    world.write(5)
    world.ledger.forget(KEY)
    world.ledger.configure(KEY, ARN, Throughput(False, write=5, read=5), {})
    assert world.write(5) is None
    assert world.ledger.usage[KEY].write_units == 5


@given(
    st.integers(1, 500),
    st.lists(st.tuples(st.floats(0, 100), st.integers(1, 30)), max_size=100),
)
def test_no_table_ever_gives_more_than_burst_and_flow(rate: int, steps: list[tuple[float, int]]) -> None:
    bucket = Bucket(rate, rate * 300, 0.0, rate)
    now = taken = 0.0
    largest = 0
    for wait, units in steps:
        now += wait
        if bucket.has(units, now):
            bucket.take(units)
            taken += units
            largest = max(largest, units)
        assert taken <= min(rate * 300, rate + rate * now) + rate * now + largest + 1e-6
