"""Audits one block of rows: reads its items, compares them with what is expected, and judges each row.

Nearly every row of a run is in the table and as it should be. Such a row is recognised by comparing lists of text; all
others go to `judge`, which decides what is wrong with them, if anything is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handlers.business_rule import ProcessingError, Rule, rule_for
from handlers.record_batch import INSERTED_AT, PROCESSED, PROCESSED_AT, STATUS, Source
from harness.audit.model import AuditReport, Places, judge
from harness.audit.readers import ItemReader, item_of
from harness.corpus import BLOCK_ROWS, COLUMNS, CorpusSpec, ExpectedRow, Outcome, expected_cells

_KEPT_BLOCKS = 32
"""Blocks of expected rows kept for objects made from the same corpus: about 1 MB each, in each worker."""

_OWN = (STATUS, INSERTED_AT, PROCESSED_AT)

RawItem = Mapping[str, Mapping[str, Any]]
"""An item as DynamoDB's API gives it."""


@dataclass(frozen=True)
class Audited:
    """One uploaded object: how many rows it has, and the corpus it was made from, if it was."""

    source: Source
    rows: int
    spec: CorpusSpec | None


@dataclass(frozen=True)
class Block:
    """One block (0-based) of an object, and where its rows were found outside the table."""

    audited: Audited
    number: int
    places: Places

    @property
    def rows(self) -> range:
        """The numbers of its rows."""
        first = self.number * BLOCK_ROWS + 1
        return range(first, min(first + BLOCK_ROWS, self.audited.rows + 1))


@dataclass(frozen=True)
class _Expected:
    """What must become of a block's rows: its cells, the attributes the business rule must have added (None where it
    refuses the row), and the rows of which something else than an updated item is expected."""

    cells: Sequence[list[str]]
    processed: Sequence[tuple[str, ...] | None]
    exceptions: Mapping[int, ExpectedRow]


class BlockAuditor:
    """Audits blocks, one after another; `uses` says how many objects were made from each corpus."""

    def __init__(self, reader: ItemReader, uses: Mapping[CorpusSpec | None, int]) -> None:
        self._reader = reader
        self._rule = rule_for(COLUMNS)
        self._uses = Counter(uses)
        self._kept: dict[tuple[CorpusSpec, int], _Expected] = {}

    def audit(self, block: Block) -> AuditReport:
        """Return what became of the rows of one block; raises AwsError where the table does not answer."""
        report = AuditReport(with_manifest=block.audited.spec is not None, object_key=block.audited.source.key)
        source = block.audited.source.source_id
        if block.audited.spec is None:
            for row, raw in _with_rows(block.rows, self._reader.read_status(source, block.rows)):
                judge(report, row, item_of(raw, None) if raw else None, block.places, None, None)
            return report
        expected = self._expected(block.audited.spec, block.number)
        elsewhere = rows_of(block.places)
        usual = _Usual(self._rule)
        for index, (row, raw) in enumerate(_with_rows(block.rows, self._reader.read(source, block.rows))):
            exception = expected.exceptions.get(row)
            cells, processed = expected.cells[index], expected.processed[index]
            if raw is not None and exception is None and row not in elsewhere and usual.matches(raw, cells, processed):
                report.rows += 1
                report.items_accounted += 1
                report.updated += 1
                continue
            named = dict(zip(self._rule.attributes, processed, strict=True)) if processed is not None else None
            wanted = exception or ExpectedRow(row, tuple(cells), Outcome.UPDATED)
            judge(report, row, item_of(raw, COLUMNS) if raw else None, block.places, wanted, named)
        return report

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()

    def _expected(self, spec: CorpusSpec, number: int) -> _Expected:
        """Return what is expected of one block. Objects made from the same corpus share it, so it is kept while more
        than one of them is to come."""
        found = self._kept.get((spec, number))
        if found is None:
            cells, exceptions = expected_cells(spec, number)
            found = _Expected(cells, [self._processed(c) for c in cells], exceptions)
            if self._uses[spec] > 1:
                if len(self._kept) >= _KEPT_BLOCKS:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[spec, number] = found
        return found

    def _processed(self, cells: Sequence[str]) -> tuple[str, ...] | None:
        try:
            return self._rule.apply(cells)
        except ProcessingError:
            return None


class _Usual:
    """Recognises an updated item with exactly the expected values and nothing else."""

    def __init__(self, rule: Rule) -> None:
        self._added = rule.attributes
        self._attributes = 1 + len(COLUMNS) + len(_OWN) + len(rule.attributes)

    def matches(self, raw: RawItem, cells: list[str], processed: tuple[str, ...] | None) -> bool:
        """Return whether `raw` is that item; False says only that it takes a closer look."""
        if processed is None or len(raw) != self._attributes:
            return False
        try:
            found = [_text(raw[name]) for name in COLUMNS]
            added = tuple(raw[name].get("S") or raw[name].get("N") for name in self._added)
            status = raw[STATUS].get("S")
            complete = all(name in raw for name in _OWN)
        except KeyError:
            return False
        return found == cells and added == processed and status == PROCESSED and complete


def _text(value: Mapping[str, Any]) -> str | None:
    text: str | None = value.get("S")
    # An empty cell is stored as NULL.
    return "" if text is None and "NULL" in value else text


def _with_rows(rows: range, items: Mapping[int, RawItem]) -> Iterable[tuple[int, RawItem | None]]:
    return ((row, items.get(row)) for row in rows)


def rows_of(places: Places) -> set[int]:
    """Return the rows that were found somewhere outside the table."""
    found = set(places.quarantined)
    for rows in places.dlqs.values():
        found.update(rows)
    return found


def by_block(places: Places) -> dict[int, Places]:
    """Return, by number, what concerns the rows of each block that has any."""
    quarantined: dict[int, dict[int, list[str]]] = defaultdict(dict)
    dlqs: dict[int, dict[str, dict[int, list[str]]]] = defaultdict(lambda: defaultdict(dict))
    for row, reasons in places.quarantined.items():
        quarantined[(row - 1) // BLOCK_ROWS][row] = reasons
    for stage, rows in places.dlqs.items():
        for row, reasons in rows.items():
            dlqs[(row - 1) // BLOCK_ROWS][stage][row] = reasons
    return {
        number: Places(
            quarantined.get(number, {}), dict(dlqs.get(number, {})), places.whole_object, places.whole_reason
        )
        for number in quarantined.keys() | dlqs.keys()
    }
