"""When rules fire: seeds, probabilities, windows, limits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.data_plane.chaos.decisions import RuleState, chosen, decide
from tests.unit.data_plane.chaos.support import one

WHERE = 'service = "sqs"\noperation = "SendMessage"\neffect = "latency"\nseconds = 1\n'
shares = st.floats(0, 1, allow_nan=False)
seeds = st.integers(0, 2**32)


def fires(text: str, requests: int) -> list[float | None]:
    """What a rule says of so many requests, each of which it is injected into when it fires."""
    state = RuleState(one(WHERE + text))
    said = []
    for _ in range(requests):
        said.append(state.decide(0.0))
        state.injected += said[-1] is not None
    return said


@given(shares, seeds, st.integers(0, 60), st.integers(0, 60))
def test_nth_request_when_the_seed_is_the_same_is_decided_the_same(p: float, seed: int, n: int, m: int) -> None:
    text = f"probability = {p:f}\nseed = {seed}"
    shorter, longer = sorted((n, m))
    assert fires(text, shorter) == fires(text, longer)[:shorter]


@given(shares, shares, seeds)
def test_probability_when_it_is_higher_adds_faults_and_takes_none_away(a: float, b: float, seed: int) -> None:
    low, high = sorted((a, b))
    few, many = (fires(f"probability = {p:f}\nseed = {seed}", 80) for p in (low, high))
    assert all(more == less for less, more in zip(few, many, strict=True) if less is not None)


@given(seeds)
def test_probability_when_it_is_none_or_certain_leaves_nothing_to_chance(seed: int) -> None:
    assert fires(f"probability = 0\nseed = {seed}", 50) == [None] * 50
    assert None not in fires(f"probability = 1\nseed = {seed}", 50)


def test_probability_when_many_requests_come_is_their_share() -> None:
    hits = [said for said in fires("probability = 0.3\nseed = 4", 10_000) if said is not None]
    # Four standard deviations of a binomial count.
    assert abs(len(hits) - 3000) < 4 * (10_000 * 0.3 * 0.7) ** 0.5
    assert abs(sum(hits) / len(hits) - 0.5) < 0.03


@given(st.integers(1, 20), shares, seeds)
def test_times_when_reached_ends_the_rule(times: int, p: float, seed: int) -> None:
    text = f"probability = {p:f}\nseed = {seed}"
    free, bound = fires(text, 60), fires(f"{text}\ntimes = {times}", 60)
    assert sum(said is not None for said in bound) == min(times, sum(said is not None for said in free))


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 100))
def test_window_when_time_is_outside_does_not_even_count(a: float, b: float, age: float) -> None:
    begins, ends = sorted((a, b))
    if begins == ends:
        ends += 1
    state = RuleState(one(WHERE + f"from = {begins!r}\nuntil = {ends!r}".replace("e-", "E-")))
    inside = begins <= age < ends
    assert (state.decide(age) is not None) is inside
    assert state.matched == int(inside)


def test_rules_without_seeds_do_not_fire_together() -> None:
    text = "[[rule]]\n" + WHERE + "probability = 0.1\n"
    from harness.data_plane.chaos.rules import parse_rules

    states = [RuleState(rule) for rule in parse_rules(text * 2).rules]
    both = [len(decide(states, None, 0.0)) for _ in range(1000)]
    assert both.count(1) > 100


def test_resource_when_it_is_a_pattern_matches_whole_names() -> None:
    state = RuleState(one(WHERE + 'resource = "ingestion-*"'))
    assert decide([state], {"ingestion-insert"}, 0.0)
    assert decide([state], {"other", "ingestion-"}, 0.0)
    for others in ({"my-ingestion-insert"}, {"INGESTION-x"}, set[str](), None):
        assert not decide([state], others, 0.0)
    assert state.matched == 2


@given(st.integers(0, 200), st.floats(0.001, 1), shares)
def test_chosen_when_asked_for_a_share_is_that_many_and_always_the_same(n: int, share: float, detail: float) -> None:
    found = chosen(n, share, detail)
    assert found == chosen(n, share, detail)
    assert found <= set(range(n))
    assert len(found) == (0 if n == 0 else min(n, max(1, int(n * share + 0.5))))
