"""Batches that fail in part: what is carried out, and how the answer says what was not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import orjson

from harness.data_plane.chaos import answers
from harness.data_plane.chaos.calls import Call, table_name
from harness.data_plane.chaos.decisions import Fired, chosen
from harness.data_plane.chaos.rules import ANY, Error, Partial
from harness.data_plane.chaos.services import known_error
from harness.data_plane.http_server import Answer

_MOST = {"BatchWriteItem": 25, "BatchGetItem": 100}
_MOST_ENTRIES = 10
_PATH_OF_NO_QUEUE = "/"


@dataclass(frozen=True)
class Split:
    """A batch in two. `target` and `body` are the request of the rest (None: there is no rest, nothing is asked of the
    service); `merged` makes the answer, given the service's to the rest, or None."""

    target: str
    body: bytes | None
    merged: Callable[[Answer | None], Answer]


def split(call: Call, fired: Fired, effect: Partial) -> Split | None:
    """Return a batch without the part that fails; None where the request is not one that can, so that the service
    refuses it as ever, or where the rule concerns none of it."""
    if call.form:
        return _form(call, fired, effect)
    document = call.document()
    if document is None:
        return None
    if call.service == "sqs":
        return _entries(call, document, fired, effect)
    return _items(call, document, fired, effect)


# SQS


def _ids_fit(ids: list[Any]) -> bool:
    return 0 < len(ids) <= _MOST_ENTRIES and all(isinstance(i, str) and i for i in ids) and len(set(ids)) == len(ids)


def _entries(call: Call, document: dict[str, Any], fired: Fired, effect: Partial) -> Split | None:
    entries = document.get("Entries")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return None
    if not _ids_fit([entry.get("Id") for entry in entries]):
        return None
    out = chosen(len(entries), effect.fraction, fired.detail)
    rest = [entry for index, entry in enumerate(entries) if index not in out]
    failed = [
        {"Id": entries[i]["Id"], "Code": effect.code, "Message": effect.message, "SenderFault": effect.sender_fault}
        for i in sorted(out)
    ]

    def merged(answer: Answer | None) -> Answer:
        found = {"Successful": []} if answer is None else orjson.loads(answer[2])
        return answers.json_answer({**found, "Failed": found.get("Failed", []) + failed}, answer)

    return Split(call.target, orjson.dumps({**document, "Entries": rest}) if rest else None, merged)


def _form(call: Call, fired: Fired, effect: Partial) -> Split | None:
    prefix = f"{call.operation}RequestEntry."
    ids = {
        n.split(".")[1]: v for n, v in call.fields if n.startswith(prefix) and n.count(".") == 2 and n.endswith(".Id")
    }
    numbers = {n.split(".")[1] for n, _ in call.fields if n.startswith(prefix)}
    if numbers != set(ids) or not all(number.isdecimal() for number in ids) or not _ids_fit(list(ids.values())):
        return None
    order = sorted(ids, key=int)
    out = {order[i] for i in chosen(len(order), effect.fraction, fired.detail)}
    fault = "true" if effect.sender_fault else "false"
    failed = "".join(
        f"<BatchResultErrorEntry><Id>{escape(ids[number])}</Id><Code>{escape(effect.code)}</Code>"
        f"<Message>{escape(effect.message)}</Message><SenderFault>{fault}</SenderFault></BatchResultErrorEntry>"
        for number in order
        if number in out
    )
    rest = [(n, v) for n, v in call.fields if not (n.startswith(prefix) and n.split(".")[1] in out)]
    body = urlencode(rest).encode() if len(out) < len(ids) else None
    path = call.target.partition("?")[0] or _PATH_OF_NO_QUEUE
    return Split(path, body, lambda answer: answers.xml_answer(call.operation, failed, answer))


# DynamoDB


def _items(call: Call, document: dict[str, Any], fired: Fired, effect: Partial) -> Split | None:
    tables: Any = document.get("RequestItems")
    lists = _by_table(call, tables)
    if lists is None:
        return None
    state = fired.state
    any_table = state.rule.resource == ANY
    places = [(t, i) for t, v in lists.items() if any_table or state.concerns(table_name(t)) for i in range(len(v))]
    out = {places[i] for i in chosen(len(places), effect.fraction, fired.detail)}
    if len(out) == sum(map(len, lists.values())):
        # "If none of the items can be processed [...] then BatchWriteItem returns a
        # ProvisionedThroughputExceededException": the API reference of both operations.
        known = known_error("dynamodb", "ProvisionedThroughputExceededException")
        refusal = Error(known.shape, known.code, known.status, effect.message) if known else None
        return None if refusal is None else Split(call.target, None, lambda _: answers.error_answer(call, refusal))
    reads = call.operation == "BatchGetItem"

    def part(taken: bool) -> dict[str, Any]:
        found = {t: [v for i, v in enumerate(values) if ((t, i) in out) is taken] for t, values in lists.items()}
        return {t: {**tables[t], "Keys": v} if reads else v for t, v in found.items() if v}

    left = part(True)
    rest = orjson.dumps({**document, "RequestItems": part(False)})
    return Split(call.target, rest, lambda answer: _with_unprocessed(answer, left, reads=reads))


def _by_table(call: Call, tables: Any) -> dict[str, list[Any]] | None:
    """Return the keys or items of a batch by table; None where it is not one that DynamoDB would carry out."""
    if not isinstance(tables, dict):
        return None
    lists: dict[str, list[Any]] = {}
    for name, asked in tables.items():
        found = asked.get("Keys") if call.operation == "BatchGetItem" and isinstance(asked, dict) else asked
        if not isinstance(found, list):
            return None
        lists[name] = found
    total = sum(map(len, lists.values()))
    return lists if total and total <= _MOST[call.operation] and all(lists.values()) else None


def _with_unprocessed(answer: Answer | None, left: dict[str, Any], *, reads: bool) -> Answer:
    """Return the answer to the rest of a batch with what was left out of it as unprocessed."""
    if answer is None:
        raise AssertionError("a rest was carried out")
    found = orjson.loads(answer[2])
    member = "UnprocessedKeys" if reads else "UnprocessedItems"
    undone: dict[str, Any] = found.get(member) or {}
    for name, mine in left.items():
        if reads:
            mine["Keys"] += undone.get(name, {}).get("Keys", [])
            found.setdefault("Responses", {}).setdefault(name, [])
        else:
            mine.extend(undone.get(name, []))
    return answers.json_answer({**found, member: {**undone, **left}}, answer)
