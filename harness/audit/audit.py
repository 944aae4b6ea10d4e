"""Runs the audit: reads every row's item, block by block, and judges it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from harness.audit.blocks import Audited, Block, by_block
from harness.audit.model import QUARANTINED, AuditReport, Places
from harness.audit.readers import Outside, read_places
from harness.audit.workers import TableAccess, audit_blocks
from harness.corpus import BLOCK_ROWS
from harness.engines.base import Deployment, Engine

Progress = Callable[[int], None]

_SCAN_SEGMENTS = 8
"""Scans at a time: each is one request after the other, of 1 MB."""


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
    outside = places if places is not None else read_places(engine, deployment, (o.source for o in objects))
    report.unattributed, report.other_objects = outside.unattributed, outside.other_objects
    done = 0
    url, table = engine.endpoints.observer_url("dynamodb"), deployment.output("RecordsTable")
    access = TableAccess.of(engine.session(), url, table)
    uses = Counter(o.spec for o in objects)
    for block, found in audit_blocks(_blocks(objects, outside), sum(o.rows for o in objects), access, uses):
        report.merge(found)
        done += len(block.rows)
        if progress is not None:
            progress(done)
    for audited in objects:
        report.object_key = audited.source.key
        places_of = outside[audited.source.source_id]
        if places_of.whole_object == QUARANTINED:
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
    """Return how many items the table holds now, by its own count where that is live, else by a parallel scan."""
    dynamodb, table = engine.client("dynamodb"), deployment.output("RecordsTable")
    if engine.live_counts:
        return int(dynamodb.describe_table(TableName=table)["Table"]["ItemCount"])

    def count(segment: int) -> int:
        pages = dynamodb.get_paginator("scan").paginate(
            TableName=table, Select="COUNT", ConsistentRead=True, Segment=segment, TotalSegments=_SCAN_SEGMENTS
        )
        return sum(int(page["Count"]) for page in pages)

    with ThreadPoolExecutor(_SCAN_SEGMENTS, "scan") as threads:
        return sum(threads.map(count, range(_SCAN_SEGMENTS)))


def _blocks(objects: Sequence[Audited], outside: Outside) -> Iterator[Block]:
    for audited in objects:
        places = outside[audited.source.source_id]
        shares = by_block(places)
        nowhere = Places({}, {}, places.whole_object, places.whole_reason)
        for number in range(-(-audited.rows // BLOCK_ROWS)):
            yield Block(audited, number, shares.get(number, nowhere))


def _judge_strays(report: AuditReport, audited: Audited, places: Places) -> None:
    """Count rows that were found but never uploaded."""
    for name, rows in [("quarantine", places.quarantined), *places.dlqs.items()]:
        for row in rows:
            if not 1 <= row <= audited.rows:
                report.add(row, "unknown row", f"in {name}, but the object has {audited.rows} rows")
