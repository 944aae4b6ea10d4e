"""Where rejected records go: JSON lines beside the uploads, under names that a second run overwrites alike."""

from __future__ import annotations

from typing import Any

from handlers.record_batch import Source


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
