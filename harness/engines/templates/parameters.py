"""A template's parameters: what may be declared, which values are allowed, and what a reference to one gives. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.engines.templates.text import as_text
from harness.errors import TemplateError

PARAMETER_KEYS = frozenset(
    {
        *("Type", "Default", "Description", "NoEcho"),
        *("AllowedValues", "AllowedPattern", "ConstraintDescription", "MinLength", "MaxLength", "MinValue", "MaxValue"),
    }
)
"""What a parameter may declare (CloudFormation user guide, "Parameters"); all of it holds, NoEcho by nothing being
echoed."""


def parameters_of(template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Return the text of every parameter: as given, else its default.

    Raises TemplateError for one that the template does not have, that has no value, or whose value it does not allow.
    """
    declared = template.get("Parameters", {})
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise TemplateError(
            f"the template has no parameter {', '.join(unknown)}",
            hint=f"it has: {', '.join(sorted(declared))}",
        )
    values = {}
    for name, spec in declared.items():
        _check_declaration(name, spec, name in given)
        values[name] = as_text(given.get(name, spec.get("Default")))
        _check_value(name, values[name], spec)
    return values


def _check_declaration(name: str, spec: Mapping[str, Any], given: bool) -> None:
    if not given and "Default" not in spec:
        raise TemplateError(f"parameter {name} has no default and was not given")
    strange = sorted(set(spec) - PARAMETER_KEYS)
    if strange:
        raise TemplateError(
            f"parameter {name} declares {', '.join(strange)}", hint=f"known: {', '.join(sorted(PARAMETER_KEYS))}"
        )
    if str(spec.get("Type", "")).startswith("AWS::SSM::"):
        raise TemplateError(
            f"parameter {name} has type {spec['Type']}, and the embedded engine has no Parameter Store to read",
            hint="give it the type of the value itself",
        )


def _check_value(name: str, text: str, spec: Mapping[str, Any]) -> None:
    allowed = [as_text(a) for a in spec.get("AllowedValues", ())]
    if allowed and text not in allowed:
        raise TemplateError(f"parameter {name} is {text!r}, allowed are {', '.join(allowed)}")
    if spec.get("Type") == "Number":
        _check_number(name, text, spec)
    elif spec.get("Type") == "String":
        _check_text(name, text, spec)


def parameter_values(template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return what Ref gives for each parameter: a list for the list types, else a string."""
    declared = template.get("Parameters", {})
    values: dict[str, Any] = {}
    for name, text in parameters.items():
        kind = str(declared[name].get("Type", "String"))
        is_list = kind == "CommaDelimitedList" or kind.startswith("List<")
        values[name] = [part.strip() for part in text.split(",")] if is_list else text
    return values


def _check_text(name: str, text: str, spec: Mapping[str, Any]) -> None:
    words = spec.get("ConstraintDescription", "")
    low, high = int(spec.get("MinLength", 0)), spec.get("MaxLength")
    if len(text) < low or (high is not None and len(text) > int(high)):
        raise TemplateError(
            f"parameter {name} is {text!r}, which has {len(text)} characters: {words or f'allowed are {low} to {high}'}"
        )
    pattern = spec.get("AllowedPattern")
    # CloudFormation takes the whole value, and Java's regular expressions; the common ground of both is wide.
    if pattern is not None and re.fullmatch(as_text(pattern), text) is None:
        raise TemplateError(f"parameter {name} is {text!r}: {words or f'it does not match {pattern}'}")


def _check_number(name: str, text: str, spec: Mapping[str, Any]) -> None:
    try:
        number = float(text)
    except ValueError:
        raise TemplateError(f"parameter {name} is {text!r}, a number is needed") from None
    low, high = spec.get("MinValue"), spec.get("MaxValue")
    if (low is not None and number < float(low)) or (high is not None and number > float(high)):
        raise TemplateError(f"parameter {name} is {text}, allowed are {low} to {high}")
