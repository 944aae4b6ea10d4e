"""Which figures a result gives for comparison."""

from __future__ import annotations

from typing import Any

import pytest

from harness.metrics import Direction, metrics_of


def run_result(**changes: Any) -> dict[str, Any]:
    insert = {"rows_ok": 2000, "rows_per_second": 500.0, "cpu_ms": 100.0, "handler_ms": 900.0, "waiting_ms": 700.0}
    result = {
        "kind": "run",
        "pipeline_rows_per_second": 1234.5,
        "clean_seconds": 1.5,
        "upload_seconds": 0.2,
        "memory_peak_bytes": 10,
        "stages": {"insert": insert, "update": {"rows_ok": 0, "rows_per_second": 0.0}},
        "audit": {"dead_letters": {"process": {"a": 2, "b": 3}, "insert": {}}},
    }
    return {**result, **changes}


def values(result: dict[str, Any]) -> dict[str, float]:
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
    }


def test_metrics_of_when_given_a_run_know_their_directions() -> None:
    found = metrics_of(run_result())
    higher = {name for name, metric in found.items() if metric.direction is Direction.HIGHER}
    assert higher == {"pipeline_rows_per_second", "insert_rows_per_second"}


def test_metrics_of_when_a_result_is_of_an_older_schema_leaves_out_what_it_lacks() -> None:
    old = run_result(stages={"insert": {"rows_ok": 10, "rows_per_second": 5.0}}, clean_seconds=None)
    del old["kind"], old["audit"]
    found = values(old)
    assert "insert_cpu_ms_per_1000_rows" not in found
    assert "clean_seconds" not in found
    assert "dlq_rows" not in found
    assert found["insert_rows_per_second"] == 5.0


def test_metrics_of_when_given_a_load_has_supported_percentiles_and_no_upload_seconds() -> None:
    latencies = {"upload": {"percentiles": {"50": 12.0}}, "end_to_end": {"percentiles": {"50": 900.0, "95": 1500.0}}}
    found = values(run_result(kind="load", latencies=latencies))
    assert {name: v for name, v in found.items() if name.endswith("_ms") and "_p" in name} == {
        "upload_p50_ms": 12.0,
        "end_to_end_p50_ms": 900.0,
        "end_to_end_p95_ms": 1500.0,
    }
    assert "upload_seconds" not in found


def test_metrics_of_when_given_cleaners_leaves_out_those_that_are_missing() -> None:
    cleaners = [
        {"name": "ours", "rows": 1000, "seconds": 2.0, "cpu_seconds": 1.9, "peak_memory_mb": 50.0, "missing": ""},
        {"name": "csv-regex", "rows": 1000, "seconds": 4.0, "cpu_seconds": 3.9, "peak_memory_mb": 9.0, "missing": ""},
        {
            "name": "polars",
            "rows": 0,
            "seconds": 0.0,
            "cpu_seconds": 0.0,
            "peak_memory_mb": 0.0,
            "missing": "no module",
        },
    ]
    found = values({"kind": "clean", "cleaners": cleaners})
    assert found["ours_rows_per_second"] == 500.0
    assert found["csv_regex_cpu_seconds"] == 3.9
    assert not [name for name in found if "polars" in name]


@pytest.mark.parametrize("bad", [None, "12", True, float("nan"), float("inf")])
def test_metrics_of_when_a_value_is_no_number_leaves_it_out(bad: Any) -> None:
    assert "memory_peak_bytes" not in metrics_of(run_result(memory_peak_bytes=bad))


@pytest.mark.parametrize("kind", ["gate", "suite", "unheard-of"])
def test_metrics_of_when_the_kind_is_not_known_has_none(kind: str) -> None:
    assert metrics_of(run_result(kind=kind)) == {}
