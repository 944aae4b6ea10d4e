"""The saturation search: what it refuses, how a step is judged, what it says of its warm-up and its end."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import EnvironmentProblem, UsageError
from harness.experiments import saturation_run
from harness.experiments.lifecycle import conduct
from harness.experiments.rate_search import Judgement, StepVerdict
from harness.experiments.reporter import Reporter
from harness.experiments.saturation_run import (
    SHORTEST_SECONDS,
    Saturation,
    SaturationExperiment,
    SearchOptions,
    Step,
    StepWatcher,
)
from harness.load.schedule import LoadSpec
from tests.unit.experiments.support import Script, audited, fake_engine, found, outcome

OPTIONS = SearchOptions(start=100, spec=LoadSpec(rows_per_file="fixed:100"))
QUIET = Reporter(Console(file=io.StringIO()), quiet=True)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["start", "resolution", "budget"])
def test_options_when_a_number_is_not_above_zero_are_refused_by_its_name(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"--{name} is"):
        replace(OPTIONS, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [0.0, 13.0, SHORTEST_SECONDS - 0.1, math.nan, math.inf])
def test_options_when_a_step_is_too_short_for_a_verdict_are_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match=r"--step-seconds is .*, too short") as caught:
        replace(OPTIONS, step_seconds=seconds)
    assert "16 or more" in caught.value.hint


def test_options_when_the_rate_would_never_rise_are_refused() -> None:
    with pytest.raises(UsageError, match="the growth is 1"):
        replace(OPTIONS, growth=1.0)


def test_options_when_the_first_step_would_have_too_many_files_are_refused() -> None:
    with pytest.raises(UsageError, match="files are more than"):
        SearchOptions(start=1e6, spec=LoadSpec(rows_per_file="fixed:1"))


def watched(seconds: float, growth: float = 0.0, rate: float = 100.0) -> StepWatcher:
    watcher = StepWatcher(rate, seconds)
    for elapsed in range(int(seconds) + 1):
        watcher.take(elapsed + 0.1 if elapsed < seconds else seconds, 200 + round(growth * elapsed), 1.0)
    return watcher


def test_watcher_when_a_step_is_as_short_as_allowed_can_decide() -> None:
    assert watched(SHORTEST_SECONDS).step(0.0).sustained
    assert watched(SHORTEST_SECONDS, growth=50).step(0.0).judgement.verdict is StepVerdict.NOT_SUSTAINED


def test_step_when_uploads_failed_is_not_sustained_though_the_backlog_does_not_grow() -> None:
    step = watched(20).step(1.0, failed=3)
    assert not step.sustained
    assert (step.judgement.verdict, step.judgement.reason) == (StepVerdict.NOT_SUSTAINED, "3 uploads failed")
    assert step.judgement.trend is not None


def test_step_when_files_were_not_sent_is_not_sustained() -> None:
    step = watched(20).step(1.0, failed=1, missing=2)
    assert step.judgement.reason == "1 uploads failed, 2 files were not sent or not reported"
    assert not step.sustained


def searched(folder: Path) -> Saturation:
    return conduct(SaturationExperiment(OPTIONS), fake_engine(), folder, QUIET)


@pytest.fixture(autouse=True)
def every_backlog_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    sustained = Judgement(StepVerdict.SUSTAINED, "the backlog does not grow", None)
    monkeypatch.setattr(saturation_run, "rows_that_fit", lambda: 100_000)
    made = StepWatcher.__init__

    def calm_from_the_start(self: StepWatcher, rate: float, seconds: float) -> None:
        made(self, rate, seconds)
        self._judgement = sustained

    monkeypatch.setattr(StepWatcher, "__init__", calm_from_the_start)


@pytest.fixture
def scripted_from(scripted: Callable[[Script], Script]) -> Callable[..., Script]:
    """Return what scripts a search: what its warm-up and its steps found, and from which rate on files go wrong."""

    def script(limit: float, *, lost_in_warmup: int = 0, **bad: int) -> Script:
        warmed = found([outcome(0)], audit=audited(100, lost=lost_in_warmup))
        return scripted(Script(warmed, found([outcome(0)]), limit=limit, **bad))

    return script


@pytest.mark.parametrize("bad", [{"failed": 2}, {"unsent": 1}, {"unreported": 1}])
def test_search_when_files_do_not_arrive_above_a_rate_finds_that_rate(
    tmp_path: Path, scripted_from: Callable[..., Script], bad: dict[str, int]
) -> None:
    scripted_from(300, **bad)
    done = searched(tmp_path)
    assert done.ended_by == "resolution"
    assert done.rate <= 300 < (done.not_sustained or 0)
    assert {step.rate <= 300 for step in done.steps if step.sustained} == {True}


def test_search_when_no_upload_ever_succeeds_sustains_nothing(
    tmp_path: Path, scripted_from: Callable[..., Script]
) -> None:
    scripted_from(0, failed=9)
    done = searched(tmp_path)
    assert (done.rate, done.ended_by) == (0, "nothing is sustained")


def test_search_when_the_warm_up_lost_a_row_is_not_conserved_and_keeps_its_audit(
    tmp_path: Path, scripted_from: Callable[..., Script]
) -> None:
    scripted_from(300, lost_in_warmup=1, failed=1)
    assert not searched(tmp_path).conserved
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["audit"]["conserved"]
    assert not written["warmup_audit"]["conserved"]
    assert written["load"]["warmup_seconds"] == 5.0


def test_search_when_the_warm_up_is_good_is_conserved(tmp_path: Path, scripted_from: Callable[..., Script]) -> None:
    scripted_from(300, failed=1)
    assert searched(tmp_path).conserved


def test_search_when_written_says_how_the_steps_were_loaded(
    tmp_path: Path, scripted_from: Callable[..., Script]
) -> None:
    script = scripted_from(300, failed=1)
    spec = searched(tmp_path).result.spec
    assert (spec["shape"], spec["arrivals"], spec["rate"], spec["seconds"]) == ("steady", "constant", 100, 45.0)
    # No step has the warm-up's files.
    assert script.driven[0].seed not in {step.seed for step in script.driven[1:]}


def test_search_when_the_first_step_does_not_fit_says_so(
    tmp_path: Path, scripted_from: Callable[..., Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saturation_run, "rows_that_fit", lambda: 4000)
    scripted_from(300)
    with pytest.raises(EnvironmentProblem, match="the first step has 4,500 rows; 4,000 fit on this machine") as caught:
        searched(tmp_path)
    assert "--start" in caught.value.hint


def test_search_when_a_later_step_does_not_fit_into_memory_ends_with_what_it_has(
    tmp_path: Path, scripted_from: Callable[..., Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saturation_run, "rows_that_fit", lambda: 8000)
    scripted_from(1e9)
    done = searched(tmp_path)
    assert (done.ended_by, done.rate) == ("space", 160)


def test_step_when_written_has_its_verdict() -> None:
    step = Step(100, 20, Judgement(StepVerdict.NOT_SUSTAINED, "3 uploads failed", None), 0, 0, 0, 0, 1)
    assert (step.figures().verdict, step.figures().reason) == ("not sustained", "3 uploads failed")
