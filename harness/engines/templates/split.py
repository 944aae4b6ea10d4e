"""Splits one CloudFormation template between the data services and the Lambda service.

The data half keeps every resource that is not `AWS::Lambda::*`, loses the buckets' Lambda notifications and, for an
engine that makes tables itself, its tables, and gains two things: an internal queue per template that needs S3 events,
and one output per value that the Lambda half refers to. CloudFormation itself thus resolves what only it can know
(queue URLs, role ARNs).
MiniStack never sees a Lambda resource: two consumers on one queue would be a silent lie.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.engines.templates.intrinsics import Resolver, references, substitute
from harness.engines.templates.parameters import parameter_values, parameters_of
from harness.engines.templates.properties import check_type
from harness.engines.templates.tables import (
    TemplateTable,
    check_referrers,
    drop_dependencies,
    take_tables,
)
from harness.engines.templates.text import as_text, spell_booleans
from harness.errors import TemplateError

NOTIFICATION_QUEUE = "HarnessNotificationQueue"
"""Logical id of the queue through which S3 events reach the Lambda service."""

_OUTPUT_PREFIX = "HarnessValue"
_LAMBDA = "AWS::Lambda::"

MAY_NAME_FUNCTIONS = (
    "AWS::CloudWatch::",
    "AWS::DynamoDB::Table",
    "AWS::IAM::",
    "AWS::KMS::",
    "AWS::Logs::LogGroup",
    "AWS::S3::",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::",
    "AWS::SSM::Parameter",
)
"""Beginnings of the types of data resources that may refer to a function. Others, such as an event rule or an API,
would call it, and the data services cannot."""


@dataclass(frozen=True)
class Context:
    """Where a stack lives; gives the pseudo parameters their values."""

    stack_name: str
    region: str
    account_id: str

    def pseudo(self) -> dict[str, str]:
        """Return the pseudo parameters."""
        return {
            "AWS::Region": self.region,
            "AWS::AccountId": self.account_id,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self.stack_name,
            "AWS::StackId": f"arn:aws:cloudformation:{self.region}:{self.account_id}:stack/{self.stack_name}",
        }


@dataclass(frozen=True)
class Split:
    """The two halves. `outputs` maps output keys of the data half to the (name, attribute) they stand for.

    `tables` are in neither half; `with_tables` puts what the template may refer to of them into both.
    """

    data: dict[str, Any]
    lambda_resources: dict[str, dict[str, Any]]
    notifications: dict[str, list[dict[str, Any]]]
    outputs: dict[str, tuple[str, str | None]]
    own_outputs: dict[str, Any]
    parameters: dict[str, str]
    names: dict[str, str] = field(default_factory=dict)
    tables: dict[str, TemplateTable] = field(default_factory=dict)
    table_values: Mapping[tuple[str, str | None], str] = field(default_factory=dict)

    def with_tables(self, values: Mapping[tuple[str, str | None], str]) -> Split:
        """Return the same with its tables made: `values` are what Ref and GetAtt give of them."""
        return replace(self, data=substitute(self.data, values), table_values=values)


def split(template: Mapping[str, Any], given: Mapping[str, str], context: Context, *, take: bool = False) -> Split:
    """Split `template` deployed with parameters `given`; raises TemplateError for what cannot be deployed.

    Resources whose Condition does not hold are dropped from the Lambda half; the data half keeps conditions
    for CloudFormation to decide. With `take` the tables are taken out of the data half.
    """
    parameters = parameters_of(template, given)
    if "Transform" in template:
        raise TemplateError(
            f"the template needs Transform {template['Transform']}, which the embedded engine does not expand",
            hint="give the template that the transform makes, as `aws cloudformation get-template` shows it",
        )
    known = {**context.pseudo(), **parameter_values(template, parameters)}
    early = Resolver(template, lambda name, attribute: _early(known, name, attribute))
    functions = _lambda_half(template["Resources"], early)
    names = {
        k: _function_name(k, r, early, context) for k, r in functions.items() if r["Type"] == "AWS::Lambda::Function"
    }
    functions_known = _function_values(names, context)
    data = _data_half(template)
    notifications = _take_notifications(data["Resources"])
    tables: dict[str, TemplateTable] = {}
    if take:
        tables = _take_tables(
            template, data, {(k, None): v for k, v in known.items()} | functions_known, context.stack_name
        )
    check_referrers(
        data["Resources"],
        names,
        MAY_NAME_FUNCTIONS,
        "and the embedded engine could not call it from there",
        hint="functions are called by Invoke, S3 notifications, SQS queues and DynamoDB streams",
    )
    own_outputs = _take_outputs(template, data)
    for resource in data["Resources"].values():
        if "Properties" in resource:
            resource["Properties"] = substitute(resource["Properties"], functions_known)
    drop_dependencies(data["Resources"], set(template["Resources"]) - set(data["Resources"]))
    wanted = references([functions, notifications, own_outputs]) | {(k, None) for k in notifications}
    outputs = _give_outputs(data, wanted)
    return Split(data, functions, notifications, outputs, own_outputs, parameters, names, tables)


def function_arn(name: str, context: Context) -> str:
    """Return a function's ARN."""
    return f"arn:aws:lambda:{context.region}:{context.account_id}:function:{name}"


def resolver(
    template: Mapping[str, Any], halves: Split, stack_outputs: Mapping[str, str], context: Context
) -> Resolver:
    """Return the resolver for the Lambda half, given the outputs of the deployed data half."""
    values: dict[tuple[str, str | None], Any] = {
        (name, None): value
        for name, value in {**context.pseudo(), **parameter_values(template, halves.parameters)}.items()
    }
    for key, reference in halves.outputs.items():
        if key in stack_outputs:
            values[reference] = stack_outputs[key]
    values |= _function_values(halves.names, context)
    values |= halves.table_values
    for logical_id in halves.lambda_resources:
        values.setdefault((logical_id, None), f"{context.stack_name}-{logical_id}")
    return Resolver(template, lambda name, attribute: values[(name, attribute)])


