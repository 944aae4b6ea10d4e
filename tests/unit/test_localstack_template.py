"""The mappings that LocalStack is given beside those of the template."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.localstack.template import with_parallel_mappings, with_variables
from harness.engines.templates.intrinsics import load_template
from harness.experiments.lifecycle import TEMPLATE


def template(maximum: Any = None, source: Any = None) -> dict[str, Any]:
    mapping: dict[str, Any] = {
        "FunctionName": {"Ref": "Fn"},
        "EventSourceArn": source or {"Fn::GetAtt": ["Queue", "Arn"]},
        "BatchSize": 7,
    }
    if maximum is not None:
        mapping["ScalingConfig"] = {"MaximumConcurrency": maximum}
    return {
        "Parameters": {"Most": {"Type": "Number", "Default": 4}},
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Table": {"Type": "AWS::DynamoDB::Table"},
            "Fn": {"Type": "AWS::Lambda::Function", "Properties": {}},
            "Map": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": mapping},
        },
    }


def mappings(grown: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {k: r["Properties"] for k, r in grown["Resources"].items() if r["Type"] == "AWS::Lambda::EventSourceMapping"}


def test_mappings_when_concurrency_allows_are_added_on_aliases_with_the_same_settings() -> None:
    grown = with_parallel_mappings(template(10), {}, 3)
    found = mappings(grown)
    assert sorted(found) == ["Map", "Map2", "Map3"]
    assert {k: v["FunctionName"] for k, v in found.items()} == {
        "Map": {"Ref": "Fn"},
        "Map2": {"Ref": "MapAlias2"},
        "Map3": {"Ref": "MapAlias3"},
    }
    settings = [{k: v for k, v in properties.items() if k != "FunctionName"} for properties in found.values()]
    assert settings[0] == settings[1] == settings[2]
    assert grown["Resources"]["MapAlias2"]["Properties"] == {
        "FunctionName": {"Ref": "Fn"},
        "FunctionVersion": "$LATEST",
        "Name": "parallel-2",
    }


@given(maximum=st.integers(2, 1000), most=st.integers(1, 20))
def test_mappings_when_counted_never_exceed_maximum_concurrency_nor_the_engines_number(maximum: int, most: int) -> None:
    assert len(mappings(with_parallel_mappings(template(maximum), {}, most))) == min(maximum, most)


def test_mappings_when_concurrency_is_a_parameter_take_what_is_given_or_its_default() -> None:
    body = template({"Ref": "Most"})
    assert len(mappings(with_parallel_mappings(body, {}, 9))) == 4
    assert len(mappings(with_parallel_mappings(body, {"Most": "2"}, 9))) == 2


@pytest.mark.parametrize(
    "body",
    [
        template(),
        template(10, {"Fn::GetAtt": ["Table", "StreamArn"]}),
        template(10, "arn:aws:sqs:us-east-1:000000000000:elsewhere"),
    ],
    ids=["no concurrency", "stream", "queue of another stack"],
)
def test_mappings_when_one_may_not_be_doubled_are_left_alone(body: dict[str, Any]) -> None:
    assert with_parallel_mappings(body, {}, 5) == body


def test_template_when_grown_is_not_changed_itself() -> None:
    body = template(10)
    with_parallel_mappings(body, {}, 3)
    assert body == template(10)


def test_pipeline_when_grown_has_another_mapping_of_each_queue_and_none_of_the_stream() -> None:
    body = load_template(TEMPLATE.read_text())
    added = mappings(with_parallel_mappings(body, {}, 2)).keys() - mappings(body).keys()
    assert added == {"InsertMapping2", "ProcessMapping2", "UpdateMapping2"}


def test_variables_when_added_reach_every_function_and_replace_none_of_its_own() -> None:
    body = template()
    body["Resources"]["Other"] = {
        "Type": "AWS::Lambda::Function",
        "Properties": {"Environment": {"Variables": {"A": "own"}}},
    }
    grown = with_variables(body, {"A": "added", "B": "added"})
    found = {k: r["Properties"] for k, r in grown["Resources"].items() if r["Type"] == "AWS::Lambda::Function"}
    assert found["Fn"]["Environment"]["Variables"] == {"A": "added", "B": "added"}
    assert found["Other"]["Environment"]["Variables"] == {"A": "own", "B": "added"}
    assert "Environment" not in body["Resources"]["Fn"]["Properties"]
