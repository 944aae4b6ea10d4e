"""Who audits blocks: threads of this process for a few rows, processes for many.

Comparing rows is work for the interpreter, of which a process has one; starting processes costs about a second.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from harness.audit.blocks import Block, BlockAuditor
from harness.audit.model import AuditReport
from harness.audit.readers import ItemReader
from harness.corpus import CorpusSpec
from harness.engines.local_session import Credentials, local_session
from harness.errors import EngineError
from harness.lambda_service.bootstrap import die_with_parent
from harness.signals import signals_held

PROCESSES_FROM_ROWS = 100_000
"""Rows from which processes are started: half of what they save is then several times what starting them costs."""
MAX_WORKERS = 4
_GC_THRESHOLDS = (50_000, 50, 1_000)
"""Of a process of the audit. A block is tens of thousands of objects without cycles; collecting more often took a sixth
of its time."""
_AHEAD = 2
"""Blocks in hand per worker, so that none waits for the next."""


@dataclass(frozen=True)
class TableAccess:
    """How to read a table from another process: where it is, and credentials."""

    url: str
    table: str
    region: str
    credentials: Credentials

    @classmethod
    def of(cls, session: Any, url: str, table: str) -> TableAccess:
        """Return the access that a boto3 session has now."""
        found = session.get_credentials().get_frozen_credentials()
        return cls(url, table, session.region_name, (found.access_key, found.secret_key, found.token))

    def reader(self) -> ItemReader:
        """Return a reader with a connection of its own."""
        return ItemReader(local_session(self.region, self.credentials), self.url, self.table)


_mine = threading.local()
"""`auditor`: this thread's own, made when it audits its first block. A process has one such thread."""


def _begin_process(parent: int) -> None:
    die_with_parent(parent)
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def _audit(
    block: Block, access: TableAccess, uses: Mapping[CorpusSpec | None, int], made: list[BlockAuditor] | None
) -> AuditReport:
    auditor: BlockAuditor | None = getattr(_mine, "auditor", None)
    if auditor is None:
        auditor = _mine.auditor = BlockAuditor(access.reader(), uses)
        if made is not None:
            made.append(auditor)
    return auditor.audit(block)


def audit_blocks(
    blocks: Iterable[Block], rows: int, access: TableAccess, uses: Mapping[CorpusSpec | None, int]
) -> Iterator[tuple[Block, AuditReport]]:
    """Yield every block with what was found of it, in order; `rows` is how many there are in all.

    Raises AwsError where the table does not answer, EngineError where one of the processes was killed.
    """
    workers = max(2, min(MAX_WORKERS, os.cpu_count() or 2))
    executor: Executor
    made: list[BlockAuditor] | None = None
    if rows < PROCESSES_FROM_ROWS:
        executor, made = ThreadPoolExecutor(workers, "audit"), []
    else:
        executor = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin_process, (os.getpid(),))
    ahead: deque[tuple[Block, Future[AuditReport]]] = deque()
    try:
        for block in blocks:
            # Processes start as blocks are submitted. Ctrl-C is for this process: its workers end with it.
            with signals_held():
                ahead.append((block, executor.submit(_audit, block, access, uses, made)))
            if len(ahead) >= _AHEAD * workers:
                first = ahead.popleft()
                yield first[0], first[1].result()
        while ahead:
            first = ahead.popleft()
            yield first[0], first[1].result()
    except BrokenProcessPool as error:
        raise EngineError(
            "a process of the audit was killed", hint="most often for want of memory; `harness doctor` says how much"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)
        for auditor in made or ():
            auditor.close()
