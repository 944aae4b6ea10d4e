"""An account whose services are scripted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

from harness.engines.aws import Identity


def refusal(code: str, operation: str = "Operation", message: str = "") -> ClientError:
    """Return how a service refuses."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


NO_STACK = refusal("ValidationError", "DescribeStacks", "Stack with id ingestion does not exist")


class Pages:
    """A paginator with these pages, or this error."""

    def __init__(self, pages: Iterable[Any] | Exception) -> None:
        self._pages = pages

    def paginate(self, **_: Any) -> Any:
        if isinstance(self._pages, Exception):
            raise self._pages
        return self._pages


class Service:
    """Notes its calls, and answers each operation by its script: values in turn, the last again and again; an
    exception is raised."""

    def __init__(self, calls: list[tuple[str, dict[str, Any]]], pages: dict[str, Any], **script: list[Any]) -> None:
        self._calls, self._pages, self._script = calls, pages, script

    def get_paginator(self, operation: str) -> Pages:
        return Pages(self._pages.get(operation, []))

    def __getattr__(self, operation: str) -> Any:
        def call(**given: Any) -> Any:
            self._calls.append((operation, given))
            answers = self._script.get(operation, [{}])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return call


class Clients:
    """Clients of scripted services; what is not scripted answers {}."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.services: dict[str, Service] = {}

    def script(self, service: str, pages: dict[str, Any] | None = None, **script: list[Any]) -> None:
        self.services[service] = Service(self.calls, pages or {}, **script)

    def get(self, service: str) -> Service:
        return self.services.setdefault(service, Service(self.calls, {}))

    def close(self) -> None:
        """Have nothing to close."""

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


class FakeAccount:
    """Somebody's account in eu-central-1."""

    region = "eu-central-1"

    def __init__(self) -> None:
        self.clients = Clients()

    def identify(self) -> Identity:
        return Identity("123456789012", "arn:aws:iam::123456789012:user/u", self.region)

    def close(self) -> None:
        """Have nothing to close."""
