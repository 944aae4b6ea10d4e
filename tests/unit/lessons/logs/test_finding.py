"""The verdict of the lesson on logs, its dollars computed by hand."""

from __future__ import annotations

import pytest

from harness.cost.prices import shipped_prices
from harness.lessons.logs.drive import ARRANGEMENTS, Arrangement, Logged
from harness.lessons.logs.lesson import finding
from harness.lessons.model import Finding, Verdict

MILLION = 1_000_000


def judge(*bytes_per_row: float) -> Finding:
    """Return the finding where a million rows each left so many bytes a row: one a message printed, one not, 250
    printed, 250 not."""
    logged = [Logged(MILLION, 5, round(size * MILLION)) for size in bytes_per_row]
    return finding(dict(zip(ARRANGEMENTS, logged, strict=True)), shipped_prices())


def figures(found: Finding) -> dict[str, str]:
    return {one.what: one.reproduced for one in found.comparisons}


def test_arrangements_are_each_size_with_and_without_printing() -> None:
    assert (
        Arrangement(1, True),
        Arrangement(1, False),
        Arrangement(250, True),
        Arrangement(250, False),
    ) == ARRANGEMENTS
    assert len({way.stack_name for way in ARRANGEMENTS}) == 4


def test_finding_when_printing_makes_the_log_is_reproduced_with_bytes_and_dollars() -> None:
    # 2 GiB for a million rows are 1 dollar; 6,600 GiB of them 3.3 billion rows
    found = judge(2**31 / MILLION, 100.0, 250.0, 0.5)
    assert found.verdict is Verdict.REPRODUCED
    assert found.reason == (
        "with its event printed a row takes 21 times as much log; "
        "a million rows then cost $1.00 of logs, where their writes to the table cost $0.625."
    )
    said = figures(found)
    assert said["logs of all tests, to ingest"] == "$3,300 at today's prices"
    assert said["log for each row, one a message, printed"] == "2,147 bytes"
    assert said["log for each row, 250 a message, not"] == "0.50 bytes"
    assert said["a million rows, one a message, printed"] == "$1.00"
    # 100 MB / 2^30 x 0.50
    assert said["a million rows, one a message, not"] == "$0.04657"
    assert said["rows that make 6.6 TB, one a message, printed"] == "3.3 billion"
    # 3.3 billion / 558,000
    assert said["files of 558,000 rows that make 6.6 TB, one a message, printed"] == "5,914"
    # 558,000 x 2,147.48 bytes, and x 0.5
    assert said["log of a file of 558,000 rows, one a message, printed"] == "1.20 GB"
    assert said["log of a file of 558,000 rows, 250 a message, not"] == "0.28 MB"
    assert {one.what: one.published for one in found.comparisons if one.published} == {
        "logs of all tests, to ingest": "6.6 TB"
    }


def test_finding_has_pictures_of_growth_and_of_tiers() -> None:
    growth, tiers = judge(1000.0, 100.0, 250.0, 0.5).plots
    lines = {line.name: line.points for line in growth.lines}
    # A million rows of 1,000 bytes are a GB, 10 billion of them 10 TB
    assert lines["one a message, printed"][1] == pytest.approx((1e6, 0.001))
    assert lines["one a message, printed"][-1] == pytest.approx((1e10, 10.0))
    assert lines["published, 6.6 TB"][0] == (1e5, 6.6)
    assert (growth.log_x, growth.log_y) == (True, True)
    month, published = (line.points for line in tiers.lines)
    assert (month[0], month[5]) == ((0.0, 0.0), (10.0, 5000.0))
    # 60,000 GB: 10,240 at 0.50, 20,480 at 0.25, 20,480 at 0.10, 8,800 at 0.05
    assert month[-1] == (60.0, 12728.0)
    assert list(published) == [(6.6, 3300.0)]


@pytest.mark.parametrize(
    ("sizes", "because"),
    [
        ((1000.0, 250.0, 250.0, 0.5), "a row takes 4 times as much log"),
        ((100.0, 10.0, 250.0, 0.5), "a million rows then cost $0.04657 of logs"),
    ],
)
def test_finding_when_printing_hardly_shows_differs_and_says_so(sizes: tuple[float, ...], because: str) -> None:
    found = judge(*sizes)
    assert found.verdict is Verdict.DIFFERS
    assert because in found.reason
