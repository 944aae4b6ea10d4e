"""`harness dlq` in a terminal: it shows whatever lies in a queue, with exit codes of its own and never a traceback."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from typer.testing import CliRunner

import harness.session
from harness.commands.application import app
from harness.errors import EngineError, UsageError
from tests.unit.test_dlq import DEPLOYMENT, FakeSqs, batch

WIDE = {"COLUMNS": "250", "TERM": "dumb"}


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> FakeSqs:
    made = FakeSqs()
    session = SimpleNamespace(endpoint="http://127.0.0.1:9", deployment=DEPLOYMENT, client=lambda _: made)
    monkeypatch.setattr(harness.session, "attach", lambda engine, stack: session)
    return made


def dlq(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["dlq", *arguments], env=WIDE)


def test_show_when_a_letter_names_no_object_says_what_it_is(sqs: FakeSqs) -> None:
    sqs.put("CleanDlqUrl", '{"requestContext":{"condition":"RetriesExhausted"},"requestPayload":{"key1":"value1"}}')
    ended = dlq("show", "clean")
    assert ended.exit_code == 0
    assert 'RetriesExhausted  an event without Records {"key1": "value1"} \n' in ended.output


def test_show_when_a_message_holds_controls_and_markup_prints_neither(sqs: FakeSqs) -> None:
    sqs.put("InsertDlqUrl", "\x9b2J\x1b]0;title\x07[red]odd[/red] [/nonsense] [link=x]y")
    ended = dlq("show", "insert")
    assert ended.exit_code == 0, ended.exception
    assert not set(ended.output) & {"\x9b", "\x1b", "\x07"}
    assert "\\x9b2J\\x1b]0;title\\x07[red]odd[/red] [/nonsense] [link=x]y" in ended.output


def test_show_when_there_are_more_than_the_limit_says_how_many(sqs: FakeSqs) -> None:
    sqs.put("InsertDlqUrl", *[batch()] * 5)
    assert "2 of 5 messages; --limit shows more" in dlq("show", "insert", "--limit", "2").output
    assert "--limit shows more" not in dlq("show", "insert").output


def test_show_when_there_are_none_says_so(sqs: FakeSqs) -> None:
    assert dlq("show", "insert").output == "no dead-letter messages of insert\n"


def test_list_when_queues_hold_anything_counts_it(sqs: FakeSqs) -> None:
    sqs.put("ProcessDlqUrl", "hello", batch())
    ended = dlq("list")
    assert ended.exit_code == 0
    assert "process  2" in ended.output


def test_redrive_when_some_are_no_batches_says_how_many_come_back(sqs: FakeSqs) -> None:
    sqs.put("InsertDlqUrl", batch(), "hello")
    ended = dlq("redrive", "insert")
    assert ended.output.splitlines() == [
        "2 messages sent back to insert",
        "no record batches: 1 of them; insert cannot read such a message, and it will come back",
    ]


@pytest.mark.parametrize(("arguments", "said"), [(("show", "nope"), "no stage"), (("redrive", "clean"), "clean")])
def test_dlq_when_a_stage_cannot_be_used_raises_usage(sqs: FakeSqs, arguments: tuple[str, ...], said: str) -> None:
    ended = dlq(*arguments)
    assert isinstance(ended.exception, UsageError)
    assert said in str(ended.exception)


def test_dlq_when_the_limit_is_no_number_above_0_exits_2(sqs: FakeSqs) -> None:
    assert dlq("show", "insert", "--limit", "0").exit_code == 2


@pytest.mark.parametrize("arguments", [("list",), ("show", "insert"), ("redrive", "insert")])
def test_dlq_when_the_engine_is_gone_raises_an_engine_error(
    sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    def gone(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    monkeypatch.setattr(sqs, "get_queue_attributes", gone)
    ended = dlq(*arguments)
    assert isinstance(ended.exception, EngineError)
    assert "http://127.0.0.1:9" in str(ended.exception)
