"""What was injected is said wherever a result is, and makes results another's."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from harness.compare.subject import subject_of
from harness.engines.embedded import EmbeddedEngine
from harness.engines.registry import ENGINES, create
from harness.errors import UsageError
from harness.experiments.result_lines import print_chaos
from harness.report.sections import chaos_table
from tests.unit.data_plane.chaos.support import WRITES, rule_set
from tests.unit.report.support import run_of, stored


def ran(text: str, matched: int = 0, injected: int = 0) -> list[dict[str, Any]]:
    return [{**rule, "matched": matched, "injected": injected} for rule in rule_set(text).to_json()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (WRITES + 'effect = "error"\ncode = "ThrottlingException"', "dynamodb BatchWriteItem, ThrottlingException"),
        (WRITES + 'resource = "t*"\neffect = "partial"', "BatchWriteItem on t*, 50% of the batch not carried out"),
        (WRITES + 'effect = "latency"\nseconds = 0.5', "0.5 s later"),
        (WRITES + 'effect = "latency"\nseconds = [1, 2.5]', "1 to 2.5 s later"),
        (WRITES + 'effect = "drop"\nwhen = "after"', "connection closed after carrying out"),
    ],
)
def test_rules_when_a_run_is_over_are_told_in_words_and_counts(text: str, words: str) -> None:
    told = io.StringIO()
    print_chaos(Console(file=told, width=300), ran(text, 1234, 56))
    assert words in told.getvalue()
    assert told.getvalue().startswith("chaos      rule 1: ")
    assert "56 of 1,234 requests" in told.getvalue()
    table = chaos_table(run_of(engine__chaos=ran(text, 1234, 56)))
    assert table is not None
    assert words in table.rows[0][1] and table.rows[0][2:] == ("1,234", "56")


def test_result_when_it_ran_without_rules_says_nothing() -> None:
    told = io.StringIO()
    print_chaos(Console(file=told), run_of().engine.chaos)
    assert told.getvalue() == ""
    assert chaos_table(run_of()) is None


def test_results_when_under_other_rules_have_other_conditions_and_counts_are_none() -> None:
    def conditions(rules: list[dict[str, Any]]) -> Any:
        return subject_of(stored(run_of(engine__chaos=rules))).conditions

    drop = WRITES + 'effect = "drop"\nwhen = "after"'
    assert conditions(ran(drop, 1, 1)) == conditions(ran(drop, 9, 9))
    assert conditions(ran(drop)) != conditions([])
    assert conditions(ran(drop)) != conditions(ran(drop.replace("after", "before")))
    assert "chaos" not in conditions([])


def test_engine_when_it_is_not_ours_refuses_rules_by_name() -> None:
    rules = rule_set(WRITES + 'effect = "drop"\nwhen = "after"')
    assert isinstance(create("embedded", chaos=rules), EmbeddedEngine)
    for name in set(ENGINES) - {"embedded"}:
        with pytest.raises(UsageError, match=f"--chaos: engine {name} "):
            create(name, chaos=rules)
