"""Invokes the cleaners on one engine, in the same execution environment limits, on the same file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.corpus import CorpusSpec, corpus_bytes
from harness.engines.base import Deployment, Engine
from harness.errors import EnvironmentProblem
from harness.lessons.functions import beside_ours

HERE = Path(__file__).parent
TEMPLATE = HERE / "stack.yaml"
CLEANERS = HERE / "cleaners"
KEY = "rows.csv"

ROWS = 30_000
"""5.4 MB: more than one block of the pipeline's cleaner (handlers/splitter.py), which cleans a smaller file without
processes."""

JOINED, PIPED, CLOSED, OURS = "joined", "piped", "closed", "ours"
WAYS = (JOINED, PIPED, CLOSED, OURS)


@dataclass(frozen=True)
class Cleaning:
    """What one way of cleaning came to. `samples` are the descriptors open after each process that was started,
    `before` those before the first, `limit` the most there may be; `errno` is 0 where the whole file was cleaned."""

    rows: int
    before: int
    samples: Sequence[int]
    limit: int
    errno: int
    error: str

    @property
    def started(self) -> int:
        """Processes that were started."""
        return len(self.samples)

    @property
    def most(self) -> int:
        """The most descriptors that were open at a time."""
        return max(self.samples, default=self.before)


def clean_by_all_ways(
    engine: Engine, rows_per_process: int, progress: Callable[[float, str], None]
) -> dict[str, Cleaning]:
    """Deploy the cleaners and have each clean the file; returns what came of it by way.

    Raises EngineError where the engine refuses, EnvironmentProblem where a function fails but for its descriptors.
    """
    progress(0.0, "deploying")
    with tempfile.TemporaryDirectory(prefix="harness-lesson-") as folder:
        code = beside_ours(CLEANERS, Path(folder))
        deployment = engine.deploy(TEMPLATE, {}, stack_name="descriptors", code=code)
    bucket = deployment.output("FilesBucket")
    data = b"".join(corpus_bytes(CorpusSpec(rows=ROWS, quarantine=0.0, poison=0.0)))
    engine.client("s3").put_object(Bucket=bucket, Key=KEY, Body=data)
    found = {}
    for number, way in enumerate(WAYS):
        progress(0.1 + 0.9 * number / len(WAYS), f"a process for each {rows_per_process} rows, {way}")
        event = {"bucket": bucket, "key": KEY, "rows": rows_per_process, "way": way}
        found[way] = _invoke(engine, deployment, way, event)
    return found


def _invoke(engine: Engine, deployment: Deployment, way: str, event: Mapping[str, Any]) -> Cleaning:
    function = deployment.output(f"{way.capitalize()}Name")
    answer = engine.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
    said = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise EnvironmentProblem(
            f"the cleaner {way!r} failed with {said.get('errorType')}: {said.get('errorMessage')}",
            hint="the lesson's folder has the engine's logs",
        )
    return Cleaning(**said)
