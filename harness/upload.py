"""Uploads a file to the pipeline's bucket and says which object version that made."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from boto3.s3.transfer import TransferConfig

from handlers.record_batch import Source
from harness.engines.base import Engine

PART_BYTES = 64 * 1024 * 1024
"""Multipart part size: large enough that 143 MB are three requests, small enough for a moving progress bar."""


@dataclass(frozen=True)
class Upload:
    """One finished upload; times are Unix seconds."""

    source: Source
    file_bytes: int
    started: float
    ended: float


def upload(engine: Engine, bucket: str, key: str, path: Path, progress: Callable[[int], None] | None = None) -> Upload:
    """Upload `path`; `progress` is called with the number of bytes sent since its last call."""
    s3 = engine.client("s3")
    config = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False)
    started = time.time()
    s3.upload_file(str(path), bucket, key, Config=config, Callback=progress)
    ended = time.time()
    head = s3.head_object(Bucket=bucket, Key=key)
    version = head.get("VersionId") or head["ETag"].strip('"')
    return Upload(Source(bucket, key, version), path.stat().st_size, started, ended)
