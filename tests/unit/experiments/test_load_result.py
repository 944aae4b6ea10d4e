"""Whether a load was sent as it was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import EnvironmentProblem
from harness.experiments.load_result import first_errors, require_uploaded
from tests.unit.experiments.support import found, outcome

FOLDER = Path("runs/one")


def test_require_uploaded_when_every_file_was_sent_is_content() -> None:
    require_uploaded(found([outcome(0), outcome(1)]), FOLDER)


def test_require_uploaded_when_uploads_failed_names_the_most_frequent_error() -> None:
    tried = [outcome(0), outcome(1, "ReadTimeout"), outcome(2, "SlowDown"), outcome(3, "SlowDown")]
    with pytest.raises(EnvironmentProblem, match=r"3 uploads failed, 2 of them with: SlowDown") as caught:
        require_uploaded(found(tried, ambiguous=1), FOLDER)
    assert "samples.jsonl" in caught.value.hint


def test_require_uploaded_when_files_were_not_sent_fails_though_every_upload_succeeded() -> None:
    with pytest.raises(EnvironmentProblem, match=r"^7 files of the schedule were not sent$") as caught:
        require_uploaded(found([outcome(0)], unsent=7), FOLDER)
    assert "locust.log" in caught.value.hint


def test_require_uploaded_when_a_file_is_in_the_bucket_without_a_report_fails() -> None:
    with pytest.raises(EnvironmentProblem, match="1 files were sent, but Locust ended before it said so"):
        require_uploaded(found([outcome(0)], ambiguous=1, unreported=1), FOLDER)


def test_require_uploaded_when_several_things_went_wrong_says_all() -> None:
    with pytest.raises(EnvironmentProblem, match=r"1 uploads failed.*; 2 files of the schedule were not sent"):
        require_uploaded(found([outcome(0, "SlowDown")], unsent=2), FOLDER)


def test_first_errors_when_there_are_many_kinds_returns_the_most_frequent_first() -> None:
    tried = [outcome(0), outcome(1, "a"), outcome(2, "b"), outcome(3, "b"), outcome(4, "c")]
    assert first_errors(tried, 2) == [("b", 2), ("a", 1)]
    assert first_errors([outcome(0)]) == []
