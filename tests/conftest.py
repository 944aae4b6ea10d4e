"""Options and settings shared by all tests."""

from __future__ import annotations

import os

import hypothesis
import pytest

# No test is timed: a busy machine may make any single example slow.
UNTIMED = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("untimed", UNTIMED)
hypothesis.settings.register_profile("deep", UNTIMED, max_examples=1_000)
hypothesis.settings.load_profile("untimed")

# readline, which pytest loads, sets them, and worker processes of pytest inherit them: texts would be 80 columns wide.
for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--engine") != "embedded" and config.getoption("numprocesses", None):
        raise pytest.UsageError("LocalStack has fixed ports: with --engine, run without -n")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        default="embedded",
        help="engine the contract tests run against (default: embedded)",
    )
    parser.addoption(
        "--wheel", default="", help="wheel that tests/packaging installs (default: one built from this checkout)"
    )
