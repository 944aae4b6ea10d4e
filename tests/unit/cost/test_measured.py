"""From measures to what is billed, from stored results, and of the published design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from handlers.splitter import BLOCK_BYTES
from harness.cost import measured as module
from harness.cost.bill import bill
from harness.cost.from_result import INCOMPLETE, LOGS_AT_ONE, NO_QUEUES, NO_STORAGE, WARM_UP, workload_of
from harness.cost.measured import FunctionUse, Measured, QueueUse, TableUse, workload
from harness.cost.parameters import DEFAULTS, memory_mb, on_arm, provisioned
from harness.cost.prices import shipped_prices
from harness.cost.published import insert_busy_seconds, published_workload
from harness.cost.usage import Usage, gb_seconds
from harness.engines.templates.intrinsics import load_template
from harness.errors import UsageError
from harness.results import (
    ConsumptionFigures,
    CorpusFigures,
    Document,
    FunctionFigures,
    LoadResult,
    RunResult,
    TableFigures,
)
from harness.upload import PART_BYTES
from tests.unit.cost.support import amounts
from tests.unit.report.support import gate_of, load_of, run_of

TEMPLATE = Path(__file__).parents[3] / "handlers" / "template.yaml"
NOTHING = TableUse(Decimal(0), Decimal(0))


def job(**changed: Any) -> Measured:
    given: dict[str, Any] = {"rows": 1, "seconds": 10.0, "objects": (), "functions": {}, "table": NOTHING} | changed
    return Measured(**given)


def test_workload_puts_what_was_measured_where_it_is_billed() -> None:
    found = workload(
        job(
            functions={"insert": FunctionUse(20, 3_000, 512), "clean": FunctionUse(1, 2_000, 1024, arm=True)},
            queues={"insert": QueueUse(30, 4)},
            table=TableUse(Decimal("100.5"), Decimal(7), 9, 1234),
            log_bytes={"insert": 500},
            metrics={"insert": 8},
            objects=(100,),
        )
    )
    insert, clean, table = (found.stages[name] for name in ("insert", "clean", "table"))
    assert amounts(insert.invocations, insert.billed_mb_ms_x86, insert.billed_mb_ms_arm) == [20, 512 * 3_000, 0]
    assert amounts(clean.billed_mb_ms_x86, clean.billed_mb_ms_arm) == [0, 1024 * 2_000]
    # 4 empty receives on top of 30 requests, all of them billed
    assert amounts(insert.sqs_requests, insert.sqs_empty_receives) == [34, 4]
    assert amounts(insert.log_bytes, insert.log_stored_bytes, insert.metric_hours) == [500, 500, 8]
    assert amounts(clean.s3_puts, clean.s3_gets, clean.s3_stored_bytes) == [1, 1, 100]
    assert amounts(table.write_request_units, table.read_request_units) == [Decimal("100.5"), 7]
    assert amounts(table.stream_reads_by_lambda, table.table_stored_bytes, table.stream_reads) == [9, 1234, 0]


@pytest.mark.parametrize(
    ("size", "puts", "gets"),
    [
        (0, 1, 1),
        (BLOCK_BYTES, 1, 1),
        (BLOCK_BYTES + 1, 1, 2),
        (PART_BYTES - 1, 1, 16),
        # begin, one part, end
        (PART_BYTES, 3, 16),
        # 142.6 MB: begin, three parts, end; 34 blocks of 4 MiB
        (142_600_000, 5, 34),
    ],
)
def test_workload_of_an_object_is_a_request_for_each_part_and_block(size: int, puts: int, gets: int) -> None:
    clean = workload(job(objects=(size,))).stages["clean"]
    assert amounts(clean.s3_puts, clean.s3_gets) == [puts, gets]


def test_object_sizes_are_those_of_upload_and_clean() -> None:
    assert (module.PART_BYTES, module.BLOCK_BYTES) == (PART_BYTES, BLOCK_BYTES)


@pytest.mark.parametrize(("seconds", "hours"), [(0.0, 1), (3600.0, 1), (3600.5, 2)])
def test_workload_of_provisioned_tables_bills_capacity_by_begun_hours_and_no_units(seconds: float, hours: int) -> None:
    table = TableUse(Decimal(100), Decimal(50), provisioned=(2000, 100))
    found = workload(job(seconds=seconds, table=table)).stages["table"]
    assert amounts(found.write_request_units, found.read_request_units) == [0, 0]
    assert amounts(found.write_capacity_hours, found.read_capacity_hours) == [2000 * hours, 100 * hours]


def test_workload_when_a_measure_is_negative_is_refused() -> None:
    with pytest.raises(ValueError, match="invocations"):
        workload(job(functions={"insert": FunctionUse(-1, 0, 512)}))


def test_parameters_have_the_template_s_defaults_and_are_overridden() -> None:
    declared = load_template(TEMPLATE.read_text())["Parameters"]
    assert {name: str(declared[name]["Default"]) for name in DEFAULTS} == DEFAULTS
    assert (memory_mb("clean", {}), memory_mb("update", {})) == (3538, 512)
    assert (memory_mb("clean", {"CleanMemory": "1769"}), memory_mb("update", {"WorkerMemory": "128"})) == (1769, 128)
    assert on_arm({"Architecture": "arm64"})
    assert not on_arm({})
    assert provisioned({}) is None
    assert provisioned({"BillingMode": "PROVISIONED", "WriteCapacity": "5"}) == (5, 100)


def test_result_of_today_tells_its_usage() -> None:
    usage = workload(job(rows=7, queues={"insert": QueueUse(3)}, objects=(5,)))
    assert workload_of(run_of(usage=usage.to_json())) == usage


FIGURES = FunctionFigures(
    invocations=4, errors=0, timeouts=0, throttles=0, cold_starts=1, billed_ms=1500, max_concurrency=1, max_memory_mb=60
)
TOLD: Mapping[str, Any] = {
    "usage": None,
    "consumption": ConsumptionFigures(
        complete=True, tables={"t": TableFigures(write_units=100.5, read_units=20.0, stream_reads=6)}
    ),
    "parameters": {"WorkerMemory": "1024"},
    "corpus": CorpusFigures(file_bytes=1000),
    "log_bytes": 77,
}


def an_old_run(**changed: Any) -> RunResult:
    """Return a run that does not tell its usage."""
    run = run_of()
    engine = replace(run.engine, functions={"ingestion-clean": FIGURES, "ingestion-insert": FIGURES})
    return replace(run, **{**TOLD, "engine": engine, **changed})


def test_result_without_usage_is_read_as_far_as_it_tells_and_says_what_it_lacks() -> None:
    found = workload_of(an_old_run())
    assert found.rows == run_of().audit.rows
    assert found.stages["insert"].billed_mb_ms_x86 == 1024 * 1500
    assert found.stages["clean"].billed_mb_ms_x86 == 3538 * 1500
    assert found.stages["clean"].log_bytes == 77
    assert found.stages["table"].write_request_units == Decimal("100.5")
    assert found.total().sqs_requests == 0
    assert found.notes[1:] == (NO_QUEUES, NO_STORAGE, LOGS_AT_ONE)


def test_result_whose_count_began_anew_or_has_a_warm_up_says_so() -> None:
    assert INCOMPLETE in workload_of(an_old_run(consumption=ConsumptionFigures(complete=False, tables={}))).notes
    assert WARM_UP in workload_of(a_load(warmup_audit=load_of().audit)).notes


def test_result_of_a_load_counts_a_request_for_each_file() -> None:
    found = workload_of(a_load(load=replace(load_of().load, files=3)))
    assert amounts(found.stages["clean"].s3_puts, found.stages["clean"].s3_stored_bytes) == [3, 1000]


def a_load(**changed: Any) -> LoadResult:
    """Return a load, which never tells its usage."""
    told = {name: value for name, value in TOLD.items() if name != "usage"}
    return replace(load_of(), **{**told, "engine": an_old_run().engine, **changed})


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (an_old_run(consumption=None), "does not tell what tables consumed"),
        (an_old_run(engine=replace(run_of().engine, functions={})), "does not tell billed durations"),
        (gate_of(), "a gate result has no bill"),
        (an_old_run(usage={"rows": "many"}), "its usage cannot be read"),
        (an_old_run(usage={"rows": 7, "hours": 1, "notes": [], "stages": {"insert": {"x": "1"}}}), "usage has no 'x'"),
    ],
)
def test_result_that_lacks_what_a_bill_needs_is_refused_by_name(result: Document, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        workload_of(result)


def test_published_design_is_billed_as_computed_by_hand() -> None:
    # the pollers start 5 and 60 more a minute: 267 after 262 s, then 38 s at 267
    # (5 + 267) / 2 x 262 + 267 x 38 = 35,632 + 10,146
    assert insert_busy_seconds() == 45_778
    published = published_workload()
    # 45,778 s x 0.5 GB
    assert gb_seconds(published.stages["insert"].billed_mb_ms_x86) == 22_889
    made = bill(published, shipped_prices())
    # 3 requests for each of 55,800 batches, x 0.40 / 1,000,000
    assert made.by_service()["SQS"] == Decimal("0.06696")
    # 558,000 units x 0.625 / 1,000,000
    assert made.by_service()["DynamoDB"] == Decimal("0.34875")
    # clean 90 s x 3,538 MB / 1,024 = 310.95703125 GB-s; (22,889 + 310.95703125) x 0.0000166667
    # + (55,800 + 1) x 0.20 / 1,000,000
    assert made.by_service()["Lambda"] == Decimal("23199.95703125") * Decimal("0.0000166667") + Decimal("0.0111602")


def test_every_amount_of_a_usage_starts_at_nothing() -> None:
    assert all(getattr(Usage(), field.name) == 0 for field in fields(Usage))
