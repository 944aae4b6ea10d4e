"""How template text is read: CloudFormation's YAML is version 1.1 without types of its own."""

from __future__ import annotations

from typing import Any

import pytest

from harness.engines.embedded.intrinsics import Resolver, load_template
from harness.engines.embedded.template_split import Context, split
from harness.engines.embedded.template_text import as_text, load, spell_booleans
from harness.errors import TemplateError

CONTEXT = Context("s", "us-east-1", "000000000000")


@pytest.mark.parametrize(
    ("scalar", "text"),
    [
        *[(word, "true") for word in ("true", "True", "TRUE", "yes", "Yes", "on", "ON")],
        *[(word, "false") for word in ("false", "False", "FALSE", "no", "NO", "off")],
        *[(word, word) for word in ("y", "n", "tRue", "2012-10-17", "2012-10-17T10:00:00Z", "012345678901", "1e3")],
        *[(f"'{word}'", word) for word in ("true", "yes", "0755", "1.0", "12:30", "null", "")],
        ("7", "7"),
        ("+7", "7"),
        ("-7", "-7"),
        ("1_000", "1000"),
        ("0755", "493"),
        ("010", "8"),
        ("0x1F", "31"),
        ("0b101", "5"),
        ("12:30", "750"),
        ("12:30:00", "45000"),
        ("1.0", "1.0"),
        ("1.10", "1.1"),
        ("0.5", "0.5"),
        ("=", "="),
        ("123456789012", "123456789012"),
    ],
)
def test_scalar_when_a_string_is_wanted_is_what_yaml_1_1_makes_of_it(scalar: str, text: str) -> None:
    loaded = load_template(f"Resources: {{}}\nValue: {scalar}\nJoined: !Join ['', [{scalar}]]\n")
    assert as_text(loaded["Value"]) == text
    assert Resolver(loaded, lambda *_: None).resolve(loaded["Joined"]) == text


@pytest.mark.parametrize("value", ["true", "yes", "2012-10-17", "1.0", "7"])
@pytest.mark.parametrize("quoted", ["{!r}", "{}"], ids=["quoted", "unquoted"])
def test_condition_when_it_compares_a_parameter_holds_quoted_or_not(value: str, quoted: str) -> None:
    text = as_text(load(value))
    template = load_template(
        f"Parameters: {{P: {{Type: String, AllowedValues: [{value}, other], Default: {value}}}}}\n"
        f"Conditions: {{C: !Equals [!Ref P, {quoted.format(text)}]}}\n"
        "Resources: {Q: {Type: 'AWS::SQS::Queue'}}\n"
    )
    halves = split(template, {}, CONTEXT)
    assert halves.parameters == {"P": text}
    assert split(template, {"P": text}, CONTEXT).parameters == {"P": text}
    assert Resolver(template, lambda name, _: halves.parameters[name]).condition("C")


def test_data_half_when_it_compares_or_joins_booleans_spells_them_as_cloudformation_does() -> None:
    template = load_template(
        """
Parameters: {P: {Type: String, AllowedValues: [true, false], Default: true, NoEcho: true}}
Conditions: {C: !Equals [!Ref P, true]}
Resources:
  Q:
    Type: AWS::SQS::Queue
    Properties:
      SqsManagedSseEnabled: false
      QueueName: !Join ['-', [q, true]]
"""
    )
    data = split(template, {}, CONTEXT).data
    assert data["Parameters"]["P"]["AllowedValues"] == ["true", "false"]
    assert data["Parameters"]["P"]["Default"] == "true"
    assert data["Conditions"]["C"] == {"Fn::Equals": [{"Ref": "P"}, "true"]}
    properties = data["Resources"]["Q"]["Properties"]
    # A property of type boolean stays one.
    assert properties["SqsManagedSseEnabled"] is False
    assert properties["QueueName"] == {"Fn::Join": ["-", ["q", "true"]]}


