"""CloudFormation intrinsic functions, as far as Lambda resources use them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from harness.engines.templates.text import as_text, load
from harness.errors import TemplateError

_SUB_VARIABLE = re.compile(r"\$\{([^!][^}]*)\}")
NO_VALUE = object()
"""What AWS::NoValue resolves to: the property is left out."""


def load_template(text: str) -> dict[str, Any]:
    """Return a template as plain data, intrinsics in their long form; raises TemplateError."""
    template = load(text)
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise TemplateError("the template has no Resources")
    for logical_id, resource in template["Resources"].items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise TemplateError(f"resource {logical_id} has no Type")
    return template


class Resolver:
    """Resolves intrinsics. `lookup(name, attribute)` gives what Ref (attribute None) and GetAtt mean.

    It may raise KeyError for names it does not know; that becomes a TemplateError naming the reference.
    """

    def __init__(self, template: Mapping[str, Any], lookup: Callable[[str, str | None], Any]) -> None:
        self._template = template
        self._lookup = lookup

    def resolve(self, value: Any) -> Any:
        """Return `value` with every intrinsic replaced; raises TemplateError for one it does not know."""
        if isinstance(value, list):
            return [r for r in map(self.resolve, value) if r is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref":
                return self._reference(argument, None)
            if name.startswith("Fn::"):
                try:
                    return self._function(name, argument)
                except (ValueError, TypeError, IndexError, AttributeError) as error:
                    raise TemplateError(f"{name} has arguments that it cannot take: {argument!r}") from error
        resolved = {k: self.resolve(v) for k, v in value.items()}
        return {k: v for k, v in resolved.items() if v is not NO_VALUE}

    def condition(self, name: str) -> bool:
        """Return whether a named condition holds."""
        conditions = self._template.get("Conditions", {})
        if name not in conditions:
            raise TemplateError(f"condition {name!r} is not defined")
        return self._truth(conditions[name])

    def _reference(self, name: str, attribute: str | None) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        try:
            return self._lookup(name, attribute)
        except KeyError:
            wanted = name if attribute is None else f"{name}.{attribute}"
            raise TemplateError(f"the template refers to {wanted}, which is not known") from None

    def _function(self, name: str, argument: Any) -> Any:
        if name == "Fn::GetAtt":
            parts = argument if isinstance(argument, list) else str(argument).split(".", 1)
            return self._reference(parts[0], parts[1])
        if name == "Fn::Sub":
            return self._sub(argument)
        if name == "Fn::Join":
            separator, parts = argument
            return as_text(separator).join(as_text(p) for p in self.resolve(parts))
        if name == "Fn::If":
            condition, yes, no = argument
            return self.resolve(yes if self.condition(condition) else no)
        if name == "Fn::Select":
            index, items = argument
            return self.resolve(items)[int(self.resolve(index))]
        if name == "Fn::Split":
            separator, text = argument
            return as_text(self.resolve(text)).split(separator)
        if name == "Fn::Base64":
            return base64.b64encode(as_text(self.resolve(argument)).encode()).decode()
        if name == "Fn::FindInMap":
            mapping, top, second = (as_text(self.resolve(a)) for a in argument)
            try:
                return self._template["Mappings"][mapping][top][second]
            except KeyError:
                raise TemplateError(f"Fn::FindInMap {mapping}.{top}.{second} is not in the template") from None
        if name in ("Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or"):
            return self._truth({name: argument})
        raise TemplateError(f"{name} is not supported by the embedded engine")

    def _sub(self, argument: Any) -> str:
        text, variables = argument if isinstance(argument, list) else (argument, {})

        def replace(match: re.Match[str]) -> str:
            name = match.group(1).strip()
            if name in variables:
                return as_text(self.resolve(variables[name]))
            resource, _, attribute = name.partition(".")
            return as_text(self._reference(resource, attribute or None))

        return _SUB_VARIABLE.sub(replace, text).replace("${!", "${")

    def _truth(self, expression: Any) -> bool:
        if isinstance(expression, dict) and len(expression) == 1:
            ((name, argument),) = expression.items()
            if name == "Condition":
                return self.condition(argument)
            if name == "Fn::Equals":
                left, right = (self.resolve(a) for a in argument)
                return bool(_comparable(left) == _comparable(right))
            if name == "Fn::Not":
                return not self._truth(argument[0])
            if name == "Fn::And":
                return all(self._truth(a) for a in argument)
            if name == "Fn::Or":
                return any(self._truth(a) for a in argument)
        raise TemplateError(f"condition {expression!r} is not supported")


def _comparable(value: Any) -> Any:
    if isinstance(value, list):
        return [_comparable(v) for v in value]
    return as_text(value)


def references(value: Any) -> set[tuple[str, str | None]]:
    """Return every (name, attribute) that `value` refers to by Ref, GetAtt or Sub, pseudo parameters included.

    Raises TemplateError for one of them whose arguments are wrong.
    """
    try:
        return _references(value)
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise TemplateError(f"a Ref, Fn::GetAtt or Fn::Sub has arguments that it cannot take: {error}") from error


def _references(value: Any) -> set[tuple[str, str | None]]:
    found: set[tuple[str, str | None]] = set()
    if isinstance(value, list):
        for item in value:
            found |= _references(item)
    elif isinstance(value, dict):
        for name, argument in value.items():
            if name == "Ref" and len(value) == 1:
                found.add((argument, None))
            elif name == "Fn::GetAtt" and len(value) == 1:
                parts = argument if isinstance(argument, list) else str(argument).split(".", 1)
                found.add((parts[0], parts[1]))
            elif name == "Fn::Sub" and len(value) == 1:
                text, variables = argument if isinstance(argument, list) else (argument, {})
                found |= _references(list(variables.values()))
                for match in _SUB_VARIABLE.finditer(text):
                    reference = match.group(1).strip()
                    if reference not in variables:
                        resource, _, attribute = reference.partition(".")
                        found.add((resource, attribute or None))
            else:
                found |= _references(argument)
    return found


def substitute(value: Any, known: Mapping[tuple[str, str | None], str]) -> Any:
    """Return `value` with every Ref, GetAtt and Sub of something in `known` replaced by its text."""
    if isinstance(value, list):
        return [substitute(item, known) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, argument),) = value.items()
        if name == "Ref" and (argument, None) in known:
            return known[(argument, None)]
        if name == "Fn::GetAtt":
            parts = argument if isinstance(argument, list) else str(argument).split(".", 1)
            if (parts[0], parts[1]) in known:
                return known[(parts[0], parts[1])]
        if name == "Fn::Sub":
            return {name: _substitute_sub(argument, known)}
    return {k: substitute(v, known) for k, v in value.items()}


def _substitute_sub(argument: Any, known: Mapping[tuple[str, str | None], str]) -> Any:
    text, variables = argument if isinstance(argument, list) else (argument, {})

    def replace(match: re.Match[str]) -> str:
        reference = match.group(1).strip()
        resource, _, attribute = reference.partition(".")
        if reference in variables:
            return match.group()
        return known.get((resource, attribute or None), match.group())

    text = _SUB_VARIABLE.sub(replace, text)
    return [text, substitute(variables, known)] if isinstance(argument, list) else text
