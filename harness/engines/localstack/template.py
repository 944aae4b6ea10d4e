"""What a template gets on top before LocalStack deploys it: more mappings, and variables of functions.

LocalStack runs one batch at a time per mapping, whatever MaximumConcurrency says. A second mapping of the same function
and queue is refused, but one on an alias of the function is not, and runs beside the first. Being in the template, such
mappings are made and removed by CloudFormation.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

_ALIAS, _MAPPING = "AWS::Lambda::Alias", "AWS::Lambda::EventSourceMapping"


def with_parallel_mappings(template: Mapping[str, Any], given: Mapping[str, str], most: int) -> dict[str, Any]:
    """Return `template` with up to `most` mappings in all wherever one reads a queue and sets MaximumConcurrency.

    MaximumConcurrency, a number or a parameter (`given`, or else its default), stays an upper bound. Mappings without
    it, and those of streams, whose records have an order, are left alone.
    """
    grown = copy.deepcopy(dict(template))
    for logical_id, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] != _MAPPING or not _reads_queue(template, properties):
            continue
        for number in range(2, min(most, _maximum(template, given, properties)) + 1):
            alias = f"{logical_id}Alias{number}"
            grown["Resources"][alias] = {
                "Type": _ALIAS,
                "Properties": {
                    "FunctionName": properties["FunctionName"],
                    "FunctionVersion": "$LATEST",
                    "Name": f"parallel-{number}",
                },
            }
            another = copy.deepcopy(dict(resource))
            another["Properties"]["FunctionName"] = {"Ref": alias}
            grown["Resources"][f"{logical_id}{number}"] = another
    return grown


def with_variables(template: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return `template` with environment variables added to every function; its own win."""
    grown = copy.deepcopy(dict(template))
    for resource in grown["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            environment = resource["Properties"].setdefault("Environment", {})
            environment["Variables"] = {**variables, **environment.get("Variables", {})}
    return grown


def _reads_queue(template: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    source = properties.get("EventSourceArn")
    if not isinstance(source, dict) or "Fn::GetAtt" not in source:
        return False
    attribute = source["Fn::GetAtt"]
    name = attribute[0] if isinstance(attribute, list) else str(attribute).split(".", maxsplit=1)[0]
    return bool(template["Resources"].get(name, {}).get("Type") == "AWS::SQS::Queue")


def _maximum(template: Mapping[str, Any], given: Mapping[str, str], properties: Mapping[str, Any]) -> int:
    maximum = properties.get("ScalingConfig", {}).get("MaximumConcurrency", 1)
    if isinstance(maximum, dict):
        name = str(maximum.get("Ref"))
        maximum = given.get(name, template.get("Parameters", {}).get(name, {}).get("Default", 1))
    return int(maximum)
