"""docs/fidelity.md says what the contract tests say: no row without a test, no test without a row."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from harness.engines.registry import ENGINES as REGISTERED
from tests.contract import fidelity

CONTRACT = Path(fidelity.__file__).parent


def names_in(module: Path) -> set[str]:
    """Return the names of a module's tests, one for each id that `parametrize` gives, without reading the engine."""
    names: set[str] = set()
    for node in ast.parse(module.read_text()).body:
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        ids = [
            ast.literal_eval(keyword.value)
            for decorator in node.decorator_list
            if isinstance(decorator, ast.Call)
            for keyword in decorator.keywords
            if keyword.arg == "ids"
        ]
        names |= {f"{node.name}[{i}]" for i in ids[0]} if ids else {node.name}
    return names


def test_document_when_rendered_is_the_one_in_docs() -> None:
    assert fidelity.DOCUMENT.read_text() == fidelity.render(), "run `python -m tests.contract.fidelity`"


@pytest.mark.parametrize("module", sorted(CONTRACT.glob("test_*.py")), ids=lambda path: path.stem)
def test_rows_when_compared_with_the_contract_tests_are_the_same(module: Path) -> None:
    rows = {f"test_{test}" for test in fidelity.BEHAVIOURS[module.stem]}
    assert rows == names_in(module)


def test_differences_when_looked_up_name_tests_and_engines_that_exist() -> None:
    known = {test for behaviours in fidelity.BEHAVIOURS.values() for test in behaviours}
    # AWS is what the others are compared with.
    assert set(fidelity.DIFFERENCES) == set(fidelity.ENGINES) == set(REGISTERED) - {"aws"}
    for differences in fidelity.DIFFERENCES.values():
        assert set(differences) <= known


def test_difference_when_asked_for_a_parametrised_test_is_that_of_its_parameter() -> None:
    name = "test_crash_when_processing_a_message_costs_one_retry_and_loses_nothing"
    assert fidelity.difference("localstack", f"{name}[out-of-memory]") is not None
    assert fidelity.difference("localstack", f"{name}[exit]") is None
    assert fidelity.difference("embedded", f"{name}[out-of-memory]") is None


def test_difference_when_declared_never_excuses_an_engine_that_does_not_run() -> None:
    from harness.errors import HarnessError

    for differences in fidelity.DIFFERENCES.values():
        for found in (d for d in differences.values() if d.kind != "untried"):
            assert not any(issubclass(HarnessError, kind) for kind in found.raises)
