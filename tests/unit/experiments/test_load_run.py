"""A load run around its sessions: the warm-up, and what result.json says of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from harness.experiments.lifecycle import conduct
from harness.experiments.load_result import LoadFinding
from harness.experiments.load_run import LoadExperiment, LoadOptions, LoadRun, all_conserved
from harness.experiments.load_summary import print_summary
from harness.experiments.reporter import Reporter
from harness.load.locust_process import WORKERS_SECONDS, LocustOptions
from harness.load.schedule import LoadSpec
from tests.unit.experiments.support import Script, audited, examined, fake_engine, found, outcome

SPEC = LoadSpec(seconds=10, rate=100, rows_per_file="fixed:100")
Follow = Callable[[Script], Script]


def conducted(options: LoadOptions, folder: Path, text: io.StringIO | None = None) -> LoadRun:
    reporter = Reporter(Console(file=text or io.StringIO(), width=200))
    return conduct(LoadExperiment(options), fake_engine(), folder, reporter)


def test_run_when_warmed_up_says_for_how_long_and_keeps_the_audit(tmp_path: Path, scripted: Follow) -> None:
    script = scripted(Script(found([outcome(0)]), found([outcome(1)])))
    run = conducted(LoadOptions(SPEC, 3.0), tmp_path)
    assert [spec.seconds for spec in script.driven] == [3.0, 10]
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["load"]["warmup_seconds"] == 3.0
    assert written["warmup_audit"]["conserved"]
    assert run.conserved


def test_run_when_the_warm_up_lost_a_row_is_not_conserved(tmp_path: Path, scripted: Follow) -> None:
    scripted(Script(found([outcome(0)], audit=audited(100, lost=1)), found([outcome(1)])))
    assert not conducted(LoadOptions(SPEC), tmp_path).conserved


@pytest.mark.parametrize("locust", [LocustOptions(web=True), LocustOptions(workers=2)])
def test_run_when_there_can_be_no_warm_up_says_that_it_had_no_seconds(
    tmp_path: Path, scripted: Follow, locust: LocustOptions
) -> None:
    script = scripted(Script(found([outcome(0)])))
    run = conducted(LoadOptions(SPEC, 5.0, locust), tmp_path)
    assert script.driven == [SPEC]
    assert run.result.load.warmup_seconds == 0
    assert run.result.warmup_audit is None


def test_run_when_workers_are_started_by_hand_says_where_the_master_is(tmp_path: Path, scripted: Follow) -> None:
    scripted(Script(found([outcome(0)])))
    text = io.StringIO()
    locust = LocustOptions(workers=2, master_host="10.0.0.5", master_port=40123)
    conducted(LoadOptions(SPEC, 5.0, locust), tmp_path, text)
    assert "--master-host 10.0.0.5 --master-port 40123" in text.getvalue()


def test_run_when_files_were_not_sent_says_so_in_the_result(tmp_path: Path, scripted: Follow) -> None:
    scripted(Script(found([outcome(0)], unsent=3, unreported=2, ambiguous=2)))
    load = conducted(LoadOptions(SPEC, 0), tmp_path).result.load
    assert (load.files_unsent, load.uploads_unreported, load.uploads_ambiguous) == (3, 2, 2)


def test_arguments_when_workers_are_started_by_hand_bound_the_wait_for_them() -> None:
    given = LocustOptions(workers=2).arguments()
    assert given[given.index("--expect-workers-max-wait") + 1] == str(WORKERS_SECONDS)
    assert "--expect-workers-max-wait" not in LocustOptions(processes=2).arguments()


def test_all_conserved_when_there_was_no_warm_up_asks_the_load_alone() -> None:
    good = examined(found([outcome(0)]))
    bad = examined(found([outcome(0)], audit=audited(100, lost=1)))
    assert all_conserved(good, None)
    assert all_conserved(good, good)
    assert not all_conserved(good, bad)
    assert not all_conserved(bad, None)


@pytest.fixture
def summary(tmp_path: Path, scripted: Follow) -> Callable[[LoadFinding], str]:
    def write(finding: LoadFinding) -> str:
        scripted(Script(finding))
        text = io.StringIO()
        print_summary(Console(file=text, width=200), conducted(LoadOptions(SPEC, 0), tmp_path))
        return text.getvalue()

    return write


def test_summary_when_files_were_not_sent_or_reported_says_how_many(summary: Callable[[LoadFinding], str]) -> None:
    text = summary(found([outcome(0)], unsent=3, unreported=2, ambiguous=2))
    assert "0 failed; 2 are in the bucket though the client did not learn of it" in text
    assert "3 files not sent, 2 sent but not reported" in text


def test_summary_when_uploads_failed_says_how_many_and_why(summary: Callable[[LoadFinding], str]) -> None:
    text = summary(found([outcome(0), outcome(1, "SlowDown [1]")]))
    assert "1 failed; 0 are in the bucket" in text
    assert "1 × SlowDown [1]" in text
    assert "not sent" not in text


def test_summary_when_everything_was_sent_speaks_of_no_failure(summary: Callable[[LoadFinding], str]) -> None:
    text = summary(found([outcome(0)]))
    assert "failed" not in text
    assert "not sent" not in text
