"""Properties of Lambda resources: each implemented, harmless, or refused by name; values as AWS allows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from harness.engines.embedded import properties
from harness.engines.embedded.intrinsics import load_template
from harness.engines.embedded.lambda_stack import build_stack
from harness.engines.embedded.template_split import Context, resolver, split
from harness.errors import TemplateError
from harness.lambda_service.model import StackConfig
from harness.run.core import TEMPLATE

CONTEXT = Context("s", "us-east-1", "000000000000")
QUEUE = "arn:aws:sqs:us-east-1:000000000000:letters"
FUNCTION: dict[str, Any] = {
    "Handler": "index.handler",
    "Runtime": "python3.13",
    "Role": "arn:aws:iam::000000000000:role/r",
    "Code": {"ZipFile": "x = 1"},
}


def build(template: dict[str, Any], **given: str) -> StackConfig:
    loaded = load_template(json.dumps(template))
    halves = split(loaded, given, CONTEXT)
    arns = {"StreamArn": "arn:aws:dynamodb:us-east-1:0:table/{}/stream/1", None: "{}"}
    outputs = {
        key: arns.get(attribute, "arn:aws:sqs:us-east-1:0:{}").format(name)
        for key, (name, attribute) in halves.outputs.items()
    }
    return build_stack(
        halves,
        resolver(loaded, halves, outputs, CONTEXT),
        CONTEXT,
        fetch_code=lambda *_: Path("/code"),
        queue_url=lambda arn: arn,
        notification_queue_url="",
    )


def function(**given: Any) -> dict[str, Any]:
    found = {k: v for k, v in {**FUNCTION, **given}.items() if v is not None}
    return {"Resources": {"Fn": {"Type": "AWS::Lambda::Function", "Properties": found}}}


def event_config(**given: Any) -> dict[str, Any]:
    template = function(FunctionName="f")
    found = {"FunctionName": "f", "Qualifier": "$LATEST", **given}
    template["Resources"]["Config"] = {
        "Type": "AWS::Lambda::EventInvokeConfig",
        "Properties": {k: v for k, v in found.items() if v is not None},
    }
    return template


def schema_paths(kind: str) -> set[str]:
    """Return the dotted paths of every property one may set, by the schema that cfn-lint brings along."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    paths: set[str] = set()

    def walk(prefix: str, found: dict[str, Any]) -> None:
        for name, value in found.get("properties", {}).items():
            paths.add(prefix + name)
            if "$ref" in value:
                walk(f"{prefix}{name}.", schema["definitions"][value["$ref"].rsplit("/", 1)[-1]])

    walk("", schema)
    readonly = {p.removeprefix("/properties/").replace("/", ".") for p in schema.get("readOnlyProperties", ())}
    return {p for p in paths if not any(p == r or p.startswith(f"{r}.") for r in readonly)}


@pytest.mark.parametrize("kind", sorted(properties.PROPERTIES))
def test_properties_when_compared_with_the_schema_are_all_there(kind: str) -> None:
    told = {path: fate for resource, path, fate, _ in properties.rows() if resource == kind}
    wanted = schema_paths(kind)
    # What lies within a refused property is refused with it.
    left = {p for p in wanted - set(told) if not any(told.get(p[:i]) == "refused" for i in range(len(p)))}
    assert left == set()
    assert set(told) - wanted == set()


def test_types_when_compared_with_the_schemas_are_all_there() -> None:
    known = {t for t in PROVIDER_SCHEMA_MANAGER.get_resource_types("us-east-1") if t.startswith("AWS::Lambda::")}
    assert known == set(properties.PROPERTIES) | properties.OWN_RULES | set(properties.REFUSED_TYPES)


REFUSED = sorted(
    {path for kind, path, fate, _ in properties.rows() if kind.endswith("::Function") and fate == "refused"}
)


@pytest.mark.parametrize("path", REFUSED)
def test_property_when_refused_is_named(path: str) -> None:
    value: Any = "something"
    for name in reversed(path.split(".")[1:]):
        value = {name: value}
    name = path.split(".", maxsplit=1)[0]
    if value == "something" and (nested := properties.PROPERTIES["AWS::Lambda::Function"][name].nested):
        value = dict.fromkeys(nested, "something")
    given = {name: {**FUNCTION["Code"], **value} if name == "Code" else value}
    with pytest.raises(TemplateError, match=f"Fn: {path}.*refused"):
        build(function(**given))


