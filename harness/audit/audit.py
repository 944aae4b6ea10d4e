"""Runs the audit: reads every row's item, block by block, and judges it."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from handlers.business_rule import ProcessingError, Rule, rule_for
from handlers.record_batch import Source
from harness.audit.model import AuditReport, Item, Places, judge
from harness.audit.readers import ItemReader, Outside, read_places
from harness.corpus import BLOCK_ROWS, COLUMNS, CorpusSpec, ExpectedRow, expected_block
from harness.engines.base import Deployment, Engine

Progress = Callable[[int], None]
_READERS = 2
"""Two connections keep the engine busy while this process compares; more only wait."""

_KEPT_BLOCKS = 64
"""Blocks of expected rows kept for objects made from the same corpus: about 1 MB each."""


@dataclass(frozen=True)
class Audited:
    """One uploaded object: how many rows it has, and the corpus it was made from, if it was."""

    source: Source
    rows: int
    spec: CorpusSpec | None


def audit(
    engine: Engine,
    deployment: Deployment,
    objects: Sequence[Audited],
    progress: Progress | None = None,
    *,
    items_before: int = 0,
    places: Outside | None = None,
) -> AuditReport:
    """Return where every row of `objects` is. They must be all that was uploaded to this deployment since the table
    held `items_before` items, because items that belong to none of them count against conservation.

    `places` are the objects' rows outside the table, where `read_places` has read them already.
    """
    began = time.monotonic()
    report = AuditReport(with_manifest=all(o.spec is not None for o in objects))
    table = deployment.output("RecordsTable")
    outside = places if places is not None else read_places(engine, deployment, (o.source for o in objects))
    report.unattributed, report.other_objects = outside.unattributed, outside.other_objects
    expectations = _Expectations(objects)
    done = 0
    for audited, block, items in _blocks(engine, table, objects):
        report.object_key = audited.source.key
        _judge_block(report, audited, block, items, outside[audited.source.source_id], expectations)
        done += min(BLOCK_ROWS, audited.rows - block * BLOCK_ROWS)
        if progress is not None:
            progress(done)
    for audited in objects:
        report.object_key = audited.source.key
        places_of = outside[audited.source.source_id]
        if places_of.whole_object == "quarantined":
            report.refused_objects[audited.source.key] = places_of.whole_reason
        _judge_strays(report, audited, places_of)
    report.object_key = ""
    report.items_in_table = count_items(engine, deployment) - items_before
    if report.items_in_table != report.items_accounted:
        difference = report.items_in_table - report.items_accounted
        report.add(0, "unknown items", f"{difference} items in the table belong to no row")
    report.seconds = time.monotonic() - began
    return report


def count_items(engine: Engine, deployment: Deployment) -> int:
    """Return how many items the table holds now. Emulators keep DescribeTable's count live, AWS does not."""
    description = engine.client("dynamodb").describe_table(TableName=deployment.output("RecordsTable"))
    return int(description["Table"]["ItemCount"])


def _blocks(engine: Engine, table: str, objects: Sequence[Audited]) -> Iterator[tuple[Audited, int, dict[int, Item]]]:
    """Yield (object, block, items by row) of every object's blocks in turn, reading ahead."""
    readers: queue.SimpleQueue[ItemReader] = queue.SimpleQueue()
    made: list[ItemReader] = []
    lock = threading.Lock()

    def read(audited: Audited, block: int) -> dict[int, Item]:
        try:
            reader = readers.get_nowait()
        except queue.Empty:
            reader = ItemReader(engine, table)
            with lock:
                made.append(reader)
        first = block * BLOCK_ROWS + 1
        columns = COLUMNS if audited.spec is not None else None
        rows = range(first, min(first + BLOCK_ROWS, audited.rows + 1))
        try:
            return reader.read(audited.source.source_id, rows, columns)
        finally:
            readers.put(reader)

    coming = ((o, block) for o in objects for block in range(-(-o.rows // BLOCK_ROWS)))
    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="audit")
    try:
        ahead: deque[tuple[Audited, int, Future[dict[int, Item]]]] = deque()
        for audited, block in coming:
            ahead.append((audited, block, pool.submit(read, audited, block)))
            if len(ahead) >= 2 * _READERS:
                first = ahead.popleft()
                yield first[0], first[1], first[2].result()
        while ahead:
            first = ahead.popleft()
            yield first[0], first[1], first[2].result()
    finally:
        pool.shutdown(cancel_futures=True)
        for reader in made:
            reader.close()


class _Expectations:
    """What must become of a block's rows, and the attributes the business rule must have added to each.

    Objects made from the same corpus share it, so it is kept while more than one of them is to come.
    """

    def __init__(self, objects: Sequence[Audited]) -> None:
        self._rule = rule_for(COLUMNS)
        self._uses = Counter(o.spec for o in objects)
        self._kept: dict[tuple[CorpusSpec, int], list[tuple[ExpectedRow, dict[str, str] | None]]] = {}

    def of(self, spec: CorpusSpec, block: int) -> list[tuple[ExpectedRow, dict[str, str] | None]]:
        """Return the expected rows of one block, with their processed attributes."""
        found = self._kept.get((spec, block))
        if found is None:
            found = [(row, _processed(row, self._rule)) for row in expected_block(spec, block)]
            if self._uses[spec] > 1:
                if len(self._kept) >= _KEPT_BLOCKS:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[spec, block] = found
        return found


def _judge_block(
    report: AuditReport,
    audited: Audited,
    block: int,
    items: dict[int, Item],
    places: Places,
    expectations: _Expectations,
) -> None:
    first = block * BLOCK_ROWS + 1
    if audited.spec is None:
        for row in range(first, min(first + BLOCK_ROWS, audited.rows + 1)):
            judge(report, row, items.get(row), places, None, None)
        return
    for expected, processed in expectations.of(audited.spec, block):
        judge(report, expected.row, items.get(expected.row), places, expected, processed)


def _processed(expected: ExpectedRow, rule: Rule) -> dict[str, str] | None:
    if expected.cells is None:
        return None
    try:
        return dict(zip(rule.attributes, rule.apply(expected.cells), strict=True))
    except ProcessingError:
        return None


def _judge_strays(report: AuditReport, audited: Audited, places: Places) -> None:
    """Count rows that were found but never uploaded."""
    for name, rows in [("quarantine", places.quarantined), *places.dlqs.items()]:
        for row in rows:
            if not 1 <= row <= audited.rows:
                report.add(row, "unknown row", f"in {name}, but the object has {audited.rows} rows")
