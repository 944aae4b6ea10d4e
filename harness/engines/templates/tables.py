"""The tables of a template: taken out of its data half, made by calls of DynamoDB's API, put back as plain values.

Tables are made before the rest of a stack, because its resources name them, so a table's own properties may refer to
parameters, pseudo parameters and functions only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from harness.engines.templates.intrinsics import Resolver, references
from harness.engines.templates.text import as_text
from harness.errors import TemplateError

TABLE = "AWS::DynamoDB::Table"
_FAMILY = "AWS::DynamoDB::"
_NAME_CHARACTERS = 255
"""Most characters of a table's name (DynamoDB quotas)."""


@dataclass(frozen=True)
class TemplateTable:
    """A table as a template declares it: its physical name and its properties, resolved."""

    name: str
    properties: Mapping[str, Any]


def take_tables(resources: dict[str, Any], resolver: Resolver, stack_name: str) -> dict[str, TemplateTable]:
    """Remove the tables from `resources` and return, by logical id, those whose condition holds; raises TemplateError.

    Also refused: other types of DynamoDB, which would be made in another service than the tables.
    """
    tables: dict[str, TemplateTable] = {}
    for logical_id, resource in list(resources.items()):
        if not resource["Type"].startswith(_FAMILY):
            continue
        if resource["Type"] != TABLE:
            raise TemplateError(
                f"resource {logical_id} has type {resource['Type']}, which the embedded engine does not support",
                hint=f"of DynamoDB it has {TABLE}",
            )
        del resources[logical_id]
        if "Condition" in resource and not resolver.condition(resource["Condition"]):
            continue
        try:
            properties = resolver.resolve(resource.get("Properties") or {})
        except TemplateError as error:
            raise TemplateError(
                f"{logical_id}: {error}",
                hint="the embedded engine makes tables before other resources: their properties may refer to "
                "parameters and functions",
            ) from error
        tables[logical_id] = TemplateTable(_name(logical_id, properties.pop("TableName", None), stack_name), properties)
    return tables


def drop_dependencies(resources: Mapping[str, Any], gone: Collection[str]) -> None:
    """Remove what is in `gone`, and so is there before, from every DependsOn in `resources`."""
    for resource in resources.values():
        depends = resource.get("DependsOn")
        if depends is None:
            continue
        kept = [name for name in ([depends] if isinstance(depends, str) else depends) if name not in gone]
        resource["DependsOn"] = kept
        if not kept:
            del resource["DependsOn"]


def check_referrers(
    resources: Mapping[str, Any], gone: Collection[str], allowed: tuple[str, ...], problem: str, hint: str
) -> None:
    """Raise TemplateError for a resource that would use one of `gone` from the data services, which do not have it.

    `allowed` are beginnings of types that merely name it; `problem` ends the message.
    """
    for logical_id, resource in resources.items():
        used = sorted({name for name, _ in references(resource.get("Properties", {})) if name in gone})
        if used and not resource["Type"].startswith(allowed):
            raise TemplateError(
                f"resource {logical_id} of type {resource['Type']} refers to {', '.join(used)}, {problem}", hint=hint
            )


def _name(logical_id: str, given: Any, stack_name: str) -> str:
    if given is not None:
        return as_text(given)
    suffix = hashlib.sha256(f"{stack_name}/{logical_id}".encode()).hexdigest()[:12].upper()
    return f"{f'{stack_name}-{logical_id}'[: _NAME_CHARACTERS - 13]}-{suffix}"
