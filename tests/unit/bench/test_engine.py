"""A stage's rate beside its bare loop's."""

from __future__ import annotations

import pytest

from harness.bench.engine import AGAIN, LOOP_OF, NEW, SEND, Loop, shares_of_ceiling
from harness.stages import STAGES


def loop(name: str, items_per_second: float) -> Loop:
    return Loop(name, 2, 1, 1.0, items_per_second, 0.5)


def test_shares_when_every_loop_ran_give_each_stage_that_of_the_call_it_passes_rows_on_with() -> None:
    loops = [loop(NEW, 1000), loop(AGAIN, 2000), loop(SEND, 4000), loop("GetRecords", 1)]
    found = shares_of_ceiling(loops, {stage.name: 500.0 for stage in STAGES})
    assert found == pytest.approx({"clean": 0.125, "insert": 0.5, "capture": 0.125, "process": 0.125, "update": 0.25})


def test_shares_when_a_loop_did_not_run_or_took_nothing_leave_its_stages_out() -> None:
    assert shares_of_ceiling([], {"insert": 500.0}) == {}
    assert shares_of_ceiling([loop(NEW, 0.0), loop(AGAIN, 1000)], {"insert": 500.0, "update": 0.0}) == {"update": 0.0}


def test_loops_when_compared_with_the_stages_cover_every_one() -> None:
    assert set(LOOP_OF) == {stage.name for stage in STAGES}
