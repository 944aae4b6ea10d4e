"""The comparison operators of filter patterns, each compiled to a predicate over one value.

Those that the Lambda developer guide lists ("Filter rule syntax"): null, empty, equals, equals-ignore-case,
anything-but, numeric, exists, prefix, suffix; and the forms of them that Amazon EventBridge, whose rules Lambda
takes, knows: anything-but of a prefix, suffix or ignored case, prefix and suffix of an ignored case. The guide says
that numbers are compared by their text; recorded tests of EventBridge say by their value ([300] takes 300.0), and so
does its published matcher, so they are compared by value here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from harness.errors import TemplateError

Rule = Callable[[Any], bool]
"""Says whether one value of a field matches; a value is what JSON has besides objects and lists."""

OPERATORS = ("anything-but", "equals-ignore-case", "exists", "numeric", "prefix", "suffix")
"""The operators that Lambda documents."""

_OTHER_OPERATORS = ("cidr", "exactly", "wildcard")
_SIGNS = ("=", ">", ">=", "<", "<=")

RESERVED = frozenset((*OPERATORS, *_OTHER_OPERATORS, *_SIGNS))
"""Names that cannot be fields inside `$or`."""


class RuleRefused(TemplateError):
    """A rule that Lambda would not take."""


def compile_rule(rule: Any) -> Rule | None:
    """Return the predicate of one rule of a field, or None for the rule that the field does not exist.

    Raises RuleRefused, which names the operator or value, for what is no rule.
    """
    if not isinstance(rule, dict):
        if isinstance(rule, list):
            raise RuleRefused(f"{rule!r} must be a string, a number, true, false, null or an operator")
        return _equals(rule)
    if len(rule) != 1:
        raise RuleRefused(f"operator {rule!r} must have exactly one key")
    ((name, argument),) = rule.items()
    if name == "exists":
        if not isinstance(argument, bool):
            raise RuleRefused(f"exists needs true or false, not {argument!r}")
        return (lambda _: True) if argument else None
    if name == "prefix":
        return _affix(name, argument, str.startswith)
    if name == "suffix":
        return _affix(name, argument, str.endswith)
    if name == "equals-ignore-case":
        return _equals_ignore_case(_text(name, argument))
    if name == "anything-but":
        return _anything_but(argument)
    if name == "numeric":
        return _numeric(argument)
    raise RuleRefused(
        f"operator {name!r} is not supported by Lambda's filters",
        hint=f"Lambda documents {', '.join(OPERATORS)}",
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equals(wanted: Any) -> Rule:
    if wanted is None or isinstance(wanted, bool):
        return lambda value: value is wanted
    if _is_number(wanted):
        return lambda value: _is_number(value) and value == wanted
    return lambda value: isinstance(value, str) and value == wanted


def _text(name: str, argument: Any) -> str:
    if not isinstance(argument, str):
        raise RuleRefused(f"{name} needs a string, not {argument!r}")
    return argument


def _ignoring_case(argument: Any, name: str) -> str:
    """Return the text of {"equals-ignore-case": text}, as prefix and suffix may have it."""
    if set(argument) != {"equals-ignore-case"}:
        raise RuleRefused(f"{name} needs a string or equals-ignore-case, not {argument!r}")
    return _text(f"{name} equals-ignore-case", argument["equals-ignore-case"])


def _affix(name: str, argument: Any, test: Callable[[str, str], bool]) -> Rule:
    if isinstance(argument, dict):
        folded = _ignoring_case(argument, name).lower()
        return lambda value: isinstance(value, str) and test(value.lower(), folded)
    wanted = _text(name, argument)
    return lambda value: isinstance(value, str) and test(value, wanted)


def _equals_ignore_case(wanted: str) -> Rule:
    # Character by character, as EventBridge does: no folding that changes a text's length.
    lower, upper = wanted.lower(), wanted.upper()
    return lambda value: (
        isinstance(value, str) and (value.lower() == lower or value.upper() == upper) and (len(value) == len(wanted))
    )


def _anything_but(argument: Any) -> Rule:
    if isinstance(argument, dict):
        if len(argument) != 1:
            raise RuleRefused(f"anything-but {argument!r} must have exactly one key")
        ((name, inner),) = argument.items()
        makers: dict[str, Callable[[str], Rule]] = {
            "prefix": lambda text: _affix(name, text, str.startswith),
            "suffix": lambda text: _affix(name, text, str.endswith),
            "equals-ignore-case": _equals_ignore_case,
        }
        if name not in makers:
            raise RuleRefused(
                f"anything-but {name!r} is not supported by Lambda's filters", hint=f"known are {', '.join(makers)}"
            )
        texts = [_text(f"anything-but {name}", text) for text in _listed(inner, f"anything-but {name}")]
        if name != "equals-ignore-case" and "" in texts:
            raise RuleRefused(f"anything-but {name} of an empty string matches nothing")
        return _none_of([makers[name](text) for text in texts])
    values = _listed(argument, "anything-but")
    if not (all(isinstance(v, str) for v in values) or all(_is_number(v) for v in values)):
        raise RuleRefused(f"anything-but needs strings or numbers, all of a kind, not {argument!r}")
    return _none_of([_equals(value) for value in values])


def _listed(argument: Any, name: str) -> list[Any]:
    values = argument if isinstance(argument, list) else [argument]
    if not values:
        raise RuleRefused(f"{name} has an empty list")
    return values


def _none_of(rules: Iterable[Rule]) -> Rule:
    known = list(rules)
    return lambda value: not any(rule(value) for rule in known)


def _numeric(terms: Any) -> Rule:
    if not isinstance(terms, list) or len(terms) not in (2, 4):
        raise RuleRefused(f"numeric {terms!r} needs one or two pairs of comparison and number")
    for sign, number in zip(terms[::2], terms[1::2], strict=True):
        if sign not in _SIGNS or not _is_number(number) or not math.isfinite(number):
            raise RuleRefused(f"numeric {terms!r}: {sign!r} {number!r} is no comparison")
    if len(terms) == 2:
        return _comparison(terms[0], terms[1])
    if terms[0] not in (">", ">=") or terms[2] not in ("<", "<="):
        raise RuleRefused(f"numeric {terms!r}: a range is > or >= a number and then < or <= a larger one")
    if terms[1] >= terms[3]:
        raise RuleRefused(f"numeric {terms!r}: {terms[1]} is not below {terms[3]}")
    low, high = _comparison(terms[0], terms[1]), _comparison(terms[2], terms[3])
    return lambda value: low(value) and high(value)


def _comparison(sign: str, number: float) -> Rule:
    # A number in a string is a string: DynamoDB's N values never match (developer guide, "Using event filtering with
    # a DynamoDB event source").
    comparisons: dict[str, Rule] = {
        "=": lambda value: _is_number(value) and value == number,
        ">": lambda value: _is_number(value) and value > number,
        ">=": lambda value: _is_number(value) and value >= number,
        "<": lambda value: _is_number(value) and value < number,
        "<=": lambda value: _is_number(value) and value <= number,
    }
    return comparisons[sign]
