"""How many rows fit into this machine's memory."""

from __future__ import annotations

import psutil

BYTES_PER_ROW = 16_000
"""What the embedded engine keeps per row through all stages: the item as inserted, the item as updated, and a stream
record of each (MiniStack keeps them for 24 hours). Measured with 800,000 rows of 16 columns; see docs/decisions.md."""

FIXED_BYTES = 1_200_000_000
"""Everything else of a run: the processes, their code, the corpus in flight, the clean function's chunks."""


def rows_that_fit(available: int | None = None) -> int:
    """Return the most rows, in whole thousands, that fit into `available` bytes (default: what is free now)."""
    free = psutil.virtual_memory().available if available is None else available
    return max(0, (free - FIXED_BYTES) // BYTES_PER_ROW // 1000 * 1000)


def bytes_for(rows: int) -> int:
    """Return the memory a run of `rows` needs."""
    return FIXED_BYTES + rows * BYTES_PER_ROW
