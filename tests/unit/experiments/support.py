"""What tests of experiments share: files that were tried, what watching and auditing found, without any engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.audit import AuditReport
from harness.engines.base import Deployment, EngineReport
from harness.experiments.lifecycle import Examined
from harness.experiments.load_result import FileOutcome, LoadFinding
from harness.load.samples import Sample
from harness.observation.clock import Doubt
from harness.observation.progress import Snapshot
from harness.observation.usage import HARNESS
from harness.observation.watch import Observed
from tests.unit.observation.support import totals

BEGAN = 1000.0
BUCKET = "uploads"


def outcome(number: int, error: str = "") -> FileOutcome:
    """A file of 100 rows, done 2 s after its intended start, or failed with `error`."""
    at = BEGAN + number
    version = "" if error else "v1"
    sample = Sample(number, 0, f"p/{number:06d}.csv", version, 100, 9, at, at, at + 0.1, error)
    return FileOutcome(sample, "" if error else f"uploads/{number}", None if error else at + 2)


def audited(rows: int, *, lost: int = 0) -> AuditReport:
    """An audit of `rows` rows, of which some are lost."""
    report = AuditReport(rows=rows, updated=rows - lost)
    for row in range(lost):
        report.add(row, "lost", "it is nowhere")
    return report


def found(outcomes: Sequence[FileOutcome], **changed: Any) -> LoadFinding:
    """What became of these files, all of it good but for what is `changed`."""
    rows = sum(one.sample.rows for one in outcomes if not one.sample.error)
    given: dict[str, Any] = {
        "outcomes": list(outcomes),
        "audit": audited(rows),
        "rows": rows,
        "ambiguous": 0,
        "unsent": 0,
        "unreported": 0,
        "redelivered": 0,
        "settle_seconds": 1.0,
    }
    return LoadFinding(**{**given, **changed})


def observed() -> Observed:
    """What a watch of ten calm seconds found."""
    return Observed(
        snapshot=Snapshot(10.0, 0, 0, True, ()),
        totals=totals(),
        by_source={},
        log_bytes=0,
        seconds=10.0,
        memory_peak=1,
        cpu_seconds={HARNESS: 1.0, "locust": 1.0},
        telemetry_cpu=0.1,
        cpu_stolen=0.0,
        consumption=None,
        doubt=Doubt(),
    )


def examined(finding: LoadFinding) -> Examined[LoadFinding]:
    """A finding with what was observed meanwhile."""
    return Examined(observed(), finding)


def fake_engine(log: Path | None = None, deploy: Callable[..., Deployment] | None = None) -> Any:
    """An engine on which nothing runs; it has a bucket and, perhaps, a log."""
    deployment = Deployment("ingestion", {"UploadBucket": BUCKET}, {})
    return SimpleNamespace(
        name="fake",
        processes={},
        deploy=deploy or (lambda *_, **__: deployment),
        report=lambda: EngineReport("fake", {}, {}, {}),
        consumption=lambda: None,
        billed_requests=lambda: None,
        check=lambda: None,
        log_files=lambda: [] if log is None else [log],
    )


class FakeWatch:
    """Watches nothing and is calm, but for as many audits as are told to be disturbed."""

    disturbed = 0
    began_at = BEGAN
    items_before = 0

    def __init__(self, *_: object, **__: object) -> None:
        self.settled: list[bool] = []
        self._left = self.disturbed

    def __enter__(self) -> FakeWatch:
        return self

    def __exit__(self, *_: object) -> None:
        """Hold nothing open."""

    def settle(self, *, shown: bool = True) -> None:
        self.settled.append(shown)

    def undisturbed(self) -> bool:
        self._left -= 1
        return self._left < 0

    def observed(self) -> Observed:
        return observed()


class Script:
    """What loads find, one after the other, in place of Locust and of the pipeline; notes what was driven.

    `failed`, `unsent` and `unreported` files spoil every load above `limit` rows a second.
    """

    def __init__(self, *finds: LoadFinding, limit: float = float("inf"), **bad: int) -> None:
        self.finds, self.limit, self.bad = list(finds), limit, bad
        self.driven: list[Any] = []

    def load(self, loads: Any, _bed: object, spec: Any, _decided: object = None) -> None:
        """Stand in for `LocustLoads.load`."""
        self.driven.append(spec)
        bad = self.bad if spec.rate > self.limit else {}
        samples = [SimpleNamespace(error="SlowDown")] * bad.get("failed", 0) + [SimpleNamespace(error="")]
        loads.loads.append(
            SimpleNamespace(
                start=SimpleNamespace(spec=spec),
                samples=samples,
                unsent=bad.get("unsent", 0),
                unreported=bad.get("unreported", 0),
            )
        )

    def examine(self, *_: object) -> LoadFinding:
        """Stand in for `LocustLoads.examine`."""
        return self.finds.pop(0)
