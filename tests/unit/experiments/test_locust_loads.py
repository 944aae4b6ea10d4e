"""Driving a load: what counts as not sent when Locust ends, dies, or is ended."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from harness.engines.base import Deployment
from harness.errors import EnvironmentProblem
from harness.experiments import load_run
from harness.experiments.lifecycle import Setting, Testbed
from harness.experiments.load_intake import LoadIntake
from harness.experiments.load_run import LocustLoads
from harness.experiments.reporter import Reporter
from harness.load.locust_process import LocustOptions
from harness.load.pool import Expectation
from harness.load.samples import LoadStart, Sample, key_of
from harness.load.schedule import POOL_FILES, LoadSpec
from harness.load.state import LoadState
from tests.unit.experiments.support import fake_engine

SPEC = LoadSpec(seconds=10, rate=100, rows_per_file="fixed:100", arrivals="constant")
PREFIX = "p/"
BUCKET = "uploads"


class FakeLocust:
    """Ends at once with an exit code, or runs on (None)."""

    code: int | None = 0
    pid = 1

    def __init__(self, *_: object) -> None:
        """Start nothing."""

    def __enter__(self) -> FakeLocust:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop nothing."""

    def ended(self) -> int | None:
        return self.code

    def log_tail(self) -> str:
        return "no more load today"


class Looking:
    """Sees a load whose first `sent` files were uploaded, at the first look."""

    sent = SPEC.files
    stopped = True

    def __init__(self, intake: LoadIntake) -> None:
        self.usage = SimpleNamespace(follow=lambda *_: None)
        self._loads = intake.loads

    def sample(self, **_: Any) -> None:
        if not self._loads:
            expectations = [Expectation(100, 100, 0, {})] * POOL_FILES
            load = LoadState(LoadStart(1000.0, PREFIX, SPEC, 8, 0), expectations, BUCKET, 3)
            for a in load.arrivals[: self.sent]:
                key = key_of(PREFIX, a.number)
                load.add(Sample(a.number, a.file, key, "v1", 100, 9, 1000.0, 1000.0, 1000.1))
            if self.stopped:
                load.stop()
            self._loads.append(load)

    def wait(self) -> None:
        """Not at all."""


Drive = Callable[..., list[LoadState]]


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Drive:
    """Return what drives a load into a bucket that holds the files 0 to 6, whatever was reported of them."""
    entries = [{"Key": key_of(PREFIX, number), "VersionId": "v1", "Size": 9} for number in range(7)]
    paginator = SimpleNamespace(paginate=lambda **_: [{"Versions": entries}])
    engine: Any = fake_engine()
    engine.client = lambda _: SimpleNamespace(get_paginator=lambda _: paginator)
    deployment = Deployment("ingestion", {"UploadBucket": BUCKET}, {})
    monkeypatch.setattr(load_run, "LocustProcess", FakeLocust)
    monkeypatch.setattr(load_run, "make_pool", lambda *_: [])

    def made(options: LocustOptions | None = None, *decided: Callable[[], bool]) -> list[LoadState]:
        loads = LocustLoads(SPEC, options or LocustOptions(), Setting())
        watch: Any = Looking(loads.intake(engine, deployment, tmp_path))
        bed = Testbed(engine, deployment, tmp_path, Reporter(Console(file=StringIO()), quiet=True), watch)
        loads.load(bed, SPEC, *decided)
        return loads.loads

    return made


def test_drive_when_every_file_was_sent_leaves_none_unsent(drive: Drive) -> None:
    assert [(load.unsent, load.unreported) for load in drive()] == [(0, 0)]


@pytest.mark.parametrize("code", [0, 1, -9])
def test_drive_when_locust_dies_midway_counts_what_was_not_sent_and_what_it_did_not_report(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(FakeLocust, "code", code)
    monkeypatch.setattr(Looking, "sent", 5)
    monkeypatch.setattr(Looking, "stopped", False)
    [load] = drive()
    assert load.stopped
    assert (load.unsent, load.unreported) == (3, 2)
    assert sorted(s.number for s in load.reconciled.values()) == [5, 6]


def test_drive_when_a_worker_dies_and_locust_ends_in_order_counts_its_files(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Looking, "sent", 9)
    assert drive(LocustOptions(processes=2))[0].unsent == 1


def test_drive_when_the_step_is_decided_does_not_miss_the_rest_of_its_schedule(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeLocust, "code", None)
    monkeypatch.setattr(Looking, "sent", 5)
    monkeypatch.setattr(Looking, "stopped", False)
    [load] = drive(None, lambda: True)
    assert (load.stopped, load.unsent, load.unreported) == (True, 0, 0)
    # Their rows are waited for and audited all the same.
    assert len(load.reconciled) == 2


def test_drive_when_locust_dies_in_a_step_that_is_not_decided_counts_what_was_not_sent(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Looking, "sent", 5)
    assert drive(None, lambda: False)[0].unsent == 3


def test_drive_when_ended_in_the_web_ui_counts_nothing_as_unsent(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Looking, "sent", 5)
    assert drive(LocustOptions(web=True))[0].unsent == 0


def test_drive_when_nothing_was_uploaded_fails_with_the_last_words_of_locust(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Looking, "sent", 0)
    with pytest.raises(EnvironmentProblem, match="not a single file was uploaded") as caught:
        drive()
    assert "no more load today" in caught.value.hint
