"""Filter criteria: what Lambda takes, what it refuses, and which records pass."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.lambda_service.filters import MAX_FILTERS, FilterRefused, compile_filters


def passes(pattern: Any, record: Any, *more: Any) -> bool:
    predicate = compile_filters([json.dumps(p) for p in (pattern, *more)])
    assert predicate is not None
    return predicate(record)


def body_passes(pattern: Any, body: str) -> bool:
    predicate = compile_filters([json.dumps(pattern)], text_field="body")
    assert predicate is not None
    return predicate({"messageId": "1", "body": body, "attributes": {"SenderId": "me"}})


MISSING: dict[str, Any] = {}
RULES: list[tuple[Any, list[Any], list[Any]]] = [
    ("x", ["x", ["w", "x"], [["x"]]], ["y", "X", ["w"], 1, None, {"x": 1}, MISSING]),
    ("", [""], ["x", None, MISSING]),
    (None, [None, [None]], ["null", 0, "", [], MISSING]),
    (True, [True], [False, 1, "true"]),
    (False, [False], [0, None, MISSING]),
    (300, [300, 300.0], ["300", 301, True]),
    (1, [1], [True, "1"]),
    ({"exists": True}, [None, 0, "", "x", [1], [[2]]], [MISSING, {}, {"a": 1}, [], [{"a": 1}]]),
    ({"exists": False}, [MISSING, {}, {"a": 1}, [], [{"a": 1}]], [None, 0, "x", [1]]),
    ({"prefix": "ab"}, ["abc", "ab", ["x", "abc"]], ["Abc", "xab", 1, None, {"a": "abc"}]),
    ({"prefix": ""}, ["", "x"], [1, None, MISSING]),
    ({"prefix": {"equals-ignore-case": "AB"}}, ["abc", "ABC"], ["xab"]),
    ({"suffix": "bc"}, ["abc", "bc"], ["abC", "bcd", 1]),
    ({"suffix": {"equals-ignore-case": "BC"}}, ["abc", "aBC"], ["bcd"]),
    ({"equals-ignore-case": "Straße"}, ["STRAßE", "straße"], ["STRASSE", "strasse", 1]),
    ({"anything-but": "x"}, ["y", 1, None, ["x", "y"]], ["x", ["x"], MISSING, {"a": 1}, []]),
    ({"anything-but": ["x", "y"]}, ["z", 1], ["x", "y"]),
    ({"anything-but": 1}, [2, "1", True], [1, 1.0]),
    ({"anything-but": [1, 2]}, [3, "1"], [1, 2]),
    ({"anything-but": {"prefix": "a"}}, ["ba", 1, None], ["ab", MISSING]),
    ({"anything-but": {"prefix": ["a", "b"]}}, ["cab"], ["ab", "ba"]),
    ({"anything-but": {"suffix": "a"}}, ["ab"], ["ba"]),
    ({"anything-but": {"suffix": ["a", "b"]}}, ["abc"], ["ba", "ab"]),
    ({"anything-but": {"equals-ignore-case": "A"}}, ["b", 1], ["a", "A"]),
    ({"anything-but": {"equals-ignore-case": ["A", "b"]}}, ["c"], ["a", "B"]),
    ({"numeric": ["=", 2]}, [2, 2.0], [3, "2", True, None, MISSING]),
    ({"numeric": [">", 1]}, [2, 1.5, 1e300], [1, "2", "1e3", [], None]),
    ({"numeric": ["<", 1]}, [0, -5], [1, "0"]),
    ({"numeric": [">=", 1, "<", 3]}, [1, 2.9], [0.9, 3, "2"]),
    ({"numeric": [">", 1, "<=", 3]}, [3], [1, "3"]),
]


@pytest.mark.parametrize(("rule", "matching", "others"), RULES, ids=[json.dumps(rule) for rule, _, _ in RULES])
def test_rule_when_applied_to_a_field_takes_and_leaves_these_values(
    rule: Any, matching: list[Any], others: list[Any]
) -> None:
    def record(value: Any) -> Any:
        return {"other": 1} if value is MISSING else {"a": value, "other": 1}

    assert [v for v in matching if not passes({"a": [rule]}, record(v))] == []
    assert [v for v in others if passes({"a": [rule]}, record(v))] == []
    # The same below another level, and beside a rule that matches nothing.
    deep = {"top": {"a": ["no such value", rule]}}
    assert all(passes(deep, {"top": record(v)}) for v in matching)
    assert not any(passes(deep, {"top": record(v)}) for v in others)


NEW_IMAGE = {
    "UserID": {"S": "12345"},
    "Age": {"N": "42"},
    "Gone": {"NULL": True},
    "Organizations": {"L": [{"S": "Sales"}, {"S": "Support"}]},
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"Age": {"N": [{"numeric": [">", 10]}]}}, False),
        ({"Age": {"N": [{"numeric": ["=", 42]}]}}, False),
        ({"Age": {"N": [{"numeric": [">", 100]}, {"anything-but": "7"}]}}, True),
        ({"Age": {"N": [42]}}, False),
        ({"Age": {"N": ["42"]}}, True),
        ({"Age": {"N": [{"prefix": "4"}]}}, True),
        ({"Age": [{"prefix": "4"}]}, False),
        ({"Age": ["42"]}, False),
        ({"Organizations": [{"exists": True}]}, False),
        ({"Organizations": [{"exists": False}]}, True),
        ({"Organizations": {"L": {"S": [{"exists": True}]}}}, True),
        ({"Organizations": {"L": {"S": ["Support"]}}}, True),
        ({"Organizations": {"L": {"S": [{"prefix": "Mar"}]}}}, False),
        ({"UserID": [{"exists": True}]}, False),
        ({"UserID": {"S": [{"exists": True}]}}, True),
        ({"UserID": {"N": [{"exists": False}]}}, True),
        ({"Missing": {"S": [{"exists": False}]}}, True),
        ({"Missing": {"S": [{"anything-but": "x"}]}}, False),
        ({"Missing": {"S": [{"anything-but": "x"}, {"exists": False}]}}, True),
        ({"Gone": {"NULL": [True]}}, True),
        ({"Gone": [None]}, False),
    ],
)
def test_image_when_filtered_is_seen_as_the_record_has_it(pattern: Any, expected: bool) -> None:
    record = {"eventName": "INSERT", "dynamodb": {"ApproximateCreationDateTime": 1.7e9, "NewImage": NEW_IMAGE}}
    assert passes({"dynamodb": {"NewImage": pattern}}, record) is expected


def test_record_when_filtered_by_metadata_and_creation_time_passes() -> None:
    record = {"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": {"ApproximateCreationDateTime": 1.7e9}}
    assert passes({"eventName": ["INSERT"], "eventSource": ["aws:dynamodb"]}, record)
    assert not passes({"eventName": ["REMOVE"]}, record)
    assert passes({"dynamodb": {"ApproximateCreationDateTime": [{"numeric": [">", 0]}]}}, record)


def test_lists_when_they_hold_objects_match_within_one_element() -> None:
    people = {"people": [{"first": "Anna", "last": "Smith"}, {"first": "Peter", "last": "Jones"}]}
    assert passes({"people": {"first": ["Peter"]}}, people)
    assert passes({"people": {"first": ["Anna"], "last": ["Smith"]}}, people)
    assert not passes({"people": {"first": ["Anna"], "last": ["Jones"]}}, people)
    assert passes({"people": {"first": ["Anna"], "middle": [{"exists": False}]}}, people)
    assert not passes({"people": {"first": [{"exists": False}]}}, people)
    nested = {"people": [[{"first": "Anna"}], [{"first": "Peter"}]]}
    assert passes({"people": {"first": ["Peter"]}}, nested)
    two = {"one": [{"a": 1}, {"a": 2}], "two": [{"b": 1}, {"b": 2}]}
    assert passes({"one": {"a": [1]}, "two": {"b": [2]}}, two)


def test_keys_when_they_hold_dots_are_like_nested_ones() -> None:
    assert passes({"a": {"b": ["x"]}}, {"a.b": "x"})
    assert passes({"a.b": ["x"]}, {"a": {"b": "x"}})
    assert not passes({"a": {"b": ["x"]}}, {"a.b": {"b": "x"}})


def test_or_when_given_takes_either_field_and_multiplies_with_its_neighbours() -> None:
    pattern = {"kind": ["k"], "$or": [{"a": [1]}, {"b": {"c": [2]}, "d": [3]}]}
    assert passes(pattern, {"kind": "k", "a": 1})
    assert passes(pattern, {"kind": "k", "b": {"c": 2}, "d": 3})
    assert not passes(pattern, {"kind": "k", "b": {"c": 2}})
    assert not passes(pattern, {"a": 1})
    inner = {"x": {"$or": [{"a": [1]}, {"$or": [{"b": [2]}, {"c": [3]}]}]}}
    assert [passes(inner, {"x": x}) for x in ({"a": 1}, {"b": 2}, {"c": 3}, {"a": 2})] == [True, True, True, False]


def test_filters_when_several_are_given_are_alternatives() -> None:
    assert passes({"a": [1]}, {"b": 1}, {"b": [1]})
    assert not passes({"a": [1]}, {}, {"b": [1]})
    assert compile_filters([]) is None


def test_pattern_when_it_repeats_a_key_means_the_last() -> None:
    predicate = compile_filters(['{"a": ["x"], "a": ["y"]}'])
    assert predicate is not None
    assert [predicate({"a": "x"}), predicate({"a": "y"})] == [False, True]


JSON_PATTERN = {"body": {"kind": ["x"]}}
ABSENT_PATTERN = {"body": {"kind": [{"exists": False}]}}
PLAIN_PATTERN = {"body": [{"prefix": "Result: "}, '{"kind": "x"}', {"anything-but": "zzz"}, "42"]}
METADATA_PATTERN = {"attributes": {"SenderId": ["me"]}}
EITHER_PATTERN = {"$or": [{"body": ["go"]}, {"body": {"kind": ["x"]}}]}


@pytest.mark.parametrize(
    ("pattern", "body", "expected"),
    [
        (JSON_PATTERN, '{"kind": "x"}', True),
        (JSON_PATTERN, '{"kind": "y"}', False),
        (JSON_PATTERN, 'kind: "x"', False),
        (JSON_PATTERN, '[{"kind": "x"}]', True),
        (JSON_PATTERN, '{"kind": "x"', False),
        (JSON_PATTERN, '{"kind": "x", "n": NaN}', False),
        (JSON_PATTERN, '{"kind": "x", "half": "\\ud83d"}', True),
        (JSON_PATTERN, "", False),
        (ABSENT_PATTERN, '{"n": 1}', True),
        (ABSENT_PATTERN, "no json at all", False),
        (ABSENT_PATTERN, '{"kind": "x"}', False),
        (ABSENT_PATTERN, "", False),
        (PLAIN_PATTERN, "Result: 7", True),
        (PLAIN_PATTERN, "anything", True),
        (PLAIN_PATTERN, "zzz", False),
        (PLAIN_PATTERN, '{"kind": "x"}', False),
        (PLAIN_PATTERN, "42", False),
        (PLAIN_PATTERN, "", True),
        (METADATA_PATTERN, '{"kind": "x"}', True),
        (METADATA_PATTERN, "plain", True),
        ({"attributes": {"SenderId": ["you"]}}, "plain", False),
        ({**METADATA_PATTERN, **JSON_PATTERN}, '{"kind": "x"}', True),
        ({**METADATA_PATTERN, **JSON_PATTERN}, "plain", False),
        (EITHER_PATTERN, "go", True),
        (EITHER_PATTERN, '{"kind": "x"}', True),
        (EITHER_PATTERN, "stop", False),
    ],
)
def test_body_when_filtered_must_be_of_the_kind_that_the_pattern_takes_it_for(
    pattern: Any, body: str, expected: bool
) -> None:
    assert body_passes(pattern, body) is expected


REFUSED: list[tuple[str, str]] = [
    ("", "not JSON"),
    ("no json", "not JSON"),
    ("null", "not an object"),
    ('"text"', "not an object"),
    ("[]", "not an object"),
    ("{}", "empty object"),
    ('{"a": {}}', "empty object"),
    ('{"a": []}', "empty list"),
    ('{"a": "x"}', "must be a list"),
    ('{"body": "x"}', "'body' must be a list"),
    ('{"a": [["x"]]}', "must be a string, a number"),
    ('{"a": [{}]}', "exactly one key"),
    ('{"a": [{"prefix": "x", "suffix": "y"}]}', "exactly one key"),
    ('{"a": [{"near": 1}]}', "'near' is not supported"),
    ('{"a": [{"wildcard": "x*"}]}', "'wildcard' is not supported"),
    ('{"a": [{"cidr": "10.0.0.0/8"}]}', "'cidr' is not supported"),
    ('{"a": [{"Prefix": "x"}]}', "'Prefix' is not supported"),
    ('{"a": [{"exists": "true"}]}', "exists needs true or false"),
    ('{"a": [{"prefix": 1}]}', "prefix needs a string"),
    ('{"a": [{"prefix": ["x"]}]}', "prefix needs a string"),
    ('{"a": [{"prefix": {"suffix": "x"}}]}', "prefix needs a string or equals-ignore-case"),
    ('{"a": [{"suffix": null}]}', "suffix needs a string"),
    ('{"a": [{"equals-ignore-case": ["x"]}]}', "equals-ignore-case needs a string"),
    ('{"a": [{"anything-but": []}]}', "empty list"),
    ('{"a": [{"anything-but": null}]}', "all of a kind"),
    ('{"a": [{"anything-but": ["x", 1]}]}', "all of a kind"),
    ('{"a": [{"anything-but": {"prefix": ""}}]}', "matches nothing"),
    ('{"a": [{"anything-but": {"prefix": 1}}]}', "needs a string"),
    ('{"a": [{"anything-but": {"wildcard": "x"}}]}', "'wildcard' is not supported"),
    ('{"a": [{"anything-but": {"prefix": "x", "suffix": "y"}}]}', "exactly one key"),
    ('{"a": [{"numeric": 10}]}', "one or two pairs"),
    ('{"a": [{"numeric": [">"]}]}', "one or two pairs"),
    ('{"a": [{"numeric": ["~", 1]}]}', "no comparison"),
    ('{"a": [{"numeric": [">", "1"]}]}', "no comparison"),
    ('{"a": [{"numeric": [">", true]}]}', "no comparison"),
    ('{"a": [{"numeric": ["<", 1, ">", 0]}]}', "a range is"),
    ('{"a": [{"numeric": ["=", 1, "<", 2]}]}', "a range is"),
    ('{"a": [{"numeric": [">", 3, "<", 1]}]}', "3 is not below 1"),
    ('{"$or": {"a": [1]}}', "at least two objects"),
    ('{"$or": [{"a": [1]}]}', "at least two objects"),
    ('{"$or": [{"a": [1]}, "b"]}', "at least two objects"),
    ('{"$or": [{"numeric": [1]}, {"prefix": ["x"]}]}', "cannot be a field inside"),
    ('{"a": [1], "b": 2}', "'b' must be a list"),
]


@pytest.mark.parametrize(("pattern", "why"), REFUSED, ids=[pattern for pattern, _ in REFUSED])
def test_pattern_when_lambda_would_not_take_it_is_refused_with_the_reason(pattern: str, why: str) -> None:
    with pytest.raises(FilterRefused, match="pattern") as caught:
        compile_filters([pattern])
    assert why in str(caught.value)


def test_pattern_when_an_operator_is_unknown_names_those_there_are() -> None:
    with pytest.raises(FilterRefused) as caught:
        compile_filters(['{"a": [{"near": 1}]}'])
    assert "anything-but, equals-ignore-case, exists, numeric, prefix, suffix" in caught.value.hint


def test_pattern_when_longer_than_4096_characters_is_refused() -> None:
    frame = len('{"a":[""]}')
    assert compile_filters(['{"a":["' + "é" * (4096 - frame) + '"]}']) is not None
    with pytest.raises(FilterRefused, match="4097 characters, allowed are 4096"):
        compile_filters(['{"a":["' + "x" * (4097 - frame) + '"]}'])


def test_filters_when_more_than_the_quota_are_refused() -> None:
    assert compile_filters(['{"a":[1]}'] * MAX_FILTERS) is not None
    with pytest.raises(FilterRefused, match="6 filters, allowed are 5"):
        compile_filters(['{"a":[1]}'] * (MAX_FILTERS + 1))


def test_or_when_it_multiplies_beyond_measure_is_refused() -> None:
    ten = [{f"k{i}": [1]} for i in range(10)]
    with pytest.raises(FilterRefused, match="more than 1000 combinations"):
        compile_filters([json.dumps({f"x{i}": {"$or": ten} for i in range(4)})])


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a", "b", "ab", "5"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
)


@given(st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2))
def test_existence_when_asked_of_any_record_is_either_true_or_false(record: dict[str, Any]) -> None:
    for pattern in ({"a": ["?"]}, {"a": {"b": ["?"]}}, {"a": {"b": {"a": ["?"]}}}):
        there = json.loads(json.dumps(pattern).replace('"?"', '{"exists": true}'))
        absent = json.loads(json.dumps(pattern).replace('"?"', '{"exists": false}'))
        assert passes(there, record) is not passes(absent, record)


@given(st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2), SCALARS)
def test_equality_when_a_record_holds_the_value_directly_matches(record: dict[str, Any], value: Any) -> None:
    assert passes({"x": [value]}, {**record, "x": value})
    assert passes({"x": [value]}, {**record, "x": [[value], {"a": 1}]})


@given(st.text(max_size=20))
def test_body_when_any_text_passes_at_most_one_kind_of_pattern(body: str) -> None:
    plain = body_passes({"body": [{"prefix": ""}]}, body)
    decoded = body_passes({"body": {"there is no such key": [{"exists": False}]}}, body)
    assert plain is not decoded
