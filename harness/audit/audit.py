"""Runs the audit: reads every row's item, block by block, and judges it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from handlers.business_rule import ProcessingError, Rule, rule_for
from handlers.record_batch import Source
from harness.audit.model import AuditReport, Item, Places, judge
from harness.audit.readers import ItemReader, read_places
from harness.corpus import BLOCK_ROWS, COLUMNS, CorpusSpec, ExpectedRow, expected_block
from harness.engines.base import Deployment, Engine

Progress = Callable[[int], None]
_READERS = 2
"""Two connections keep the engine busy while this process compares; more only wait."""


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
) -> AuditReport:
    """Return where every row of `objects` is. They must be all that was uploaded to this deployment since the table
    held `items_before` items, because items that belong to none of them count against conservation."""
    began = time.monotonic()
    report = AuditReport(with_manifest=all(o.spec is not None for o in objects))
    table = deployment.output("RecordsTable")
    done = 0
    for audited in objects:
        places = read_places(engine, deployment, audited.source)
        columns = COLUMNS if audited.spec is not None else None
        rule = rule_for(COLUMNS)
        for block, items in _blocks(engine, table, audited, columns):
            _judge_block(report, audited, block, items, places, rule)
            done += min(BLOCK_ROWS, audited.rows - block * BLOCK_ROWS)
            if progress is not None:
                progress(done)
        _judge_strays(report, audited, places)
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


def _blocks(
    engine: Engine, table: str, audited: Audited, columns: Sequence[str] | None
) -> Iterator[tuple[int, dict[int, Item]]]:
    """Yield (block, items by row), reading ahead."""
    readers: queue.SimpleQueue[ItemReader] = queue.SimpleQueue()
    made: list[ItemReader] = []
    lock = threading.Lock()

    def read(block: int) -> dict[int, Item]:
        try:
            reader = readers.get_nowait()
        except queue.Empty:
            reader = ItemReader(engine, table, columns)
            with lock:
                made.append(reader)
        first = block * BLOCK_ROWS + 1
        try:
            return reader.read(audited.source.source_id, range(first, min(first + BLOCK_ROWS, audited.rows + 1)))
        finally:
            readers.put(reader)

    blocks = -(-audited.rows // BLOCK_ROWS)
    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="audit")
    try:
        ahead: dict[int, Future[dict[int, Item]]] = {}
        for block in range(blocks):
            for coming in range(block, min(block + 2 * _READERS, blocks)):
                if coming not in ahead:
                    ahead[coming] = pool.submit(read, coming)
            yield block, ahead.pop(block).result()
    finally:
        pool.shutdown(cancel_futures=True)
        for reader in made:
            reader.close()


def _judge_block(
    report: AuditReport,
    audited: Audited,
    block: int,
    items: dict[int, Item],
    places: Places,
    rule: Rule,
) -> None:
    first = block * BLOCK_ROWS + 1
    if audited.spec is None:
        for row in range(first, min(first + BLOCK_ROWS, audited.rows + 1)):
            judge(report, row, items.get(row), places, None, None)
        return
    for expected in expected_block(audited.spec, block):
        judge(report, expected.row, items.get(expected.row), places, expected, _processed(expected, rule))


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
