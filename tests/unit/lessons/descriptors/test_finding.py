"""The verdict of the lesson on descriptors."""

from __future__ import annotations

import pytest

from harness.lessons.descriptors.drive import CLOSED, JOINED, OURS, PIPED, ROWS, Cleaning
from harness.lessons.descriptors.lesson import finding
from harness.lessons.model import Verdict

FULL = "[Errno 24] Too many open files"


def cleaning(started: int, kept: int = 2, *, errno: int = 24, rows: int = 0, limit: int = 1024) -> Cleaning:
    samples = [7 + kept * n for n in range(1, started + 1)]
    return Cleaning(rows, 7, samples, limit, errno, FULL if errno else "")


def ways(**changed: Cleaning) -> dict[str, Cleaning]:
    usual = {
        JOINED: cleaning(508),
        PIPED: cleaning(254, 4),
        CLOSED: cleaning(1200, 0, errno=0, rows=ROWS),
        OURS: cleaning(1200, 0, errno=0, rows=ROWS),
    }
    return {**usual, **changed}


def test_finding_when_it_fails_near_500_processes_is_reproduced_with_all_figures() -> None:
    found = finding(ways())
    assert found.verdict is Verdict.REPRODUCED
    assert [(c.published, c.reproduced) for c in found.comparisons] == [
        ("near 500", "508, then it fails"),
        ("", "254, then it fails"),
        ("", "1,200, all done"),
        ("", "1,200, all done"),
        ("too many open files", FULL),
        ("", "2, with a Pipe 4"),
        ("", "7 of 1,024"),
    ]
    (plot,) = found.plots
    assert [(line.name, line.points[0], line.points[-1]) for line in plot.lines] == [
        ("joined", (0, 7), (508, 1023)),
        ("joined, a Pipe each", (0, 7), (254, 1023)),
        ("joined and closed", (0, 7), (1200, 7)),
        ("ours", (0, 7), (1200, 7)),
        ("limit", (0, 1024), (1200, 1024)),
    ]


@pytest.mark.parametrize(
    ("changed", "because"),
    [
        ({JOINED: cleaning(250, limit=512)}, "a function has 512 descriptors on this machine, not 1,024"),
        ({JOINED: cleaning(1200, errno=0)}, "did not run out of descriptors: 1,200 processes ended without an error"),
        ({JOINED: cleaning(100, errno=11)}, f"did not run out of descriptors: {FULL}"),
        ({JOINED: cleaning(300, 3)}, "after 300 processes, not near 500"),
        ({OURS: cleaning(100, errno=24, rows=2500)}, "ours cleaned 2,500 of 30,000 rows"),
        ({OURS: cleaning(1200, 0, errno=0, rows=ROWS - 1)}, "ours cleaned 29,999 of 30,000 rows: no error"),
    ],
)
def test_finding_when_something_is_otherwise_differs_and_says_what(changed: dict[str, Cleaning], because: str) -> None:
    found = finding(ways(**changed))
    assert found.verdict is Verdict.DIFFERS
    assert because in found.reason
