"""Deadlines against a plain dictionary, and what they must not keep."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.data_plane.queues.deadlines import Deadlines

STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "discard", "take"]), st.integers(0, 30), st.integers(0, 20)), max_size=60
)


@given(STEPS)
def test_deadlines_do_what_a_plain_dictionary_does(steps: list[tuple[str, int, int]]) -> None:
    deadlines: Deadlines[str] = Deadlines()
    model: dict[int, int] = {}
    for step, due, key in steps:
        if step == "add" and key not in model:
            deadlines.add(due, key, f"value {key}")
            model[key] = due
        elif step == "discard":
            assert deadlines.discard(due, key) == (model.get(key) == due)
            if model.get(key) == due:
                del model[key]
        elif step == "take":
            taken = deadlines.take_due(due)
            expected = [k for k, d in model.items() if d <= due]
            assert sorted(taken) == sorted(f"value {k}" for k in expected)
            instants = [model[int(v.split()[1])] for v in taken]
            assert instants == sorted(instants)
            for k in expected:
                del model[k]
        assert len(deadlines) == len(model)
        assert deadlines.next() == min(model.values(), default=None)
        assert sorted(deadlines.values()) == sorted(f"value {k}" for k in model)


def test_instants_at_which_nothing_is_due_any_more_are_forgotten() -> None:
    deadlines: Deadlines[int] = Deadlines()
    for number in range(50_000):
        deadlines.add(360_000 + number, number, number)
        deadlines.discard(360_000 + number, number)
    assert len(deadlines) == 0
    assert len(deadlines._heap) < 2_000
