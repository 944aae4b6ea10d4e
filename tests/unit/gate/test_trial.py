"""A trial's process: what it gets of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.corpus import CorpusSpec
from harness.gate.model import Planned, Side
from harness.gate.trees import Tree
from harness.gate.trial import ProcessTrials, Workload, workspace
from harness.processes.guard import MARK
from tests import hostile
from tests.unit.gate.support import stand_in


def test_trial_when_the_machine_is_hostile_gets_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = stand_in(tmp_path / "tree")
    given = hostile.variables(tmp_path / "home", "http://127.0.0.1:9")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with workspace() as work:
        workload = Workload(CorpusSpec(rows=10))
        trials = ProcessTrials({Side.BASE: Tree("base", tree)}, workload, work, tmp_path / "kept")
        assert trials.run(Planned(1, 1, Side.BASE)).conserved
        found = json.loads((tree / "harness" / "environment").read_text())
        assert (found["PYTHONPATH"], found["TMPDIR"], found[MARK]) == (str(tree), str(work / "tmp"), str(work))
    # What a LocalStack of the user's is reached by, for gates on that engine.
    assert found["AWS_ENDPOINT_URL"] == given["AWS_ENDPOINT_URL"]
    assert found["XDG_CACHE_HOME"] == str(tmp_path / "cache")
    leaked = {name for name, value in given.items() if found.get(name) == value}
    assert leaked == {"AWS_ENDPOINT_URL", "TZ"}
