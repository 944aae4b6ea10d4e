"""What no request and no full disk may do to the process: end it, or let memory and disk differ."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data_plane.tables.module import OPERATIONS
from tests.unit.data_plane.tables.conftest import Tables, records, stream, table
from tests.unit.data_plane.tables.test_protocol import scanned
from tests.unit.data_plane.tables.test_streams import AUTHORIZATION, Clocked

STREAM_OPERATIONS = ("ListStreams", "DescribeStream", "GetShardIterator", "GetRecords")
MEMBERS = """
    TableName Item Key Keys RequestItems Limit Select IndexName Statement Statements TransactItems TransactStatements
    ResourceArn Tags TagKeys TimeToLiveSpecification KeySchema AttributeDefinitions BillingMode ProvisionedThroughput
    GlobalSecondaryIndexes LocalSecondaryIndexes GlobalSecondaryIndexUpdates StreamSpecification SSESpecification
    UpdateExpression ConditionExpression ExpressionAttributeNames ExpressionAttributeValues AttributeUpdates Expected
    KeyConditionExpression FilterExpression ClientRequestToken StreamArn ShardId ShardIteratorType ShardIterator
    SequenceNumber BackupName BackupArn SourceTableName TargetTableName ReplicaUpdates Policy S3Bucket ExportArn
""".split()  # noqa: SIM905
SERVED = sorted({*OPERATIONS, *STREAM_OPERATIONS})
leaves: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["events", "", "SET a = :v", "id = :v", ":v", "#n", "k", "1", "SELECT * FROM events", "\x00é😀"])
)
names = st.sampled_from(["S", "N", "B", "M", "L", "SS", "NULL", "id", "a", ":v", "#n", "events", *MEMBERS])
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)
requests = st.dictionaries(st.sampled_from(MEMBERS), anything, max_size=6)


@pytest.fixture(scope="module")
def clocked() -> Clocked:
    clocked = Clocked(shards=2)
    clocked.call("CreateTable", **table("events", **stream()))
    return clocked


@pytest.mark.parametrize("operation", SERVED)
def test_any_json_given_to_an_operation_is_answered_or_refused(clocked: Clocked, operation: str) -> None:
    """An exception of the service would be a 500 here."""
    prefix = "DynamoDBStreams" if operation in STREAM_OPERATIONS else "DynamoDB"
    target = f"{prefix}_20120810.{operation}".encode()

    @settings(max_examples=20, deadline=None)
    @given(request=requests | anything)
    def ask(request: Any) -> None:
        headers = {b"x-amz-target": target, b"authorization": AUTHORIZATION}
        status, _, body = clocked.service.handle("/", headers, json.dumps(request).encode())
        answer = json.loads(body)
        assert status == 200 or (400 <= status < 500 and answer["__type"])
        assert not clocked.service.catalog.changed

    ask()


def test_ten_thousand_idle_connections_hurt_nobody(tables: Tables) -> None:
    """As many as this process may have, up to 10,000: a soft limit is raised, a hard one is not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        count = min(10_000, hard - 500)
        with contextlib.ExitStack() as idle:
            for _ in range(count):
                idle.enter_context(socket.create_connection(("127.0.0.1", tables.port), timeout=30))
            client = tables.client()
            client.create_table(**table("idle"))
            client.put_item(TableName="idle", Item={"id": {"S": "k"}})
            assert len(scanned(client, "idle")) == 1
        assert len(scanned(tables.client(), "idle")) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def limit_files(tables: Tables, size: int) -> None:
    """Let the process write no file beyond this size: writes then fail as on a full disk."""
    _, hard = resource.prlimit(tables.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(tables.process.pid, resource.RLIMIT_FSIZE, (size, hard))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux: the limit of a running process is set")
def test_full_disk_is_said_and_memory_disk_and_stream_stay_equal(kept: Tables, tmp_path: Path) -> None:
    client = kept.client()
    arn = client.create_table(**table("full", **stream()))["TableDescription"]["LatestStreamArn"]
    for name in ("a", "b", "c", "d"):
        client.put_item(TableName="full", Item={"id": {"S": name}, "v": {"S": "x" * 1000}})
    before = sorted(scanned(client, "full"), key=str)
    told = records(kept, arn)
    largest = max(path.stat().st_size for path in (tmp_path / "data").glob("*/*.log"))
    limit_files(kept, largest)
    large = {"v": {"S": "y" * 100_000}}
    attempts: list[tuple[Any, dict[str, Any]]] = [
        (client.put_item, {"TableName": "full", "Item": {"id": {"S": "a"}, **large}}),
        (
            client.update_item,
            {
                "TableName": "full",
                "Key": {"id": {"S": "b"}},
                "UpdateExpression": "SET v = :v",
                "ExpressionAttributeValues": {":v": large["v"]},
            },
        ),
        (
            client.batch_write_item,
            {"RequestItems": {"full": [{"PutRequest": {"Item": {"id": {"S": n}, **large}}} for n in "abcdefgh"]}},
        ),
        (
            client.transact_write_items,
            {"TransactItems": [{"Put": {"TableName": "full", "Item": {"id": {"S": n}, **large}}} for n in "abcdefgh"]},
        ),
    ]
    for call, request in attempts:
        with pytest.raises(ClientError) as caught:
            call(**request)
        error = caught.value.response
        assert error["Error"]["Code"] == "InternalServerError"
        assert "could not be stored" in error["Error"]["Message"]
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 500
        assert sorted(scanned(client, "full"), key=str) == before
        assert records(kept, arn) == told
    limit_files(kept, resource.RLIM_INFINITY)
    client.put_item(TableName="full", Item={"id": {"S": "a"}, **large})
    after = sorted(scanned(client, "full"), key=str)
    assert len(records(kept, arn)) == len(told) + 1
    kept.kill()
    kept.start()
    assert sorted(scanned(kept.client(), "full"), key=str) == after
    assert len(records(kept, arn)) == len(told) + 1


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux: the limit of a running process is set")
def test_full_disk_refuses_a_new_table_and_the_process_goes_on(kept: Tables) -> None:
    client = kept.client()
    client.create_table(**table("first"))
    limit_files(kept, 10)
    with pytest.raises(ClientError) as caught:
        client.create_table(**table("second"))
    assert caught.value.response["Error"]["Code"] == "InternalServerError"
    limit_files(kept, resource.RLIM_INFINITY)
    client.put_item(TableName="first", Item={"id": {"S": "k"}})
    assert len(scanned(client, "first")) == 1
    before = client.list_tables()["TableNames"]
    kept.kill()
    kept.start()
    assert kept.client().list_tables()["TableNames"] == before
