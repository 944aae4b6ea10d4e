from __future__ import annotations

import pytest

from harness.engines.templates.intrinsics import load_template
from harness.lessons.capacity.arrangements import (
    ARRANGEMENTS,
    FULL,
    NAIVE_5,
    NAIVE_100,
    NAIVE_ON_DEMAND,
    OURS_100,
    QUICK,
    TEMPLATE,
    Arrangement,
    Plan,
)

PARAMETERS = load_template(TEMPLATE.read_text("utf-8"))["Parameters"]


def test_rows_when_full_are_the_published_ones_at_a_fifth_of_the_rate() -> None:
    assert FULL.rows == 558_000 / 5


def test_capacity_when_provisioned_is_a_fifth_of_the_published() -> None:
    assert NAIVE_5.parameters(FULL)["WriteCapacity"] == "1"
    assert NAIVE_100.parameters(FULL)["WriteCapacity"] == "20"
    assert "WriteCapacity" not in NAIVE_ON_DEMAND.parameters(FULL)


@pytest.mark.parametrize("plan", [FULL, QUICK])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS, ids=lambda a: a.stack_name)
def test_parameters_when_given_to_the_template_are_known_and_as_aws_takes_them(
    arrangement: Arrangement, plan: Plan
) -> None:
    given = arrangement.parameters(plan)
    assert set(given) <= set(PARAMETERS)
    timeout = int(given.get("Timeout", PARAMETERS["Timeout"]["Default"]))
    # AWS refuses a mapping whose queue hides messages for less than the function's time-out.
    assert int(given["VisibilityTimeout"]) >= timeout


def test_ours_when_deployed_follows_the_rule_of_six() -> None:
    given = OURS_100.parameters(FULL)
    assert int(given["VisibilityTimeout"]) >= 6 * int(given["Timeout"])


def test_stack_names_when_compared_differ() -> None:
    assert len({a.stack_name for a in ARRANGEMENTS}) == len(ARRANGEMENTS)
