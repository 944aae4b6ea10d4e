"""The process as boto3 sees it: every hot operation, the ways from hot to long and back, streams, restarts."""

from __future__ import annotations

import decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from tests.unit.data_plane.tables.conftest import Tables, records, stream, table

PLAIN = {"id": {"S": "k"}, "v": {"S": "x"}, "n": {"N": "12.5"}, "e": {"NULL": True}}
RICH = {
    "id": {"S": "rich"},
    "m": {"M": {"a": {"L": [{"N": "1"}, {"BOOL": False}]}}},
    "s": {"SS": ["b", "a"]},
    "b": {"B": b"\x00\xff"},
    "e": {"S": 'q"uote \\ € 😀 \n'},
}


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def scanned(client: Any, name: str, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    pages = client.get_paginator("scan").paginate(TableName=name, **options)
    for page in pages:
        found += page.get("Items", [])
    return found


def test_account_region_and_arns_are_those_of_the_embedded_engine(tables: Tables) -> None:
    for account, region in (("000000000000", "us-east-1"), ("123456789012", "eu-central-1")):
        client = tables.client(account="test" if account == "000000000000" else account, region=region)
        made = client.create_table(**table("arns", **stream()))["TableDescription"]
        assert made["TableArn"] == f"arn:aws:dynamodb:{region}:{account}:table/arns"
        assert made["LatestStreamArn"] == f"{made['TableArn']}/stream/{made['LatestStreamLabel']}"
        assert client.list_tables()["TableNames"] == ["arns"]


def test_items_come_back_as_they_were_put(tables: Tables) -> None:
    client = tables.client()
    client.create_table(**table("put-get"))
    for item in (PLAIN, RICH):
        assert "Attributes" not in client.put_item(TableName="put-get", Item=item, ReturnValues="ALL_OLD")
        got = client.get_item(TableName="put-get", Key={"id": item["id"]})["Item"]
        assert got == item
        assert client.put_item(TableName="put-get", Item=item, ReturnValues="ALL_OLD")["Attributes"] == item
    assert client.describe_table(TableName="put-get")["Table"]["ItemCount"] == 2
    delete = {"TableName": "put-get", "Key": {"id": {"S": "k"}}, "ReturnValues": "ALL_OLD"}
    assert client.delete_item(**delete)["Attributes"] == PLAIN
    assert client.delete_item(**delete).keys() == {"ResponseMetadata"}
    assert "Item" not in client.get_item(TableName="put-get", Key={"id": {"S": "k"}})


def test_numbers_are_stored_in_their_canonical_form(tables: Tables) -> None:
    client = tables.client()
    client.create_table(**table("numbers", ranged=True))
    for text in ("1.50", "+2", "03", "4e1", "-0"):
        client.put_item(TableName="numbers", Item={"id": {"S": "a"}, "n": {"N": text}, "v": {"N": text}})
    found = client.query(
        TableName="numbers", KeyConditionExpression="id = :i", ExpressionAttributeValues={":i": {"S": "a"}}
    )["Items"]
    assert [(i["n"]["N"], i["v"]["N"]) for i in found] == [(t, t) for t in ("0", "1.5", "2", "3", "40")]
    assert client.get_item(TableName="numbers", Key={"id": {"S": "a"}, "n": {"N": "1.5"}})["Item"]["v"] == {"N": "1.5"}


def test_batch_writes_put_delete_and_refuse_as_a_whole(tables: Tables) -> None:
    client = tables.client()
    client.create_table(**table("batch"))
    puts = [{"PutRequest": {"Item": {"id": {"S": str(n)}, "v": number(n)}}} for n in range(24)]
    rich = {"PutRequest": {"Item": RICH}}
    assert client.batch_write_item(RequestItems={"batch": [*puts, rich]})["UnprocessedItems"] == {}
    assert len(scanned(client, "batch")) == 25
    mixed = [{"DeleteRequest": {"Key": {"id": {"S": "0"}}}}, {"PutRequest": {"Item": {"id": {"S": "new"}}}}]
    for bad in (
        {"PutRequest": {"Item": {"id": {"S": ""}}}},
        {"PutRequest": {"Item": {"v": {"S": "no key"}}}},
        {"PutRequest": {"Item": {"id": {"S": "z"}, "v": {"N": "one"}}}},
        {"PutRequest": {"Item": {"id": {"S": "z"}, "v": {"SS": ["a", "a"]}}}},
        {"PutRequest": {"Item": {"id": {"S": "new"}}}},
        {"DeleteRequest": {"Key": {"id": {"N": "1"}}}},
    ):
        with pytest.raises(ClientError, match="ValidationException"):
            client.batch_write_item(RequestItems={"batch": [*mixed, bad]})
    assert len(scanned(client, "batch")) == 25
    client.batch_write_item(RequestItems={"batch": mixed})
    assert {i["id"]["S"] for i in scanned(client, "batch")} == {*map(str, range(1, 24)), "rich", "new"}


def test_batch_gets_return_what_is_there_projected(tables: Tables) -> None:
    client = tables.client()
    client.create_table(**table("gets"))
    for n in range(5):
        client.put_item(
            TableName="gets", Item={"id": {"S": str(n)}, "name": {"S": f"n{n}"}, "v": number(n), "m": {"M": {}}}
        )
    keys = [{"id": {"S": str(n)}} for n in range(3, 8)]
    got = client.batch_get_item(RequestItems={"gets": {"Keys": keys}})
    assert sorted(i["v"]["N"] for i in got["Responses"]["gets"]) == ["3", "4"]
    assert got["UnprocessedKeys"] == {}
    for expression, names in (("v, #n", {"#n": "name"}), ("v, m.x", None), ("v", None)):
        options = {"ProjectionExpression": expression, **({"ExpressionAttributeNames": names} if names else {})}
        got = client.batch_get_item(RequestItems={"gets": {"Keys": keys, **options}})["Responses"]["gets"]
        wanted = {"v", "name"} if names else {"v"}
        assert [set(item) for item in got] == [wanted, wanted]
    with pytest.raises(ClientError, match="reserved"):
        client.get_item(TableName="gets", Key=keys[0], ProjectionExpression="name")
    with pytest.raises(ClientError, match="duplicates"):
        client.batch_get_item(RequestItems={"gets": {"Keys": [keys[0], keys[0]]}})


FILTER = {"FilterExpression": "v >= :v", "ExpressionAttributeValues": {":v": number(0)}}


@pytest.mark.parametrize("options", [{}, FILTER])
def test_scans_are_whole_in_pages_and_segments(tables: Tables, options: dict[str, Any]) -> None:
    client = tables.client()
    name = "scan-filter" if options else "scan"
    client.create_table(**table(name, ranged=True))
    for n in range(120):
        client.put_item(TableName=name, Item={"id": {"S": str(n // 4)}, "n": number(n % 4), "v": number(n)})
    wanted = list(range(120))
    assert sorted(int(i["v"]["N"]) for i in scanned(client, name, **options)) == wanted
    small = scanned(client, name, PaginationConfig={"PageSize": 7}, **options)
    assert sorted(int(i["v"]["N"]) for i in small) == wanted
    parts = [
        scanned(client, name, Segment=s, TotalSegments=3, PaginationConfig={"PageSize": 5}, **options) for s in range(3)
    ]
    assert sorted(int(i["v"]["N"]) for part in parts for i in part) == wanted
    assert client.scan(TableName=name, Select="COUNT", **options)["Count"] == 120


def test_pages_go_on_from_either_way_of_scanning(tables: Tables) -> None:
    """A plain page and a filtered one have the same order, so a key of one continues the other."""
    client = tables.client()
    client.create_table(**table("mixed"))
    for n in range(50):
        client.put_item(TableName="mixed", Item={"id": {"S": str(n)}})
    seen: list[str] = []
    start: dict[str, Any] = {}
    while len(seen) < 50:
        options = {"FilterExpression": "attribute_exists(id)"} if len(seen) % 2 else {}
        page = client.scan(TableName="mixed", Limit=3, **options, **start)
        seen += [i["id"]["S"] for i in page["Items"]]
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]} if "LastEvaluatedKey" in page else {}
    assert sorted(seen, key=int) == [str(n) for n in range(50)]


def test_scan_page_ends_at_one_megabyte(tables: Tables) -> None:
    client = tables.client()
    client.create_table(**table("large"))
    for n in range(5):
        client.put_item(TableName="large", Item={"id": {"S": str(n)}, "v": {"S": "x" * 300_000}})
    page = client.scan(TableName="large", ReturnConsumedCapacity="TOTAL")
    assert page["Count"] == 3
    assert page["ConsumedCapacity"]["CapacityUnits"] == 110  # 3 × 300,007 bytes in 4 KB, halved
    assert client.scan(TableName="large", ExclusiveStartKey=page["LastEvaluatedKey"])["Count"] == 2


def test_queries_go_both_ways_in_pages(tables: Tables) -> None:
    client = tables.client()
    client.create_table(**table("query", ranged=True))
    for n in (-10, -9, 0, 1, 2, 10, 11):
        client.put_item(TableName="query", Item={"id": {"S": "a"}, "n": number(n)})
    client.put_item(TableName="query", Item={"id": {"S": "b"}, "n": number(5)})
    ordered = ["-10", "-9", "0", "1", "2", "10", "11"]
    for condition, names in (("id = :i", None), ("#i = :i", {"#i": "id"})):
        for forward in (True, False):
            options: dict[str, Any] = {
                "TableName": "query",
                "KeyConditionExpression": condition,
                "ExpressionAttributeValues": {":i": {"S": "a"}},
                "ScanIndexForward": forward,
                **({"ExpressionAttributeNames": names} if names else {}),
            }
            assert [i["n"]["N"] for i in client.query(**options)["Items"]] == (ordered if forward else ordered[::-1])
            pages = client.get_paginator("query").paginate(**options, PaginationConfig={"PageSize": 2})
            found = [i["n"]["N"] for page in pages for i in page["Items"]]
            assert found == (ordered if forward else ordered[::-1])
    ranged = client.query(
        TableName="query",
        KeyConditionExpression="id = :i AND n BETWEEN :a AND :b",
        ExpressionAttributeValues={":i": {"S": "a"}, ":a": number(-9), ":b": number(10)},
    )
    assert [i["n"]["N"] for i in ranged["Items"]] == ["-9", "0", "1", "2", "10"]


def test_conditions_updates_and_transactions_work_on_the_same_items(tables: Tables) -> None:
    client = tables.client()
    arn = client.create_table(**table("long", **stream()))["TableDescription"]["LatestStreamArn"]
    client.put_item(TableName="long", Item=PLAIN)
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        client.put_item(TableName="long", Item=PLAIN, ConditionExpression="attribute_not_exists(id)")
    client.update_item(
        TableName="long",
        Key={"id": {"S": "k"}},
        UpdateExpression="SET c = :c",
        ExpressionAttributeValues={":c": number(1)},
    )
    assert client.get_item(TableName="long", Key={"id": {"S": "k"}})["Item"] == {**PLAIN, "c": number(1)}
    client.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "long", "Item": {"id": {"S": "t1"}}}},
            {"Delete": {"TableName": "long", "Key": {"id": {"S": "k"}}}},
        ]
    )
    with pytest.raises(ClientError, match="TransactionCanceled"):
        client.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": "long", "Item": {"id": {"S": "t2"}}}},
                {
                    "ConditionCheck": {
                        "TableName": "long",
                        "Key": {"id": {"S": "k"}},
                        "ConditionExpression": "attribute_exists(id)",
                    }
                },
            ]
        )
    with pytest.raises(ClientError, match="TransactionCanceled"):
        client.execute_transaction(
            TransactStatements=[
                {"Statement": "INSERT INTO \"long\" VALUE {'id': 't3'}"},
                {"Statement": "INSERT INTO \"long\" VALUE {'id': 't1'}"},
            ]
        )
    assert [i["id"]["S"] for i in scanned(client, "long")] == ["t1"]
    assert client.describe_table(TableName="long")["Table"]["ItemCount"] == 1
    events = [(r["eventName"], r["dynamodb"]["Keys"]["id"]["S"]) for r in records(tables, arn)]
    assert [e for e in events if e[1] == "k"] == [("INSERT", "k"), ("MODIFY", "k"), ("REMOVE", "k")]
    assert [e for e in events if e[1] != "k"] == [("INSERT", "t1")]


