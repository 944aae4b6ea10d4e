"""Fixtures of the functions' tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def as_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables that the functions' metrics need; pauses between retries end at once."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Ingestion")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.0)
