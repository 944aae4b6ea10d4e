"""What a stored result says of its usage. Pure."""

from __future__ import annotations

from decimal import Decimal

from harness.cost.measured import FunctionUse, Measured, TableUse, workload
from harness.cost.parameters import memory_mb, on_arm, provisioned
from harness.cost.usage import Workload
from harness.entry import in_one_line
from harness.errors import UsageError
from harness.results import Document, LoadedResult, WatchedResult
from harness.stages import STAGES

NO_QUEUES = "requests to SQS are not in it: this result is older than their count"
NO_STORAGE = "the table's storage and CloudWatch metrics are not in it: this result is older than their measure"
LOGS_AT_ONE = "all logs stand with clean: this result does not tell them by stage"
INCOMPLETE = "tables were started again meanwhile: units before that are not in it"
WARM_UP = "functions' figures have the warm-up in them, which the tables' do not"
_AGAIN = "make the result again: harness run"


def workload_of(result: Document) -> Workload:
    """Return what a run or load used.

    Results hold it as `usage`; of older ones what they tell is taken, and the notes say what they do not.
    Raises UsageError, saying what is missing, where not even functions and tables are told, and where `usage` is not
    what it must be.
    """
    if not isinstance(result, WatchedResult):
        raise UsageError(f"a {result.kind} result has no bill", hint="harness cost takes a run or a load")
    if result.usage is not None:
        try:
            return Workload.from_json(result.usage)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UsageError(f"its usage cannot be read: {in_one_line(error)}", hint=_AGAIN) from error
    return workload(_measured(result))


def _measured(result: WatchedResult) -> Measured:
    engine, consumption, parameters = result.engine, result.consumption, result.parameters
    functions = {
        stage.name: figures
        for stage in STAGES
        for name, figures in engine.functions.items()
        if name.endswith(f"-{stage.name}")
    }
    if not functions:
        raise UsageError(f"its engine, {engine.name}, does not tell billed durations", hint=_AGAIN)
    if consumption is None:
        raise UsageError(f"its engine, {engine.name}, does not tell what tables consumed", hint=_AGAIN)
    notes = [NO_QUEUES, NO_STORAGE, LOGS_AT_ONE]
    if not consumption.complete:
        notes.append(INCOMPLETE)
    if isinstance(result, LoadedResult) and result.warmup_audit is not None:
        notes.append(WARM_UP)
    tables = consumption.tables.values()
    return Measured(
        rows=result.audit.rows,
        seconds=result.pipeline_seconds or 0.0,
        objects=_objects(result),
        functions={
            name: FunctionUse(figures.invocations, figures.billed_ms, memory_mb(name, parameters), on_arm(parameters))
            for name, figures in functions.items()
        },
        table=TableUse(
            sum((Decimal(str(used.write_units)) for used in tables), Decimal(0)),
            sum((Decimal(str(used.read_units)) for used in tables), Decimal(0)),
            sum(used.stream_reads for used in tables),
            provisioned=provisioned(parameters),
        ),
        log_bytes={"clean": result.log_bytes},
        notes=tuple(notes),
    )


def _objects(result: WatchedResult) -> list[int]:
    total = result.corpus.file_bytes
    files = max(1, result.load.files) if isinstance(result, LoadedResult) else 1
    # A load tells the bytes of all its files together.
    return [total // files + (1 if number < total % files else 0) for number in range(files)]
