"""The clean function's memory does not grow with the file."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

CODE = """
import json, os, resource, sys, time
os.environ.update(POWERTOOLS_METRICS_NAMESPACE="t", POWERTOOLS_SERVICE_NAME="t", AWS_REGION="us-east-1",
                  AWS_DEFAULT_REGION="us-east-1", AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test",
                  INSERT_QUEUE_URL="http://127.0.0.1:9/q")
from handlers import clean, clean_pool
from handlers.record_batch import Source
from handlers.settings import Settings
from harness.corpus import CorpusSpec, corpus_bytes

clean_pool.send_batches = lambda sqs, url, bodies, deadline: []
rows = int(sys.argv[1])

class Sink:
    def put(self, part, lines):
        pass

def blocks():
    held = b""
    for piece in corpus_bytes(CorpusSpec(rows=rows, dirty=0.1, poison=0)):
        held += piece
        while len(held) >= clean.BLOCK_BYTES:
            yield held[: clean.BLOCK_BYTES]
            held = held[clean.BLOCK_BYTES :]
    yield held

config = Settings(insert_queue_url="http://127.0.0.1:9/q", clean_workers=2)
work = clean.run(Source("b", "k", "v"), blocks(), 10**12, config, Sink(), time.monotonic() + 600)
with open("/proc/self/status") as status:
    [parent] = [int(line.split()[1]) for line in status if line.startswith("VmHWM:")]
worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"rows": work.rows_in, "parent_mb": parent / 1e3, "worker_mb": worker / 1e3}))
"""


@dataclass(frozen=True)
class Peaks:
    """High-water marks in MB that the kernel keeps: of the function's process and of its largest worker. Sampled sums
    over processes depend on the moment."""

    parent: float
    worker: float


def peaks_of(rows: int) -> Peaks:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, str(rows)], capture_output=True, text=True, check=True, timeout=170
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["rows"] == rows
    return Peaks(answer["parent_mb"], answer["worker_mb"])


@pytest.mark.slow
@pytest.mark.timeout(360)
def test_memory_when_the_file_is_four_times_larger_stays_the_same() -> None:
    # Both have many more chunks than workers.
    small, large = peaks_of(120_000), peaks_of(480_000)
    more_bytes = (480_000 - 120_000) * 178 / 1e6
    # Holding the file would cost all of its bytes.
    assert large.parent - small.parent < more_bytes / 2
    assert large.worker - small.worker < more_bytes / 2
    assert large.parent < 130
    assert large.worker < 130
