"""What end-to-end tests share: corpora, which cost more to generate than to read, and an engine for runs that leave it
as they found it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from harness.experiments.lifecycle import STACK

from harness.engines.embedded import EmbeddedEngine
from harness.errors import HarnessError

FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for XDG_CACHE_HOME of commands that need no empty one: all tests of this process find corpora there."""
    return tmp_path_factory.mktemp("corpora")


class SharedEngine:
    """An engine for one test after the other; one that a test broke is replaced."""

    def __init__(self) -> None:
        self._engine: EmbeddedEngine | None = None

    def get(self) -> EmbeddedEngine:
        if self._engine is None:
            engine = EmbeddedEngine()
            engine.start()
            self._engine = engine
        return self._engine

    def clear(self) -> None:
        """Remove the stack of the test that ended; raises HarnessError where the engine does not, and replaces it."""
        if self._engine is None:
            return
        try:
            self._engine.check()
            self._engine.remove(STACK)
        except HarnessError:
            self.discard()
            raise

    def discard(self) -> None:
        if self._engine is not None:
            engine, self._engine = self._engine, None
            engine.stop()


@pytest.fixture(scope="session")
def shared_engine() -> Iterator[SharedEngine]:
    shared = SharedEngine()
    yield shared
    shared.discard()


@pytest.fixture
def engine(request: pytest.FixtureRequest, shared_engine: SharedEngine) -> Iterator[EmbeddedEngine]:
    """An engine without a stack. It may have run others before: what it counts from its start on tells nothing."""
    yield shared_engine.get()
    if request.node.stash.get(FAILED, False):
        shared_engine.discard()
    else:
        shared_engine.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report