def test_indexes_follow_hot_writes(tables: Tables) -> None:
    client = tables.client()
    client.create_table(
        **{
            **table("indexed"),
            "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("id", "city")],
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "by-city",
                    "KeySchema": [{"AttributeName": "city", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        }
    )

    def of(city: str) -> list[str]:
        page = client.query(
            TableName="indexed",
            IndexName="by-city",
            KeyConditionExpression="city = :c",
            ExpressionAttributeValues={":c": {"S": city}},
        )
        return sorted(i["id"]["S"] for i in page["Items"])

    assert of("Bonn") == []
    puts = [{"PutRequest": {"Item": {"id": {"S": str(n)}, "city": {"S": "Bonn"}}}} for n in range(3)]
    written = client.batch_write_item(RequestItems={"indexed": puts}, ReturnConsumedCapacity="INDEXES")
    assert written["ConsumedCapacity"] == [
        {
            "TableName": "indexed",
            "CapacityUnits": 6.0,
            "Table": {"CapacityUnits": 3.0},
            "GlobalSecondaryIndexes": {"by-city": {"CapacityUnits": 3.0}},
        }
    ]
    assert of("Bonn") == ["0", "1", "2"]
    moved = client.put_item(
        TableName="indexed", Item={"id": {"S": "1"}, "city": {"S": "Ulm"}}, ReturnConsumedCapacity="TOTAL"
    )
    assert moved["ConsumedCapacity"]["CapacityUnits"] == 3
    client.delete_item(TableName="indexed", Key={"id": {"S": "2"}})
    assert (of("Bonn"), of("Ulm")) == (["0"], ["1"])
    with pytest.raises(ClientError, match="Type mismatch"):
        client.put_item(TableName="indexed", Item={"id": {"S": "9"}, "city": {"N": "1"}})


@pytest.mark.parametrize(
    ("size", "units"), [(10, 1), (1021, 1), (1022, 2), (3000, 3)], ids=["small", "one", "over", "three"]
)
def test_consumed_capacity_is_by_exact_size(tables: Tables, size: int, units: int) -> None:
    client = tables.client()
    if "sizes" not in client.list_tables()["TableNames"]:
        client.create_table(**table("sizes"))
    key = {"id": {"S": "k"}}
    client.delete_item(TableName="sizes", Key=key)
    item = {**key, "v": {"S": "x" * (size - 1)}}  # "id" + "k" + "v" + value
    put = client.put_item(TableName="sizes", Item=item, ReturnConsumedCapacity="TOTAL")
    assert put["ConsumedCapacity"] == {"TableName": "sizes", "CapacityUnits": units}
    again = client.put_item(TableName="sizes", Item=key, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
    assert again == {"TableName": "sizes", "CapacityUnits": units, "Table": {"CapacityUnits": units}}
    client.put_item(TableName="sizes", Item={**key, "v": {"S": "x" * 5_000}, "m": {"M": {}}})
    for projection in ({}, {"ProjectionExpression": "m.a"}):
        got = client.get_item(TableName="sizes", Key=key, ReturnConsumedCapacity="TOTAL", **projection)
        assert got["ConsumedCapacity"]["CapacityUnits"] == 1  # two units, halved
        got = client.batch_get_item(
            RequestItems={"sizes": {"Keys": [key], "ConsistentRead": True, **projection}},
            ReturnConsumedCapacity="TOTAL",
        )
        assert got["ConsumedCapacity"] == [{"TableName": "sizes", "CapacityUnits": 2.0}]
    removed = client.delete_item(TableName="sizes", Key=key, ReturnConsumedCapacity="TOTAL")
    assert removed["ConsumedCapacity"]["CapacityUnits"] == 5


def test_serializers_of_boto3_round_trip(tables: Tables) -> None:
    client = tables.client()
    client.create_table(**table("types"))
    write, read = TypeSerializer(), TypeDeserializer()
    value = {"id": "k", "n": decimal.Decimal("-1.5"), "set": {"a", "b"}, "list": [1, None, {"x": b"y"}], "t": True}
    client.put_item(TableName="types", Item={name: write.serialize(v) for name, v in value.items()})
    got = client.get_item(TableName="types", Key={"id": {"S": "k"}})["Item"]
    back = {name: read.deserialize(v) for name, v in got.items()}
    assert {**back, "list": [back["list"][0], None, {"x": back["list"][2]["x"].value}]} == value


def test_what_would_need_another_process_is_refused_by_name(tables: Tables) -> None:
    client = tables.client()
    with pytest.raises(ClientError, match="ImportTable is not supported"):
        client.import_table(
            S3BucketSource={"S3Bucket": "b"}, InputFormat="CSV", TableCreationParameters=table("imported")
        )
    client.create_table(**table("kinesis"))
    with pytest.raises(ClientError, match="EnableKinesisStreamingDestination is not supported"):
        client.enable_kinesis_streaming_destination(
            TableName="kinesis", StreamArn="arn:aws:kinesis:us-east-1:1:stream/s"
        )
    with pytest.raises(ClientError, match="UnknownOperation"):
        raw(tables, "DynamoDB_20120810.NoSuch")


def raw(tables: Tables, target: str) -> None:
    import http.client
    import json

    connection = http.client.HTTPConnection("127.0.0.1", tables.port, timeout=10)
    connection.request("POST", "/", b"{}", {"X-Amz-Target": target})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    raise ClientError({"Error": {"Code": body["__type"], "Message": body["message"]}}, target)