@pytest.mark.parametrize(
    "expression",
    ["!Sub '${A}'", "!Sub ['${B}', {B: true}]", "!Join ['', [!Ref A]]", "!FindInMap [M, !Ref A, v]"],
)
def test_intrinsic_when_it_makes_a_string_of_a_boolean_is_lower_case(expression: str) -> None:
    loaded = load_template(f"Resources: {{}}\nMappings: {{M: {{true: {{v: 'true'}}}}}}\nValue: {expression}\n")
    assert Resolver(loaded, lambda *_: True).resolve(loaded["Value"]) == "true"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Resources: {A: {Type: T, Properties: {X: null}}}", "line 1.*null values are not allowed"),
        ("Resources:\n  A:\n    Type: T\n    Properties:\n      X:\n", "line 5.*null values are not allowed"),
        ("Resources:\n  A: {Type: T}\n  A: {Type: T}\n", "line 3.*A is there twice"),
        ("Resources: {A: {Type: T, X: !!binary aGk=}}", "does not support the YAML tag"),
        ("Resources: {A: {Type: T, X: !!timestamp 2012-10-17}}", "does not support the YAML tag"),
        ("Resources: {A: {Type: T, ? [a] : b}}", "a key is no string"),
        ("Resources: {A: {Type: T, X: !Nope x}}", "not YAML"),
        ("Resources: {A: {}}", "resource A has no Type"),
        ("Resources: [", "not YAML"),
        ('{"Resources": {"A": {"Type": "T", "X": null}}}', "X: null values are not allowed"),
        ('{"Resources": {"A": {"Type": "T"}, "A": {"Type": "T"}}}', "A twice in one object"),
        ('{"Resources": }', "not JSON"),
        ("x", "no Resources"),
    ],
)
def test_template_when_cloudformation_would_refuse_its_text_is_refused(text: str, why: str) -> None:
    with pytest.raises(TemplateError, match=why):
        load_template(text)


def test_template_when_json_is_read_as_json() -> None:
    text = '\ufeff{\n\t"Resources": {\n\t\t"A": {"Type": "T", "On": true, "N": 1e3, "D": "2012-10-17"}\n\t}\n}'
    assert load_template(text)["Resources"]["A"] == {"Type": "T", "On": True, "N": 1000.0, "D": "2012-10-17"}
    assert load_template("{Resources: {A: {Type: T}}}") == {"Resources": {"A": {"Type": "T"}}}


@pytest.mark.parametrize(
    ("value", "spelt"),
    [
        ({"X": True}, {"X": True}),
        ({"Fn::Sub": ["${a}", {"a": False}]}, {"Fn::Sub": ["${a}", {"a": "false"}]}),
        ([{"Fn::If": ["C", True, {"Fn::Equals": [1, True]}]}], [{"Fn::If": ["C", True, {"Fn::Equals": [1, "true"]}]}]),
    ],
)
def test_booleans_when_spelt_are_those_in_strings_and_comparisons(value: Any, spelt: Any) -> None:
    assert spell_booleans(value) == spelt


def test_parameter_when_a_list_is_one_for_the_functions() -> None:
    template = load_template(
        "Parameters: {L: {Type: CommaDelimitedList, Default: 'a, b'}}\nResources: {Q: {Type: 'AWS::SQS::Queue'}}\n"
    )
    from harness.engines.embedded.template_split import resolver

    resolve = resolver(template, split(template, {}, CONTEXT), {}, CONTEXT)
    assert resolve.resolve({"Fn::Join": ["+", {"Ref": "L"}]}) == "a+b"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Transform: AWS::Serverless-2016-10-31\nResources: {}", "Transform AWS::Serverless-2016-10-31"),
        (
            "Parameters: {P: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /a}}\nResources: {}",
            "parameter P has type AWS::SSM",
        ),
        (
            "Resources: {V: {Type: 'AWS::Lambda::Version', Properties: {FunctionName: f}}}",
            "V has type AWS::Lambda::Ver",
        ),
        ("Resources: {V: {Type: 'AWS::Lambda::Nope'}}", "V has type AWS::Lambda::Nope, which is not emulated"),
        (
            "Resources: {F: {Type: 'AWS::Lambda::Function'}, R: {Type: 'AWS::Events::Rule', Properties: {Targets: "
            "[{Id: a, Arn: !GetAtt F.Arn}]}}}",
            "R of type AWS::Events::Rule refers to F",
        ),
        (
            "Resources: {F: {Type: 'AWS::Lambda::Function'}, R: {Type: 'Custom::Thing', Properties: "
            "{ServiceToken: !Sub '${F.Arn}'}}}",
            "R of type Custom::Thing refers to F",
        ),
    ],
)
def test_template_when_it_needs_what_is_not_there_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(TemplateError, match=why):
        split(load_template(text), {}, CONTEXT)


def test_template_when_a_refused_resources_condition_does_not_hold_deploys() -> None:
    template = load_template(
        "Conditions: {Never: !Equals [a, b]}\nResources: {V: {Type: 'AWS::Lambda::Version', Condition: Never}}\n"
    )
    assert split(template, {}, CONTEXT).lambda_resources == {}
