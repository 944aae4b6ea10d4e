"""What MiniStack's module lets pass in update expressions, and DynamoDB does not.

The module ignores parts of a clause that it cannot read, does not look for paths that overlap, and calculates with 28
digits. Each would change an item in another way than its sender said, so these are refused, and numbers have 38 digits.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from typing import Any

Token = tuple[str, str]
Path = list[str | int]
Apply = Callable[..., Any]
"""Given item, expression, values, names and (optional) a set for the paths that change, returns what it returns."""

DIGITS = 38
"""Significant digits of a number."""
_CLAUSES = ("SET", "REMOVE", "ADD", "DELETE")
_INVALID = "Invalid UpdateExpression: "
_exact = decimal.Context(prec=DIGITS, traps=[decimal.Inexact, decimal.InvalidOperation, decimal.DivisionByZero])


def checked(module: Any, apply: Apply) -> Apply:
    """Return the module's function that applies an update expression, with what it lacks; raises ValueError as it."""

    def applied(item: Any, expression: str, values: Any, names: Any, *paths: Any) -> Any:
        refusal = error(module, expression, names or {})
        if refusal is not None:
            raise ValueError(refusal)
        try:
            with decimal.localcontext(_exact):
                return apply(item, expression, values, names, *paths)
        except decimal.Inexact as inexact:
            raise ValueError("Attempting to store more than 38 significant digits in a Number") from inexact

    return applied


def error(module: Any, expression: str, names: dict[str, str]) -> str | None:
    """Return why DynamoDB refuses the expression although the module would not, or None."""
    tokens: list[Token] = [token for token in module._tokenize(expression) if token[0] != "EOF"]
    clauses: dict[str, list[Token]] = {}
    current: list[Token] | None = None
    for token in tokens:
        keyword = token[1].upper() if token[0] == "IDENT" else ""
        if keyword in _CLAUSES:
            if keyword in clauses:
                return f'{_INVALID}The "{keyword}" section can only be used once in an update expression;'
            current = clauses[keyword] = []
        elif current is None:
            return _syntax(token, expression)
        else:
            current.append(token)
    targets: list[Path] = []
    for keyword, inside in clauses.items():
        for part in _parts(inside):
            target = _target(keyword, part)
            if target is None or not _is_path(target):
                return _syntax(part[0] if part else (keyword, keyword), expression)
            targets.append(module._parse_path_from_tokens(target, names))
    return _overlap(targets)


def _parts(tokens: list[Token]) -> list[list[Token]]:
    """Split at the commas outside of parentheses; an empty part stays one."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token[0] == "LPAREN") - (token[0] == "RPAREN")
        if token[0] == "COMMA" and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _target(keyword: str, part: list[Token]) -> list[Token] | None:
    """Return the tokens of the path that a part of a clause changes, or None when the part has not its form."""
    if keyword == "REMOVE":
        return part
    if keyword == "SET":
        kinds = [kind for kind, _ in part]
        at = kinds.index("EQ") if "EQ" in kinds else len(part)
        return part[:at] if at + 1 < len(part) else None
    return part[:-1] if part and part[-1][0] == "VALUE_REF" else None


def _is_path(tokens: list[Token]) -> bool:
    """Tell whether the tokens are a document path: a name, then `.name` and `[number]`."""
    kinds = [kind for kind, _ in tokens]
    if not kinds or kinds[0] not in ("IDENT", "NAME_REF"):
        return False
    at = 1
    while at < len(kinds):
        if kinds[at] == "DOT" and kinds[at + 1 : at + 2] and kinds[at + 1] in ("IDENT", "NAME_REF"):
            at += 2
        elif kinds[at : at + 3] == ["LBRACKET", "NUMBER", "RBRACKET"]:
            at += 3
        else:
            return False
    return True


def _syntax(token: Token, expression: str) -> str:
    at = expression.find(token[1])
    return f'{_INVALID}Syntax error; token: "{token[1]}", near: "{expression[max(0, at - 10) : at + 20]}"'


def _overlap(paths: list[Path]) -> str | None:
    for j, later in enumerate(paths):
        for earlier in paths[:j]:
            shared = min(len(earlier), len(later))
            if earlier[:shared] == later[:shared]:
                return (
                    f"{_INVALID}Two document paths overlap with each other; must remove or rewrite one of these paths; "
                    f"path one: {_shown(earlier)}, path two: {_shown(later)}"
                )
    return None


def _shown(path: Path) -> str:
    return "[" + ", ".join(f"[{part}]" if isinstance(part, int) else part for part in path) + "]"
