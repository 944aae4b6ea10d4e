"""Pages of scans and queries, and segments of parallel scans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from harness.data_plane.tables.store import Version

PAGE_BYTES = 1024 * 1024
"""Bytes of items that one page reads."""
MAX_SEGMENTS = 1_000_000
_RING = 1 << 32


class Page(NamedTuple):
    """What a scan or query read: images, their size in bytes, the last key, whether it stopped before the end."""

    images: list[bytes]
    size: int
    last: tuple[bytes, bytes] | None
    more: bool


def read_page(entries: Iterator[tuple[bytes, bytes, Version]], limit: int | None) -> Page:
    """Read up to `limit` items and 1 MB; stopping because of either counts as "more", AWS does not look ahead."""
    images: list[bytes] = []
    size = 0
    last = None
    for pk, sk, version in entries:
        if images and size + version.size > PAGE_BYTES:
            return Page(images, size, last, True)
        images.append(version.image)
        size += version.size
        last = (pk, sk)
        if (limit is not None and len(images) >= limit) or size >= PAGE_BYTES:
            return Page(images, size, last, True)
    return Page(images, size, last, False)


def segment_bounds(segment: int | None, total: int | None) -> tuple[int, int] | None:
    """Return the hashes [low, high) of a segment of a parallel scan, or None for numbers that are no segment."""
    if segment is None and total is None:
        return 0, _RING
    if segment is None or total is None or not 0 <= segment < total <= MAX_SEGMENTS:
        return None
    return _RING * segment // total, _RING * (segment + 1) // total
