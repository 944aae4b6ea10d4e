"""What a stored result says of its usage. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from harness.cost.measured import FunctionUse, Measured, TableUse, workload
from harness.cost.parameters import memory_mb, on_arm, provisioned
from harness.cost.usage import Workload
from harness.errors import UsageError
from harness.stages import STAGES

NO_QUEUES = "requests to SQS are not in it: this result is older than their count"
NO_STORAGE = "the table's storage and CloudWatch metrics are not in it: this result is older than their measure"
LOGS_AT_ONE = "all logs stand with clean: this result does not tell them by stage"
INCOMPLETE = "tables were started again meanwhile: units before that are not in it"
WARM_UP = "functions' figures have the warm-up in them, which the tables' do not"
_AGAIN = "make the result again: harness run"


def workload_of(result: Mapping[str, Any]) -> Workload:
    """Return what a run or load used.

    Results of today hold it as `usage`; of older ones what they tell is taken, and the notes say what they do not.
    Raises UsageError, saying what is missing, where not even functions and tables are told; KeyError, TypeError or
    ValueError where a field is not what it must be.
    """
    if result["kind"] not in ("run", "load", "saturation"):
        raise UsageError(f"a {result['kind']} result has no bill", hint="harness cost takes a run or a load")
    if result.get("usage") is not None:
        return Workload.from_json(result["usage"])
    return workload(_measured(result))


def _measured(result: Mapping[str, Any]) -> Measured:
    engine = result["engine"]
    functions = {
        stage.name: figures
        for stage in STAGES
        for name, figures in engine["functions"].items()
        if name.endswith(f"-{stage.name}") and "billed_ms" in figures
    }
    if not functions:
        raise UsageError(f"its engine, {engine['name']}, does not tell billed durations", hint=_AGAIN)
    if result["consumption"] is None:
        raise UsageError(f"its engine, {engine['name']}, does not tell what tables consumed", hint=_AGAIN)
    parameters, tables = result["parameters"], result["consumption"]["tables"].values()
    notes = [NO_QUEUES, NO_STORAGE, LOGS_AT_ONE]
    if not result["consumption"]["complete"]:
        notes.append(INCOMPLETE)
    if "warmup_audit" in result:
        notes.append(WARM_UP)
    return Measured(
        rows=int(result["audit"]["rows"]),
        seconds=float(result["pipeline_seconds"] or 0),
        objects=_objects(result),
        functions={
            name: FunctionUse(
                int(figures["invocations"]),
                int(figures["billed_ms"]),
                memory_mb(name, parameters),
                on_arm(parameters),
            )
            for name, figures in functions.items()
        },
        table=TableUse(
            _sum(tables, "write_units"),
            _sum(tables, "read_units"),
            int(_sum(tables, "stream_reads")),
            provisioned=provisioned(parameters),
        ),
        log_bytes={"clean": int(result["log_bytes"])},
        notes=tuple(notes),
    )


def _objects(result: Mapping[str, Any]) -> list[int]:
    total, files = int(result["corpus"]["file_bytes"]), max(1, int(result.get("load", {}).get("files", 1)))
    # A load tells the bytes of all its files together.
    return [total // files + (1 if number < total % files else 0) for number in range(files)]


def _sum(tables: Any, name: str) -> Decimal:
    return sum((Decimal(str(used[name])) for used in tables), Decimal(0))
