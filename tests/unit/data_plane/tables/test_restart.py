"""The process killed and started again on its data directory: what was acknowledged is there, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.unit.data_plane.tables.conftest import Tables, records, stream, table
from tests.unit.data_plane.tables.test_protocol import PLAIN, RICH, scanned


def state(client: Any) -> dict[str, Any]:
    """Return everything that can be seen of the tables."""
    seen = {}
    for name in client.list_tables()["TableNames"]:
        described = client.describe_table(TableName=name)["Table"]
        items = sorted(scanned(client, name), key=lambda item: str(item["id"]))
        seen[name] = (described, items, client.describe_time_to_live(TableName=name)["TimeToLiveDescription"])
    return seen


def test_tables_items_streams_and_settings_survive_a_kill(kept: Tables) -> None:
    client = kept.client()
    arn = client.create_table(**table("all", **stream(), Tags=[{"Key": "a", "Value": "b"}]))["TableDescription"][
        "LatestStreamArn"
    ]
    client.create_table(
        **{
            **table("indexed", ranged=True),
            "LocalSecondaryIndexes": [
                {
                    "IndexName": "by-v",
                    "KeySchema": [
                        {"AttributeName": "id", "KeyType": "HASH"},
                        {"AttributeName": "v", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
            "AttributeDefinitions": [
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "n", "AttributeType": "N"},
                {"AttributeName": "v", "AttributeType": "S"},
            ],
        }
    )
    client.update_time_to_live(TableName="all", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    client.put_item(TableName="all", Item=PLAIN)
    client.put_item(TableName="all", Item=RICH)
    client.put_item(TableName="all", Item={**PLAIN, "v": {"S": "again"}})
    client.delete_item(TableName="all", Key={"id": {"S": "rich"}})
    client.put_item(TableName="indexed", Item={"id": {"S": "a"}, "n": {"N": "-1.5"}, "v": {"S": "x"}})
    before, events = state(client), records(kept, arn)
    assert len(events) == 4
    for _ in range(2):
        kept.kill()
        kept.start()
        client = kept.client()
        assert state(client) == before
        assert records(kept, arn) == events
        assert client.list_tags_of_resource(ResourceArn=before["all"][0]["TableArn"])["Tags"] == [
            {"Key": "a", "Value": "b"}
        ]
    client.put_item(TableName="all", Item={"id": {"S": "new"}})
    found = records(kept, arn)
    assert len(found) == 5
    assert [r for r in found if r["dynamodb"]["Keys"]["id"]["S"] != "new"] == events
    assert (
        client.query(
            TableName="indexed",
            IndexName="by-v",
            KeyConditionExpression="id = :i",
            ExpressionAttributeValues={":i": {"S": "a"}},
        )["Count"]
        == 1
    )


def test_iterators_go_on_after_a_restart(kept: Tables) -> None:
    arn = kept.client().create_table(**table("iter", **stream()))["TableDescription"]["LatestStreamArn"]
    streams = kept.client("dynamodbstreams")
    shards = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterators = [
        streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="LATEST")["ShardIterator"]
        for shard in shards
    ]
    kept.client().put_item(TableName="iter", Item=PLAIN)
    kept.kill()
    kept.start()
    streams = kept.client("dynamodbstreams")
    assert sum(len(streams.get_records(ShardIterator=i)["Records"]) for i in iterators) == 1


def test_deleted_tables_stay_deleted_and_take_their_files_along(kept: Tables, tmp_path: Path) -> None:
    client = kept.client()
    client.create_table(**table("gone"))
    client.put_item(TableName="gone", Item=PLAIN)
    (directory,) = [path for path in (tmp_path / "data").iterdir() if path.is_dir()]
    client.delete_table(TableName="gone")
    assert not directory.exists()
    orphan = tmp_path / "data" / ("0" * 32)
    orphan.mkdir()
    kept.kill()
    kept.start()
    assert kept.client().list_tables()["TableNames"] == []
    assert not orphan.exists()


@pytest.mark.parametrize("round_", range(3))
def test_every_acknowledged_write_survives_a_kill_under_load(kept: Tables, round_: int) -> None:
    """Writers note what was acknowledged; a kill comes while they write."""
    kept.client().create_table(**table("load", **stream("NEW_IMAGE")))
    arn = kept.client().describe_table(TableName="load")["Table"]["LatestStreamArn"]
    acknowledged: list[str] = []
    attempted: list[str] = []
    enough = threading.Event()

    def write(writer: int) -> None:
        client = kept.client()
        for batch in range(10_000):
            names = [f"{writer}-{batch}-{n}" for n in range(25)]
            attempted.extend(names)
            try:
                client.batch_write_item(
                    RequestItems={"load": [{"PutRequest": {"Item": {"id": {"S": n}, "v": {"S": n}}}} for n in names]}
                )
            except (BotoCoreError, ClientError):
                return
            acknowledged.extend(names)
            if len(acknowledged) > 500 + 300 * round_:
                enough.set()

    writers = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(2)]
    for writer in writers:
        writer.start()
    assert enough.wait(30)
    kept.kill()
    for writer in writers:
        writer.join(30)
    kept.start()
    found = scanned(kept.client(), "load")
    names = [item["id"]["S"] for item in found]
    assert len(names) == len(set(names))
    assert set(acknowledged) <= set(names) <= set(attempted)
    assert all(item["v"] == item["id"] for item in found)
    assert kept.client().describe_table(TableName="load")["Table"]["ItemCount"] == len(names)
    streamed = [r["dynamodb"]["Keys"]["id"]["S"] for r in records(kept, arn)]
    assert sorted(streamed) == sorted(names)


def test_transactions_are_whole_after_a_kill(kept: Tables) -> None:
    kept.client().create_table(**table("left"))
    kept.client().create_table(**table("right"))
    done: list[int] = []
    enough = threading.Event()

    def write() -> None:
        client = kept.client()
        for number in range(100_000):
            puts = [
                {"Put": {"TableName": name, "Item": {"id": {"S": f"{number}-{part}"}}}}
                for name in ("left", "right")
                for part in range(3)
            ]
            try:
                client.transact_write_items(TransactItems=puts)
            except (BotoCoreError, ClientError):
                return
            done.append(number)
            if number == 60:
                enough.set()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    assert enough.wait(60)
    kept.kill()
    writer.join(30)
    kept.start()
    client = kept.client()
    found = {name: sorted(i["id"]["S"] for i in scanned(client, name)) for name in ("left", "right")}
    assert found["left"] == found["right"]
    numbers = {int(name.split("-")[0]) for name in found["left"]}
    assert len(found["left"]) == 3 * len(numbers)
    assert set(done) <= numbers


def test_stop_in_good_order_is_exit_code_0(tmp_path: Path) -> None:
    server = Tables("--data", str(tmp_path))
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("options", "code"), [(["--shards", "0"], 2), (["--port", "99999"], 2), (["--data", "/dev/null/x"], 5)]
)
def test_what_cannot_start_says_why(options: list[str], code: int) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "harness.data_plane.tables", *options],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == code
    assert len(run.stderr.strip().splitlines()) == 1


def test_data_directory_belongs_to_one_process(kept: Tables, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "harness.data_plane.tables", "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 5
    assert "is in use by another process" in run.stderr
    kept.client().create_table(**table("mine"))


def test_taken_port_is_said_to_be_taken(kept: Tables) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "harness.data_plane.tables", "--port", str(kept.port)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 5
    assert run.stderr.startswith(f"the tables cannot serve on port {kept.port}: Address already in use")


@pytest.mark.parametrize("name", ["catalog.json", "*/shards.json"])
def test_damaged_document_is_named_and_nothing_is_touched(kept: Tables, tmp_path: Path, name: str) -> None:
    kept.client().create_table(**table("mine"))
    kept.client().put_item(TableName="mine", Item=PLAIN)
    kept.kill()
    (path,) = (tmp_path / "data").glob(name)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    run = subprocess.run(
        [sys.executable, "-m", "harness.data_plane.tables", "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 5
    assert f"{path} is damaged" in run.stderr
    assert "Traceback" not in run.stderr
    path.write_bytes(whole)
    kept.start()
    assert scanned(kept.client(), "mine") == [PLAIN]


def test_directories_without_a_catalog_are_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "data" / ("0" * 32)
    foreign.mkdir(parents=True)
    server = Tables("--data", str(tmp_path / "data"))
    assert server.stop() == 0
    assert foreign.exists()
