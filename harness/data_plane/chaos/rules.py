"""Rules as data: a TOML file of `[[rule]]` tables, checked before anything starts."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data_plane.chaos import services
from harness.errors import UsageError

EXAMPLES = Path(__file__).parent / "examples"
"""Rules that come with the harness: files that can be given by their names alone."""

ANY = "*"
MAX_SECONDS = 900.0
"""The longest delay of one request: longer than any client waits, and than a function may run."""
_COMMON_KEYS = ("service", "operation", "resource", "effect", "probability", "from", "until", "times", "seed")
_EFFECT_KEYS = {
    "error": ("code", "status", "message"),
    "partial": ("fraction", "code", "message", "sender_fault"),
    "latency": ("seconds",),
    "drop": ("when",),
}


@dataclass(frozen=True)
class Error:
    """An error answer, and nothing is carried out. `shape` is its name in the JSON protocol, `code` the clients'."""

    shape: str
    code: str
    status: int
    message: str


@dataclass(frozen=True)
class Partial:
    """A share of a batch is not carried out. Code, message and whose fault it is are those of SQS's failed entries."""

    fraction: float
    code: str
    message: str
    sender_fault: bool


@dataclass(frozen=True)
class Latency:
    """A request is carried out later, by seconds evenly distributed between two bounds."""

    low: float
    high: float


@dataclass(frozen=True)
class Drop:
    """The connection is closed without an answer: after the request was carried out, or instead."""

    after: bool


Effect = Error | Partial | Latency | Drop


@dataclass(frozen=True)
class Rule:
    """One rule. `number` counts from 1 in the file. `begins` and `ends` are seconds since the engine's start; None is
    no end, as `times` None is no limit. `said` are the keys as they were written."""

    number: int
    service: str
    operation: str
    resource: str
    effect: Effect
    probability: float
    begins: float
    ends: float | None
    times: int | None
    seed: int
    said: Mapping[str, Any]


@dataclass(frozen=True)
class RuleSet:
    """The rules of a file and the text they were read from."""

    rules: tuple[Rule, ...]
    text: str

    def to_json(self) -> list[dict[str, Any]]:
        """Return the rules with their numbers, as they were written."""
        return [{"rule": rule.number, **rule.said} for rule in self.rules]


def example_names() -> list[str]:
    """Return the names of the rules that come with the harness."""
    return sorted(path.stem for path in EXAMPLES.glob("*.toml"))


def read_rules(path: Path) -> RuleSet:
    """Return the rules of a file, or of the example of that name; `./NAME` is always a file.

    Raises UsageError naming the file, the rule, the key and the value.
    """
    if str(path) in example_names():
        path = EXAMPLES / f"{path}.toml"
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(
            f"chaos rules {path} cannot be read: {why}",
            hint=f"name a TOML file of [[rule]] tables, or an example: {', '.join(example_names())}",
        ) from None
    return parse_rules(text, str(path))


