"""Whatever goes wrong, every row is accounted for."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.audit import audit
from harness.audit.blocks import Audited
from harness.commands.application import app
from harness.corpus import CorpusSpec
from harness.data_plane.chaos.rules import parse_rules, read_rules
from harness.dlq import messages, stage_named
from harness.engines.embedded import EmbeddedEngine
from harness.experiments.lifecycle import STACK, TEMPLATE
from harness.experiments.upload_run import UploadRun
from harness.stages import STAGES
from harness.telemetry import TelemetryReader
from tests.contract.support import eventually
from tests.e2e.support import (
    KILLED,
    PATIENT,
    QUICK,
    environment_pids,
    run_pipeline,
    wait_for_items,
)

SPEC = CorpusSpec(rows=8_000, seed=5, dirty=0.1, quarantine=0.01, poison=0.0)


CHAOS_OF_TABLE = """
[[rule]]
service = "dynamodb"
operation = "BatchWriteItem"
effect = "error"
code = "ProvisionedThroughputExceededException"
probability = 0.1

[[rule]]
service = "dynamodb"
operation = "BatchWriteItem"
effect = "partial"
probability = 0.1
"""

CHAOS_OF_STREAM = """
[[rule]]
service = "dynamodbstreams"
operation = "GetRecords"
effect = "error"
code = "InternalServerError"
probability = 0.2

[[rule]]
service = "dynamodbstreams"
operation = "GetRecords"
effect = "error"
code = "ExpiredIteratorException"
probability = 0.1

