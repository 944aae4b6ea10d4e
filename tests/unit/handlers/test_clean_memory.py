"""The clean function's memory does not grow with the file."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

CODE = """
import json, os, resource, sys, threading, time
os.environ.update(POWERTOOLS_METRICS_NAMESPACE="t", POWERTOOLS_SERVICE_NAME="t", AWS_REGION="us-east-1",
                  AWS_DEFAULT_REGION="us-east-1", AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test",
                  INSERT_QUEUE_URL="http://127.0.0.1:9/q")
import psutil
from handlers import clean, clean_pool
from handlers.record_batch import Source
from handlers.settings import Settings
from harness.corpus import CorpusSpec, corpus_bytes

clean_pool.send_batches = lambda sqs, url, bodies, deadline: []
rows = int(sys.argv[1])
me, peak, stop = psutil.Process(), [0], threading.Event()

def family():
    total = 0
    for process in [me, *me.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            pass
    return total

def watch():
    while not stop.wait(0.02):
        peak[0] = max(peak[0], family())

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

watcher = threading.Thread(target=watch, daemon=True)
watcher.start()
config = Settings(insert_queue_url="http://127.0.0.1:9/q", clean_workers=2)
work = clean.run(Source("b", "k", "v"), blocks(), 10**12, config, Sink(), time.monotonic() + 600)
stop.set()
print(json.dumps({"rows": work.rows_in, "peak_mb": peak[0] / 1e6}))
"""


def peak_of(rows: int) -> float:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, str(rows)], capture_output=True, text=True, check=True, timeout=170
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["rows"] == rows
    return float(answer["peak_mb"])


@pytest.mark.slow
@pytest.mark.timeout(360)
def test_memory_when_the_file_is_four_times_larger_stays_the_same() -> None:
    # Both have many more chunks than workers, so both reach the peak of parent and two workers together.
    small, large = peak_of(120_000), peak_of(480_000)
    more_bytes = (480_000 - 120_000) * 178 / 1e6
    # How the shares of shared pages are caught moves a little; holding the file would cost all of its bytes.
    assert large - small < more_bytes / 2
    assert large < 250
