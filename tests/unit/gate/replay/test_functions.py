"""The functions of a version, from its own template."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import TemplateError
from harness.gate.replay.functions import functions_of
from harness.stages import STAGES

ROOT = Path(__file__).resolve().parents[4]


def test_functions_of_this_version_have_what_handlers_need() -> None:
    found = functions_of(ROOT, {})
    for stage in STAGES:
        assert found.of_stage(stage.name).handler == f"handlers.{stage.name}.handler"
        assert found.variables(stage.name)["AWS_LAMBDA_FUNCTION_NAME"] == f"ingestion-{stage.name}"
    insert = found.variables("insert")
    assert insert["INSERT_QUEUE_URL"].endswith("/InsertQueue") and insert["AWS_ENDPOINT_URL"].startswith("http://")
    assert found.variables("clean")["INSERT_QUEUE_URL"] == insert["INSERT_QUEUE_URL"]
    assert "PYTHONPATH" not in insert
    assert found.queue_of("insert") == ("arn:aws:sqs:us-east-1:000000000000:InsertQueue", 10)
    arn, size = found.stream_of("capture")
    assert ":table/RecordsTable/stream/" in arn and size == 1000


def test_functions_of_with_parameters_have_their_values() -> None:
    assert functions_of(ROOT, {"RowsPerMessage": "1"}).variables("clean")["ROWS_PER_MESSAGE"] == "1"


def test_functions_of_when_the_template_lacks_something_says_what(tmp_path: Path) -> None:
    (tmp_path / "handlers").mkdir()
    template = tmp_path / "handlers" / "template.yaml"
    template.write_text("Resources:\n  Q:\n    Type: AWS::SQS::Queue\n")
    found = functions_of(tmp_path, {})
    for asked in (found.of_stage, found.queue_of, found.stream_of, found.variables):
        with pytest.raises(KeyError, match="no function ingestion-insert"):
            asked("insert")


def test_functions_of_when_the_template_cannot_be_deployed_raises(tmp_path: Path) -> None:
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers" / "template.yaml").write_text("Resources:\n  F:\n    Type: AWS::Lambda::Nonsense\n")
    with pytest.raises(TemplateError, match="Nonsense"):
        functions_of(tmp_path, {})