[[rule]]
service = "dynamodbstreams"
operation = "GetRecords"
effect = "drop"
when = "after"
probability = 0.1
"""


def run_with(rules: str, folder: Path) -> UploadRun:
    """Run the main job under chaos."""
    with EmbeddedEngine(chaos=parse_rules(rules)) as engine:
        return run_pipeline(engine, folder, SPEC, parameters=PATIENT)


def injected(finished: UploadRun) -> list[int]:
    """How often each rule did something."""
    return [rule["injected"] for rule in finished.result.engine.chaos]


def test_run_when_rows_are_poisoned_in_every_way_ends_with_each_in_its_place(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    spec = CorpusSpec(rows=10_000, seed=3, dirty=0.2, quarantine=0.02, poison=0.01)
    finished = run_pipeline(engine, tmp_path, spec)
    report = finished.audit
    assert (report.conserved, report.as_expected) == (True, True), report.findings
    assert set(report.dead_letters["process"]) == {
        "amount_not_a_number",
        "amount_precision",
        "unknown_currency",
    }
    assert report.dead_letters["insert"] == {"refused_by_table": 1}
    assert report.dead_letters["update"] == {"refused_by_table": 1}
    assert set(report.quarantined) == {
        "wrong_arity",
        "undecodable_bytes",
        "empty_row",
        "field_too_large",
        "row_too_large",
    }
    shown = list(messages(engine.client("sqs"), finished.deployment, stage_named("process")))
    # Each poisoned row is alone in its letter, after exactly three receives by the function.
    assert all(len(letter.rows) == 1 for letter in shown)
    assert len(shown) == sum(report.dead_letters["process"].values())


@pytest.mark.parametrize("function", ["insert", "capture", "process", "update"])
def test_run_when_a_worker_is_killed_mid_batch_loses_nothing(
    engine: EmbeddedEngine, tmp_path: Path, function: str
) -> None:
    killed: list[int] = []

    def kill() -> None:
        wait_for_items(engine, 500)
        pids = eventually(f"a {function} environment", lambda: environment_pids(engine, function))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    finished = run_pipeline(engine, tmp_path, SPEC, meanwhile=kill, parameters=KILLED)
    assert killed
    assert (finished.audit.conserved, finished.audit.as_expected) == (True, True), finished.audit.findings


def test_run_when_the_data_services_pause_for_ten_seconds_loses_nothing(engine: EmbeddedEngine, tmp_path: Path) -> None:
    def pause() -> None:
        wait_for_items(engine, 500)
        pid = engine.processes["data-services"]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(10)
        os.kill(pid, signal.SIGCONT)

    finished = run_pipeline(engine, tmp_path, SPEC, meanwhile=pause, parameters=PATIENT)
    assert (finished.audit.conserved, finished.audit.as_expected) == (True, True), finished.audit.findings


def test_run_when_writes_are_throttled_or_partly_unprocessed_loses_nothing(tmp_path: Path) -> None:
    finished = run_with(CHAOS_OF_TABLE, tmp_path)
    assert (finished.audit.conserved, finished.audit.as_expected) == (True, True), finished.audit.findings
    assert all(count > 10 for count in injected(finished)), injected(finished)


def test_run_when_answers_are_lost_and_queues_slow_and_batches_cut_updates_every_row_once(tmp_path: Path) -> None:
    finished = run_with(read_rules(Path("ingestion")).text, tmp_path)
    assert (finished.audit.conserved, finished.audit.as_expected) == (True, True), finished.audit.findings
    assert all(injected(finished)), injected(finished)
    totals = finished.observed.totals
    # A batch that was sent and whose answer was lost is sent again, and the next stage has its rows twice.
    assert any(totals[stage].rows_ok > finished.audit.updated for stage in ("insert", "process", "update"))
    assert finished.audit.updated == finished.audit.items_in_table


def test_run_when_reads_of_the_stream_fail_or_lose_their_answers_captures_every_row(tmp_path: Path) -> None:
    finished = run_with(CHAOS_OF_STREAM, tmp_path)
    assert all(count > 2 for count in injected(finished)), injected(finished)
    assert (finished.audit.conserved, finished.audit.as_expected) == (True, True), finished.audit.findings
    assert finished.observed.totals["capture"].rows_ok >= finished.audit.updated


def test_command_when_run_under_chaos_tells_what_was_injected(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[rule]]\nservice = "dynamodb"\noperation = "BatchWriteItem"\n'
        'effect = "error"\ncode = "ThrottlingException"\ntimes = 1\n'
    )
    out = tmp_path / "runs"
    options = ["--rows", "500", "--no-baseline", "--chaos", str(rules), "--out", str(out), "-p", "RetryDelaySeconds=1"]
    done = CliRunner().invoke(app, ["run", *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "chaos      rule 1: dynamodb BatchWriteItem, ThrottlingException: 1 of " in done.output
    result = json.loads((out / "latest" / "result.json").read_text())
    assert result["engine"]["chaos"][0]["injected"] == 1
    assert "Chaos: faults that were injected" in (out / "latest" / "report.html").read_text()


def test_run_when_clean_is_killed_mid_file_is_retried_and_loses_nothing(engine: EmbeddedEngine, tmp_path: Path) -> None:
    # Larger than one block, so that processes are at work when the parent dies.
    spec = CorpusSpec(rows=40_000, seed=6, dirty=0.1, quarantine=0.0, poison=0.0)
    killed: list[int] = []

    def kill() -> None:
        pids = eventually("a clean environment", lambda: environment_pids(engine, "clean"))
        wait_for_items(engine, 25)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    finished = run_pipeline(engine, tmp_path, spec, meanwhile=kill)
    assert killed
    assert (finished.audit.conserved, finished.audit.as_expected) == (True, True), finished.audit.findings


def test_object_when_delivered_again_after_its_update_ends_updated_once_more(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    finished = run_pipeline(engine, tmp_path, SPEC)
    source = finished.upload.source
    detail = {"key": source.key, "versionId": source.version}
    event = {
        "Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": source.bucket}, "object": detail}}]
    }
    engine.client("lambda").invoke(
        FunctionName=finished.deployment.output("CleanFunction"),
        InvocationType="Event",
        Payload=json.dumps(event).encode(),
    )
    groups = {s.name: finished.deployment.output(s.log_group) for s in STAGES}
    reader = TelemetryReader(engine.client("logs"), groups, {source.source_id})

    def updated_twice() -> bool:
        reader.poll()
        return reader.totals["update"].rows_ok >= 2 * finished.audit.updated

    eventually("the second update of every row", updated_twice, seconds=60)
    again = audit(engine, finished.deployment, [Audited(source, SPEC.rows, SPEC)])
    assert (again.conserved, again.as_expected) == (True, True), again.findings
    assert again.items_in_table == finished.audit.items_in_table


def test_object_when_it_cannot_be_read_ends_in_the_clean_dlq(engine: EmbeddedEngine, tmp_path: Path) -> None:
    deployment = engine.deploy(TEMPLATE, QUICK, stack_name=STACK)
    missing = {"bucket": {"name": deployment.output("UploadBucket")}, "object": {"key": "gone+away.csv"}}
    event = {"Records": [{"eventName": "ObjectCreated:Put", "s3": missing}]}
    engine.client("lambda").invoke(
        FunctionName=deployment.output("CleanFunction"), InvocationType="Event", Payload=json.dumps(event).encode()
    )
    sqs = engine.client("sqs")
    (letter,) = eventually(
        "a message in the clean DLQ", lambda: list(messages(sqs, deployment, stage_named("clean"))), seconds=40
    )
    assert letter.reason == "RetriesExhausted"
    # The object's own key, as S3 has it: events carry it encoded.
    assert "gone away.csv" in letter.detail


def test_own_file_when_it_has_odd_rows_accounts_for_every_one(engine: EmbeddedEngine, tmp_path: Path) -> None:
    own = tmp_path / "my file.csv"
    good = "".join(f'{i},"name, {i}",free text {i}\n' for i in range(1, 1501))
    own.write_bytes(
        b"\xef\xbb\xbfId,Name,Record ID\r\n" + good.encode() + b"only two,cells\n\n\xff\xfe,x,y\nlast,row,here"
    )
    finished = run_pipeline(engine, tmp_path, file=own)
    report = finished.audit
    assert report.conserved, report.findings
    assert (report.rows, report.updated) == (1504, 1501)
    assert report.quarantined == {"wrong_arity": 1, "empty_row": 1, "undecodable_bytes": 1}


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08\x00gzip", b"PK\x03\x04zip"], ids=["gzip", "zip"])
def test_own_file_when_it_is_no_csv_is_quarantined_whole(
    engine: EmbeddedEngine, tmp_path: Path, content: bytes
) -> None:
    own = tmp_path / "data.csv"
    own.write_bytes(content + b"\nmore\nlines\n")
    report = run_pipeline(engine, tmp_path, file=own).audit
    assert report.conserved, report.findings
    assert (report.rows, report.updated, sum(report.quarantined.values())) == (2, 0, 2)


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"a,b"], ids=["empty", "header", "header-unterminated"])
def test_own_file_when_it_has_no_rows_ends_at_once(engine: EmbeddedEngine, tmp_path: Path, content: bytes) -> None:
    own = tmp_path / "none.csv"
    own.write_bytes(content)
    report = run_pipeline(engine, tmp_path, file=own).audit
    assert report.conserved, report.findings
    assert (report.rows, report.items_in_table) == (0, 0)
