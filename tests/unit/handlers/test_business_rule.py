"""The business rule: values computed by hand, and rows it cannot take."""

from __future__ import annotations

import pytest

from handlers.business_rule import ProcessingError, rule_for


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("12.50", "EUR", ("1250", "12.50", "low")),
        ("0", "EUR", ("0", "0.00", "low")),
        ("-0.00", "EUR", ("0", "0.00", "low")),
        ("-5", "EUR", ("-500", "-5.00", "low")),
        ("999.99", "EUR", ("99999", "999.99", "low")),
        ("1000", "EUR", ("100000", "1000.00", "medium")),
        ("10000.00", "EUR", ("1000000", "10000.00", "high")),
        ("-10000", "EUR", ("-1000000", "-10000.00", "high")),
        ("200000", "JPY", ("200000", "1220.00", "medium")),
        ("1.234", "KWD", ("1234", "3.70", "low")),
    ],
)
def test_rule_when_amounts_are_valid_gives_the_hand_computed_values(
    amount: str, currency: str, expected: tuple[str, ...]
) -> None:
    assert rule_for(("currency", "amount")).apply([currency, amount]) == expected


@pytest.mark.parametrize(
    ("amount", "currency", "reason"),
    [
        ("", "EUR", "amount_not_a_number"),
        ("1e3", "EUR", "amount_not_a_number"),
        ("1,5", "EUR", "amount_not_a_number"),
        ("٣", "EUR", "amount_not_a_number"),
        ("NaN", "EUR", "amount_not_a_number"),
        ("1.2345", "EUR", "amount_precision"),
        ("1.5", "JPY", "amount_precision"),
        ("1.5", "eur", "unknown_currency"),
    ],
)
def test_rule_when_a_row_is_poisoned_names_the_reason(amount: str, currency: str, reason: str) -> None:
    with pytest.raises(ProcessingError) as caught:
        rule_for(("amount", "currency")).apply([amount, currency])
    assert caught.value.reason == reason


def test_rule_when_columns_are_not_transactions_adds_nothing() -> None:
    rule = rule_for(("name", "amount"))
    assert (rule.attributes, rule.apply(["a", "b"])) == ((), ())
