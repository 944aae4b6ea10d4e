"""Keys as bytes: the same key the same bytes, numbers in their order, and back."""

from __future__ import annotations

import base64
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data_plane.tables.keys import KeySchema, hash_of, key_bytes, key_json, key_text

numbers = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**37), max_value=10**37, places=6)


def canonical(number: Decimal) -> str:
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


@given(numbers, numbers)
def test_numbers_order_as_their_bytes_do(a: Decimal, b: Decimal) -> None:
    left, right = key_bytes("N", canonical(a)), key_bytes("N", canonical(b))
    assert (left < right) == (a < b)
    assert (left == right) == (a == b)


@given(numbers)
def test_numbers_come_back(number: Decimal) -> None:
    assert key_text("N", key_bytes("N", canonical(number))) == canonical(number)


@pytest.mark.parametrize("text", ["1E+125", "9.999999999999999999999999E+125", "1E-130", "-1E-130", "-9E+125"])
def test_numbers_at_the_ends_of_the_range_come_back_in_full(text: str) -> None:
    assert Decimal(key_text("N", key_bytes("N", text))) == Decimal(text)


def test_numbers_however_written_have_the_same_bytes() -> None:
    assert len({key_bytes("N", text) for text in ("1", "1.0", "01", "1e0", "0.1E1")}) == 1


@pytest.mark.parametrize(("kind", "text"), [("N", "one"), ("N", "NaN"), ("N", "Infinity"), ("B", "***"), ("B", "YQ")])
def test_what_is_no_value_of_its_type_is_refused(kind: str, text: str) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        key_bytes(kind, text)


@given(st.text())
def test_strings_order_by_utf_8_and_come_back(text: str) -> None:
    assert key_bytes("S", text) == text.encode()
    assert key_text("S", text.encode()) == text


@given(st.binary())
def test_binary_values_come_back(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert key_bytes("B", text) == data
    assert key_text("B", data) == text


def test_key_json_escapes_what_json_must() -> None:
    schema = KeySchema('a"b', "S", "n", "N")
    assert key_json(schema, 'x"\\\n€'.encode(), key_bytes("N", "-1.5")) == (
        '{"a\\"b":{"S":"x\\"\\\\\\n€"},"n":{"N":"-1.5"}}'.encode()
    )


def test_hashes_never_change_and_spread() -> None:
    """They decide the shard of what is on disk."""
    assert [hash_of(k) for k in (b"", b"a", b"corpus-1#00000001")] == [0, 0xFA5D3753, 0x58CEC81D]
    counts = [0] * 16
    for number in range(16_000):
        counts[hash_of(f"row#{number:08d}".encode()) >> 28] += 1
    assert min(counts) > 500
    assert max(counts) < 1500
