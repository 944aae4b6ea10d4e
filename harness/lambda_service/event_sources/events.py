"""Events of queues and streams: their encoding, and their size in bytes as they are sent."""

from __future__ import annotations

from collections.abc import Iterable

from harness.lambda_service.model import SYNC_PAYLOAD_LIMIT

_OPENING, _CLOSING = b'{"Records":[', b"]}"

EMPTY_EVENT_SIZE = len(_OPENING) + len(_CLOSING) - 1
"""Bytes of an event besides its records and one separator behind each; the last record has none, hence the one less."""


def encode_event(records: Iterable[bytes]) -> bytes:
    """Return the event that holds records which are JSON already."""
    return _OPENING + b",".join(records) + _CLOSING


def record_size(record: bytes) -> int:
    """Return the bytes by which a record lengthens an event."""
    return len(record) + 1


def fits(size: int, record: bytes) -> bool:
    """Return whether a record may join an event of `size` bytes: the limit is that of a synchronous request.

    `size` is `EMPTY_EVENT_SIZE` and the `record_size` of every record so far.
    """
    return size + record_size(record) <= SYNC_PAYLOAD_LIMIT
