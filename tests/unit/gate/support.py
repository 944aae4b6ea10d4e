"""Trials without an engine: made up in this process, or printed by a tiny stand-in for a whole version."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.gate.model import Planned, Side, Trial
from harness.metrics import Direction, Metric
from tests.unit.report.support import DATA

RATE = "pipeline_rows_per_second"
CPU = "insert_cpu_ms_per_1000_rows"


def metrics(rate: float = 1000.0, cpu: float | None = 50.0) -> dict[str, Metric]:
    found = {RATE: Metric(RATE, "rows/s", Direction.HIGHER, rate)}
    if cpu is not None:
        found[CPU] = Metric(CPU, "ms", Direction.LOWER, cpu)
    return found


def trial(planned: Planned, found: Mapping[str, Metric] | None = None, **changes: Any) -> Trial:
    fields: dict[str, Any] = {"conserved": True, "seconds": 2.0, "sha256": "aa", "versions": {"engine": "1"}}
    return Trial(planned, metrics() if found is None else found, **{**fields, **changes})


def jitter(number: int) -> float:
    """A deterministic factor near 1 that favours neither side."""
    return 1 + ((number * 7919) % 100 - 50) / 5000


_MAIN = """
import json, os, pathlib, sys, time
behaviour = json.loads(pathlib.Path("harness/behaviour.json").read_text())
counter = pathlib.Path("harness/counter")
count = int(counter.read_text()) + 1 if counter.exists() else 1
counter.write_text(str(count))
pathlib.Path("harness/arguments").write_text(json.dumps(sys.argv[1:]))
pathlib.Path("harness/environment").write_text(json.dumps(dict(os.environ)))
time.sleep(behaviour.get("sleep", 0))
if count == behaviour.get("fails_at"):
    print(behaviour["words"], file=sys.stderr)
    sys.exit(behaviour["code"])
slow = behaviour.get("slowdown", 1.0)
noise = 1 + (((count + behaviour.get("phase", 0)) * 7919) % 100 - 50) / 5000 * behaviour.get("noise", 1)
lost = count == behaviour.get("loses_at")
rows = behaviour.get("fits", int(sys.argv[sys.argv.index("--rows") + 1]))
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
(out / "rubbish").mkdir(parents=True)
if behaviour.get("mute"):
    sys.exit(0)
result = json.loads(pathlib.Path("harness/result.json").read_text())
insert = {**result["stages"]["insert"], "rows_ok": 1000, "rows_per_second": 900}
insert |= {"cpu_ms": 50 * slow * noise, "handler_ms": 300 * noise, "waiting_ms": 0.0}
if behaviour.get("old"):
    del insert["cpu_ms"], insert["handler_ms"]
result |= {
    "spec": {"rows": rows}, "pipeline_rows_per_second": 1000 / slow / noise, "stages": {"insert": insert},
    "cpu_stolen_share": 0.0,
    "figures_void": count == behaviour.get("slept_at"), "figures_void_reason": "this machine slept for 240 s",
}
result["corpus"]["sha256"] = behaviour.get("sha256", "aa")
result["engine"]["versions"] = {"ministack": behaviour.get("ministack", "1.5.33")}
result["audit"] |= {"conserved": not lost, "as_expected": not lost, "problems": {"lost": 3} if lost else {}}
# As versions before the third schema print it: without the number that their file has.
del result["schema_version"]
print(json.dumps(result))
sys.exit(3 if lost else 0)
"""


def stand_in(folder: Path, **behaviour: Any) -> Path:
    """Write a version whose `python -m harness` takes milliseconds and prints what `behaviour` says; return it."""
    for name in ("harness", "handlers"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("")
    (folder / "harness" / "__main__.py").write_text(_MAIN)
    (folder / "harness" / "behaviour.json").write_text(json.dumps(behaviour))
    (folder / "harness" / "result.json").write_bytes((DATA / "run" / "result.json").read_bytes())
    return folder


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def commit_all(folder: Path, message: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)


def sides(pair: int) -> tuple[Planned, Planned]:
    return Planned(2 * pair - 1, pair, Side.BASE), Planned(2 * pair, pair, Side.HEAD)