def _data_half(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the template without Lambda resources, its booleans spelt as CloudFormation spells them."""
    data: dict[str, Any] = spell_booleans(copy.deepcopy(dict(template)))
    data["Resources"] = {k: r for k, r in data["Resources"].items() if not r["Type"].startswith(_LAMBDA)}
    for section in ("Conditions", "Rules"):
        if section in data:
            data[section] = spell_booleans(data[section], everywhere=True)
    for spec in data.get("Parameters", {}).values():
        spec.update({k: spell_booleans(spec[k], everywhere=True) for k in ("Default", "AllowedValues") if k in spec})
    return data


def _lambda_half(resources: Mapping[str, Any], early: Resolver) -> dict[str, dict[str, Any]]:
    """Return the Lambda resources whose Condition holds."""
    functions = {
        k: r
        for k, r in resources.items()
        if r["Type"].startswith(_LAMBDA) and ("Condition" not in r or early.condition(r["Condition"]))
    }
    for logical_id, resource in functions.items():
        check_type(logical_id, resource["Type"])
    return functions


def _take_tables(
    template: Mapping[str, Any],
    data: dict[str, Any],
    known: Mapping[tuple[str, str | None], Any],
    stack_name: str,
) -> dict[str, TemplateTable]:
    """Take the tables out of the data half; `known` is what references give beforehand."""
    resolve = Resolver(template, lambda name, attribute: known[(name, attribute)])
    tables = take_tables(data["Resources"], resolve, stack_name)
    check_referrers(
        data["Resources"],
        tables,
        MAY_NAME_FUNCTIONS,
        "and the embedded engine could not reach a table from there",
        hint="tables are used by functions and event source mappings; policies may name them",
    )
    return tables


def _take_outputs(template: Mapping[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Take those outputs out of the data half that refer to what is not in it; return them."""
    resources = template["Resources"]
    return {
        key: data["Outputs"].pop(key)
        for key, output in list(data.get("Outputs", {}).items())
        if any(name in resources and name not in data["Resources"] for name, _ in references(output))
    }


def _give_outputs(data: dict[str, Any], wanted: Iterable[tuple[str, str | None]]) -> dict[str, tuple[str, str | None]]:
    """Give the data half an output for each value of its resources that is `wanted`; return which is which."""
    outputs: dict[str, tuple[str, str | None]] = {}
    for reference in sorted((r for r in wanted if r[0] in data["Resources"]), key=lambda r: (r[0], r[1] or "")):
        outputs[f"{_OUTPUT_PREFIX}{len(outputs)}"] = reference
    data.setdefault("Outputs", {}).update({key: {"Value": _intrinsic(ref)} for key, ref in outputs.items()})
    return outputs


def _early(known: Mapping[str, Any], name: str, attribute: str | None) -> Any:
    if attribute is not None:
        raise KeyError(name)
    return known[name]


def _function_name(logical_id: str, resource: Mapping[str, Any], early: Resolver, context: Context) -> str:
    given = resource.get("Properties", {}).get("FunctionName")
    if given is not None:
        return as_text(early.resolve(given))
    suffix = hashlib.sha256(f"{context.stack_name}/{logical_id}".encode()).hexdigest()[:12]
    return f"{context.stack_name}-{logical_id}-{suffix}"[:64]


def _take_notifications(resources: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Replace the Lambda notifications of every bucket by one to the internal queue; return what they were."""
    taken: dict[str, list[dict[str, Any]]] = {}
    for logical_id, resource in resources.items():
        if resource["Type"] != "AWS::S3::Bucket":
            continue
        configuration = resource.get("Properties", {}).get("NotificationConfiguration", {})
        lambdas = configuration.pop("LambdaConfigurations", [])
        if not lambdas:
            continue
        for item in lambdas:
            if not isinstance(item, dict) or not isinstance(item.get("Event"), str):
                raise TemplateError(
                    f"{logical_id}: NotificationConfiguration.LambdaConfigurations has an entry without a literal Event"
                )
        taken[logical_id] = lambdas
        events = sorted({item["Event"] for item in lambdas})
        queue = {"Fn::GetAtt": [NOTIFICATION_QUEUE, "Arn"]}
        # Several filters may overlap; the Lambda service applies them, and S3 sends everything of these types.
        configuration.setdefault("QueueConfigurations", []).extend({"Event": event, "Queue": queue} for event in events)
        # What the bucket waited for was the permission to call the function.
        resource.pop("DependsOn", None)
    if taken:
        resources[NOTIFICATION_QUEUE] = {
            "Type": "AWS::SQS::Queue",
            "Properties": {"VisibilityTimeout": 30, "MessageRetentionPeriod": 86400},
        }
    return taken


def _function_values(names: Mapping[str, str], context: Context) -> dict[tuple[str, str | None], str]:
    """Return what Ref and GetAtt give of functions, which is known beforehand."""
    values: dict[tuple[str, str | None], str] = {(logical_id, None): name for logical_id, name in names.items()}
    return values | {(logical_id, "Arn"): function_arn(name, context) for logical_id, name in names.items()}


def _intrinsic(reference: tuple[str, str | None]) -> dict[str, Any]:
    name, attribute = reference
    return {"Ref": name} if attribute is None else {"Fn::GetAtt": [name, attribute]}
