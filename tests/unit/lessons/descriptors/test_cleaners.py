"""The cleaners of the lesson on descriptors, under a limit of 64: the error is the operating system's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.host_environment import child_environment

LIMIT = 64
PROGRAM = f"""
import json, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}))
sys.path.insert(0, sys.argv[1])
from cleaners.census import Census
from cleaners.first import WAYS
census = Census()
chunks = [b"a, b\\n1,2\\n"] * 60
try:
    answer = census.answer(WAYS[sys.argv[2]](chunks, census.take))
except OSError as error:
    answer = census.answer(0, error.errno, str(error))
print(json.dumps(answer))
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")


def clean(way: str) -> dict[str, Any]:
    """Return what a way of cleaning says of 60 chunks in a process of its own."""
    folder = Path(__file__).parents[4] / "harness" / "lessons" / "descriptors"
    region = {"AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), way],
        env=child_environment(os.environ, fixed=region),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize(("way", "kept"), [("joined", 2), ("piped", 4)])
def test_way_when_processes_are_not_closed_runs_out_of_descriptors(way: str, kept: int) -> None:
    answer = clean(way)
    assert answer["errno"] == 24
    assert "Too many open files" in answer["error"]
    samples = answer["samples"]
    assert {after - before for before, after in pairwise(samples)} == {kept}
    assert LIMIT - 4 <= samples[-1] <= LIMIT
    assert answer["limit"] == LIMIT
    assert (LIMIT - answer["before"]) // kept - len(samples) in (0, 1, 2)


def test_way_when_processes_are_closed_cleans_every_chunk() -> None:
    answer = clean("closed")
    assert (answer["errno"], answer["rows"], len(answer["samples"])) == (0, 120, 60)
    assert max(answer["samples"]) <= answer["before"] + 2 * 2


def test_way_when_there_are_descriptors_enough_counts_what_the_pipes_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PROGRAM", PROGRAM.replace("* 60", "* 3"))
    assert [clean(way)["rows"] for way in ("joined", "piped", "closed")] == [6, 6, 6]
