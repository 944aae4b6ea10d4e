"""Update expressions that would be carried out in part are refused, and numbers have 38 digits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data_plane.tables import module as ministack
from harness.data_plane.tables.update_expressions import error


@pytest.fixture(scope="module")
def module() -> Any:
    return ministack.load()


@pytest.mark.parametrize(
    "expression",
    [
        "SET a = :v",
        "SET a = b + :v, m.x[0].y = if_not_exists(m.x, :v)",
        "set a = list_append(a, :v) remove b, c[1] add d :v delete e :v",
        "SET #n = (a + :v)",
        "REMOVE m.a, m.b, l[0], l[1]",
    ],
)
def test_whole_expressions_pass(module: Any, expression: str) -> None:
    assert error(module, expression, {"#n": "name"}) is None


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("SET a", "Syntax error"),
        ("SET a =", "Syntax error"),
        ("SET = :v", "Syntax error"),
        ("SET a = :v,", "Syntax error"),
        ("SET a = :v, b", "Syntax error"),
        ("SET", "Syntax error"),
        ("a = :v", "Syntax error"),
        ("REMOVE", "Syntax error"),
        ("REMOVE a b", "Syntax error"),
        ("REMOVE a.", "Syntax error"),
        ("REMOVE a[x]", "Syntax error"),
        ("REMOVE :v", "Syntax error"),
        ("ADD a", "Syntax error"),
        ("ADD :v", "Syntax error"),
        ("DELETE a :v b", "Syntax error"),
        ("SET a = :v SET b = :v", "can only be used once"),
        ("SET a = :v REMOVE a", "overlap"),
        ("SET m.a = :v, m = :v", "path one: [m, a], path two: [m]"),
        ("SET #n = :v ADD name :v", "overlap"),
        ("REMOVE l[0], l[0].x", "path one: [l, [0]], path two: [l, [0], x]"),
    ],
)
def test_what_would_be_done_in_part_is_refused(module: Any, expression: str, words: str) -> None:
    found = error(module, expression, {"#n": "name"})
    assert found is not None
    assert found.startswith("Invalid UpdateExpression: ")
    assert words in found


digits = st.integers(-(10**38) + 1, 10**38 - 1)


@given(a=digits, b=digits)
def test_sums_are_exact_or_refused(module: Any, a: int, b: int) -> None:
    """A sum that needs 39 digits is refused, unless its last ones are zeros."""
    item = {"id": {"S": "k"}, "a": {"N": str(a)}}
    values = {":b": {"N": str(b)}}
    for expression in ("SET a = a + :b", "ADD a :b"):
        if abs(a + b) >= 10**38 and (a + b) % 10:
            with pytest.raises(ValueError, match="38 significant digits"):
                module._apply_update_expression(item, expression, values, {})
        else:
            changed, _ = module._apply_update_expression(item, expression, values, {})
            assert Decimal(changed["a"]["N"]) == a + b
