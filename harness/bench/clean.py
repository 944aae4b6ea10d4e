"""`harness bench clean`: our cleaner beside plain csv + regex, polars, pyarrow and pandas, on the same bytes.

Each run is a process of its own, so that its peak memory is its own; contestants take turns, so that a noisy
machine is noisy to all. The libraries do what they express well: trim, collapse runs of white space and remove
control characters in every cell. Ours applies all its rules, finds bad rows, and encodes record batches.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.errors import UsageError
from harness.host_environment import child_environment

CONTESTANTS = ("ours", "csv-regex", "polars", "pyarrow", "pandas")
_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class CleanBenchResult:
    """One contestant: medians over its repetitions. `missing` says why it did not run."""

    name: str
    rows: int
    seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    missing: str = ""

    @property
    def rows_per_second(self) -> float:
        """Rows a second of wall time."""
        return self.rows / self.seconds if self.seconds else 0.0


def run_clean_bench(
    path: Path, repetitions: int, console: Console | None = None, contestants: Sequence[str] = CONTESTANTS
) -> list[CleanBenchResult]:
    """Run every contestant `repetitions` times over `path`, taking turns; returns one result each.

    Raises UsageError for a contestant that does not exist.
    """
    unknown = [name for name in contestants if name not in CONTESTANTS]
    if unknown:
        raise UsageError(f"no cleaner {', '.join(unknown)}", hint=f"there are {', '.join(CONTESTANTS)}")
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    missing: dict[str, str] = {}
    for turn in range(repetitions):
        for name in contestants:
            if name in missing:
                continue
            if console is not None:
                console.print(f"run {turn + 1} of {repetitions}: {name}", highlight=False)
            answer = _run_one(name, path)
            if "missing" in answer:
                missing[name] = str(answer["missing"])
            else:
                measured[name].append({k: float(v) for k, v in answer.items()})
    return [_result(name, measured[name], missing.get(name, "")) for name in contestants]


def print_table(console: Console, results: list[CleanBenchResult]) -> None:
    """Print the comparison; CPU time is relative to the first contestant that ran."""
    first = next((r.cpu_seconds for r in results if not r.missing), 0.0)
    table = Table("cleaner", box=None, header_style="bold")
    for name in ("rows/s", "CPU s", "CPU, relative", "peak MB"):
        table.add_column(name, justify="right")
    for r in results:
        if r.missing:
            table.add_row(r.name, r.missing, "", "", "")
            continue
        table.add_row(
            r.name,
            f"{r.rows_per_second:,.0f}",
            f"{r.cpu_seconds:.2f}",
            f"{r.cpu_seconds / first:.2f}×" if first else "–",
            f"{r.peak_memory_mb:,.0f}",
        )
    console.print(table)


def _run_one(name: str, path: Path) -> dict[str, float | str]:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "harness.bench.cleaners", name, str(path)],
            env=child_environment(os.environ),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"missing": f"not done after {_TIMEOUT_SECONDS} s"}
    if done.returncode != 0:
        return {"missing": (done.stderr.strip().splitlines() or ["failed"])[0].removeprefix("error: ")[:80]}
    answer: dict[str, float | str] = json.loads(done.stdout)
    return answer


def _result(name: str, runs: list[dict[str, float]], missing: str) -> CleanBenchResult:
    if not runs:
        return CleanBenchResult(name, 0, 0.0, 0.0, 0.0, missing or "did not run")

    def median(key: str) -> float:
        return statistics.median(run[key] for run in runs)

    return CleanBenchResult(name, int(median("rows")), median("seconds"), median("cpu"), median("peak_mb"))
