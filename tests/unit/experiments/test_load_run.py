"""A load run around its sessions: the warm-up, and what result.json says of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from harness.experiments.load_driver import Found
from rich.console import Console

from harness.corpus import CorpusSpec
from harness.engines.base import EngineReport
from harness.errors import StageStuck
from harness.experiments.load_run import Loader, LoadOptions, all_conserved
from harness.experiments.load_summary import print_summary
from harness.experiments.saturation_run import Searcher, SearchOptions
from harness.experiments.upload_run import Runner, RunOptions
from harness.load import core
from harness.load.locust_process import WORKERS_SECONDS, LocustOptions
from harness.load.schedule import LoadSpec
from tests.unit.experiments.support import audited, found, outcome

SPEC = LoadSpec(seconds=10, rate=100, rows_per_file="fixed:100")
ENGINE: Any = SimpleNamespace(
    name="fake",
    deploy=lambda *_, **__: SimpleNamespace(outputs={}),
    report=lambda: EngineReport("fake", {}, {}, {}),
    check=lambda: None,
)


class FakeLoader(Loader):
    """Its sessions find what they are told to, one after the other; notes what was driven."""

    def __init__(self, *finds: Found) -> None:
        self.text = io.StringIO()
        super().__init__(Console(file=self.text, width=200))
        self.finds = list(finds)
        self.driven: list[LoadSpec] = []

    @contextmanager
    def session(self, *_: object, **__: object) -> Iterator[Any]:
        yield SimpleNamespace(
            drive=lambda spec, *_: self.driven.append(spec),
            drain=lambda: None,
            finish=lambda _: self.finds.pop(0),
            display=nullcontext(),
            loads=[SimpleNamespace(start=SimpleNamespace(spec=SPEC))],
        )


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "write_report", lambda _: None)


def test_run_when_warmed_up_says_for_how_long_and_keeps_the_audit(tmp_path: Path) -> None:
    loader = FakeLoader(found([outcome(0)]), found([outcome(1)]))
    run = loader.run(ENGINE, LoadOptions(SPEC, 3.0), tmp_path)
    assert [spec.seconds for spec in loader.driven] == [3.0, 10]
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["load"]["warmup_seconds"] == 3.0
    assert written["warmup_audit"]["conserved"]
    assert run.conserved


def test_run_when_the_warm_up_lost_a_row_is_not_conserved(tmp_path: Path) -> None:
    loader = FakeLoader(found([outcome(0)], audit=audited(100, lost=1)), found([outcome(1)]))
    assert not loader.run(ENGINE, LoadOptions(SPEC), tmp_path).conserved


@pytest.mark.parametrize("locust", [LocustOptions(web=True), LocustOptions(workers=2)])
def test_run_when_there_can_be_no_warm_up_says_that_it_had_no_seconds(tmp_path: Path, locust: LocustOptions) -> None:
    loader = FakeLoader(found([outcome(0)]))
    run = loader.run(ENGINE, LoadOptions(SPEC, 5.0, locust), tmp_path)
    assert loader.driven == [SPEC]
    assert run.result["load"]["warmup_seconds"] == 0
    assert "warmup_audit" not in run.result


def test_run_when_workers_are_started_by_hand_says_where_the_master_is(tmp_path: Path) -> None:
    loader = FakeLoader(found([outcome(0)]))
    locust = LocustOptions(workers=2, master_host="10.0.0.5", master_port=40123)
    loader.run(ENGINE, LoadOptions(SPEC, 5.0, locust), tmp_path)
    assert "--master-host 10.0.0.5 --master-port 40123" in loader.text.getvalue()


def test_run_when_files_were_not_sent_says_so_in_the_result(tmp_path: Path) -> None:
    loader = FakeLoader(found([outcome(0)], unsent=3, unreported=2, ambiguous=2))
    load = loader.run(ENGINE, LoadOptions(SPEC, 0), tmp_path).result["load"]
    assert (load["files_unsent"], load["uploads_unreported"], load["uploads_ambiguous"]) == (3, 2, 2)


def test_arguments_when_workers_are_started_by_hand_bound_the_wait_for_them() -> None:
    given = LocustOptions(workers=2).arguments()
    assert given[given.index("--expect-workers-max-wait") + 1] == str(WORKERS_SECONDS)
    assert "--expect-workers-max-wait" not in LocustOptions(processes=2).arguments()


def test_all_conserved_when_there_was_no_warm_up_asks_the_load_alone() -> None:
    good, bad = found([outcome(0)]), found([outcome(0)], audit=audited(100, lost=1))
    assert all_conserved(good, None)
    assert all_conserved(good, good)
    assert not all_conserved(good, bad)
    assert not all_conserved(bad, None)


def summary(tmp_path: Path, finds: Found) -> str:
    run = FakeLoader(finds).run(ENGINE, LoadOptions(SPEC, 0), tmp_path)
    text = io.StringIO()
    print_summary(Console(file=text, width=200), run)
    return text.getvalue()


def test_summary_when_files_were_not_sent_or_reported_says_how_many(tmp_path: Path) -> None:
    text = summary(tmp_path, found([outcome(0)], unsent=3, unreported=2, ambiguous=2))
    assert "0 failed; 2 are in the bucket though the client did not learn of it" in text
    assert "3 files not sent, 2 sent but not reported" in text


def test_summary_when_uploads_failed_says_how_many_and_why(tmp_path: Path) -> None:
    text = summary(tmp_path, found([outcome(0), outcome(1, "SlowDown [1]")]))
    assert "1 failed; 0 are in the bucket" in text
    assert "1 × SlowDown [1]" in text
    assert "not sent" not in text


def test_summary_when_everything_was_sent_speaks_of_no_failure(tmp_path: Path) -> None:
    text = summary(tmp_path, found([outcome(0)]))
    assert "failed" not in text
    assert "not sent" not in text


@pytest.mark.parametrize("kind", [StageStuck, KeyboardInterrupt])
@pytest.mark.parametrize("runs", ["load", "search", "run"])
def test_anything_that_drives_an_engine_when_it_fails_keeps_logs_and_says_why(
    tmp_path: Path, runs: str, kind: type[BaseException]
) -> None:
    error = kind("stuck")

    def deploy(*_: object, **__: object) -> None:
        raise error

    work, folder = tmp_path / "work", tmp_path / "run"
    work.mkdir()
    folder.mkdir()
    (work / "lambda-service.log").write_text("last words")
    engine: Any = SimpleNamespace(name="fake", deploy=deploy, check=lambda: None, work_dir=work)
    console = Console(file=io.StringIO())
    given: Any = None
    with pytest.raises(type(error)):
        if runs == "load":
            Loader(console).run(engine, LoadOptions(SPEC), folder)
        elif runs == "search":
            Searcher(console).search(engine, SearchOptions(100.0), folder)
        else:
            Runner(console).run(engine, given, RunOptions(CorpusSpec(rows=0), ceiling=False), folder)
    assert (folder / "engine" / "lambda-service.log").read_text() == "last words"
    word = json.loads((folder / "error.json").read_text())
    assert word["outcome"] == ("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
    if isinstance(error, StageStuck):
        assert str(folder) in error.hint
