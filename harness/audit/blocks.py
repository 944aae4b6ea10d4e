"""Audits one block of rows: reads its items, compares them with what is expected, and judges each row.

Nearly every row of a run is in the table and as it should be. Such a row is recognised by its item's bytes; all others
go to `judge`, which decides what is wrong with them, if anything is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from handlers.business_rule import ProcessingError, rule_for
from handlers.record_batch import Source
from harness.audit.byte_comparison import ItemComparison, RawItem, json_values
from harness.audit.model import AuditReport, Places, judge
from harness.audit.readers import ItemReader, decode_item, item_of, row_of
from harness.corpus import BLOCK_ROWS, COLUMNS, CorpusSpec, ExpectedRow, Outcome, expected_cells

_KEPT_BLOCKS = 32
"""Blocks of expected rows kept for objects made from the same corpus: about 2 MB each, in each worker."""


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
    refuses the row), the values in the JSON of the updated item (None for a row that must not be one), and the rows of
    which something else than an updated item is expected."""

    cells: Sequence[list[str]]
    processed: Sequence[tuple[str, ...] | None]
    values: Sequence[tuple[str, ...] | None]
    exceptions: Mapping[int, ExpectedRow]


class BlockAuditor:
    """Audits blocks, one after another; `uses` says how many objects were made from each corpus."""

    def __init__(self, reader: ItemReader, uses: Mapping[CorpusSpec | None, int]) -> None:
        self._reader = reader
        self._rule = rule_for(COLUMNS)
        self._comparison = ItemComparison(COLUMNS, self._rule.attributes)
        self._uses = Counter(uses)
        self._kept: dict[tuple[CorpusSpec, int], _Expected] = {}

    def audit(self, block: Block) -> AuditReport:
        """Return what became of the rows of one block; raises AwsError where the table does not answer."""
        report = AuditReport(with_manifest=block.audited.spec is not None, object_key=block.audited.source.key)
        if block.audited.spec is None:
            self._audit_places(block, report)
            return report
        expected = self._expected(block.audited.spec, block.number)
        good, items = self._read(block, expected)
        report.rows = report.items_accounted = report.updated = len(good)
        for index, row in enumerate(block.rows):
            if row in good:
                continue
            processed = expected.processed[index]
            named = dict(zip(self._rule.attributes, processed, strict=True)) if processed is not None else None
            wanted = expected.exceptions.get(row) or ExpectedRow(row, tuple(expected.cells[index]), Outcome.UPDATED)
            raw = items.get(row)
            judge(report, row, item_of(raw, COLUMNS) if raw else None, block.places, wanted, named)
        return report

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()

    def _audit_places(self, block: Block, report: AuditReport) -> None:
        """Judge the rows of an object of which no values are known."""
        images = self._reader.read_status(block.audited.source.source_id, block.rows)
        items = {row_of(item): item for item in map(decode_item, images)}
        for row in block.rows:
            raw = items.get(row)
            judge(report, row, item_of(raw, None) if raw else None, block.places, None, None)

    def _read(self, block: Block, expected: _Expected) -> tuple[AbstractSet[int], Mapping[int, RawItem]]:
        """Return the rows that are nowhere but in the table and exactly as expected, and the items of all others."""
        source, first = block.audited.source.source_id, block.rows.start
        elsewhere = rows_of(block.places)
        compare = self._comparison.is_expected
        good: set[int] = set()
        others: dict[int, RawItem] = {}

        def usual(row: int) -> tuple[str, ...] | None:
            """Return the values of an updated item of this row; None where it must not be one, or is elsewhere too."""
            return expected.values[row - first] if row in block.rows and row not in elsewhere else None

        # Tables mostly answer in the order of the keys: the row behind the one before is tried first.
        row = first
        for image in self._reader.read(source, block.rows):
            values = usual(row)
            if values is None or not compare(image, source, row, values):
                item = decode_item(image)
                row = row_of(item)
                values = usual(row)
                if values is None or not self._comparison.learn(item) or not compare(image, source, row, values):
                    others[row] = item
                    row += 1
                    continue
            good.add(row)
            row += 1
        return good - others.keys(), others

    def _expected(self, spec: CorpusSpec, number: int) -> _Expected:
        """Return what is expected of one block. Objects made from the same corpus share it, so it is kept while more
        than one of them is to come."""
        found = self._kept.get((spec, number))
        if found is None:
            cells, exceptions = expected_cells(spec, number)
            processed = [self._processed(c) for c in cells]
            first = number * BLOCK_ROWS + 1
            values = [
                json_values(c, p) if p is not None and row not in exceptions else None
                for row, (c, p) in enumerate(zip(cells, processed, strict=True), first)
            ]
            found = _Expected(cells, processed, values, exceptions)
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
