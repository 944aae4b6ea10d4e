"""How CloudFormation reads a template's text: which scalars are what, and how each looks as a string.

CloudFormation's YAML is version 1.1 without timestamps, binary, omap, pairs and set (user guide, "Template formats").
So `yes` and `on` are booleans, `0755` is 493 and `12:30` is 750, while `2012-10-17` is a string. It has no boolean and
no number type of its own, though: wherever a string is wanted, `true` is "true".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml

from harness.errors import TemplateError

_SHORT_FORMS = (
    "Ref",
    "Condition",
    "GetAtt",
    "Sub",
    "Join",
    "If",
    "Equals",
    "Not",
    "And",
    "Or",
    "Select",
    "Split",
    "FindInMap",
    "Base64",
    "ImportValue",
    "GetAZs",
    "Cidr",
)

_YAML = "tag:yaml.org,2002:"
_UNSUPPORTED = ("binary", "omap", "pairs", "set", "timestamp")


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation YAML: short forms such as !Ref become their long form."""


# A date is a string, and so is "="; the other implicit resolvers are PyYAML's, which are those of YAML 1.1.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (f"{_YAML}timestamp", f"{_YAML}value")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_form(tag: str) -> Callable[[_Loader, yaml.Node], Any]:
    def construct(loader: _Loader, node: yaml.Node) -> Any:
        value: Any
        if isinstance(node, yaml.ScalarNode):
            value = loader.construct_scalar(node)
            if tag == "GetAtt":
                value = str(value).split(".", 1)
        elif isinstance(node, yaml.SequenceNode):
            value = loader.construct_sequence(node, deep=True)
        elif isinstance(node, yaml.MappingNode):
            value = _mapping(loader, node)
        else:
            raise TemplateError(f"!{tag} holds a YAML node of an unknown kind")
        return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}

    return construct


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    loader.flatten_mapping(node)
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise TemplateError(f"line {line} of the template: a key is no string")
        # Keys are read like values, then written as strings: 0755 as a key of a mapping is "493".
        key = as_text(loader.construct_object(key_node))
        if key in found:
            raise TemplateError(f"line {line} of the template: {key} is there twice", hint="keep one of them")
        found[key] = loader.construct_object(value_node, deep=True)
    return found


def _null(_: _Loader, node: yaml.Node) -> Any:
    raise TemplateError(
        f"line {node.start_mark.line + 1} of the template: null values are not allowed in templates",
        hint="leave the property out, or refer to AWS::NoValue",
    )


def _unsupported(_: _Loader, node: yaml.Node) -> Any:
    raise TemplateError(
        f"line {node.start_mark.line + 1} of the template: CloudFormation does not support the YAML tag {node.tag}"
    )


for _tag in _SHORT_FORMS:
    _Loader.add_constructor(f"!{_tag}", _short_form(_tag))
for _tag in _UNSUPPORTED:
    _Loader.add_constructor(f"{_YAML}{_tag}", _unsupported)
_Loader.add_constructor(f"{_YAML}map", _mapping)
_Loader.add_constructor(f"{_YAML}null", _null)


def load(text: str) -> Any:
    """Return a template's text, JSON or YAML, as plain data with intrinsics in their long form.

    Raises TemplateError for what is neither, for null values and for keys that are there twice.
    """
    # JSON is read as such, because YAML's numbers and white space are not quite JSON's.
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        try:
            return json.loads(text.lstrip("\ufeff"), object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            try:
                return _load_yaml(text)  # a flow mapping may look like JSON at first
            except TemplateError:
                raise TemplateError(f"the template is not JSON: {error}") from error
    return _load_yaml(text)


def _load_yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader with CloudFormation's tags
    except yaml.YAMLError as error:
        raise TemplateError(f"the template is not YAML: {error}") from error
    except ValueError as error:  # such as an octal number with a sign only
        raise TemplateError(f"the template holds a value that is none: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise TemplateError(f"the template has {key} twice in one object", hint="keep one of them")
        if value is None:
            raise TemplateError(
                f"{key}: null values are not allowed in templates",
                hint="leave the property out, or refer to AWS::NoValue",
            )
        found[key] = value
    return found


def as_text(value: Any) -> str:
    """Return a scalar of a template as CloudFormation passes it where a string is wanted: true is "true"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_TEXT_FUNCTIONS = frozenset({"Fn::Join", "Fn::Sub", "Fn::Equals", "Fn::FindInMap", "Fn::Split", "Fn::Base64"})


def spell_booleans(value: Any, *, everywhere: bool = False) -> Any:
    """Return `value` with the booleans that are compared or put into strings spelt as CloudFormation does.

    For engines that would write Python's True there. Booleans that are a property's value stay booleans, unless
    `everywhere`.
    """
    if isinstance(value, list):
        return [spell_booleans(v, everywhere=everywhere) for v in value]
    if isinstance(value, dict):
        return {k: spell_booleans(v, everywhere=everywhere or k in _TEXT_FUNCTIONS) for k, v in value.items()}
    return as_text(value) if everywhere and isinstance(value, bool) else value
