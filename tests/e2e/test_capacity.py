"""A table whose capacity is enforced: the pipeline is throttled, and every row is accounted for."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from harness.corpus import CorpusSpec
from harness.cost.usage import Workload
from harness.engines.embedded import EmbeddedEngine
from harness.stages import STAGES
from tests.e2e.support import run_pipeline

ROWS = 3_000
PROVISIONED = {"BillingMode": "PROVISIONED", "WriteCapacity": "250", "ReadCapacity": "250"}
LARGEST_BURST = 300 * 250


def test_run_when_capacity_is_short_is_throttled_and_conserves_every_row(tmp_path: Path) -> None:
    spec = CorpusSpec(rows=ROWS, seed=1, dirty=0.05, quarantine=0.002, poison=0.001)
    with EmbeddedEngine(capacity="aws") as engine:
        finished = run_pipeline(engine, tmp_path, spec, parameters=PROVISIONED)
        name = finished.deployment.output("RecordsTable")
        after = engine.consumption()
    assert finished.audit.conserved, finished.audit.findings
    result = json.loads((finished.folder / "result.json").read_text())
    assert result["engine"]["capacity"] == "aws"
    assert result["consumption"]["complete"]
    used = result["consumption"]["tables"][name]
    reasons = used["throttled_requests"]
    assert sum(reasons.values()) > 0
    assert set(reasons) <= {
        f"Table{kind}{reason}Exceeded"
        for kind in ("Write", "Read")
        for reason in ("ProvisionedThroughput", "KeyRangeThroughput")
    }
    assert all(used["throttled_items"][reason] >= count for reason, count in reasons.items())
    # Each row that ended updated was inserted and updated, for at least a unit each.
    assert used["write_units"] >= 2 * finished.audit.updated
    assert used["write_units"] <= LARGEST_BURST
    assert used["stream_reads"] > 0
    # The audit reads every row, and none of that is in the figures.
    assert after is not None
    assert after.tables[name].read_units == used["read_units"]
    usage = Workload.from_json(result["usage"])
    # Capacity is billed for the hour that was begun, and no units.
    assert usage.stages["table"].write_capacity_hours == Decimal(250)
    assert usage.stages["table"].write_request_units == Decimal(0)
    assert usage.stages["table"].table_stored_bytes > 0
    for stage in ("insert", "process", "update"):
        # Each batch of rows is sent, received and deleted, and polls found nothing before and after.
        assert usage.stages[stage].sqs_requests - usage.stages[stage].sqs_empty_receives >= 3
        assert usage.stages[stage].sqs_empty_receives > 0
    for function in (stage.name for stage in STAGES):
        assert usage.stages[function].billed_mb_ms_x86 > 0
        assert usage.stages[function].log_bytes > 0
        assert usage.stages[function].metric_hours > 0
    page = (finished.folder / "report.html").read_text()
    assert "Capacity consumed" in page
    assert "capacity aws" in page
