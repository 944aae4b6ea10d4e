"""Experiments that drive nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.experiments import lifecycle
from harness.experiments.load_run import LocustLoads
from tests.unit.experiments.support import FakeWatch, Script


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> type[FakeWatch]:
    """Watches that see nothing, and no report."""
    monkeypatch.setattr(lifecycle, "Watch", FakeWatch)
    monkeypatch.setattr(lifecycle, "write_report", lambda _: None)
    return FakeWatch


@pytest.fixture
def scripted(calm: type[FakeWatch], monkeypatch: pytest.MonkeyPatch) -> Callable[[Script], Script]:
    """Return what puts a script in the place of Locust and of the pipeline."""

    def follow(script: Script) -> Script:
        def load(loads: LocustLoads, *given: Any) -> None:
            script.load(loads, *given)

        monkeypatch.setattr(LocustLoads, "load", load)
        monkeypatch.setattr(LocustLoads, "examine", script.examine)
        return script

    return follow
