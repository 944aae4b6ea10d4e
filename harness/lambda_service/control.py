"""Client of the Lambda service's control API, for whoever deploys to it: here or in another container."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import EngineError
from harness.host_environment import direct
from harness.lambda_service.model import StackConfig
from harness.lambda_service.service import TOKEN_HEADER

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class LambdaControl:
    """The control API at `url`. Every method raises EngineError where the service refuses or does not answer."""

    url: str
    token: str

    def put_package(self, package: bytes) -> Path:
        """Upload a deployment package; returns its unpacked folder as the service sees it."""
        return Path(self._call("POST", "packages", package, "application/zip")["folder"])

    def put_stack(self, stack: StackConfig) -> None:
        """Add or replace a stack: its mappings poll from now on."""
        self._call("PUT", f"stacks/{stack.name}", json.dumps(stack.to_json()).encode(), "application/json")

    def stacks(self) -> list[str]:
        """Return the names of the stacks the service runs; a restarted service runs none."""
        return list(self._call("GET", "stacks")["stacks"])

    def delete_stack(self, name: str) -> None:
        """Stop a stack's mappings and environments; unknown names are fine."""
        self._call("DELETE", f"stacks/{name}")

    def activity(self) -> Mapping[str, Any]:
        """Return what the service and every function has under way: the fields of `harness.engines.base.Activity`."""
        return self._call("GET", "activity")

    def report(self) -> Mapping[str, Any]:
        """Return limits in force and the figures of every function."""
        return self._call("GET", "report")

    def _call(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> dict[str, Any]:
        headers = {TOKEN_HEADER: self.token} | ({"Content-Type": kind} if kind else {})
        request = urllib.request.Request(  # noqa: S310  http(s), checked where the endpoint is taken in
            f"{self.url}/_control/{path}", method=method, data=body, headers=headers
        )
        try:
            try:
                return _answer(request)
            except TimeoutError:
                # Time ran out perhaps because this process was stopped: reading again changes nothing.
                if method != "GET":
                    raise
                return _answer(request)
        except urllib.error.HTTPError as error:
            message, hint = _reason(error)
            raise EngineError(f"the Lambda service refused {method} {path}: {message}", hint=hint) from error
        except (OSError, ValueError) as error:
            raise EngineError(f"the Lambda service on {self.url} does not answer: {error}") from error


def _answer(request: urllib.request.Request) -> dict[str, Any]:
    with direct.open(request, timeout=TIMEOUT_SECONDS) as response:
        return dict(json.loads(response.read()))


def _reason(error: urllib.error.HTTPError) -> tuple[str, str]:
    try:
        answer = json.loads(error.read() or b"{}")
    except ValueError:
        return str(error), ""
    return str(answer.get("message", error)), str(answer.get("hint", ""))
