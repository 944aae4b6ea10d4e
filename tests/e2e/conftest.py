"""What end-to-end tests share: corpora, which cost more to generate than to read, and an engine for runs that leave it
as they found it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from harness.engines.embedded import EmbeddedEngine
from harness.errors import HarnessError
from harness.run.core import STACK

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
            _delete_what_is_retained(self._engine)
        except HarnessError:
            self.discard()
            raise

    def discard(self) -> None:
        if self._engine is not None:
            engine, self._engine = self._engine, None
            engine.stop()


def _delete_what_is_retained(engine: EmbeddedEngine) -> None:
    """Delete the stack's bucket and table, which the template retains: the next stack has a bucket of the same name."""
    s3, dynamodb = engine.client("s3"), engine.client("dynamodb")
    for bucket in s3.list_buckets()["Buckets"]:
        if bucket["Name"].startswith(f"{STACK}-"):
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket["Name"]):
                for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                    s3.delete_object(Bucket=bucket["Name"], Key=entry["Key"], VersionId=entry["VersionId"])
            s3.delete_bucket(Bucket=bucket["Name"])
    for name in dynamodb.list_tables()["TableNames"]:
        if name.startswith(f"{STACK}-"):
            dynamodb.delete_table(TableName=name)


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
