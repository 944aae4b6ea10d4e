"""Measures what AWS would bill for a job while an engine does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from harness.cost.measured import FunctionUse, Measured, QueueUse, TableUse, workload
from harness.cost.parameters import memory_mb, on_arm, provisioned
from harness.engines.base import Deployment, Engine
from harness.engines.consumption import Consumption
from harness.engines.queue_requests import BilledRequests
from harness.stages import STAGES
from harness.telemetry import StageTotals

INCOMPLETE = "tables or queues were started again meanwhile: what they had counted before is not in it"


@dataclass(frozen=True)
class _Reading:
    """Everything counted so far, as the engine told it at one moment."""

    functions: Mapping[str, Mapping[str, Any]]
    consumption: Consumption | None
    requests: BilledRequests | None


class UsageMeter:
    """Counts from its making to the last `read`; on an engine that does not tell what is needed it finds nothing."""

    def __init__(self, engine: Engine, deployment: Deployment) -> None:
        self._engine, self._deployment = engine, deployment
        self._before = self._look()
        self._now = self._before
        self._totals: Mapping[str, StageTotals] = {}
        self._stored_bytes = 0

    def read(self, totals: Mapping[str, StageTotals]) -> None:
        """Note what was used so far, with what the stages' logs told; raises EngineError.

        Call it before an audit, whose own requests are in no bill.
        """
        self._now, self._totals = self._look(), totals
        if self._now.consumption is not None:
            self._stored_bytes = sum(self._bytes_of(name) for name in self._now.consumption.tables)

    def usage(self, rows: int, objects: Sequence[int], seconds: float) -> dict[str, Any] | None:
        """Return `usage` of a result: a job of `rows` rows that took `seconds`, uploaded as objects of these sizes in
        bytes. None where the engine does not tell functions, tables and queues."""
        now, before = self._now, self._before
        if now.consumption is None or now.requests is None or before.consumption is None or before.requests is None:
            return None
        functions = self._functions()
        if not rows or not functions:
            return None
        consumed, requests = now.consumption.since(before.consumption), now.requests.since(before.requests)
        measured = Measured(
            rows,
            seconds,
            objects,
            functions,
            TableUse(
                sum((Decimal(str(used.write_units)) for used in consumed.tables.values()), Decimal(0)),
                sum((Decimal(str(used.read_units)) for used in consumed.tables.values()), Decimal(0)),
                sum(used.stream_reads for used in consumed.tables.values()),
                self._stored_bytes,
                provisioned(self._deployment.parameters),
            ),
            self._queues(requests),
            {name: totals.log_bytes for name, totals in self._totals.items()},
            {name: len(totals.custom_metrics) for name, totals in self._totals.items()},
            () if consumed.complete and requests.complete else (INCOMPLETE,),
        )
        return workload(measured).to_json()

    def _look(self) -> _Reading:
        return _Reading(self._engine.report().functions, self._engine.consumption(), self._engine.billed_requests())

    def _bytes_of(self, table: str) -> int:
        return int(self._engine.client("dynamodb").describe_table(TableName=table)["Table"]["TableSizeBytes"])

    def _functions(self) -> dict[str, FunctionUse]:
        parameters, found = self._deployment.parameters, {}
        for stage in STAGES:
            name = f"{self._deployment.stack_name}-{stage.name}"
            figures, past = self._now.functions.get(name), self._before.functions.get(name, {})
            if figures is not None:
                found[stage.name] = FunctionUse(
                    figures["invocations"] - past.get("invocations", 0),
                    figures["billed_ms"] - past.get("billed_ms", 0),
                    memory_mb(stage.name, parameters),
                    on_arm(parameters),
                )
        return found

    def _queues(self, requests: BilledRequests) -> dict[str, QueueUse]:
        found = {}
        for stage in STAGES:
            names = [self._deployment.output(key).rsplit("/", 1)[-1] for key in (stage.queue, stage.dlq) if key]
            used = [requests.queues[name] for name in names if name in requests.queues]
            found[stage.name] = QueueUse(sum(u.requests for u in used), sum(u.empty_receives for u in used))
        return found