@pytest.mark.parametrize(
    "given",
    [
        {"Layers": []},
        {"VpcConfig": {}},
        {"PackageType": "Zip"},
        {"SnapStart": {"ApplyOn": "None"}},
        {"TracingConfig": {"Mode": "PassThrough"}},
        {"RecursiveLoop": "Allow"},
        {"RuntimeManagementConfig": {"UpdateRuntimeOn": "Auto"}},
        {"Tags": [{"Key": "a", "Value": "b"}], "Description": "x", "KmsKeyArn": "k"},
        {"EphemeralStorage": {"Size": 10240}, "Architectures": ["arm64"]},
        {"Timeout": "900", "MemorySize": 10240.0, "ReservedConcurrentExecutions": 0},
    ],
    ids=lambda g: next(iter(g)),
)
def test_property_when_harmless_or_as_here_anyway_deploys(given: dict[str, Any]) -> None:
    assert build(function(**given)).functions[0].handler == "index.handler"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"MemorySze": 128}, "Fn: MemorySze is not a property of AWS::Lambda::Function"),
        ({"LoggingConfig": {"Format": "JSON"}}, "LoggingConfig.Format is not a property"),
        ({"LoggingConfig": "JSON"}, "LoggingConfig is 'JSON', an object is needed"),
        ({"Timeout": 0}, "Timeout is 0, allowed are 1 to 900"),
        ({"Timeout": 901}, "Timeout is 901"),
        ({"Timeout": "soon"}, "Timeout is 'soon', a whole number is needed"),
        ({"Timeout": True}, "Timeout is 'true', a whole number is needed"),
        ({"MemorySize": 127}, "MemorySize is 127, allowed are 128 to 10240"),
        ({"MemorySize": 10241}, "MemorySize is 10241"),
        ({"MemorySize": 128.5}, "MemorySize is '128.5'"),
        ({"EphemeralStorage": {"Size": 511}}, "Size is 511, allowed are 512 to 10240"),
        ({"EphemeralStorage": {"Size": 10241}}, "Size is 10241"),
        ({"ReservedConcurrentExecutions": -1}, "ReservedConcurrentExecutions is -1, allowed are 0 to"),
        ({"Runtime": "nodejs22.x"}, "Runtime is 'nodejs22.x', allowed are python3.9"),
        ({"Runtime": "python2.7"}, "Runtime is 'python2.7'"),
        ({"Runtime": None}, "Runtime is missing"),
        ({"Handler": None, "Role": None}, "Role, Handler is missing"),
        ({"Handler": "handler"}, "Handler is 'handler'"),
        ({"Handler": "a b.c"}, "Handler is 'a b.c'"),
        ({"Handler": "m." + "x" * 127}, "Handler is"),
        ({"FunctionName": "no spaces please"}, "FunctionName is 'no spaces please'"),
        ({"FunctionName": "x" * 65}, "FunctionName is"),
        ({"Architectures": ["x86_64", "arm64"]}, "allowed is one of x86_64 and arm64"),
        ({"Architectures": ["sparc"]}, "Architectures is"),
        ({"Code": {"ImageUri": "x"}}, "Code.ImageUri is refused"),
        (
            {"DeadLetterConfig": {"TargetArn": "arn:aws:sns:us-east-1:0:topic"}},
            "DeadLetterConfig.TargetArn is arn:aws:sns",
        ),
        ({"DeadLetterConfig": {"TargetArn": QUEUE + ".fifo"}}, "FIFO queue"),
        ({"DeadLetterConfig": {"TargetArn": "letters"}}, "TargetArn is letters, which is not an SQS queue"),
        ({"LoggingConfig": {"LogFormat": "XML"}}, "LogFormat is 'XML', allowed are Text, JSON"),
        ({"LoggingConfig": {"SystemLogLevel": "INFO"}}, "sets SystemLogLevel, which counts with LogFormat JSON only"),
        (
            {"LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "LOUD"}},
            "ApplicationLogLevel is 'LOUD', allowed are TRACE",
        ),
        ({"LoggingConfig": {"LogFormat": "JSON", "SystemLogLevel": "ERROR"}}, "SystemLogLevel is 'ERROR'"),
        ({"LoggingConfig": {"LogGroup": "a group"}}, "LogGroup is 'a group'"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "AWS_REGION"),
        ({"Environment": {"Variables": {"LIST": ["x"]}}}, "variable LIST is no string"),
        ({"Environment": {"Variables": "x"}}, "Variables is 'x', an object is needed"),
        ({"DeadLetterConfig": ""}, "DeadLetterConfig is '', an object is needed"),
        ({"Environment": {"Variables": {"TOKEN": "{{resolve:ssm:x}}"}}}, "dynamic reference"),
    ],
)
def test_function_when_aws_or_the_engine_would_refuse_it_is_refused_by_name(given: dict[str, Any], why: str) -> None:
    with pytest.raises(TemplateError, match=why):
        build(function(**given))


