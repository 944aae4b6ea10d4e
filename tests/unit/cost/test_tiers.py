"""Dollars tier by tier, computed by hand."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from harness.cost.prices import load_prices, shipped_prices
from harness.cost.tiers import in_tiers
from harness.errors import UsageError

LOGS = shipped_prices()["logs_ingested"]


@pytest.mark.parametrize(
    ("gigabytes", "dollars"),
    [
        (0, "0"),
        # 6.6 TB lie within the first tier: 6,600 x 0.50
        (6_600, "3300"),
        (10_240, "5120"),
        # 10 TB at 0.50, 1 GB at 0.25
        (10_241, "5120.25"),
        # 60 TB: 10 x 512, 20 x 256, 20 x 102.40, 10 x 51.20
        (61_440, "12800"),
    ],
)
def test_in_tiers_when_computed_by_hand_is_the_same(gigabytes: int, dollars: str) -> None:
    assert in_tiers(Decimal(gigabytes), LOGS) == Decimal(dollars)


def test_in_tiers_when_a_price_has_none_is_the_amount_everywhere() -> None:
    price = shipped_prices()["s3_put"]
    assert in_tiers(Decimal(2_000_000), price) == Decimal(10)


def test_load_prices_when_a_user_has_an_amount_of_his_own_drops_the_tiers(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('logs_ingested = "0.40"\n')
    assert in_tiers(Decimal(20_480), load_prices(mine)["logs_ingested"]) == Decimal(8_192)
    mine.write_text('[logs_ingested]\namount = "0.40"\ntiers = [[100, "0.10"]]\n')
    assert in_tiers(Decimal(200), load_prices(mine)["logs_ingested"]) == Decimal(50)


@pytest.mark.parametrize(
    ("tiers", "words"),
    [
        ("5", "which are no pairs"),
        ("[[1]]", "which are no pairs"),
        ('[[0, "1"]]', "no whole number from 1 on"),
        ('[[5, "x"]]', "which is no number"),
        ('[[9, "1"], [5, "2"]]', "which do not ascend"),
        ('[[5, "1"], [5, "2"]]', "which do not ascend"),
    ],
)
def test_load_prices_when_tiers_are_none_says_so(tmp_path: Path, tiers: str, words: str) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(f"[logs_ingested]\ntiers = {tiers}\n")
    with pytest.raises(UsageError, match=words):
        load_prices(mine)
