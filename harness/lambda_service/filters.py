"""Filter criteria of event source mappings: refused as Lambda refuses them, applied as Lambda applies them.

Sources: AWS Lambda developer guide, "Control which events Lambda sends to your function" and its pages on SQS and
DynamoDB; Lambda says that its rules are Amazon EventBridge's, whose matching is published as aws/event-ruler. A
pattern is an AND of its fields, a field's rules are alternatives, the patterns of a mapping are alternatives. Only
leaves have values: a rule on a field that holds an object sees nothing there. Lists are transparent: a field has
every value in them, and two fields may not be taken from different elements of one list.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from harness.errors import TemplateError
from harness.lambda_service.filter_rules import RESERVED, Rule, RuleRefused, compile_rule

Predicate = Callable[[Mapping[str, Any]], bool]

MAX_FILTERS = 5
"""Filters of one mapping: the default quota, which AWS raises to 10 on request (developer guide)."""

MAX_PATTERN_CHARACTERS = 4096
"""Length of one pattern (CreateEventSourceMapping, Filter)."""

MAX_COMBINATIONS = 1000
"""Alternatives that the `$or`s of one pattern may multiply to (EventBridge user guide, `$or`)."""

_OR = "$or"
_Location = tuple[tuple[int, int], ...]
"""Which element of which list a value was found in: (identity of the list, index) from the outside in."""


class FilterRefused(TemplateError):
    """Lambda would refuse this FilterCriteria (InvalidParameterValueException: Invalid filter pattern definition)."""


@dataclass(frozen=True)
class _Field:
    """A field and its rules; `absent` says that one of them is that it does not exist."""

    name: str
    path: tuple[str, ...]
    rules: tuple[Rule, ...]
    absent: bool


@dataclass(frozen=True)
class _Conjunction:
    """Fields that must all match, in the order of their names; `body` says what the pattern takes the body for."""

    fields: tuple[_Field, ...]
    plain_body: bool
    json_body: bool


def compile_filters(patterns: Iterable[str], *, text_field: str = "", object_field: str = "") -> Predicate | None:
    """Return a predicate over event records, or None where there is nothing to filter.

    `text_field` names the field whose text may be JSON, `body` of SQS: a pattern for its properties drops records
    whose text is not JSON, and one for the text itself drops those whose text is, whatever their rules say. Text
    is JSON when it is any JSON value. `object_field` names the field that is always an object, `dynamodb` of streams:
    Lambda takes no pattern for its text. Raises FilterRefused for what Lambda refuses.
    """
    texts = list(patterns)
    if len(texts) > MAX_FILTERS:
        raise FilterRefused(
            f"has {len(texts)} filters, allowed are {MAX_FILTERS}",
            hint="put alternatives into one pattern: a list of values, or $or",
        )
    conjunctions = [c for text in texts for c in _compile_pattern(text, text_field, object_field)]
    if not conjunctions:
        return None
    if not any(c.plain_body or c.json_body for c in conjunctions):
        if len(conjunctions) == 1:
            return partial(_matches, conjunctions[0].fields)
        return lambda record: any(_matches(c.fields, record) for c in conjunctions)

    def match(record: Mapping[str, Any]) -> bool:
        is_json, value = _decode_text(record.get(text_field))
        decoded = {**record, text_field: value} if is_json else record
        return any(
            (is_json or not c.json_body) and not (is_json and c.plain_body) and _matches(c.fields, decoded)
            for c in conjunctions
        )

    return match


def fields_of(patterns: Iterable[str]) -> frozenset[str]:
    """Return the dotted names of the fields that patterns look at; raises FilterRefused for what Lambda refuses."""
    return frozenset(field.name for text in patterns for c in _compile_pattern(text, "", "") for field in c.fields)


def _decode_text(text: Any) -> tuple[bool, Any]:
    if not isinstance(text, str):
        return False, None
    try:
        return True, orjson.loads(text)
    except ValueError:
        pass
    try:
        # JSON's grammar allows escapes of half a surrogate pair, which orjson refuses.
        return True, json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False, None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _compile_pattern(text: str, text_field: str, object_field: str) -> list[_Conjunction]:
    if len(text) > MAX_PATTERN_CHARACTERS:
        raise FilterRefused(
            f"pattern {text[:60]!r}... has {len(text)} characters, allowed are {MAX_PATTERN_CHARACTERS}"
        )
    try:
        pattern = orjson.loads(text)
    except ValueError as error:
        raise FilterRefused(f"pattern {text!r} is not JSON: {error}") from error
    if not isinstance(pattern, dict):
        raise FilterRefused(f"pattern {text!r} is not an object")
    try:
        combinations = _combinations(pattern, "", inside_or=False)
    except (FilterRefused, RuleRefused) as error:
        raise FilterRefused(f"pattern {text!r}: {error}", hint=error.hint) from error
    if object_field and any(object_field in fields for fields in combinations):
        raise FilterRefused(f"pattern {text!r}: {object_field!r} is an object and has no text to compare")
    return [_conjunction(fields, text_field) for fields in combinations]


def _conjunction(fields: Mapping[str, list[Any]], text_field: str) -> _Conjunction:
    compiled = []
    for name in sorted(fields):
        rules = [compile_rule(rule) for rule in fields[name]]
        matching = tuple(rule for rule in rules if rule is not None)
        compiled.append(_Field(name, tuple(name.split(".")), matching, absent=None in rules))
    return _Conjunction(
        tuple(compiled),
        plain_body=bool(text_field) and text_field in fields,
        json_body=bool(text_field) and any(name.startswith(f"{text_field}.") for name in fields),
    )


def _combinations(pattern: Mapping[str, Any], prefix: str, *, inside_or: bool) -> list[dict[str, list[Any]]]:
    """Return the alternatives that a pattern's `$or`s leave, each a map from a field's dotted name to its rules."""
    if not pattern:
        raise FilterRefused("an empty object is not allowed")
    found: list[dict[str, list[Any]]] = [{}]
    for key, rule in pattern.items():
        name = f"{prefix}{key}"
        if key == _OR:
            branches = [c for branch in _branches(rule) for c in _combinations(branch, prefix, inside_or=True)]
        elif inside_or and key in RESERVED:
            raise FilterRefused(f"{key!r} is an operator and cannot be a field inside {_OR}")
        elif isinstance(rule, dict):
            branches = _combinations(rule, f"{name}.", inside_or=inside_or)
        elif isinstance(rule, list):
            if not rule:
                raise FilterRefused(f"{name!r} has an empty list of rules")
            branches = [{name: rule}]
            for item in rule:
                compile_rule(item)
        else:
            raise FilterRefused(f"{name!r} must be a list of rules or an object, not {rule!r}")
        if len(found) * len(branches) > MAX_COMBINATIONS:
            raise FilterRefused(f"its {_OR}s multiply to more than {MAX_COMBINATIONS} combinations")
        found = [{**one, **other} for one in found for other in branches]
    return found


def _branches(rule: Any) -> list[dict[str, Any]]:
    if not isinstance(rule, list) or len(rule) < 2 or not all(isinstance(branch, dict) for branch in rule):
        raise FilterRefused(f"{_OR} needs a list of at least two objects, not {rule!r}")
    return rule


def _matches(fields: tuple[_Field, ...], record: Mapping[str, Any]) -> bool:
    """Return whether all fields match: without ado while objects lead straight to one value, as they mostly do."""
    for field in fields:
        node: Any = record
        for step in field.path:
            if not isinstance(node, dict) or step not in node:
                return _matches_anywhere(fields, record, ())
            node = node[step]
        if isinstance(node, dict | list):
            return _matches_anywhere(fields, record, ())
        for rule in field.rules:
            if rule(node):
                break
        else:
            return False
    return True


def _matches_anywhere(fields: tuple[_Field, ...], record: Mapping[str, Any], location: _Location) -> bool:
    """Return whether all fields match with values that could stand in one element of every list."""
    if not fields:
        return True
    field, rest = fields[0], fields[1:]
    present = False
    for value, found_at in _leaves(record, field.name, ()):
        joined = _join(location, found_at)
        if joined is None:
            continue
        present = True
        if any(rule(value) for rule in field.rules) and _matches_anywhere(rest, record, joined):
            return True
    return field.absent and not present and _matches_anywhere(rest, record, location)


def _join(one: _Location, other: _Location) -> _Location | None:
    if not other:
        return one
    known = dict(one)
    for owner, index in other:
        if known.setdefault(owner, index) != index:
            return None
    return tuple(known.items())


def _leaves(node: Any, name: str, location: _Location) -> Iterator[tuple[Any, _Location]]:
    """Yield the values that a dotted name leads to, with the list elements they were found in.

    A key of the record may hold dots itself: EventBridge does not tell it from nested objects.
    """
    if isinstance(node, dict):
        if name in node:
            yield from _values(node[name], location)
        end = name.find(".")
        while end >= 0:
            inner = node.get(name[:end])
            if isinstance(inner, dict | list):
                yield from _leaves(inner, name[end + 1 :], location)
            end = name.find(".", end + 1)
    elif isinstance(node, list):
        for index, element in enumerate(node):
            yield from _leaves(element, name, (*location, (id(node), index)))


def _values(value: Any, location: _Location) -> Iterator[tuple[Any, _Location]]:
    if isinstance(value, list):
        for index, element in enumerate(value):
            yield from _values(element, (*location, (id(value), index)))
    elif not isinstance(value, dict):
        yield value, location
