"""What holds for unit tests alone."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

from tests.depth import DAILY

HERE = Path(__file__).parent
LONGEST_SECONDS = 120
"""A unit test takes seconds; several that hang must not cost ten minutes each before the run says so."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest = LONGEST_SECONDS * max(1, hypothesis.settings().max_examples // DAILY)
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(longest))
