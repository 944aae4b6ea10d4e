"""Options and settings shared by all tests."""

from __future__ import annotations

import hypothesis
import pytest

# No test is timed: a busy machine may make any single example slow.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        default="embedded",
        help="engine the contract tests run against (default: embedded)",
    )
