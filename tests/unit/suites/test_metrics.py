"""Which figures a result gives for comparison."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from harness.metrics import REGISTRY, Direction, _of_pipeline, figure, metrics_of
from harness.results import CleanerFigures, CleanResult, Document, Latencies, LatencyFigures, RunResult, StageFigures
from tests.unit.report.support import gate_of, load_of, run_of


def insert_stage(**changes: Any) -> StageFigures:
    """Return an insert stage of 2,000 rows."""
    stage = replace(run_of().stages["insert"], rows_ok=2000, rows_per_second=500.0, cpu_ms=100.0)
    return replace(stage, **{"handler_ms": 900.0, "waiting_ms": 700.0, **changes})


def run_result(**changes: Any) -> RunResult:
    """Return a run in which update did nothing."""
    stages = {"insert": insert_stage(), "update": replace(insert_stage(), rows_ok=0, rows_per_second=0.0)}
    audit = replace(run_of().audit, dead_letters={"process": {"a": 2, "b": 3}, "insert": {}})
    result = replace(run_of(), stages=stages, audit=audit, memory_peak_bytes=10, pipeline_rows_per_second=1234.5)
    return replace(result, **{"clean_seconds": 1.5, "upload_seconds": 0.2, **changes})


def values(result: Document) -> dict[str, float]:
    return {name: metric.value for name, metric in metrics_of(result).items()}


def test_metrics_of_when_given_a_run_are_hand_computed() -> None:
    assert values(run_result()) == {
        "pipeline_rows_per_second": 1234.5,
        "clean_seconds": 1.5,
        "upload_seconds": 0.2,
        "insert_rows_per_second": 500.0,
        "insert_cpu_ms_per_1000_rows": 50.0,
        "insert_ms_per_1000_rows": 450.0,
        "insert_own_ms_per_1000_rows": 100.0,
        "memory_peak_bytes": 10.0,
        "dlq_rows": 5.0,
        "quarantined_rows": 44.0,
    }


def test_metrics_of_when_given_a_run_know_their_directions() -> None:
    found = metrics_of(run_result())
    higher = {name for name, metric in found.items() if metric.direction is Direction.HIGHER}
    assert higher == {"pipeline_rows_per_second", "insert_rows_per_second"}


def test_metrics_of_when_a_figure_is_not_known_leaves_it_out() -> None:
    stage = insert_stage(cpu_ms=None, handler_ms=None, waiting_ms=0.0)
    found = values(run_result(stages={"insert": stage}, clean_seconds=None, pipeline_rows_per_second=None))
    assert not {"insert_cpu_ms_per_1000_rows", "insert_own_ms_per_1000_rows", "clean_seconds"} & found.keys()
    assert "pipeline_rows_per_second" not in found
    assert found["insert_rows_per_second"] == 500.0


def test_metrics_of_when_given_a_load_has_supported_percentiles_and_no_upload_seconds() -> None:
    latencies = Latencies(
        upload=LatencyFigures(count=9, percentiles={"50": 12.0}),
        end_to_end=LatencyFigures(count=300, percentiles={"50": 900.0, "95": 1500.0}),
    )
    found = values(replace(load_of(), latencies=latencies))
    assert {name: v for name, v in found.items() if name.endswith("_ms") and "_p" in name} == {
        "upload_p50_ms": 12.0,
        "end_to_end_p50_ms": 900.0,
        "end_to_end_p95_ms": 1500.0,
    }
    assert "upload_seconds" not in found


def test_metrics_of_when_given_cleaners_leaves_out_those_that_are_missing() -> None:
    ours = CleanerFigures(name="ours", rows=1000, seconds=2.0, cpu_seconds=1.9, peak_memory_mb=50.0)
    regex = replace(ours, name="csv-regex", seconds=4.0, cpu_seconds=3.9)
    polars = replace(ours, name="polars", rows=0, seconds=0.0, missing="no module")
    seen = run_of()
    result = CleanResult(
        run="r",
        spec={},
        corpus=seen.corpus,
        fingerprint=seen.fingerprint,
        audit=seen.audit,
        cleaners=[ours, regex, polars],
    )
    found = values(result)
    assert found["ours_rows_per_second"] == 500.0
    assert found["csv_regex_cpu_seconds"] == 3.9
    assert not [name for name in found if "polars" in name]


def test_metrics_of_when_figures_are_void_are_none() -> None:
    assert metrics_of(run_result(figures_void_reason="this machine slept for 240 s")) == {}


def test_metrics_of_when_the_kind_has_none_are_none() -> None:
    assert metrics_of(gate_of()) == {}


def test_registry_when_a_metric_is_named_twice_would_lose_one() -> None:
    # Names are keys: a second definition of one name would silently take the place of the first.
    assert len(list(_of_pipeline())) == len(REGISTRY)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.12345, "0.123"), (99.96, "100"), (123.4, "123"), (1234567.8, "1,234,568")]
)
def test_figure_when_written_has_three_digits_or_more(value: float, text: str) -> None:
    assert figure(value) == text
