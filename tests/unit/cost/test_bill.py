"""Bills checked by hand, the arithmetic written out, and their laws."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.cost.bill import FREE_TIER, ITEMS, bill, dollars_text
from harness.cost.prices import shipped_prices
from harness.cost.usage import EXACT, Usage, Workload
from tests.unit.cost.support import one, usages, workloads

PRICES = shipped_prices()
GB = 2**30
FREE_OF_CHARGE = {"sqs_empty_receives", "stream_reads_by_lambda"}
"""Empty receives are in the requests; Lambda's reads of streams cost nothing."""


@pytest.mark.parametrize(
    ("workload", "dollars"),
    [
        # 5,000,000 requests x 0.20 / 1,000,000
        (one(invocations=5_000_000), "1.00"),
        # 512 MB x 1,000,000 invocations x 200 ms = 102,400,000,000 MB-ms; / 1,024,000 = 100,000 GB-s; x 0.0000166667
        (one(billed_mb_ms_x86=512 * 1_000_000 * 200), "1.66667"),
        # the same on Arm: 100,000 GB-s x 0.0000133334
        (one(billed_mb_ms_arm=512 * 1_000_000 * 200), "1.33334"),
        # 128 MB for 1 ms: 128 / 1,024,000 = 0.000125 GB-s; x 0.0000166667
        (one(billed_mb_ms_x86=128), "0.0000000020833375"),
        # 3 x 558,000 requests x 0.40 / 1,000,000 = 0.6696
        (one(sqs_requests=3 * 558_000), "0.6696"),
        # 1,000,000 FIFO requests x 0.50 / 1,000,000
        (one(sqs_fifo_requests=1_000_000), "0.5"),
        # empty receives are among the requests, and billed as they are: 5 pollers x 3 polls a minute for 30 days of
        # 1,440 minutes = 648,000 requests x 0.40 / 1,000,000
        (one(sqs_requests=648_000, sqs_empty_receives=648_000), "0.2592"),
        # 800,000 rows put twice = 1,600,000 units x 0.625 / 1,000,000
        (one(write_request_units=1_600_000), "1.00"),
        # 800,000 read units x 0.125 / 1,000,000
        (one(read_request_units=800_000), "0.1"),
        # 100 WCU for an hour x 0.00065
        (one(write_capacity_hours=100), "0.065"),
        # 100 RCU for an hour x 0.00013
        (one(read_capacity_hours=100), "0.013"),
        # 1,000,000 reads of a stream by a program of one's own x 0.02 / 100,000
        (one(stream_reads=1_000_000), "0.2"),
        # by Lambda they are free
        (one(stream_reads_by_lambda=1_000_000), "0"),
        # 4 GB for a month x 0.25
        (one(table_stored_bytes=4 * GB), "1.00"),
        # 2,000 PUT x 0.005 / 1,000
        (one(s3_puts=2_000), "0.01"),
        # 10,000 GET x 0.0004 / 1,000
        (one(s3_gets=10_000), "0.004"),
        # half a GB for a month x 0.023
        (one(s3_stored_bytes=GB // 2), "0.0115"),
        # 6.6 TB, as 6,600 GB, x 0.50: what the author of the published design wrote
        (one(log_bytes=6_600 * GB), "3300"),
        # 10 GB for a month x 0.03
        (one(log_stored_bytes=10 * GB), "0.3"),
        # 41 metrics in one hour x 0.00041667
        (one(metric_hours=41), "0.01708347"),
    ],
)
def test_bill_when_computed_by_hand_is_the_same(workload: Workload, dollars: str) -> None:
    assert bill(workload, PRICES).total == Decimal(dollars)


def test_bill_sums_by_stage_by_service_and_by_million_rows() -> None:
    clean = Usage(invocations=Decimal(1_000_000), s3_puts=Decimal(1_000))
    insert = Usage(invocations=Decimal(2_000_000), sqs_requests=Decimal(500_000))
    made = bill(Workload(250_000, {"clean": clean, "insert": insert}), PRICES)
    # clean 0.20 + 0.005; insert 0.40 + 0.20
    assert made.by_stage() == {"clean": Decimal("0.205"), "insert": Decimal("0.6")}
    assert made.by_service() == {"Lambda": Decimal("0.6"), "S3": Decimal("0.005"), "SQS": Decimal("0.2")}
    assert made.by_price()["lambda_request"] == Decimal("0.6")
    assert made.total == Decimal("0.805")
    # 0.805 for a quarter of a million rows
    assert made.per_million_rows == Decimal("3.22")


def test_bill_when_a_million_rows_do_not_come_out_even_rounds_to_nine_decimals() -> None:
    assert bill(Workload(3, one(invocations=5).stages), PRICES).per_million_rows == Decimal("0.333333333")


def test_bill_with_the_free_tier_takes_it_off_once_for_the_account_and_never_below_nothing() -> None:
    both = {
        "clean": Usage(invocations=Decimal(700_000), billed_mb_ms_x86=Decimal(300_000 * 1_024_000)),
        "insert": Usage(invocations=Decimal(700_000), billed_mb_ms_arm=Decimal(200_000 * 1_024_000)),
    }
    made = bill(Workload(1, both), PRICES, free_tier=True)
    # 400,000 requests of 1,400,000 are left; of 400,000 free GB-s x86 takes 300,000 and Arm the other 100,000
    assert made.by_price()["lambda_request"] == Decimal("0.08")
    assert made.by_price()["lambda_gb_second_x86"] == 0
    assert made.by_price()["lambda_gb_second_arm"] == Decimal("1.33334")
    assert made.by_stage()[FREE_TIER] == -(Decimal("0.2") + Decimal("5.00001") + Decimal("1.33334"))


def test_bill_when_more_than_the_first_tier_is_used_names_the_price() -> None:
    assert bill(one(log_bytes=10_240 * GB), PRICES).above_first_tier == ()
    assert bill(one(log_bytes=10_241 * GB), PRICES).above_first_tier == ("logs_ingested",)


def test_items_bill_every_price_and_every_amount_once() -> None:
    assert sorted(item.price for item in ITEMS) == sorted(PRICES.table)
    for name in {field.name for field in fields(Usage)} - FREE_OF_CHARGE:
        assert sum(1 for item in ITEMS if item.quantity(Usage(**{name: Decimal(GB)}))) == 1, name


@given(usages(), usages())
def test_bill_of_two_usages_together_is_the_sum_of_both(a: Usage, b: Usage) -> None:
    together = bill(Workload(1, {"insert": a + b}), PRICES)
    apart = bill(Workload(1, {"insert": a, "clean": b}), PRICES)
    assert together.total == apart.total
    assert together.by_price() == apart.by_price()


@given(usages(), st.integers(0, 10**6))
def test_bill_of_so_many_times_the_usage_is_so_many_times_the_bill(usage: Usage, factor: int) -> None:
    single = bill(Workload(1, {"insert": usage}), PRICES).total
    assert bill(Workload(1, {"insert": usage.times(Decimal(factor))}), PRICES).total == _exactly(single, factor)


def _exactly(amount: Decimal, factor: int) -> Decimal:
    return EXACT.multiply(amount, Decimal(factor))


# More than 28 digits of a GB, all of them free.
@example(Usage(log_bytes=Decimal(2_310_653)), "log_bytes", True)
@given(usages(), st.sampled_from([field.name for field in fields(Usage)]), st.booleans())
def test_bill_when_more_is_used_is_never_less(usage: Usage, name: str, free_tier: bool) -> None:
    # Empty receives are requests: more of them are more of these.
    more = {name: getattr(usage, name) + 1}
    if name == "sqs_empty_receives":
        more["sqs_requests"] = usage.sqs_requests + 1
    before = bill(Workload(1, {"insert": usage}), PRICES, free_tier=free_tier).total
    after = bill(Workload(1, {"insert": replace(usage, **more)}), PRICES, free_tier=free_tier).total
    assert after >= before
    assert (after == before) <= (free_tier or name in FREE_OF_CHARGE)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0.00"),
        ("1234.5", "$1,234.50"),
        ("1", "$1.00"),
        ("0.9949", "$0.99"),
        ("0.0456", "$0.046"),
        ("0.00123", "$0.0012"),
        ("0.0001", "$0.00010"),
        ("0.00009", "< $0.0001"),
    ],
)
def test_dollars_are_said_with_as_many_digits_as_matter(amount: str, text: str) -> None:
    assert dollars_text(Decimal(amount)) == text


@given(workloads(), st.booleans())
def test_bill_by_any_key_adds_up_and_a_free_tier_never_makes_it_negative(workload: Workload, free_tier: bool) -> None:
    made = bill(workload, PRICES, free_tier=free_tier)
    for sums in (made.by_stage(), made.by_service(), made.by_price()):
        total = Decimal(0)
        for amount in sums.values():
            total = EXACT.add(total, amount)
        assert total == made.total
    assert made.total >= 0
