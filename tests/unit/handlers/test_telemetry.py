"""The metrics record is what Powertools' Metrics would write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from handlers.telemetry import Work, emit


class Context:
    aws_request_id = "request"


def powertools(record: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the record that Powertools writes of the metrics and notes in ours."""
    metrics = Metrics()
    (directive,) = record["_aws"]["CloudWatchMetrics"]
    named = {metric["Name"]: MetricUnit(metric["Unit"]) for metric in directive["Metrics"]}
    for name, unit in named.items():
        metrics.add_metric(name=name, unit=unit, value=record[name][0])
    for name in record.keys() - named.keys() - {"_aws", "service"}:
        metrics.add_metadata(key=name, value=record[name])
    metrics.flush_metrics()
    written: dict[str, Any] = json.loads(capsys.readouterr().out)
    return written


@pytest.mark.parametrize("service", ["clean", None])
def test_emit_writes_what_powertools_would(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], service: str | None
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Ingestion")
    monkeypatch.delenv("POWERTOOLS_SERVICE_NAME", raising=False)
    if service:
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", service)
    work = Work("0123456789abcdef", 5, 3, 1, 1, 1000, 2, {"Rule": 1.23456, "Send": 2.0}, {"delimiter": "comma"})
    emit([work], Context())
    ours = json.loads(capsys.readouterr().out)
    theirs = powertools(ours, capsys)
    theirs["_aws"]["Timestamp"] = ours["_aws"]["Timestamp"]
    assert ours == theirs
    assert (ours["RowsIn"], ours["MsRule"], ours["delimiter"]) == ([5.0], [1.235], "comma")
    assert (ours["request_id"], ours["source_id"]) == ("request", "0123456789abcdef")


def test_emit_of_several_sources_writes_a_line_for_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Ingestion")
    emit([Work("a"), Work("b")], Context())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["source_id"] for line in lines] == ["a", "b"]
    assert lines[0]["CpuMs"] == lines[1]["CpuMs"]
