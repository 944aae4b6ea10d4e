"""Runs that do not come to a result leave their engine's logs and say what happened; strangers in dead-letter queues
change no verdict."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.corpus import CorpusSpec
from harness.dlq import messages, stage_named
from harness.engines.base import Deployment
from harness.engines.embedded import EmbeddedEngine
from harness.errors import StageStuck
from harness.experiments.lifecycle import STACK
from harness.stages import STAGES
from tests.contract.support import eventually
from tests.e2e.support import run_pipeline, wait_for_items
from tests.processes import heed_interrupts, wait_for_line

STRANGERS = (
    "hello \x9b2J",
    "null",
    '{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}',
    '{"requestContext":{"condition":"RetriesExhausted"},"requestPayload":{"key1":"value1"}}',
    '{"DDBStreamBatchInfo":{"streamArn":"arn:aws:dynamodb:us-east-1:000000000000:table/x/stream/y","shardId":"z",'
    '"startSequenceNumber":"1","endSequenceNumber":"2","batchSize":2}}',
)


def start(tmp_path: Path, corpora: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "run", "--no-baseline", "--out", str(tmp_path / "runs"), *arguments],
        env={**os.environ, "XDG_CACHE_HOME": str(corpora)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509  no threads here
    )


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine(logs=tmp_path / "kept") as started:
        yield started


def test_run_when_nothing_moves_any_more_is_stuck_and_keeps_the_logs(engine: EmbeddedEngine, tmp_path: Path) -> None:
    def disturb() -> None:
        wait_for_items(engine, 1)
        # Without functions, messages lie in the queues and nobody asks for them.
        engine._control.delete_stack(STACK)

    with pytest.raises(StageStuck, match="nothing has moved") as caught:
        # Messages in flight are waited for until they are visible again.
        parameters = {"VisibilityTimeout": "10", "WorkerTimeout": "10"}
        run_pipeline(
            engine, tmp_path, CorpusSpec(rows=20_000), parameters=parameters, meanwhile=disturb, stall_timeout=3.0
        )
    folder = tmp_path / "run"
    assert caught.value.exit_code == 5
    assert str(folder) in caught.value.hint
    logs = {path.name for path in (folder / "engine").iterdir()}
    assert logs == {"data-services.log", "queues.log", "tables.log", "lambda-service.log"}
    word = json.loads((folder / "error.json").read_text())
    assert (word["outcome"], word["exit_code"]) == ("failed", 5)
    assert "nothing has moved" in word["error"]
    assert not (folder / "result.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_run_when_it_is_ended_from_outside_keeps_the_logs(
    tmp_path: Path, corpora: Path, number: signal.Signals
) -> None:
    process = start(tmp_path, corpora, "--rows", "20000")
    try:
        wait_for_line(process, "^uploaded ")
        process.send_signal(number)
        said, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    folder = (tmp_path / "runs" / "latest").resolve()
    eventually("the logs", (folder / "engine" / "lambda-service.log").exists, seconds=60)
    if number is not signal.SIGKILL:
        assert process.returncode == 130
        assert folder.name in said
        assert json.loads((folder / "error.json").read_text())["outcome"] == "interrupted"


def test_run_when_strangers_lie_in_every_queue_is_conserved_and_counts_them(
    engine: EmbeddedEngine, tmp_path: Path
) -> None:
    sqs = engine.client("sqs")

    def queues() -> list[str]:
        return [u for u in sqs.list_queues().get("QueueUrls") or [] if "Dlq" in u]

    def disturb() -> None:
        for url in eventually("all dead-letter queues", lambda: found if len(found := queues()) == 5 else None):
            for body in STRANGERS:
                sqs.send_message(QueueUrl=url, MessageBody=body)
        [feeding] = [u for u in sqs.list_queues()["QueueUrls"] if "ProcessQueue" in u]
        sqs.send_message(QueueUrl=feeding, MessageBody="no batch")

    finished = run_pipeline(engine, tmp_path, CorpusSpec(rows=1500, seed=4, poison=0.004), meanwhile=disturb)
    report = finished.audit
    assert (report.conserved, report.as_expected) == (True, True), report.findings
    for stage in STAGES:
        shown = list(messages(sqs, finished.deployment, stage_named(stage.name)))
        strangers = [letter for letter in shown if not letter.rows]
        expected = len(STRANGERS) + (stage.name == "process")
        assert len(strangers) == expected, (stage.name, strangers)
        assert sum(report.unattributed[stage.name].values()) == expected
        assert all(letter.detail.isprintable() and letter.reason for letter in shown)
    assert "dead-letter messages name no row" in report.sentence()
    assert finished.result.audit.unattributed["clean"]["an Amazon S3 test event"] == 1
    assert sum(report.dead_letters["process"].values()) > 0
    _test_events(engine, finished.deployment)


def _test_events(engine: EmbeddedEngine, deployment: Deployment) -> None:
    """Amazon S3's test event does nothing; the Lambda console's ends in the clean DLQ, with the reason."""
    functions = engine.client("lambda")
    given = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})
    answer = functions.invoke(FunctionName=f"{STACK}-clean", Payload=given)
    assert json.load(answer["Payload"]) == {"rows": 0, "quarantined": 0}
    functions.invoke(FunctionName=f"{STACK}-clean", InvocationType="Event", Payload=json.dumps({"key1": "value1"}))

    def refused() -> list[str]:
        found = messages(engine.client("sqs"), deployment, stage_named("clean"))
        return [letter.detail for letter in found if "EventError" in letter.detail]

    [detail] = eventually("the console's event in the clean DLQ", refused, seconds=60)
    assert 'an event without Records {"key1": "value1"}' in detail
