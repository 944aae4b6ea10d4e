"""The functions' failure paths, with scripted AWS answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from handlers import aws, capture, insert, process, update
from handlers.aws import AwsError, send_messages
from handlers.business_rule import ProcessingError, Rule, rule_for
from handlers.record_batch import RecordBatch, RecordBatchError, RowError, decode, encode, parse_record_id
from handlers.settings import Settings, SettingsError
from handlers.table_writer import ItemEncoder, TableWriter

SOURCE = "0123456789abcdef"
CONFIG = Settings(
    table_name="records", insert_queue_url="insert", process_queue_url="process", finished_queue_url="finished"
)
THROTTLED = AwsError("BatchWriteItem", "ProvisionedThroughputExceededException", "slow down", 400)
INVALID = AwsError("BatchWriteItem", "ValidationException", "Item size has exceeded the maximum allowed size", 400)


class Context:
    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


class FakeClient(aws.JsonClient):
    """Answers calls from a function; remembers them."""

    def __init__(self, answer: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._script = answer

    def call(self, operation: str, body: str | bytes, deadline: float | None = None) -> dict[str, Any]:
        request = json.loads(body)
        self.calls.append((operation, request))
        return self._script(operation, request)

    def sent(self) -> list[RecordBatch]:
        return [
            decode(entry["MessageBody"])
            for operation, request in self.calls
            if operation == "SendMessageBatch"
            for entry in request["Entries"]
        ]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Ingestion")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.0)


def accepting(_: str, request: dict[str, Any]) -> dict[str, Any]:
    return {"Successful": [{"Id": e["Id"]} for e in request.get("Entries", [])]}


def event(*batches: RecordBatch | str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"m{i}",
                "receiptHandle": f"h{i}",
                "eventSourceARN": "arn",
                "body": b if isinstance(b, str) else encode(b),
            }
            for i, b in enumerate(batches)
        ]
    }


def batch(*rows: int, error: RowError | None = None, amount: str = "1.00") -> RecordBatch:
    columns = ("id", "amount", "currency")
    return RecordBatch(SOURCE, columns, [[r, f"id{r}", amount, "EUR"] for r in rows], None, error)


def keys(request: dict[str, Any]) -> list[str]:
    return [p["PutRequest"]["Item"]["record_id"]["S"] for p in request["RequestItems"]["records"]]


def failures(answer: dict[str, Any]) -> list[str]:
    return [f["itemIdentifier"] for f in answer["batchItemFailures"]]


class Table:
    """A table that refuses, throttles or half-writes as told."""

    def __init__(self, *, refuse: set[int] = frozenset(), halves: int = 0, throttle: bool = False) -> None:  # type: ignore[assignment]
        self.items: dict[str, dict[str, Any]] = {}
        self._refuse = {f"{SOURCE}#{r}" for r in refuse}
        self._halves = halves
        self._throttle = throttle

    def __call__(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation == "BatchGetItem":
            wanted = [k["record_id"]["S"] for k in request["RequestItems"]["records"]["Keys"]]
            return {"Responses": {"records": [{"record_id": {"S": k}} for k in wanted if k in self.items]}}
        if self._throttle:
            raise THROTTLED
        puts = request["RequestItems"]["records"]
        if self._refuse & set(keys(request)):
            raise INVALID
        left = []
        if self._halves and len(puts) > 1:
            self._halves -= 1
            left = puts[len(puts) // 2 :]
        for put in puts[: len(puts) - len(left)]:
            self.items[put["PutRequest"]["Item"]["record_id"]["S"]] = put["PutRequest"]["Item"]
        return {"UnprocessedItems": {"records": left} if left else {}}


def insert_rows(
    table: Table, *batches: RecordBatch | str, sqs: FakeClient | None = None
) -> tuple[list[str], FakeClient]:
    sqs = sqs or FakeClient(accepting)
    answer = insert.run(event(*batches), TableWriter(FakeClient(table), "records"), sqs, CONFIG, Context())
    return failures(answer), sqs


def test_insert_when_all_goes_well_writes_every_row_once() -> None:
    table = Table()
    failed, sqs = insert_rows(table, batch(*range(1, 61)), batch(60, 61))
    assert (failed, sqs.calls, len(table.items)) == ([], [], 61)
    assert table.items[f"{SOURCE}#1"]["_status"] == {"S": "inserted"}


def test_insert_when_items_are_unprocessed_retries_until_none_is_left() -> None:
    table = Table(halves=4)
    failed, _ = insert_rows(table, batch(*range(1, 41)))
    assert (failed, len(table.items)) == ([], 40)


def test_insert_when_the_table_refuses_rows_sends_just_those_alone_with_the_reason() -> None:
    table = Table(refuse={7, 30})
    failed, sqs = insert_rows(table, batch(*range(1, 41)))
    assert (failed, len(table.items)) == ([], 38)
    assert [(b.rows[0][0], len(b.rows)) for b in sqs.sent()] == [(7, 1), (30, 1)]
    assert sqs.sent()[0].error == RowError("insert", "refused_by_table", INVALID.message)


def test_insert_when_a_row_sent_alone_is_refused_again_fails_its_message_and_shortens_its_visibility_timeout() -> None:
    alone = batch(7, error=RowError("insert", "refused_by_table", "x"))
    failed, sqs = insert_rows(Table(refuse={7}), alone, batch(1))
    assert failed == ["m0"]
    ((operation, request),) = sqs.calls
    assert operation == "ChangeMessageVisibilityBatch"
    assert request["Entries"] == [{"Id": "0", "ReceiptHandle": "h0", "VisibilityTimeout": 5}]


def test_insert_when_refused_rows_cannot_be_sent_alone_fails_the_whole_message() -> None:
    def refusing(_: str, request: dict[str, Any]) -> dict[str, Any]:
        return {"Failed": [{"Id": e["Id"], "SenderFault": True, "Code": "X"} for e in request["Entries"]]}

    failed, _ = insert_rows(Table(refuse={2}), batch(1, 2, 3), batch(4), sqs=FakeClient(refusing))
    assert failed == ["m0"]


def test_insert_when_throttled_throughout_fails_every_message() -> None:
    failed, _ = insert_rows(Table(throttle=True), batch(1, 2), batch(3))
    assert failed == ["m0", "m1"]


def test_insert_when_a_body_is_no_record_batch_fails_only_that_message() -> None:
    table = Table()
    failed, _ = insert_rows(table, "garbage", batch(1))
    assert (failed, len(table.items)) == (["m0"], 1)


def test_insert_when_the_table_is_missing_raises() -> None:
    def missing(*_: Any) -> dict[str, Any]:
        raise AwsError("BatchWriteItem", "ResourceNotFoundException", "no table", 400)

    with pytest.raises(AwsError, match="ResourceNotFoundException"):
        insert.run(
            event(batch(1)), TableWriter(FakeClient(missing), "records"), FakeClient(accepting), CONFIG, Context()
        )


def test_update_when_an_item_does_not_exist_never_creates_it() -> None:
    table = Table()
    insert_rows(table, batch(1, 2))
    sqs = FakeClient(accepting)
    answer = update.run(event(batch(1, 2, 3)), TableWriter(FakeClient(table), "records"), sqs, CONFIG, Context())
    assert failures(answer) == []
    assert set(table.items) == {f"{SOURCE}#1", f"{SOURCE}#2"}
    assert {i["_status"]["S"] for i in table.items.values()} == {"processed"}
    (alone,) = sqs.sent()
    assert (alone.rows[0][0], alone.error) == (3, RowError("update", "item_does_not_exist", ""))


def test_update_when_existence_cannot_be_read_fails_every_message() -> None:
    def throttled(*_: Any) -> dict[str, Any]:
        raise THROTTLED

    sqs = FakeClient(accepting)
    answer = update.run(event(batch(1)), TableWriter(FakeClient(throttled), "records"), sqs, CONFIG, Context())
    assert failures(answer) == ["m0"]


def test_process_when_a_row_is_poisoned_passes_on_the_others_and_sends_it_alone() -> None:
    sqs = FakeClient(accepting)
    rows = batch(1, 2, 3)
    rows.rows[1][2] = "much"
    answer = process.run(event(rows), sqs, CONFIG, Context())
    assert failures(answer) == []
    passed, alone = sqs.sent()
    assert passed.columns[-3:] == ("_amount_minor", "_amount_base", "_risk_band")
    assert [row[0] for row in passed.rows] == [1, 3]
    assert passed.rows[0][-3:] == ["100", "1.00", "low"]
    assert alone.error is not None
    assert (alone.rows[0][0], alone.error.reason, alone.columns) == (2, "amount_not_a_number", rows.columns)


def test_process_when_the_finished_queue_refuses_fails_the_message() -> None:
    def refusing(_: str, request: dict[str, Any]) -> dict[str, Any]:
        return {"Failed": [{"Id": e["Id"], "SenderFault": True, "Code": "X"} for e in request["Entries"]]}

    answer = process.run(event(batch(1), batch(2)), FakeClient(refusing), CONFIG, Context())
    assert failures(answer) == ["m0", "m1"]


def refusing_cursed(_: str, request: dict[str, Any]) -> dict[str, Any]:
    failed = [e["Id"] for e in request["Entries"] if request["QueueUrl"] == "finished" and "cursed" in e["MessageBody"]]
    return {"Failed": [{"Id": i, "SenderFault": True, "Code": "InvalidMessageContents"} for i in failed]}


def test_process_when_the_finished_queue_refuses_a_row_sends_just_that_row_alone() -> None:
    sqs = FakeClient(refusing_cursed)
    rows = batch(*range(1, 41))
    rows.rows[16][1] = "cursed"
    answer = process.run(event(rows, batch(41)), sqs, CONFIG, Context())
    assert failures(answer) == []
    passed = [
        row[0]
        for _, request in sqs.calls
        for entry in request["Entries"]
        if request["QueueUrl"] == "finished" and "cursed" not in entry["MessageBody"]
        for row in decode(entry["MessageBody"]).rows
    ]
    assert sorted(passed) == [row for row in range(1, 42) if row != 17]
    alone = sqs.sent()[-1]
    assert alone.error is not None
    assert (alone.rows, alone.error.reason) == ([rows.rows[16]], "refused_by_queue")


def test_process_when_the_rule_fails_on_a_row_passes_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def rule(cells: Sequence[Any]) -> tuple[str, ...]:
        if cells[0] == "id2":
            raise ZeroDivisionError
        return ()

    monkeypatch.setattr(process, "rule_for", lambda _: Rule((), rule))
    sqs = FakeClient(accepting)
    answer = process.run(event(batch(1, 2, 3)), sqs, CONFIG, Context())
    assert failures(answer) == []
    passed, alone = sqs.sent()
    assert [row[0] for row in passed.rows] == [1, 3]
    assert alone.error == RowError("process", "rule_failed", "ZeroDivisionError")


@pytest.mark.parametrize("code", ["ValidationException", "SerializationException", "RequestEntityTooLarge"])
def test_insert_when_the_table_refuses_a_row_by_any_code_sends_it_alone(code: str) -> None:
    def refusing(_: str, request: dict[str, Any]) -> dict[str, Any]:
        if f"{SOURCE}#3" in keys(request):
            raise AwsError("BatchWriteItem", code, "no", 400)
        return {}

    sqs = FakeClient(accepting)
    answer = insert.run(event(batch(1, 2, 3)), TableWriter(FakeClient(refusing), "records"), sqs, CONFIG, Context())
    assert failures(answer) == []
    assert [b.rows[0][0] for b in sqs.sent()] == [3]


def stream(*rows: int, identity: str = SOURCE) -> list[dict[str, Any]]:
    return [
        {
            "eventID": str(r),
            "dynamodb": {
                "SequenceNumber": f"{r:05d}",
                "NewImage": {"record_id": {"S": f"{identity}#{r}"}, "_status": {"S": "inserted"}, "a": {"S": f"v{r}"}},
            },
        }
        for r in rows
    ]


def test_capture_when_items_come_from_two_sources_keeps_them_apart() -> None:
    sqs = FakeClient(accepting)
    records = stream(1, 2) + stream(9, identity="f" * 16)
    assert failures(capture.run({"Records": records}, sqs, CONFIG, Context())) == []
    assert [(b.source_id, b.columns, b.rows) for b in sqs.sent()] == [
        (SOURCE, ("a",), [[1, "v1"], [2, "v2"]]),
        ("f" * 16, ("a",), [[9, "v9"]]),
    ]


def test_capture_when_a_cell_is_null_passes_it_on_as_empty() -> None:
    sqs = FakeClient(accepting)
    (record,) = stream(1)
    record["dynamodb"]["NewImage"]["b"] = {"NULL": True}
    assert failures(capture.run({"Records": [record]}, sqs, CONFIG, Context())) == []
    assert [(b.columns, b.rows) for b in sqs.sent()] == [(("a", "b"), [[1, "v1", ""]])]


@pytest.mark.parametrize("attribute", [{}, {"S": "x", "N": "1"}, {"N": 1}, {"L": []}, "x", None])
def test_capture_when_an_attribute_is_malformed_sends_what_precedes_it_and_names_its_record(attribute: Any) -> None:
    sqs = FakeClient(accepting)
    records = stream(1, 2, 3)
    records[1]["dynamodb"]["NewImage"]["a"] = attribute
    assert failures(capture.run({"Records": records}, sqs, CONFIG, Context())) == ["00002"]
    assert [b.rows for b in sqs.sent()] == [[[1, "v1"]]]


def test_process_when_one_message_is_late_and_another_refused_fails_the_late_one_alone() -> None:
    def answer(_: str, request: dict[str, Any]) -> dict[str, Any]:
        if request["QueueUrl"] == "process":
            return accepting(_, request)
        codes = {"0": "InternalFailure", "1": "InvalidMessageContents"}
        failed = [{"Id": e["Id"], "SenderFault": e["Id"] == "1", "Code": codes[e["Id"]]} for e in request["Entries"]]
        # Sent again by itself, the second message's row has the first place.
        if len(failed) == 1 and '"id2"' in request["Entries"][0]["MessageBody"]:
            failed = [{"Id": "0", "SenderFault": True, "Code": codes["1"]}]
        return {"Failed": failed}

    class Hurried(Context):
        def get_remaining_time_in_millis(self) -> int:
            return 0

    sqs = FakeClient(answer)
    assert failures(process.run(event(batch(1), batch(2)), sqs, CONFIG, Hurried())) == ["m0"]
    alone = [b for b in sqs.sent() if b.error]
    assert [(b.rows[0][0], b.error.reason) for b in alone if b.error] == [(2, "refused_by_queue")]


def test_capture_when_a_message_is_refused_names_the_first_record_not_durable() -> None:
    def second_refused(_: str, request: dict[str, Any]) -> dict[str, Any]:
        return {"Failed": [{"Id": "1", "SenderFault": True, "Code": "X"}]}

    config = Settings(process_queue_url="process", rows_per_message=2)
    answer = capture.run({"Records": stream(1, 2, 3, 4)}, FakeClient(second_refused), config, Context())
    assert failures(answer) == ["00003"]


def test_capture_when_the_queue_refuses_a_row_names_its_record_and_sends_the_others() -> None:
    def cursed(_: str, request: dict[str, Any]) -> dict[str, Any]:
        failed = [e["Id"] for e in request["Entries"] if "v3" in e["MessageBody"]]
        return {"Failed": [{"Id": i, "SenderFault": True, "Code": "InvalidMessageContents"} for i in failed]}

    sqs = FakeClient(cursed)
    answer = capture.run({"Records": stream(1, 2, 3, 4, 5)}, sqs, CONFIG, Context())
    assert failures(answer) == ["00003"]
    assert {row[0] for b in sqs.sent() if [str(r[0]) for r in b.rows] != ["3"] for row in b.rows} >= {1, 2, 4, 5}


def test_capture_when_a_record_is_no_row_of_ours_sends_what_came_before_and_names_it() -> None:
    sqs = FakeClient(accepting)
    records = stream(1, 2, 3)
    records[1]["dynamodb"]["NewImage"]["record_id"] = {"S": "somebody else's"}
    assert failures(capture.run({"Records": records}, sqs, CONFIG, Context())) == ["00002"]
    assert [b.rows for b in sqs.sent()] == [[[1, "v1"]]]


def test_send_messages_when_a_success_hides_failures_retries_those_only() -> None:
    attempts: list[list[str]] = []

    def flaky(_: str, request: dict[str, Any]) -> dict[str, Any]:
        attempts.append([e["Id"] for e in request["Entries"]])
        return {"Failed": [{"Id": "1", "SenderFault": False, "Code": "InternalError"}] if len(attempts) < 3 else []}

    assert send_messages(FakeClient(flaky), "q", ["a", "b", "c"], time.monotonic() + 5) == []
    assert attempts == [["0", "1", "2"], ["1"], ["1"]]


def test_send_messages_when_bodies_are_large_or_many_keeps_to_the_limits() -> None:
    sqs = FakeClient(accepting)
    send_messages(sqs, "q", ["x" * 400_000] * 5 + ["y"] * 25, time.monotonic() + 5)
    sizes = [[len(e["MessageBody"]) for e in request["Entries"]] for _, request in sqs.calls]
    assert sum(map(len, sizes)) == 30
    assert all(len(s) <= 10 and sum(s) <= 1024 * 1024 for s in sizes)


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("12.50", "EUR", ("1250", "12.50", "low")),
        ("0", "EUR", ("0", "0.00", "low")),
        ("-0.00", "EUR", ("0", "0.00", "low")),
        ("-5", "EUR", ("-500", "-5.00", "low")),
        ("999.99", "EUR", ("99999", "999.99", "low")),
        ("1000", "EUR", ("100000", "1000.00", "medium")),
        ("10000.00", "EUR", ("1000000", "10000.00", "high")),
        ("-10000", "EUR", ("-1000000", "-10000.00", "high")),
        ("200000", "JPY", ("200000", "1220.00", "medium")),
        ("1.234", "KWD", ("1234", "3.70", "low")),
    ],
)
def test_rule_when_amounts_are_valid_gives_the_hand_computed_values(
    amount: str, currency: str, expected: tuple[str, ...]
) -> None:
    assert rule_for(("currency", "amount")).apply([currency, amount]) == expected


@pytest.mark.parametrize(
    ("amount", "currency", "reason"),
    [
        ("", "EUR", "amount_not_a_number"),
        ("1e3", "EUR", "amount_not_a_number"),
        ("1,5", "EUR", "amount_not_a_number"),
        ("٣", "EUR", "amount_not_a_number"),
        ("NaN", "EUR", "amount_not_a_number"),
        ("1.2345", "EUR", "amount_precision"),
        ("1.5", "JPY", "amount_precision"),
        ("1.5", "eur", "unknown_currency"),
    ],
)
def test_rule_when_a_row_is_poisoned_names_the_reason(amount: str, currency: str, reason: str) -> None:
    with pytest.raises(ProcessingError) as caught:
        rule_for(("amount", "currency")).apply([amount, currency])
    assert caught.value.reason == reason


def test_rule_when_columns_are_not_transactions_adds_nothing() -> None:
    rule = rule_for(("name", "amount"))
    assert (rule.attributes, rule.apply(["a", "b"])) == ((), ())


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"v":2,"source":{"id":"a"},"columns":[],"rows":[]}',
        '{"v":1,"source":{"id":1},"columns":[],"rows":[]}',
        '{"v":1,"source":{"id":"a"},"columns":["x"],"rows":[[1]]}',
        '{"v":1,"source":{"id":"a"},"columns":["x"],"rows":[["1","a"]]}',
        '{"v":1,"source":{"id":"a"},"columns":["x"],"rows":[[1,2]]}',
        '{"v":1,"source":{"id":"a"},"columns":"x","rows":[]}',
        '{"v":1,"source":{"id":"a"},"columns":[],"rows":[],"error":{"reason":"x"}}',
        '{"v":1,"source":{"id":"a"},"columns":["x"],"rows":[[1,"\\ud800"]]}',
        "[" * 100_000,
    ],
)
def test_record_batch_when_malformed_is_refused(body: str) -> None:
    with pytest.raises(RecordBatchError):
        decode(body)


@pytest.mark.parametrize("identity", ["", "#", "a#", "#1", "a#-1", "a#x", "a#1#2"])
def test_record_id_when_malformed_is_refused(identity: str) -> None:
    with pytest.raises(RecordBatchError):
        parse_record_id(identity)


@pytest.mark.parametrize(("name", "value"), [("ROWS_PER_MESSAGE", "many"), ("RETRY_DELAY_SECONDS", "-1")])
def test_settings_when_a_value_is_unusable_name_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: value})


def test_settings_when_a_needed_one_is_missing_name_it() -> None:
    with pytest.raises(SettingsError, match="TABLE_NAME"):
        Settings.from_environment({}).require("table_name")


def test_item_encoder_when_there_are_no_columns_still_makes_an_item() -> None:
    item = json.loads(ItemEncoder(SOURCE, (), {"_status": "inserted"}).encode([3]))
    assert item == {"PutRequest": {"Item": {"record_id": {"S": f"{SOURCE}#3"}, "_status": {"S": "inserted"}}}}
