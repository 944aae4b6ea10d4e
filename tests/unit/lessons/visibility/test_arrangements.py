from __future__ import annotations

import pytest

from harness.data_plane.chaos.rules import Latency, parse_rules
from harness.engines.templates.intrinsics import load_template
from harness.lessons.visibility.arrangements import (
    ARRANGEMENTS,
    BATCH_SECONDS,
    CHAOS,
    FULL,
    FUNCTION_TIMEOUT,
    NAIVE_TABLE,
    NAIVE_WINDOW,
    QUICK,
    ROWS_PER_MESSAGE,
    TEMPLATE,
    WINDOW_SECONDS,
    Arrangement,
    Plan,
    due,
    messages,
)

PARAMETERS = load_template(TEMPLATE.read_text("utf-8"))["Parameters"]


@pytest.mark.parametrize("arrangement", ARRANGEMENTS, ids=lambda a: a.stack_name)
def test_parameters_when_given_to_the_template_are_known_and_as_aws_takes_them(arrangement: Arrangement) -> None:
    given = arrangement.parameters()
    assert set(given) <= set(PARAMETERS)
    # AWS refuses a mapping whose queue hides messages for less than the function's time-out.
    assert int(given["VisibilityTimeout"]) >= int(given["Timeout"]) > BATCH_SECONDS


def test_last_naive_ones_when_deployed_follow_the_rule_of_six() -> None:
    assert NAIVE_TABLE[-1].visibility == 6 * FUNCTION_TIMEOUT
    assert NAIVE_WINDOW[-1].visibility == 6 * FUNCTION_TIMEOUT + WINDOW_SECONDS


def test_stack_names_when_compared_differ() -> None:
    assert len({a.stack_name for a in ARRANGEMENTS}) == len(ARRANGEMENTS)


def test_rule_of_chaos_makes_every_batch_as_slow_as_is_said() -> None:
    (rule,) = parse_rules(CHAOS).rules
    assert (rule.service, rule.operation, rule.effect) == (
        "dynamodb",
        "BatchWriteItem",
        Latency(BATCH_SECONDS, BATCH_SECONDS),
    )


def test_message_when_delivered_twice_in_a_batch_is_still_one_call() -> None:
    assert 2 * ROWS_PER_MESSAGE <= 25


@pytest.mark.parametrize(
    ("elapsed", "sent"), [(0.0, 1), (4.99, 1), (5.0, 2), (24.9, 5), (25.0, 6), (29.9, 6), (300.0, 6)]
)
def test_due_counts_a_message_each_period_and_none_in_the_last(elapsed: float, sent: int) -> None:
    assert due(NAIVE_TABLE[0], elapsed, Plan(30.0)) == sent


@pytest.mark.parametrize("plan", [FULL, QUICK])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS, ids=lambda a: a.stack_name)
def test_period_is_long_enough_for_all_deliveries_of_a_message(arrangement: Arrangement, plan: Plan) -> None:
    window = float(arrangement.parameters()["BatchingWindow"])
    first = window + BATCH_SECONDS
    # The last copy comes before the first batch has ended and deleted the message; it is gathered and run as well.
    last_received = (first // arrangement.visibility) * arrangement.visibility
    assert last_received + window + BATCH_SECONDS <= arrangement.period
    assert messages(arrangement, plan) >= 2
