"""The record of one change as bytes in a log: a fixed header, the key, the new image of the item.

A log is a file header and then frames, end to end. Each frame carries a checksum, so that a tail torn by a kill is
recognised and cut, and the location of the version before it, so that a stream record needs no copy of the old image.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

INSERT, MODIFY, REMOVE, EXPIRE = 1, 2, 3, 4
"""Kinds of change. EXPIRE is a removal by time to live, which streams mark with the service's identity."""

FILE_HEADER = b"tables-log\x00\x01\x00\x00\x00\x00"
"""Starts every log file. Its length keeps locations apart from 0, which means "none"."""

HEADER = struct.Struct("<IIBxHHIQQ")
"""CRC-32 of all that follows it, length of the whole frame, kind, length of partition key and of sort key, size of
the item in bytes by DynamoDB's rules, time in milliseconds since 1970, location of the version before (0: none)."""
HEADER_SIZE = HEADER.size
MAX_FRAME = 4 * 1024 * 1024
"""More than any frame has: 400 KB of item take at most six times that as JSON, so a longer length means damage."""

_KINDS = frozenset((INSERT, MODIFY, REMOVE, EXPIRE))
_pack_rest = struct.Struct(HEADER.format.replace("I", "", 1)).pack
_crc = zlib.crc32


class Frame(NamedTuple):
    """One change. `image` is empty for removals; `previous` is the location of the version before, or 0."""

    kind: int
    time_ms: int
    size: int
    previous: int
    pk: bytes
    sk: bytes
    image: bytes
    length: int


def encode(kind: int, time_ms: int, size: int, previous: int, pk: bytes, sk: bytes, image: bytes) -> bytes:
    """Return the frame of a change."""
    length = HEADER_SIZE + len(pk) + len(sk) + len(image)
    rest = _pack_rest(length, kind, len(pk), len(sk), size, time_ms, previous) + pk + sk + image
    return _crc(rest).to_bytes(4, "little") + rest


def decode(data: bytes, at: int = 0) -> Frame | None:
    """Return the frame that starts at `at`, unchecked, or None when `data` ends before it does."""
    if len(data) - at < HEADER_SIZE:
        return None
    _, length, kind, pk_length, sk_length, size, time_ms, previous = HEADER.unpack_from(data, at)
    if len(data) - at < length:
        return None
    pk_end = at + HEADER_SIZE + pk_length
    sk_end = pk_end + sk_length
    pk, sk, image = data[at + HEADER_SIZE : pk_end], data[pk_end:sk_end], data[sk_end : at + length]
    return Frame(kind, time_ms, size, previous, pk, sk, image, length)


def length_at(data: bytes, at: int = 0) -> int:
    """Return the announced length of the frame at `at`, of which the first eight bytes must be there."""
    return int.from_bytes(data[at + 4 : at + 8], "little")


def version_at(data: bytes, at: int) -> tuple[int, bytes] | None:
    """Return the item's size and its image in the frame at `at`, or None when `data` ends before the frame does."""
    if len(data) - at < HEADER_SIZE:
        return None
    _, length, _, pk_length, sk_length, size, _, _ = HEADER.unpack_from(data, at)
    end = at + length
    return (size, data[at + HEADER_SIZE + pk_length + sk_length : end]) if end <= len(data) else None


def is_valid(data: bytes, at: int = 0) -> bool:
    """Tell whether a whole frame with the right checksum starts at `at`."""
    if len(data) - at < HEADER_SIZE:
        return False
    checksum: int
    checksum, length, kind, pk_length, sk_length = HEADER.unpack_from(data, at)[:5]
    if not HEADER_SIZE + pk_length + sk_length <= length <= MAX_FRAME or len(data) - at < length:
        return False
    return bool(INSERT <= kind <= EXPIRE) and _crc(memoryview(data)[at + 4 : at + length]) == checksum


def is_torn(data: bytes) -> bool:
    """Tell whether `data`, which does not start with a valid frame, is what a kill leaves: a frame without its end."""
    if len(data) < HEADER_SIZE:
        return True
    if HEADER_SIZE <= length_at(data) <= len(data):
        return False
    # The length itself may be damaged: then there are whole frames further on.
    return not any(data[at + 8] in _KINDS and is_valid(data, at) for at in range(1, len(data) - HEADER_SIZE + 1))


def valid_frames(data: bytes, at: int = 0) -> Iterator[tuple[int, Frame]]:
    """Yield (offset in `data`, frame) for every frame until the end or the first that is damaged or incomplete."""
    while is_valid(data, at):
        frame = decode(data, at)
        if frame is None:
            return
        yield at, frame
        at += frame.length
