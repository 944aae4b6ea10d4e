"""What all batch operations have in common: their entries' ids, and entries that fail alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from harness.data_plane.queues import limits
from harness.data_plane.queues.errors import SqsError, missing
from harness.data_plane.queues.requests import Request, structures

_ENTRY_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{limits.BATCH_ENTRY_ID}}}", re.ASCII)


def entries_of(request: Request, kind: str) -> list[dict[str, Any]]:
    """Return the entries of a batch request whose entries are called `kind`; raises SqsError when they do not fit."""
    entries = structures(request, "Entries")
    if not entries:
        raise SqsError("EmptyBatchRequest", f"There should be at least one {kind} in the request.")
    if len(entries) > limits.BATCH_ENTRIES:
        raise SqsError(
            "TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are {limits.BATCH_ENTRIES}. You have sent {len(entries)}.",
        )
    seen = set()
    for entry in entries:
        name = entry.get("Id")
        if not isinstance(name, str) or not _ENTRY_ID.fullmatch(name):
            if name is None:
                raise missing("Id")
            raise SqsError(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                f"It can be at most {limits.BATCH_ENTRY_ID} letters long.",
            )
        if name in seen:
            raise SqsError("BatchEntryIdsNotDistinct", f"Id {name} repeated.")
        seen.add(name)
    return entries


def each(entries: list[dict[str, Any]], act: Callable[[dict[str, Any]], None]) -> bytes:
    """Do something for every entry and return the answer, in which entries that raised SqsError are failed ones."""
    done: list[str] = []
    failed: list[str] = []
    for entry in entries:
        try:
            act(entry)
        except SqsError as error:
            failed.append(failure(entry["Id"], error))
        else:
            done.append(f'{{"Id":"{entry["Id"]}"}}')
    return answer(done, failed)


def failure(entry_id: str, error: SqsError) -> str:
    """Return a BatchResultErrorEntry as JSON."""
    return json.dumps({"Id": entry_id, "Code": error.code, "Message": error.message, "SenderFault": True})


def answer(done: list[str], failed: list[str]) -> bytes:
    """Return the answer of a batch operation, given the JSON of its entries' results."""
    if not failed:
        return f'{{"Successful":[{",".join(done)}]}}'.encode()
    return f'{{"Successful":[{",".join(done)}],"Failed":[{",".join(failed)}]}}'.encode()