def parse_rules(text: str, name: str = "rules") -> RuleSet:
    """Return the rules of a TOML text; `name` is what messages call it. Raises UsageError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is no TOML: {error}", hint="docs/chaos.md has examples") from None
    unknown = sorted(set(data) - {"rule"})
    if unknown:
        raise UsageError(
            f"{name} has a key {unknown[0]!r}", hint="a file of rules has [[rule]] tables and nothing else"
        )
    tables = data.get("rule", [])
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{name} has no rules", hint="begin each with a line [[rule]]; docs/chaos.md has examples")
    return RuleSet(tuple(_Reader(name, number, table).rule() for number, table in enumerate(tables, start=1)), text)


class _Reader:
    """Reads one rule, key by key."""

    def __init__(self, name: str, number: int, table: Mapping[str, Any]) -> None:
        self._where = f"{name}, rule {number}"
        self._number = number
        self._table = table

    def rule(self) -> Rule:
        service = self._service()
        kind = self._choice("effect", tuple(_EFFECT_KEYS))
        allowed = _COMMON_KEYS + _EFFECT_KEYS[kind]
        for key in self._table:
            if key not in allowed:
                raise self._wrong(f"key {key!r} is none of effect {kind}", f"it has: {', '.join(allowed)}")
        operation = self._operation(service, kind)
        resource = self._text("resource", ANY)
        if ANY not in (resource, operation) and not services.names_resource(service, operation):
            raise self._refused("resource", f"requests of {operation} name no queue or table", "leave resource out")
        begins, ends = self._seconds("from", 0.0), self._seconds("until", None)
        if ends is not None and begins is not None and begins >= ends:
            raise self._refused("from", f"is not before until = {ends:g}", "let until be later, or leave it out")
        return Rule(
            self._number,
            service,
            operation,
            resource,
            self._effect(kind, service),
            self._share("probability", 1.0, least=0.0),
            begins or 0.0,
            ends,
            self._whole("times", None, 1),
            self._whole("seed", self._number, 0) or 0,
            dict(self._table),
        )

    def _service(self) -> str:
        value = self._text("service")
        if value in services.ELSEWHERE:
            raise self._refused("service", services.ELSEWHERE[value], f"choose one of {', '.join(services.SERVICES)}")
        return self._choice("service", services.SERVICES)

    def _operation(self, service: str, kind: str) -> str:
        value = self._text("operation")
        partial = services.PARTIAL[service]
        if kind == "partial" and value not in partial:
            can = f"these can: {', '.join(sorted(partial))}" if partial else f"no operation of {service} can"
            raise self._refused("operation", "it cannot fail in part", can)
        if value == ANY:
            return value
        known = services.operations(service)
        if value not in known:
            near = difflib.get_close_matches(value, known, 3) or ["the names of the API reference"]
            raise self._refused("operation", f"{service} has no such operation", f"{' or '.join(near)}, or * for all")
        return value

    def _effect(self, kind: str, service: str) -> Effect:
        said = f"Injected by chaos rule {self._number}."
        if kind == "error":
            code = self._text("code")
            known, status = services.known_error(service, code), self._whole("status", None, 400, 599)
            if known is None and status is None:
                raise self._refused("code", f"{service} has no such error", "give its status too (400 to 599)")
            shape, code, usual = (known.shape, known.code, known.status) if known else (code, code, 400)
            return Error(shape, code, status or usual, self._text("message", said))
        if kind == "partial":
            if service != "sqs":
                for key in ("code", "message", "sender_fault"):
                    if key in self._table:
                        raise self._refused(key, f"what {service} leaves undone has none", f"leave {key} out")
            return Partial(
                self._share("fraction", 0.5),
                self._text("code", "InternalError"),
                self._text("message", said),
                self._boolean("sender_fault"),
            )
        if kind == "drop":
            return Drop(self._choice("when", ("before", "after")) == "after")
        return self._latency()

    def _latency(self) -> Latency:
        value = self._required("seconds")
        pair = value if isinstance(value, list) else [value, value]
        if len(pair) != 2 or not all(_is_number(bound) and 0 <= bound <= MAX_SECONDS for bound in pair):
            raise self._refused(
                "seconds", f"is not a number from 0 to {MAX_SECONDS:g} or two of them", "for example 0.2 or [0.1, 0.5]"
            )
        if pair[0] > pair[1]:
            raise self._refused("seconds", "the lower bound is the higher one", f"write [{pair[1]}, {pair[0]}]")
        return Latency(float(pair[0]), float(pair[1]))

    # values

    def _required(self, key: str) -> Any:
        if key not in self._table:
            raise self._wrong(f"{key} is missing", "docs/chaos.md has every key")
        return self._table[key]

    def _text(self, key: str, default: str | None = None) -> str:
        value = self._required(key) if default is None else self._table.get(key, default)
        if not isinstance(value, str) or not value:
            raise self._refused(key, "is not a text", "write it in quotes")
        return value

    def _choice(self, key: str, among: Collection[str]) -> str:
        value = self._text(key)
        if value not in among:
            raise self._refused(key, "is not known", f"choose one of {', '.join(among)}")
        return value

    def _boolean(self, key: str) -> bool:
        value = self._table.get(key, False)
        if not isinstance(value, bool):
            raise self._refused(key, "is neither true nor false", "write true or false")
        return value

    def _share(self, key: str, default: float, least: float | None = None) -> float:
        value = self._table.get(key, default)
        if not _is_number(value) or not 0 <= value <= 1 or (least is None and value == 0):
            raise self._refused(
                key, "is not a share", "a share is a number from 0 to 1" + ("" if least == 0 else ", not 0")
            )
        return float(value)

    def _seconds(self, key: str, default: float | None) -> float | None:
        value = self._table.get(key, default)
        if value is None:
            return None
        if not _is_number(value) or value < 0:
            raise self._refused(key, "is not a number of seconds", "seconds since the engine's start, 0 or more")
        return float(value)

    def _whole(self, key: str, default: int | None, least: int, most: int = 2**63 - 1) -> int | None:
        value = self._table.get(key, default)
        if value is None:
            return None
        if type(value) is not int or not least <= value <= most:
            bounds = f"{least} to {most}" if most < 2**63 - 1 else f"{least} or more"
            raise self._refused(key, "is not a whole number in its bounds", bounds)
        return value

    def _refused(self, key: str, why: str, way_out: str) -> UsageError:
        value = self._table.get(key)
        written = str(value).lower() if isinstance(value, bool) else repr(value)
        return self._wrong(f"{key} = {written}: {why}", way_out)

    def _wrong(self, what: str, way_out: str) -> UsageError:
        return UsageError(f"{self._where}: {what}", hint=way_out)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
