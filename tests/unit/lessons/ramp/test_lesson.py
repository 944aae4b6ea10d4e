"""The lesson ramp: the published figures from the ramp of 2021, and a verdict that another ramp does not get."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.engines.templates.text import load
from harness.lambda_service.concurrency import PollerScaling, profile_named
from harness.lessons.model import Finding, Lesson, Setting, Verdict
from harness.lessons.ramp import RampLesson, lesson
from harness.lessons.ramp.lesson import checks, longer_batches, published_backlog
from harness.lessons.ramp.simulation import Drained, drain
from harness.lessons.rules import judged

said: list[tuple[float, str]] = []


@pytest.fixture(scope="module")
def finding(tmp_path_factory: pytest.TempPathFactory) -> Finding:
    made: Lesson = RampLesson()
    said.clear()
    folder: Path = tmp_path_factory.mktemp("ramp")
    return made.run(Setting(folder, True, lambda share, what: said.append((share, what))))


def under(profile: str) -> Drained:
    known = profile_named(profile)
    return drain(published_backlog(known), PollerScaling(known, None))


def test_published_peak_is_where_the_ramp_of_2021_is_after_four_minutes_and_22_seconds() -> None:
    drained = under("2021")
    assert (drained.peak, drained.peak_at, drained.messages) == (267, 262.0, 558_000)
    assert 262.0 < drained.received_at < 263.0
    assert drained.seconds == pytest.approx(262.8, abs=0.2)
    assert judged(checks(drained))[0] is Verdict.REPRODUCED


def test_verdict_under_a_ramp_of_another_time_differs() -> None:
    drained = under("2026")
    assert drained.peak == pytest.approx(267, abs=5)
    assert drained.seconds < 60
    assert judged(checks(drained))[0] is Verdict.DIFFERS


@pytest.mark.parametrize(
    ("peak", "seconds", "verdict"),
    [
        (267, 300.0, Verdict.REPRODUCED),
        (262, 256.0, Verdict.REPRODUCED),
        (261, 300.0, Verdict.DIFFERS),
        (273, 300.0, Verdict.DIFFERS),
        (267, 254.0, Verdict.DIFFERS),
        (267, 346.0, Verdict.DIFFERS),
    ],
)
def test_verdict_keeps_to_its_rule(peak: int, seconds: float, verdict: Verdict) -> None:
    assert judged(checks(Drained(peak, 1.0, 1.0, seconds, 558_000, peak, 0, ())))[0] is verdict


def test_long_batches_give_both_published_figures() -> None:
    backlog = longer_batches(262.2)
    drained = drain(backlog, PollerScaling(profile_named("2021"), None))
    assert drained.peak == 267
    assert drained.seconds == pytest.approx(300, abs=2)
    assert 10 < backlog.batch_size < 10_000


def test_finding_says_what_was_published_and_what_is_found(finding: Finding) -> None:
    assert finding.verdict is Verdict.REPRODUCED
    assert finding.reason == (
        "267 invocations run after 4:22, when the queue is empty (rule: 267, within 2%); "
        "the last ends after 4:22 (rule: 5:00, within 15%)."
    )
    told = {row.what: (row.published, row.reproduced) for row in finding.comparisons}
    assert told["peak concurrency"] == ("267", "267, at 4:22")
    assert told["time to insert all rows"] == ("5 minutes", "4:22, in batches of 10")
    assert len(finding.comparisons) == 3 + len(lesson.TODAY)
    assert all(row.published == "" for row in finding.comparisons[3:])
    assert all(note.endswith(".") for note in finding.notes)


def test_finding_today_is_faster_and_bounded_by_the_account(finding: Finding) -> None:
    today = [row.reproduced for row in finding.comparisons[3:]]
    assert today[0].startswith("peak 59")
    assert "all in 1:58" in today[0]
    assert today[2].startswith("peak 1,000 at 0:00")
    assert "invocations throttled" in today[2]
    assert today[3].startswith("peak 1,8")


def test_picture_has_a_line_for_every_way_to_scale(finding: Finding) -> None:
    backlog, ramps = finding.plots
    assert [line.name for line in backlog.lines] == [s.name for s in (lesson.THEN, *lesson.TODAY)]
    for line in (*backlog.lines, *ramps.lines):
        assert [x for x, _ in line.points] == sorted(x for x, _ in line.points)
    assert max(y for _, y in backlog.lines[0].points) == 267.0
    assert [line.points[-1][1] for line in ramps.lines] == [1000.0, 1250.0, 2000.0, 20_000.0]
    assert not any(y <= 0 for line in ramps.lines for _, y in line.points), "a logarithm has no zero"


def test_progress_goes_up_and_names_what_runs(finding: Finding) -> None:
    assert finding.plots
    shares = [share for share, _ in said]
    assert shares == sorted(shares)
    assert [what for _, what in said][1:] == [scenario.name for scenario in lesson.TODAY]


def test_text_of_ours_is_as_the_template_is() -> None:
    root = Path(__file__).parents[4]
    parameters = load((root / "handlers" / "template.yaml").read_text(encoding="utf-8"))["Parameters"]
    assert int(parameters["RowsPerMessage"]["Default"]) == lesson.OUR_ROWS_PER_MESSAGE
    assert int(parameters["InsertBatchSize"]["Default"]) == lesson.OUR_BATCH
    assert "2,232 messages" in RampLesson.ours
