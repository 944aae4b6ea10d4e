"""What an engine told before and after a job becomes its usage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from harness.cost.usage import Workload
from harness.engines.base import Deployment, EngineReport
from harness.engines.consumption import Consumption, TableConsumption
from harness.engines.queue_requests import BilledRequests, QueueRequests
from harness.metering import INCOMPLETE, UsageMeter
from harness.stages import STAGES
from harness.telemetry import StageTotals
from tests.unit.cost.support import amounts

OUTPUTS = {
    key: f"http://localhost/000000000000/{key}-queue" for stage in STAGES for key in (stage.queue, stage.dlq) if key
}
INSERT, INSERT_DLQ = "InsertQueueUrl-queue", "InsertDlqUrl-queue"


@dataclass
class FakeEngine:
    """Tells what it is given."""

    functions: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    tables: Consumption | None = None
    requests: BilledRequests | None = None

    def report(self) -> EngineReport:
        return EngineReport("fake", {}, {}, dict(self.functions))

    def consumption(self) -> Consumption | None:
        return self.tables

    def billed_requests(self) -> BilledRequests | None:
        return self.requests

    def client(self, service: str) -> Any:
        assert service == "dynamodb"
        return self

    def describe_table(self, TableName: str) -> dict[str, Any]:
        return {"Table": {"TableSizeBytes": {"t": 1000}[TableName]}}


def engine() -> FakeEngine:
    return FakeEngine(
        {"s-insert": {"invocations": 5, "billed_ms": 500}},
        Consumption({"t": TableConsumption(10.0, 2.0, 3)}),
        BilledRequests({INSERT: QueueRequests(7, 2)}),
    )


def later(fake: FakeEngine) -> None:
    fake.functions = {"s-insert": {"invocations": 9, "billed_ms": 900}, "s-clean": {"invocations": 1, "billed_ms": 50}}
    fake.tables = Consumption({"t": TableConsumption(110.5, 2.5, 13)})
    fake.requests = BilledRequests({INSERT: QueueRequests(17, 5), INSERT_DLQ: QueueRequests(4, 0)})


def used(fake: FakeEngine, meter: UsageMeter, totals: Mapping[str, StageTotals] | None = None) -> Workload:
    meter.read(totals or {})
    found = meter.usage(100, [10], 5.0)
    assert found is not None
    return Workload.from_json(found)


def meter_of(fake: FakeEngine) -> UsageMeter:
    return UsageMeter(fake, Deployment("s", OUTPUTS, {"WorkerMemory": "1024"}))  # type: ignore[arg-type]


def test_usage_is_what_came_on_top_by_stage() -> None:
    fake = engine()
    meter = meter_of(fake)
    later(fake)
    found = used(fake, meter, {"insert": StageTotals(log_bytes=55, custom_metrics={"RowsIn", "RowsOk"})})
    insert, table = found.stages["insert"], found.stages["table"]
    assert amounts(insert.invocations, insert.billed_mb_ms_x86) == [4, 400 * 1024]
    # of the queue 10 and 3 empty ones, of its dead-letter queue 4
    assert amounts(insert.sqs_requests, insert.sqs_empty_receives) == [17, 3]
    assert amounts(insert.log_bytes, insert.metric_hours) == [55, 2]
    assert found.stages["clean"].invocations == 1
    assert (table.write_request_units, table.read_request_units) == (Decimal("100.5"), Decimal("0.5"))
    assert amounts(table.stream_reads_by_lambda, table.table_stored_bytes) == [10, 1000]
    assert INCOMPLETE not in found.notes


def test_usage_does_not_have_what_comes_after_it_was_read() -> None:
    fake = engine()
    meter = meter_of(fake)
    first = used(fake, meter)
    later(fake)
    assert Workload.from_json(meter.usage(100, [10], 5.0) or {}) == first


def test_usage_when_a_service_was_started_again_says_that_it_is_not_complete() -> None:
    fake = engine()
    meter = meter_of(fake)
    fake.requests = BilledRequests({INSERT: QueueRequests(1, 0)}, starts=2)
    found = used(fake, meter)
    assert found.stages["insert"].sqs_requests == 1
    assert INCOMPLETE in found.notes


def test_usage_when_the_engine_does_not_tell_is_none() -> None:
    for silent in ("tables", "requests"):
        fake = engine()
        setattr(fake, silent, None)
        meter = meter_of(fake)
        meter.read({})
        assert meter.usage(100, [10], 5.0) is None
    fake = engine()
    fake.functions = {}
    assert meter_of(fake).usage(100, [10], 5.0) is None


def test_usage_of_no_rows_is_none() -> None:
    assert meter_of(engine()).usage(0, [10], 5.0) is None
