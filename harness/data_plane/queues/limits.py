"""Limits of SQS, from its API reference and its developer guide's quotas (2026)."""

from __future__ import annotations

BATCH_ENTRIES = 10
BATCH_ENTRY_ID = 80
MESSAGE_BYTES = 1024 * 1024
"""Most bytes of a message, body and attributes together, and of all messages of one SendMessageBatch."""
MESSAGE_ATTRIBUTES = 10
IN_FLIGHT = 120_000
"""Messages in flight per queue. At the limit a standard queue's short poll is refused with OverLimit and its long poll
gets nothing; a FIFO queue answers neither with an error."""
WAIT_SECONDS = 20
VISIBILITY_SECONDS = 43_200
DELAY_SECONDS = 900
DEDUPLICATION_MS = 300_000
"""A FIFO queue takes the same deduplication id once in five minutes; the same holds for receive attempt ids."""
LIST_RESULTS = 1000
MOVE_TASK_RATE = 500
"""Messages a second that StartMessageMoveTask moves at most."""
MOVE_TASKS_LISTED = 10
TAGS = 50
PURGE_SECONDS = 60
"""Between two PurgeQueue calls on one queue, and between a queue's deletion and its creation under the same name."""
