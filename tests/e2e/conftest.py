"""What end-to-end tests share: corpora, which cost more to generate than to read."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for XDG_CACHE_HOME of commands that need no empty one: all tests of this process find corpora there."""
    return tmp_path_factory.mktemp("corpora")
