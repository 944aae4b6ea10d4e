"""Tables of a template: taken out, resolved, and put back as plain values wherever the template names them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.embedded.intrinsics import Resolver, load_template, references, substitute
from harness.engines.embedded.template_split import Context, Split, resolver, split
from harness.errors import TemplateError
from harness.run.core import TEMPLATE

CONTEXT = Context("stack", "us-east-1", "000000000000")
KEYS = {
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}
NAME, ARN, STREAM = "made", "arn:aws:dynamodb:us-east-1:000000000000:table/made", "arn:of:the:stream"
MADE: dict[tuple[str, str | None], str] = {("T", None): NAME, ("T", "Arn"): ARN, ("T", "StreamArn"): STREAM}


def table(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::DynamoDB::Table", "Properties": {**KEYS, **properties}}


def taken(resources: dict[str, Any], given: dict[str, str] | None = None, **sections: Any) -> Split:
    return split(load_template(json.dumps({"Resources": resources, **sections})), given or {}, CONTEXT, take=True)


def policy(resource: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": resource}
    return {
        "Type": "AWS::IAM::Policy",
        "Properties": {"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}},
    }


def test_pipeline_when_its_table_is_taken_out_has_no_reference_to_it_left() -> None:
    template = load_template(TEMPLATE.read_text())
    halves = split(template, {"CodeBucket": "b", "CodeKey": "k"}, CONTEXT, take=True)
    (table_id,) = halves.tables
    assert halves.tables[table_id].properties["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}
    made = halves.with_tables({(table_id, k): v for (_, k), v in MADE.items()})
    assert table_id not in {name for name, _ in references(made.data["Resources"])}
    assert table_id not in made.data["Resources"]
    assert ARN in json.dumps(made.data["Resources"])
    resolve = resolver(template, made, dict.fromkeys(made.outputs, "x"), CONTEXT)
    assert resolve.resolve({"Fn::GetAtt": [table_id, "StreamArn"]}) == STREAM
    assert resolve.resolve(halves.own_outputs["RecordsTable"]["Value"]) == NAME


def test_table_when_the_engine_does_not_make_tables_stays_where_it_was() -> None:
    template = load_template(json.dumps({"Resources": {"T": table()}}))
    assert "T" in split(template, {}, CONTEXT).data["Resources"]


def test_table_when_named_by_parameters_and_pseudo_parameters_is_resolved() -> None:
    halves = taken(
        {"T": table(TableName={"Fn::Sub": "${AWS::StackName}-${P}"}, BillingMode={"Ref": "P"})},
        {"P": "x"},
        Parameters={"P": {"Type": "String"}},
    )
    assert halves.tables["T"].name == "stack-x"
    assert halves.tables["T"].properties == {**KEYS, "BillingMode": "x"}


def test_table_when_without_a_name_gets_one_of_its_stack_and_id() -> None:
    names = {k: t.name for k, t in taken({"T": table(), "U": table(), "L" * 255: table()}).tables.items()}
    assert names["T"].startswith("stack-T-")
    assert len(set(names.values())) == 3
    assert all(len(name) <= 255 for name in names.values())


@pytest.mark.parametrize(
    "resource",
    [
        {"Fn::GetAtt": ["T", "Arn"]},
        {"Fn::GetAtt": "T.Arn"},
        {"Fn::Sub": "${T.Arn}/index/*"},
        {"Fn::Sub": ["${T.Arn}/${x}", {"x": {"Ref": "T"}}]},
        {"Fn::Join": ["/", [{"Fn::GetAtt": ["T", "Arn"]}, "index"]]},
    ],
)
def test_reference_when_the_table_is_made_is_its_value(resource: Any) -> None:
    made = taken({"T": table(), "P": policy(resource)}).with_tables(MADE)
    (statement,) = made.data["Resources"]["P"]["Properties"]["PolicyDocument"]["Statement"]
    assert references(statement) <= {("x", None)}
    assert Resolver({}, lambda *_: "").resolve(statement["Resource"]).startswith(ARN)


def test_sub_when_a_variable_hides_the_table_leaves_it() -> None:
    given = {"Fn::Sub": ["${T} ${U} ${!T}", {"T": "mine"}]}
    assert substitute(given, {("T", None): "table", ("U", None): "other"}) == {
        "Fn::Sub": ["${T} other ${!T}", {"T": "mine"}]
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_substitute_when_nothing_is_known_changes_nothing(value: Any) -> None:
    assert substitute(value, {}) == value


def test_depends_on_when_the_table_is_there_before_is_dropped() -> None:
    one = {**policy("*"), "DependsOn": "T"}
    two = {**policy("*"), "DependsOn": ["T", "P1"]}
    resources = taken({"T": table(), "P1": one, "P2": two}).data["Resources"]
    assert "DependsOn" not in resources["P1"]
    assert resources["P2"]["DependsOn"] == ["P1"]


def test_table_when_its_condition_does_not_hold_is_not_made() -> None:
    conditions = {"No": {"Fn::Equals": ["a", "b"]}, "Yes": {"Fn::Equals": ["a", "a"]}}
    halves = taken(
        {"T": {**table(), "Condition": "No"}, "U": {**table(), "Condition": "Yes"}},
        Conditions=conditions,
    )
    assert list(halves.tables) == ["U"]
    assert "T" not in halves.data["Resources"]


def test_table_when_it_refers_to_another_resource_is_refused_with_its_name() -> None:
    specification = {"SSEEnabled": True, "KMSMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}
    with pytest.raises(TemplateError, match=r"T: the template refers to Key\.Arn") as refused:
        taken({"T": table(SSESpecification=specification), "Key": {"Type": "AWS::KMS::Key"}})
    assert "before other resources" in refused.value.hint


def test_global_table_when_declared_is_refused() -> None:
    with pytest.raises(TemplateError, match="G has type AWS::DynamoDB::GlobalTable"):
        taken({"G": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": {}}})


def test_resource_when_it_would_use_a_table_from_the_data_services_is_refused() -> None:
    target = {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "Properties": {"ResourceId": {"Fn::Sub": "table/${T}"}},
    }
    with pytest.raises(TemplateError, match="resource A of type AWS::ApplicationAutoScaling::ScalableTarget"):
        taken({"T": table(), "A": target})