def test_function_when_everything_is_set_has_it_all() -> None:
    (made,) = build(
        function(
            FunctionName="f",
            Timeout=7,
            DeadLetterConfig={"TargetArn": QUEUE},
            ReservedConcurrentExecutions=3,
            LoggingConfig={
                "LogFormat": "JSON",
                "LogGroup": "/my/group",
                "ApplicationLogLevel": "ERROR",
                "SystemLogLevel": "WARN",
            },
            Environment={"Variables": {"ON": True, "RATIO": 1.5, "COUNT": 10}},
        )
    ).functions
    assert (made.timeout, made.memory_mb, made.reserved_concurrency) == (7, 128, 3)
    assert (made.dead_letter_arn, made.log_group, made.log_format) == (QUEUE, "/my/group", "JSON")
    assert (made.application_log_level, made.system_log_level) == ("ERROR", "WARN")
    assert made.environment == {"ON": "true", "RATIO": "1.5", "COUNT": "10"}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"MaximumRetryAttempts": 3}, "Config: MaximumRetryAttempts is 3, allowed are 0 to 2"),
        ({"MaximumRetryAttempts": -1}, "MaximumRetryAttempts is -1"),
        ({"MaximumEventAgeInSeconds": 59}, "MaximumEventAgeInSeconds is 59, allowed are 60 to 21600"),
        ({"MaximumEventAgeInSeconds": 21601}, "MaximumEventAgeInSeconds is 21601"),
        ({"Qualifier": "live"}, r"Qualifier is refused.*say \$LATEST"),
        ({"Qualifier": None}, "Qualifier is missing"),
        ({"FunctionName": "g"}, "'g', no function of this template"),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sns:us-east-1:0:t"}}},
            "OnFailure.Destination is arn:aws:sns",
        ),
        (
            {"DestinationConfig": {"OnSuccess": {"Destination": "arn:aws:lambda:us-east-1:0:function:g"}}},
            "OnSuccess.Destination is arn:aws:lambda",
        ),
        ({"DestinationConfig": {"OnError": {}}}, "DestinationConfig.OnError is not a property"),
    ],
)
def test_event_config_when_aws_or_the_engine_would_refuse_it_is_refused_by_name(
    given: dict[str, Any], why: str
) -> None:
    with pytest.raises(TemplateError, match=why):
        build(event_config(**given))


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({"Function": "f"}, "without a literal Event"),
        ({"Event": "e"}, "Function is missing"),
        ({"Event": "s3:ObjectCreated:*", "Function": "f", "Id": "x"}, "Id is not known"),
        ({"Event": "s3:ObjectCreated:*", "Function": "f:live"}, "names the version or alias live"),
        ({"Event": "s3:ObjectCreated:*", "Function": "g"}, "calls 'g', no function of this template"),
        (
            {"Event": "e", "Function": "f", "Filter": {"S3Key": {"Rules": [{"Name": "tag", "Value": "x"}]}}},
            "is not one prefix or one suffix",
        ),
        (
            {"Event": "e", "Function": "f", "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "x"}] * 2}}},
            "is not one prefix or one suffix",
        ),
    ],
)
def test_notification_when_it_cannot_be_heeded_is_refused(item: dict[str, Any], why: str) -> None:
    template = function(FunctionName="f")
    template["Resources"]["Bucket"] = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"NotificationConfiguration": {"LambdaConfigurations": [item]}},
    }
    with pytest.raises(TemplateError, match=why):
        build(template)


@pytest.mark.parametrize(
    "broken", [{"Fn::Join": "x"}, {"Fn::Select": [5, ["a"]]}, {"Fn::Sub": [1, 2]}, {"Fn::FindInMap": ["a"]}]
)
def test_intrinsic_when_its_arguments_are_wrong_is_refused_by_name(broken: dict[str, Any]) -> None:
    with pytest.raises(TemplateError, match=next(iter(broken))):
        build(function(Description=broken))


def test_event_config_when_two_name_one_function_is_refused() -> None:
    template = event_config()
    template["Resources"]["Again"] = template["Resources"]["Config"]
    with pytest.raises(TemplateError, match="Again and Config configure the same function"):
        build(template)


def test_event_config_when_valid_is_taken_over() -> None:
    destinations = {"OnFailure": {"Destination": QUEUE}, "OnSuccess": {"Destination": QUEUE + "2"}}
    (made,) = build(
        event_config(MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60, DestinationConfig=destinations)
    ).async_configs
    assert (made.max_retries, made.max_age_seconds) == (0, 60)
    assert (made.on_failure_arn, made.on_success_arn) == (QUEUE, QUEUE + "2")


def test_pipelines_template_when_built_has_its_functions_and_mappings() -> None:
    template = load_template(TEMPLATE.read_text())
    stack = build(template, CodeBucket="b", CodeKey="k")
    assert len(stack.functions) == 5
    assert (len(stack.async_configs), len(stack.sqs_mappings), len(stack.stream_mappings)) == (1, 3, 1)
