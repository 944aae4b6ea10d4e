"""The table of prices, and a user's own."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from harness.cost.prices import load_prices, shipped_prices
from harness.errors import UsageError


def test_shipped_prices_each_have_a_source_and_a_date() -> None:
    for key, price in shipped_prices().table.items():
        assert price.amount > 0, key
        assert len(price.source) > 10, key
        assert price.read >= date(2026, 11, 26), key


@pytest.mark.parametrize(
    ("line", "amount"),
    [
        ('sqs_request_standard = "0.32"', "0.32"),
        ("sqs_request_standard = 0.1", "0.1"),
        ("sqs_request_standard = 0", "0"),
        ('[sqs_request_standard]\namount = "0.3"\nper = 10_000', "0.3"),
    ],
)
def test_load_when_a_user_has_another_price_takes_it_and_leaves_the_rest(
    tmp_path: Path, line: str, amount: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(line)
    found = load_prices(path)
    assert found["sqs_request_standard"].amount == Decimal(amount)
    assert found["sqs_request_standard"].source == "--prices"
    assert found["sqs_request_standard"].per == (10_000 if "per" in line else 1_000_000)
    assert found["s3_put"] == shipped_prices()["s3_put"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sqs_requests = 0.4", "unknown price 'sqs_requests'"),
        ("[s3_put]\namounts = 1", "s3_put has an unknown field 'amounts'"),
        ("s3_put = -0.1", "s3_put has amount -0.1, which is negative"),
        ('s3_put = "-1"', "s3_put has amount '-1', which is negative"),
        ('s3_put = "cheap"', "s3_put has amount 'cheap', which is no number"),
        ("s3_put = nan", "s3_put has amount nan, which is no number"),
        ("s3_put = inf", "s3_put has amount inf, which is no number"),
        ("s3_put = true", "s3_put has amount True, which is no number"),
        ("s3_put = [1]", "s3_put has amount [1], which is no number"),
        ('s3_put = "1e99"', "s3_put has amount '1e99'"),
        ('s3_put = "1e-99"', "s3_put has amount '1e-99'"),
        ("[s3_put]\nper = 0", "s3_put has per 0"),
        ("[s3_put]\nper = 3", "s3_put has per 3, which is no power of ten"),
        ("[s3_put]\nfree = -1", "s3_put has free -1"),
        ("[s3_put]\nfirst_tier = 0.5", "s3_put has first_tier 0.5"),
        ('[s3_put]\nread = "today"', "s3_put has read 'today', which is no date"),
        ('[s3_put]\nsource = ""', "s3_put has source '', which is no text"),
        ("s3_put = ", "is no TOML"),
    ],
)
def test_load_when_a_user_s_file_is_wrong_says_which_price_and_why(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_prices(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_load_when_the_file_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_prices(tmp_path / "none.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b"# caf\xe9")
    with pytest.raises(UsageError, match="is no TOML"):
        load_prices(path)
