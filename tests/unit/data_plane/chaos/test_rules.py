"""Files of rules: what they say, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data_plane.chaos.rules import Drop, Error, Latency, Partial, example_names, parse_rules, read_rules
from harness.errors import UsageError
from tests.unit.data_plane.chaos.support import one

BASE = 'service = "dynamodb"\noperation = "BatchWriteItem"\n'
SQS = 'service = "sqs"\noperation = "SendMessageBatch"\n'


def test_rule_when_only_what_is_needed_is_said_holds_always_and_everywhere() -> None:
    rule = one(BASE + 'effect = "error"\ncode = "ThrottlingException"')
    assert (rule.number, rule.resource, rule.probability, rule.begins, rule.ends) == (1, "*", 1.0, 0.0, None)
    assert (rule.times, rule.seed) == (None, 1)
    assert rule.effect == Error("ThrottlingException", "ThrottlingException", 400, "Injected by chaos rule 1.")


@pytest.mark.parametrize(
    ("service", "code", "shape", "known", "status"),
    [
        ("dynamodb", "ProvisionedThroughputExceededException", "ProvisionedThroughputExceededException", None, 400),
        ("dynamodb", "RequestLimitExceeded", "RequestLimitExceeded", None, 400),
        ("dynamodb", "InternalServerError", "InternalServerError", None, 500),
        ("dynamodb", "ServiceUnavailable", "ServiceUnavailable", None, 503),
        ("sqs", "OverLimit", "OverLimit", None, 403),
        ("sqs", "QueueDoesNotExist", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", 400),
        (
            "sqs",
            "AWS.SimpleQueueService.NonExistentQueue",
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            400,
        ),
    ],
)
def test_error_when_aws_has_it_takes_its_name_and_status(
    service: str, code: str, shape: str, known: str | None, status: int
) -> None:
    effect = one(f'service = "{service}"\noperation = "*"\neffect = "error"\ncode = "{code}"').effect
    assert isinstance(effect, Error)
    assert (effect.shape, effect.code, effect.status) == (shape, known or code, status)


def test_effects_when_written_in_full_are_read_as_written() -> None:
    partial = one(SQS + 'effect = "partial"\nfraction = 0.25\ncode = "Busy"\nmessage = "later"\nsender_fault = true')
    assert partial.effect == Partial(0.25, "Busy", "later", True)
    assert one(SQS + 'effect = "latency"\nseconds = [0.1, 0.5]').effect == Latency(0.1, 0.5)
    assert one(SQS + 'effect = "latency"\nseconds = 2').effect == Latency(2.0, 2.0)
    assert one(SQS + 'effect = "drop"\nwhen = "after"').effect == Drop(after=True)
    rule = one(SQS + 'effect = "drop"\nwhen = "before"\nfrom = 1\nuntil = 2.5\ntimes = 3\nseed = 9\nprobability = 0')
    assert rule.effect == Drop(after=False)
    assert (rule.begins, rule.ends, rule.times, rule.seed, rule.probability) == (1.0, 2.5, 3, 9, 0.0)
    assert rule.said["until"] == 2.5


@pytest.mark.parametrize(
    ("text", "named", "way_out"),
    [
        ('service = "s3"', "service = 's3'", "sqs"),
        ('service = "logs"', "service = 'logs'", "sqs"),
        ('service = "lambda"', "service = 'lambda'", "sqs"),
        ('service = "dynamo"', "service = 'dynamo'", "dynamodb"),
        ("service = 1", "service = 1", "quotes"),
        ('operation = "BatchWriteItem"', "service is missing", "docs/chaos.md"),
        (BASE, "effect is missing", "docs/chaos.md"),
        (BASE + 'effect = "explode"', "effect = 'explode'", "latency"),
        (BASE + 'effect = "drop"\nwhen = "later"', "when = 'later'", "before"),
        (BASE + 'effect = "drop"\nwhen = "after"\nseconds = 1', "'seconds'", "when"),
        (BASE + 'effect = "drop"\nwhen = "after"\nprobabilty = 1', "'probabilty'", "probability"),
        (BASE + 'effect = "drop"\nwhen = "after"\nprobability = 1.5', "probability = 1.5", "0 to 1"),
        (BASE + 'effect = "drop"\nwhen = "after"\nprobability = nan', "probability = nan", "0 to 1"),
        (BASE + 'effect = "drop"\nwhen = "after"\nprobability = true', "probability = true", "0 to 1"),
        (BASE + 'effect = "drop"\nwhen = "after"\nfrom = 5\nuntil = 5', "from = 5", "until"),
        (BASE + 'effect = "drop"\nwhen = "after"\nfrom = -1', "from = -1", "0 or more"),
        (BASE + 'effect = "drop"\nwhen = "after"\nuntil = inf', "until = inf", "0 or more"),
        (BASE + 'effect = "drop"\nwhen = "after"\ntimes = 0', "times = 0", "1 or more"),
        (BASE + 'effect = "drop"\nwhen = "after"\ntimes = 1.5', "times = 1.5", "1 or more"),
        (BASE + 'effect = "drop"\nwhen = "after"\nseed = -3', "seed = -3", "0 or more"),
        (BASE + 'effect = "drop"\nwhen = "after"\nresource = ""', "resource = ''", "quotes"),
        (BASE + 'effect = "latency"\nseconds = [2, 1]', "seconds = [2, 1]", "[1, 2]"),
        (BASE + 'effect = "latency"\nseconds = [1]', "seconds = [1]", "[0.1, 0.5]"),
        (BASE + 'effect = "latency"\nseconds = -1', "seconds = -1", "0.2"),
        (BASE + 'effect = "partial"\nfraction = 0', "fraction = 0", "not 0"),
        (BASE + 'effect = "partial"\ncode = "X"', "code = 'X'", "leave code out"),
        (BASE + 'effect = "error"', "code is missing", "docs/chaos.md"),
        (BASE + 'effect = "error"\ncode = "Throtling"', "code = 'Throtling'", "status"),
        (BASE + 'effect = "error"\ncode = "X"\nstatus = 200', "status = 200", "400 to 599"),
        (SQS + 'effect = "partial"\nsender_fault = 1', "sender_fault = 1", "true or false"),
        ('service = "sqs"\noperation = "SendMesage"\neffect = "drop"\nwhen = "after"', "'SendMesage'", "SendMessage"),
        ('service = "dynamodb"\noperation = "PutItem"\neffect = "partial"', "'PutItem'", "BatchWriteItem"),
        ('service = "dynamodbstreams"\noperation = "*"\neffect = "partial"', "'*'", "no operation"),
        (
            'service = "sqs"\noperation = "ListQueues"\nresource = "q"\neffect = "drop"\nwhen = "after"',
            "resource = 'q'",
            "leave resource out",
        ),
    ],
)
def test_rule_when_it_cannot_be_is_refused_with_number_value_and_way_out(text: str, named: str, way_out: str) -> None:
    good = '[[rule]]\nservice = "sqs"\noperation = "*"\neffect = "latency"\nseconds = 1\n'
    with pytest.raises(UsageError) as refused:
        parse_rules(f"{good}[[rule]]\n{text}", "mine.toml")
    assert "mine.toml, rule 2: " in str(refused.value)
    assert named in str(refused.value)
    assert way_out in refused.value.hint + str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"), [("", "no rules"), ("rule = 1", "no rules"), ("[[rules]]", "'rules'"), ("[[rule", "no TOML")]
)
def test_file_when_it_holds_no_rules_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_rules(text)


def test_file_when_it_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml"):
        read_rules(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        read_rules(tmp_path / "bytes.toml")


def test_examples_are_rules() -> None:
    assert "ingestion" in example_names()
    for name in example_names():
        assert read_rules(Path(name)).rules


def test_example_when_a_file_has_its_name_is_meant_unless_the_folder_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ingestion").write_text(
        '[[rule]]\nservice = "sqs"\noperation = "SendMessage"\neffect = "drop"\nwhen = "after"\n'
    )
    assert len(read_rules(Path("ingestion")).rules) > 1
    assert len(read_rules(Path.cwd() / "ingestion").rules) == 1


def test_file_when_there_is_none_the_examples_are_named() -> None:
    with pytest.raises(UsageError) as refused:
        read_rules(Path("ingest"))
    assert "ingestion" in refused.value.hint
