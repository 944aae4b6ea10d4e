"""Generates corpora: deterministic, a block at a time, with the exact expectation of every row."""

from __future__ import annotations

import hashlib
import random
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO

from harness.corpus import dirt, special
from harness.corpus.manifest import Manifest, manifest_path
from harness.corpus.spec import (
    BLOCK_ROWS,
    COLUMNS,
    GENERATOR_VERSION,
    CorpusSpec,
    ExpectedRow,
    Outcome,
)
from harness.corpus.values import (
    CHANNELS,
    DEVICES,
    SEPARATOR,
    addresses,
    customers,
    days,
    four_digits,
    merchants,
    notes,
    quote_csv,
    times,
)

Progress = Callable[[int], None]
"""Called with the number of rows written so far."""

_WORDS = struct.Struct("<10H")
_KIND_SCALE = 1 << 32


@dataclass
class _Block:
    """One block while it is made: its bytes, the plain text of rows that must be in the table, exceptions."""

    records: list[bytes | str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    exceptions: dict[int, ExpectedRow] = field(default_factory=dict)
    cells_changed: int = 0


@lru_cache(maxsize=8)
def _special(spec: CorpusSpec) -> dict[int, str]:
    return special.positions(spec)


def _render(spec: CorpusSpec, block: int, *, with_records: bool = True) -> _Block:
    """Make one block. `plain` has a text for every row, also for those in `exceptions`; `records` are left out where
    only the expectation is wanted."""
    first = block * BLOCK_ROWS + 1
    count = min(BLOCK_ROWS, spec.rows - first + 1)
    words = random.Random(f"{GENERATOR_VERSION}/{spec.seed}/{block}").randbytes(_WORDS.size * count)
    who, shops, remarks = customers(), merchants(), notes()
    dates, clock, hosts, cards = days(), times(), addresses(), four_digits()
    cents = [card[2:] for card in cards[:100]]
    quarantined_below = int(spec.quarantine * _KIND_SCALE)
    poisoned_below = quarantined_below + int(spec.poison * _KIND_SCALE)
    dirty_below = poisoned_below + int(spec.dirty * _KIND_SCALE)
    large = _special(spec)
    made = _Block()
    records, plain = made.records, made.plain
    for row, (a, b, c, d, e, f, g, h, low, high) in enumerate(_WORDS.iter_unpack(words), first):
        customer = who[a & 4095]
        shop = shops[b & 255]
        note = remarks[b >> 8 & 63]
        # The product of two uniform numbers favours small amounts, with a tail of large ones.
        minor = c * (d & 1023 if d & 3 else d & 15) >> 4
        digits = customer.exponent
        if digits == 2:
            amount = f"{minor // 100}.{cents[minor % 100]}"
        elif digits == 0:
            amount = str(minor)
        else:
            amount = f"{minor // 1000}.{minor % 1000:03d}"
        day, time, host = dates[e & 255], clock[f], hosts[h & 4095]
        channel, card, device = CHANNELS[g % 5], cards[g % 10_000], DEVICES[h % 5]
        currency = customer.currency
        if with_records:
            records.append(
                f"TX{row:010d},{customer.who.csv},{shop.csv},{amount},{currency},{customer.where.csv},"
                f"{day}T{time}Z,{channel},{card},{host},{device},{note.csv}"
            )
        plain.append(
            f"TX{row:010d}\x1f{customer.who.plain}\x1f{shop.plain}\x1f{amount}\x1f{currency}\x1f"
            f"{customer.where.plain}\x1f{day}T{time}Z\x1f{channel}\x1f{card}\x1f{host}\x1f{device}\x1f{note.plain}"
        )
        kind = high << 16 | low
        if kind < dirty_below or row in large:
            record = _make_exception(made, row, kind, e, large.get(row), quarantined_below, poisoned_below)
            if with_records:
                records[-1] = record
    return made


def _make_exception(
    made: _Block,
    row: int,
    kind: int,
    choice: int,
    large: str | None,
    quarantined_below: int,
    poisoned_below: int,
) -> bytes | str:
    """Turn the row made last into one that is large, rejected, poisonous or dirty; returns its record."""
    cells = made.plain[-1].split(SEPARATOR)
    if large is not None:
        cells, expected = special.render(large, row, cells)
        made.exceptions[row] = expected
        made.plain[-1] = SEPARATOR.join(cells)
        return ",".join(map(quote_csv, cells))
    if kind < quarantined_below:
        rejected, reason = dirt.reject(cells, choice)
        made.exceptions[row] = ExpectedRow(row, None, Outcome.QUARANTINED, reason)
        return rejected
    if kind < poisoned_below:
        cells, reason = dirt.poison(cells, choice)
        made.exceptions[row] = ExpectedRow(row, tuple(cells), Outcome.PROCESS_DLQ, reason)
        made.plain[-1] = SEPARATOR.join(cells)
        return ",".join(map(quote_csv, cells))
    soiled, changed = dirt.soil(cells, choice)
    made.cells_changed += changed
    return soiled


def expected_block(spec: CorpusSpec, block: int) -> list[ExpectedRow]:
    """Return what must become of every row of one block (0-based), in order."""
    cells, exceptions = expected_cells(spec, block)
    first = block * BLOCK_ROWS + 1
    return [
        exceptions.get(row) or ExpectedRow(row, tuple(found), Outcome.UPDATED) for row, found in enumerate(cells, first)
    ]


def expected_cells(spec: CorpusSpec, block: int) -> tuple[list[list[str]], dict[int, ExpectedRow]]:
    """Return the cleaned cells of every row of one block (0-based), in order, and by row number what must become of
    those that must not be updated, whose cells mean nothing."""
    made = _render(spec, block, with_records=False)
    return [text.split(SEPARATOR) for text in made.plain], made.exceptions


def generate(path: Path, spec: CorpusSpec, progress: Progress | None = None) -> Manifest:
    """Write a corpus to `path` and its manifest beside it; returns the manifest.

    The file appears under its name only when it is complete; an interruption leaves nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("wb") as out:
            manifest = _write(out, spec, progress)
        # The manifest goes first: a corpus without one is generated again, one with a wrong one must not be.
        manifest_path(path).unlink(missing_ok=True)
        unfinished.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            unfinished.unlink()
        raise
    manifest.save(manifest_path(path))
    return manifest


def corpus_bytes(spec: CorpusSpec) -> Iterator[bytes]:
    """Yield a corpus in pieces: the header, then a block at a time."""
    yield (",".join(COLUMNS) + "\n").encode()
    for block in range(spec.blocks):
        yield _encode(_render(spec, block).records)


def _encode(records: list[bytes | str]) -> bytes:
    if all(type(r) is str for r in records):
        return ("\n".join(records) + "\n").encode()  # type: ignore[arg-type]
    return b"".join((r if isinstance(r, bytes) else r.encode()) + b"\n" for r in records)


def _write(out: IO[bytes], spec: CorpusSpec, progress: Progress | None) -> Manifest:
    whole, checksum = hashlib.sha256(), hashlib.blake2b(digest_size=16)
    size = changed = 0
    outcomes: Counter[str] = Counter()
    reasons: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    header = (",".join(COLUMNS) + "\n").encode()
    digests: list[str] = []
    out.write(header)
    whole.update(header)
    size += len(header)
    for block in range(spec.blocks):
        made = _render(spec, block)
        data = _encode(made.records)
        out.write(data)
        whole.update(data)
        size += len(data)
        changed += made.cells_changed
        first = block * BLOCK_ROWS + 1
        for row, expected in made.exceptions.items():
            outcomes[expected.outcome] += 1
            reasons[expected.outcome][expected.reason].append(row)
        rejected = {row for row, e in made.exceptions.items() if e.cells is None}
        kept = made.plain
        if rejected:
            kept = [text for row, text in enumerate(made.plain, first) if row not in rejected]
        digest = block_digest(kept)
        digests.append(digest)
        checksum.update(digest.encode())
        if progress is not None:
            progress(first + len(made.records) - 1)
    quarantined = outcomes[Outcome.QUARANTINED]
    return Manifest(
        spec=spec,
        generator_version=GENERATOR_VERSION,
        file_bytes=size,
        sha256=whole.hexdigest(),
        rows=spec.rows,
        rows_cleaned=spec.rows - quarantined,
        rows_updated=spec.rows - sum(outcomes.values()),
        cells_changed=changed,
        exceptions={outcome: dict(by_reason) for outcome, by_reason in reasons.items()},
        block_digests=tuple(digests),
        checksum=checksum.hexdigest(),
    )


def block_digest(rows: list[str]) -> str:
    """Return the digest of rows given in order as plain text, cells joined by `SEPARATOR`."""
    return hashlib.blake2b("\x1e".join(rows).encode(), digest_size=8).hexdigest()
