"""Files that an earlier version really wrote are read as this version's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.results import OLD_VERSION, SCHEMA_VERSION, DeployedResult, LoadResult, RunResult, document_of
from tests.unit.report.support import DATA, altered, read


def written(name: str) -> dict[str, Any]:
    """Return a result as version 2 wrote it."""
    data: dict[str, Any] = json.loads((DATA / name / "result.json").read_text())
    assert data["schema_version"] == OLD_VERSION
    return data


@pytest.mark.parametrize("name", ["run", "load"])
def test_upgrade_when_a_file_is_of_version_2_keeps_every_figure(name: str) -> None:
    old, new = written(name), document_of(written(name))
    assert isinstance(new, DeployedResult)
    assert new.schema_version == SCHEMA_VERSION
    assert (new.kind, new.run, new.began) == (name, old["run"], old["began"])
    assert new.audit.updated == old["audit"]["updated"]
    assert new.audit.duplicate_messages == old["audit"]["duplicate_letters"]
    assert new.audit.quarantined == old["audit"]["quarantined"]
    functions = {name: f for name, f in old["engine"]["functions"].items() if name != "_service"}
    assert {name: f.billed_ms for name, f in new.engine.functions.items()} == {
        name: f["billed_ms"] for name, f in functions.items()
    }
    assert new.engine.service == old["engine"]["functions"].get("_service", {})
    assert {name: (s.rows_ok, s.cpu_ms) for name, s in new.stages.items()} == {
        name: (s["rows_ok"], s.get("cpu_ms")) for name, s in old["stages"].items()
    }


def test_upgrade_when_bare_loops_were_measured_keeps_them_under_their_new_name() -> None:
    old, new = written("run"), read(DATA / "run", RunResult).document
    assert [loop.calls for loop in new.baseline] == [loop["calls"] for loop in old["ceiling"]]
    assert new.share_of_baseline == old["share_of_ceiling"]


def test_upgrade_when_it_is_a_load_keeps_its_latencies() -> None:
    old, new = written("load"), read(DATA / "load", LoadResult).document
    assert new.latencies.end_to_end.percentiles == old["latencies"]["end_to_end"]["percentiles"]
    assert new.load.rows == old["load"]["rows"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, ""),
        ({"figures_void": False, "figures_void_reason": ""}, ""),
        ({"figures_void": True, "figures_void_reason": "this machine slept"}, "this machine slept"),
        ({"figures_void": True}, "unknown"),
    ],
)
def test_upgrade_when_figures_were_void_says_why(fields: dict[str, Any], reason: str) -> None:
    found = document_of({**written("run"), **fields})
    assert isinstance(found, RunResult)
    assert found.figures_void_reason == reason


def test_upgrade_when_a_suite_or_an_error_was_written_changes_its_version_alone(tmp_path: Path) -> None:
    error = {"outcome": "failed", "exit_code": 5, "error": "e", "hint": "", "traceback": "", "seconds": 1.5}
    found = document_of({"schema_version": OLD_VERSION, "kind": "error", "run": "r", **error})
    assert (found.kind, found.schema_version, found.run) == ("error", SCHEMA_VERSION, "r")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"audit__rows": -1}, "Expected `int` >= 0"),
        ({"stages__insert__rows_ok": "many"}, "rows_ok"),
        ({"surprise": 1}, "unknown field `surprise`"),
        ({"engine__functions": 3}, "not iterable"),
    ],
)
def test_document_of_when_a_field_is_not_what_it_must_be_names_it(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        document_of(altered(written("run"), **changes))
