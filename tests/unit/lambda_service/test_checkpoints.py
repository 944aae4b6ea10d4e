"""How far a mapping has processed a stream: never ahead of the work, and found again by the next service."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import EngineError
from harness.lambda_service.event_sources.checkpoints import WRITE_SECONDS, Checkpoints, Watermark


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_watermark_whatever_lane_is_faster_never_passes_work_in_hand(pages: list[list[int]], chance: object) -> None:
    saved: list[int] = []
    mark = Watermark(lambda number: saved.append(int(number)))
    given_so_far, done = [0, 0], [0, 0]
    totals: list[list[int]] = []
    waiting = list(enumerate(pages))
    while waiting or done != given_so_far:
        moves = [("read", 0)] if waiting else []
        moves += [("finish", lane) for lane in (0, 1) if done[lane] < given_so_far[lane]]
        move, lane = chance.choice(moves)  # type: ignore[attr-defined]
        if move == "read":
            number, page = waiting.pop(0)
            given_so_far = [a + b for a, b in zip(given_so_far, page, strict=True)]
            totals.append(given_so_far)
            mark.read(str(number), given_so_far)
        else:
            done[lane] += 1
        mark.finished(done)
        if saved:
            assert all(have >= due for have, due in zip(done, totals[saved[-1]], strict=True))
    assert saved == sorted(saved)
    assert saved[-1] == len(pages) - 1


def test_checkpoints_when_the_service_ends_are_found_by_the_next(tmp_path: Path) -> None:
    folder = str(tmp_path / "positions")
    first = Checkpoints.of_mapping(folder, "stream", "function")
    assert (first.resumed, first.since) == (False, 0.0)
    first.begin(17.0)
    first.reach("a", "100")
    first.reach("b", "7")
    first.finish("b")
    first.write()
    second = Checkpoints.of_mapping(folder, "stream", "function")
    assert (second.resumed, second.since) == (True, 17.0)
    assert (second.shards, second.finished) == ({"a": "100"}, {"b"})
    second.begin(99.0)
    assert second.since == 17.0
    assert not Checkpoints.of_mapping(folder, "another stream", "function").resumed
    assert not Checkpoints.of_mapping(folder, "stream", "another function").resumed


def test_checkpoints_when_reached_often_are_written_once_a_second_and_at_the_end(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "positions.json"
    kept = Checkpoints(path, clock)
    kept.begin(0.0)
    kept.reach("a", "1")
    assert Checkpoints(path).shards == {}
    clock.now += WRITE_SECONDS
    kept.reach("a", "2")
    assert Checkpoints(path).shards == {"a": "2"}
    kept.reach("a", "3")
    assert Checkpoints(path).shards == {"a": "2"}
    kept.write()
    assert Checkpoints(path).shards == {"a": "3"}


def test_checkpoints_without_a_folder_are_kept_nowhere(tmp_path: Path) -> None:
    kept = Checkpoints.of_mapping("", "stream", "function")
    kept.begin(0.0)
    kept.reach("a", "1")
    kept.write()
    assert kept.shards == {"a": "1"}
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_when_they_cannot_be_written_say_so_and_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    kept = Checkpoints(tmp_path / "file" / "positions.json")
    kept.begin(0.0)
    assert "the position of a stream cannot be kept" in caplog.text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"shards": [], "finished": [], "since": 0}', "\x00"])
def test_checkpoints_when_the_file_is_another_are_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "positions.json"
    path.write_text(text)
    with pytest.raises(EngineError, match=r"positions.json does not say how far a stream was read"):
        Checkpoints(path)
