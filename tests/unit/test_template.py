"""The template itself, and what the embedded engine makes of it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from handlers.dialect import parse_delimiter
from harness.engines.packaging import build_code_zip, link_runtime, unpack
from harness.engines.templates.intrinsics import Resolver, load_template, references
from harness.engines.templates.split import NOTIFICATION_QUEUE, Context, resolver, split
from harness.errors import EngineError, TemplateError
from harness.experiments.lifecycle import TEMPLATE

CONTEXT = Context("stack", "us-east-1", "000000000000")
GIVEN = {"CodeBucket": "b", "CodeKey": "k"}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return load_template(TEMPLATE.read_text())


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {k: r.get("Properties", {}) for k, r in template["Resources"].items() if r["Type"] == kind}


def test_template_when_linted_is_clean() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), str(TEMPLATE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_template_when_read_has_a_dead_letter_queue_behind_every_step(template: dict[str, Any]) -> None:
    queues = of_type(template, "AWS::SQS::Queue")
    letters = {k for k in queues if k.endswith("Dlq")}
    assert len(letters) == 5
    for name, properties in queues.items():
        assert (name in letters) != ("RedrivePolicy" in properties), name
    defaults = {k: p.get("Default") for k, p in template["Parameters"].items()}
    assert defaults["MaxReceiveCount"] == 3
    assert defaults["VisibilityTimeout"] >= 6 * defaults["WorkerTimeout"] + defaults["BatchingWindowSeconds"]


def test_template_when_read_grants_least_privilege(template: dict[str, Any]) -> None:
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                assert not any("*" in action for action in actions), name
                assert statement["Resource"] != "*" or actions == ["dynamodb:ListStreams"], name


def test_template_when_read_keeps_logs_for_a_limited_time_and_the_bucket_private(template: dict[str, Any]) -> None:
    groups = of_type(template, "AWS::Logs::LogGroup")
    functions = of_type(template, "AWS::Lambda::Function")
    assert len(groups) == len(functions) == 5
    assert all("RetentionInDays" in g for g in groups.values())
    assert all(f["LoggingConfig"]["LogGroup"]["Ref"] in groups for f in functions.values())
    (bucket,) = of_type(template, "AWS::S3::Bucket").values()
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}


def test_split_when_applied_leaves_no_lambda_resource_to_the_data_services(template: dict[str, Any]) -> None:
    halves = split(template, GIVEN, CONTEXT)
    types = {r["Type"] for r in halves.data["Resources"].values()}
    assert not any(t.startswith("AWS::Lambda::") for t in types)
    assert NOTIFICATION_QUEUE in halves.data["Resources"]
    bucket = halves.data["Resources"]["UploadBucket"]["Properties"]["NotificationConfiguration"]
    assert list(bucket) == ["QueueConfigurations"]
    left = {name for name, _ in references(halves.data["Resources"])}
    assert left <= set(halves.data["Resources"]) | set(template["Parameters"]) | set(CONTEXT.pseudo()) | {
        "AWS::NoValue"
    }
    assert len(halves.lambda_resources) == 11


def test_split_when_resolved_gives_functions_their_values(template: dict[str, Any]) -> None:
    halves = split(template, {**GIVEN, "RowsPerMessage": "7"}, CONTEXT)
    outputs = {key: f"value of {name}.{attribute}" for key, (name, attribute) in halves.outputs.items()}
    resolve = resolver(template, halves, outputs, CONTEXT)
    clean = resolve.resolve(halves.lambda_resources["CleanFunction"]["Properties"])
    assert clean["FunctionName"] == "stack-clean"
    assert clean["Environment"]["Variables"]["ROWS_PER_MESSAGE"] == "7"
    assert clean["Environment"]["Variables"]["INSERT_QUEUE_URL"] == "value of InsertQueue.None"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({**GIVEN, "NoSuch": "1"}, "NoSuch"),
        ({}, "CodeBucket"),
        ({**GIVEN, "RowsPerMessage": "0"}, "RowsPerMessage"),
        ({**GIVEN, "RowsPerMessage": "many"}, "many"),
        ({**GIVEN, "BillingMode": "FREE"}, "FREE"),
        ({**GIVEN, "Delimiter": "commas"}, "'commas': must be auto, comma, semicolon, tab, pipe"),
        ({**GIVEN, "Delimiter": ";;"}, "';;'"),
        ({**GIVEN, "Delimiter": "a"}, "'a'"),
        ({**GIVEN, "Quotes": "loose"}, "loose"),
    ],
)
def test_parameters_when_unusable_are_refused_by_name(
    template: dict[str, Any], given: dict[str, str], named: str
) -> None:
    with pytest.raises(TemplateError, match=named):
        split(template, given, CONTEXT)


@pytest.mark.parametrize("delimiter", ["auto", "comma", "tab", "space", *"!#$%&'()*+,-./:;<=>?@[]^_`{|}~"])
def test_delimiter_when_the_template_takes_it_the_clean_function_does(template: dict[str, Any], delimiter: str) -> None:
    halves = split(template, {**GIVEN, "Delimiter": delimiter}, CONTEXT)
    assert halves.parameters["Delimiter"] == delimiter
    parse_delimiter(delimiter)


@pytest.mark.parametrize(
    ("spec", "value", "problem"),
    [
        ({"Type": "String", "AllowedPattern": "[a-z]+"}, "ab1", "'ab1': it does not match"),
        ({"Type": "String", "AllowedPattern": "a|ab"}, "abc", "it does not match"),
        ({"Type": "String", "MinLength": 3}, "ab", "2 characters"),
        ({"Type": "String", "MaxLength": "3", "ConstraintDescription": "be short"}, "abcd", "be short"),
        ({"Type": "String", "AllowedPatern": "x"}, "a", "declares AllowedPatern"),
    ],
)
def test_parameter_when_a_constraint_does_not_hold_is_refused(spec: dict[str, Any], value: str, problem: str) -> None:
    with pytest.raises(TemplateError, match=problem):
        split({"Parameters": {"P": spec}, "Resources": {}}, {"P": value}, CONTEXT)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("!Ref A", "a"),
        ("!GetAtt A.Arn", "arn"),
        ("!Sub '${A}-${A.Arn}-${!literal}'", "a-arn-${literal}"),
        ("!Sub ['${B}', {B: !Ref A}]", "a"),
        ("!Join ['-', [x, !Ref A]]", "x-a"),
        ("!If ['Yes', 1, 2]", 1),
        ("!If ['No', 1, 2]", 2),
        ("!Select [1, [x, y]]", "y"),
        ("!Split [',', 'x,y']", ["x", "y"]),
        ("!FindInMap [M, k, v]", "found"),
        ("!Base64 x", "eA=="),
        ("{k: !Ref 'AWS::NoValue', l: 1}", {"l": 1}),
    ],
)
def test_intrinsic_when_resolved_has_its_value(expression: str, value: Any) -> None:
    text = f"""
