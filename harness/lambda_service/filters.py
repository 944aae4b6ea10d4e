"""Event filter patterns of event source mappings, compiled to predicates.

Implements the comparison operators of Lambda event filtering (AWS Lambda developer guide, "Control which events
Lambda sends to your function"): null, empty, equals, equals-ignore-case, anything-but, numeric, exists, prefix,
suffix and `$or`. A pattern is an AND of its keys; the patterns of one mapping are ORed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.errors import TemplateError

Predicate = Callable[[Any], bool]

_MISSING: Any = object()
_NUMERIC: dict[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


def compile_filters(patterns: Iterable[str]) -> Predicate | None:
    """Return a predicate over decoded event records, or None where there is nothing to filter.

    Raises TemplateError for a pattern that is not JSON, not an object, or uses an unknown operator.
    """
    predicates = [_pattern(_decode(text)) for text in patterns]
    if not predicates:
        return None
    if len(predicates) == 1:
        return predicates[0]
    return lambda record: any(match(record) for match in predicates)


def _decode(text: str) -> Mapping[str, Any]:
    try:
        pattern = json.loads(text)
    except ValueError as error:
        raise TemplateError(f"filter pattern {text!r} is not JSON: {error}") from error
    if not isinstance(pattern, dict):
        raise TemplateError(f"filter pattern {text!r} is not an object")
    return pattern


def _pattern(pattern: Mapping[str, Any]) -> Predicate:
    checks: list[tuple[str, Predicate]] = []
    alternatives: list[Predicate] = []
    for key, rule in pattern.items():
        if key == "$or":
            if not isinstance(rule, list):
                raise TemplateError(f"$or needs a list of patterns, not {rule!r}")
            alternatives = [_pattern(branch) for branch in rule]
        elif isinstance(rule, dict):
            checks.append((key, _pattern(rule)))
        elif isinstance(rule, list):
            checks.append((key, _any_of([_operator(item) for item in rule])))
        else:
            raise TemplateError(f"filter rule for {key!r} must be a list or an object, not {rule!r}")

    def match(value: Any) -> bool:
        if not isinstance(value, dict):
            value = {}
        for key, check in checks:
            if not check(value.get(key, _MISSING)):
                return False
        return not alternatives or any(branch(value) for branch in alternatives)

    return match


def _any_of(operators: list[Predicate]) -> Predicate:
    def match(value: Any) -> bool:
        candidates = value if isinstance(value, list) else [value]
        return any(operator(candidate) for candidate in candidates for operator in operators)

    return match


def _operator(rule: Any) -> Predicate:
    if not isinstance(rule, dict):
        if rule == "":
            return lambda value: value == ""
        return lambda value: type(value) is type(rule) and value == rule
    if len(rule) != 1:
        raise TemplateError(f"filter operator {rule!r} must have exactly one key")
    ((name, argument),) = rule.items()
    if name == "exists":
        return lambda value: (value is not _MISSING) == bool(argument)
    if name == "prefix":
        return lambda value: isinstance(value, str) and value.startswith(argument)
    if name == "suffix":
        return lambda value: isinstance(value, str) and value.endswith(argument)
    if name == "equals-ignore-case":
        return lambda value: isinstance(value, str) and value.casefold() == str(argument).casefold()
    if name == "anything-but":
        excluded = argument if isinstance(argument, list) else [argument]
        return lambda value: value is not _MISSING and value not in excluded
    if name == "numeric":
        return _numeric(argument)
    raise TemplateError(f"filter operator {name!r} is not known")


def _numeric(terms: Any) -> Predicate:
    if not isinstance(terms, list) or len(terms) not in (2, 4):
        raise TemplateError(f"numeric filter {terms!r} needs one or two pairs of operator and number")
    pairs = [(terms[i], terms[i + 1]) for i in range(0, len(terms), 2)]
    for sign, number in pairs:
        if sign not in _NUMERIC or isinstance(number, bool) or not isinstance(number, int | float):
            raise TemplateError(f"numeric filter {terms!r}: {sign!r} {number!r} is not a comparison")

    def match(value: Any) -> bool:
        if isinstance(value, str):
            # DynamoDB numbers travel as strings; Lambda compares them as numbers.
            try:
                value = float(value)
            except ValueError:
                return False
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return all(_NUMERIC[sign](value, number) for sign, number in pairs)

    return match
