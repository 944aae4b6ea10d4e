"""Where rejected records go: JSON lines beside the uploads, under names that a second run overwrites alike."""

from __future__ import annotations

import json
from typing import Any

from handlers.cleaning import Reason
from handlers.csv_split import count_terminators
from handlers.record_batch import Source

RAW_LIMIT = 64 * 1024
"""Bytes of a rejected record that are kept in quarantine; enough to find it in the object by its offset."""


def reject(row: int, offset: int, reason: Reason, raw: bytes, detail: str = "") -> str:
    """Return a quarantine line: row number, byte offset, reason, number of lines, and the raw bytes escaped.

    A reason that the raw bytes do not explain is followed by its detail.
    """
    line: dict[str, Any] = {
        "row": row,
        "offset": offset,
        "reason": reason.value,
        "lines": count_terminators(raw) + (not raw.endswith((b"\n", b"\r"))),
        "raw": raw[:RAW_LIMIT].decode("utf-8", "backslashreplace"),
    }
    if detail:
        line["detail"] = detail
    if len(raw) > RAW_LIMIT:
        line["truncated"] = True
    return json.dumps(line, ensure_ascii=True, separators=(",", ":"))


class Quarantine:
    """Writes the rejects of one object version, a part per chunk."""

    def __init__(self, s3: Any, bucket: str, prefix: str, source: Source) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._folder = f"{prefix}{source.source_id}"

    def put(self, part: int, lines: list[str]) -> None:
        """Store the JSON lines of one chunk; raises botocore's ClientError when S3 refuses."""
        self._s3.put_object(
            Bucket=self._bucket,
            Key=f"{self._folder}/part-{part:05d}.jsonl",
            Body=("\n".join(lines) + "\n").encode("ascii"),
            ContentType="application/x-ndjson",
        )