Resources: {{}}
Conditions: {{'Yes': !Equals [1, '1'], 'No': !Not [!Condition 'Yes']}}
Mappings: {{M: {{k: {{v: found}}}}}}
Value: {expression}
"""
    loaded = load_template(text)
    known = {("A", None): "a", ("A", "Arn"): "arn"}
    assert Resolver(loaded, lambda name, attribute: known[(name, attribute)]).resolve(loaded["Value"]) == value


@pytest.mark.parametrize("expression", ["!Ref Unknown", "!GetAtt A.Nope", "!ImportValue x", "!FindInMap [M, k, v]"])
def test_intrinsic_when_it_cannot_be_resolved_is_refused(expression: str) -> None:
    loaded = load_template(f"Resources: {{}}\nMappings: {{}}\nValue: {expression}\n")
    known: dict[tuple[str, str | None], str] = {("A", None): "a"}
    with pytest.raises(TemplateError):
        Resolver(loaded, lambda name, attribute: known[(name, attribute)]).resolve(loaded["Value"])


def test_package_when_built_twice_has_the_same_bytes_and_its_dependencies(tmp_path: Path) -> None:
    source = tmp_path / "code"
    source.mkdir()
    (source / "__init__.py").write_text("")
    (source / "index.py").write_text("x = 1\n")
    one = build_code_zip(source, tmp_path / "1.zip", packages=["aws-lambda-powertools"])
    two = build_code_zip(source, tmp_path / "2.zip", packages=["aws-lambda-powertools"])
    assert one.read_bytes() == two.read_bytes()
    names = zipfile.ZipFile(one).namelist()
    assert "code/index.py" in names
    assert any(n.startswith("aws_lambda_powertools/") for n in names)
    assert not any(n.startswith(("boto3/", "ministack/")) for n in names)


def test_package_when_a_path_leads_out_of_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil.py", "")
    with pytest.raises(EngineError, match=r"\.\./evil\.py"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "evil.py").exists()


def test_runtime_folder_when_linked_offers_the_runtime_and_nothing_else(tmp_path: Path) -> None:
    names = {p.name for p in link_runtime(tmp_path / "runtime").iterdir()}
    assert {"awslambdaric", "boto3", "botocore", "urllib3"} <= names
    assert not names & {"ministack", "rich", "typer", "aiohttp", "harness"}
