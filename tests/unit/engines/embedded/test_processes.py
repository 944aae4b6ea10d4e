"""The data plane's processes as the engine starts them: killed, started again, and ended and started on kept data."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.engines.base import Endpoints
from harness.engines.clients import Clients
from harness.engines.embedded.data_folder import DataFolder, KeptPlans
from harness.engines.embedded.processes import start_queues, start_tables
from harness.engines.embedded.stack_tables import StackTables
from harness.engines.embedded.supervision import Supervised
from harness.engines.embedded.template_tables import TemplateTable
from harness.errors import EngineError

REGION = "us-east-1"
TABLE = TemplateTable(
    "records",
    {
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
    },
)


class Plane:
    """Queues and tables in a work folder, on `data` where it is given."""

    def __init__(self, work_dir: Path, data: Path | None = None) -> None:
        work_dir.mkdir()
        (work_dir / "pids").mkdir()
        self.kept = DataFolder(data) if data is not None else None
        self.processes: list[Supervised] = []
        self.kills = 0
        try:
            queues, sqs = start_queues(work_dir, "000000000000", REGION, self.kept)
            self.processes.append(queues)
            tables, dynamodb = start_tables(work_dir, REGION, "unlimited", self.kept)
            self.processes.append(tables)
        except BaseException:
            self.stop()
            raise
        services = {"sqs": sqs, "dynamodb": dynamodb, "dynamodbstreams": dynamodb}
        self.clients = Clients(lambda: Endpoints(sqs, REGION, services))
        self.sqs: Any = self.clients.get("sqs")
        self.dynamodb: Any = self.clients.get("dynamodb")

    def tables(self) -> StackTables:
        assert self.kept is not None
        return StackTables(self.dynamodb, KeptPlans(self.kept.plans))

    def kill(self) -> None:
        """Kill both; a process that was started again answers a moment before its number is known."""
        for process in self.processes:
            deadline = time.monotonic() + 60
            while process.restarts < self.kills:
                process.check()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            os.kill(process.process.pid, signal.SIGKILL)
        self.kills += 1

    def stop(self) -> None:
        for process in self.processes:
            process.stop()
        if self.kept is not None:
            self.kept.close()


@pytest.fixture
def planes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Plane]]:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    made: list[Plane] = []
    yield made
    for plane in made:
        plane.stop()


def test_processes_when_killed_have_what_was_answered_and_answer_what_comes(
    tmp_path: Path, planes: list[Plane]
) -> None:
    plane = Plane(tmp_path / "work")
    planes.append(plane)
    url = plane.sqs.create_queue(QueueName="q")["QueueUrl"]
    StackTables(plane.dynamodb).create("s", {"Records": TABLE})
    for number in range(3):
        plane.sqs.send_message(QueueUrl=url, MessageBody=str(number))
        plane.dynamodb.put_item(TableName="records", Item={"id": {"S": str(number)}})
        plane.kill()
        # On a connection that the kill has ended, and from the socket's backlog.
        assert plane.dynamodb.scan(TableName="records")["Count"] == number + 1
        got = plane.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        assert sorted(message["Body"] for message in got["Messages"]) == [str(n) for n in range(number + 1)]
    for process in plane.processes:
        process.check()
        process.stop()
        assert process.restarts == 3


def test_stream_when_its_process_is_killed_goes_on_with_the_iterators_it_gave(
    tmp_path: Path, planes: list[Plane]
) -> None:
    plane = Plane(tmp_path / "work")
    planes.append(plane)
    arn = StackTables(plane.dynamodb).create("s", {"Records": TABLE})[("Records", "StreamArn")]
    streams = plane.clients.get("dynamodbstreams")
    for number in range(40):
        plane.dynamodb.put_item(TableName="records", Item={"id": {"S": str(number)}})
    seen: list[str] = []
    iterators = [
        streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    ]
    for limit in (5, 1000):
        plane.kill()
        answers = [streams.get_records(ShardIterator=iterator, Limit=limit) for iterator in iterators]
        seen += [r["dynamodb"]["Keys"]["id"]["S"] for answer in answers for r in answer["Records"]]
        iterators = [answer["NextShardIterator"] for answer in answers]
    assert sorted(seen, key=int) == [str(number) for number in range(40)]


def test_data_when_kept_is_there_for_the_next_processes_and_for_no_others(tmp_path: Path, planes: list[Plane]) -> None:
    data = tmp_path / "data"
    first = Plane(tmp_path / "first", data)
    planes.append(first)
    made = first.tables().create("s", {"Records": TABLE})
    first.dynamodb.put_item(TableName="records", Item={"id": {"S": "kept"}})
    url = first.sqs.create_queue(QueueName="q")["QueueUrl"]
    first.sqs.send_message(QueueUrl=url, MessageBody="kept")
    with pytest.raises(EngineError, match="is in use by process"):
        Plane(tmp_path / "refused", data)
    first.stop()
    second = Plane(tmp_path / "second", data)
    planes.append(second)
    assert second.tables().create("s", {"Records": TABLE}) == made
    assert second.dynamodb.scan(TableName="records")["Items"] == [{"id": {"S": "kept"}}]
    url = second.sqs.get_queue_url(QueueName="q")["QueueUrl"]
    assert second.sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "kept"
    other = {**TABLE.properties, "BillingMode": "PROVISIONED"}
    with pytest.raises(EngineError, match="other properties than the template's: BillingMode"):
        second.tables().create("s", {"Records": TemplateTable("records", other)})
    assert second.dynamodb.scan(TableName="records")["Count"] == 1


def test_data_folder_stays_taken_until_the_last_process_has_ended(tmp_path: Path, planes: list[Plane]) -> None:
    plane = Plane(tmp_path / "work", tmp_path / "data")
    planes.append(plane)
    assert plane.kept is not None
    # As if the engine itself had ended: its processes still write.
    plane.kept.close()
    with pytest.raises(EngineError, match="is in use"):
        DataFolder(tmp_path / "data", ending=0.0)
    plane.stop()
    DataFolder(tmp_path / "data").close()
