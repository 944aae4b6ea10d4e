"""The LocalStack engine: attaches to one that answers, or starts its own."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.engines import stacks
from harness.engines.base import Activity, Deployment, Endpoints, EngineReport
from harness.engines.clients import Clients
from harness.engines.consumption import Consumption
from harness.engines.localstack.container import FUNCTIONS_DYNAMODB, PORT, Container
from harness.engines.localstack.template import with_parallel_mappings, with_variables
from harness.engines.queue_requests import BilledRequests
from harness.engines.templates.intrinsics import load_template
from harness.errors import EngineError, UsageError
from harness.host_environment import direct

REGION = "us-east-1"
START_SECONDS = 120.0
DEPLOY_SECONDS = 300.0
CONTENT_TAG = "harness:content"
"""Stack tag with a digest of template, parameters and code: an equal stack is used, not made again."""

CHECK_SECONDS = 5.0
PARALLEL_MAPPINGS = 1
"""Mappings of a queue in all: on two cores more were not faster (docs/localstack.md)."""

MAPPINGS_VARIABLE = "HARNESS_LOCALSTACK_MAPPINGS"
"""Environment variable with another number."""

DYNAMODB_VARIABLE = "HARNESS_DYNAMODB_URL"
"""Environment variable with the URL on which LocalStack's DynamoDB Local itself answers this process.

Its calls, and those of the functions, then do not pass LocalStack's gateway; streams still do. LocalStack needs the
settings DYNAMODB_LOCAL_PORT and DYNAMODB_SHARE_DB for it.
"""

PARAMETERS: dict[str, str] = {}
"""Template parameters that this engine chooses where the user does not; see docs/localstack.md."""

LIMITS = {
    "stream concurrency": "one batch at a time, whatever ParallelizationFactor says",
    "file descriptors": "1,024 by docker-compose.yml or this engine, else Docker's",
    "function memory, CPU, processes": "not limited by LocalStack",
    "no /dev/shm": "not enforced by LocalStack",
    "timeout": "LocalStack's",
}
"""What a reader of a result must know; see docs/localstack.md."""


class LocalStackEngine:
    """See `harness.engines.base.Engine`. `endpoint` defaults to AWS_ENDPOINT_URL, then to 127.0.0.1:4566.

    Where nothing answers on a loopback endpoint, `start` starts LocalStack through Docker, and `stop` removes it;
    a LocalStack that was there before stays, its stack included. `logs` is a folder for the log of the one that was
    started, kept when it ends. `socket` says whether a LocalStack started here gets the Docker socket, with which it
    starts functions; `services` are LocalStack's names of the services that must answer.
    """

    name = "localstack"
    live_counts = True

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        logs: Path | None = None,
        socket: bool = True,
        services: Collection[str] = ("lambda",),
    ) -> None:
        self._logs, self._socket, self._services = logs, socket, services
        self._endpoint = endpoint or os.environ.get("AWS_ENDPOINT_URL") or f"http://127.0.0.1:{PORT}"
        if urlsplit(self._endpoint).scheme not in ("http", "https"):
            raise UsageError(f"AWS_ENDPOINT_URL {self._endpoint!r} is no URL", hint="for example http://127.0.0.1:4566")
        self._clients = Clients(lambda: self.endpoints)
        self._dynamodb = _url(DYNAMODB_VARIABLE)
        self._mappings = _mappings()
        self._container: Container | None = None
        self._checked = 0.0

    @property
    def endpoints(self) -> Endpoints:
        """Where LocalStack answers: one URL for everything, except perhaps for its DynamoDB."""
        return Endpoints(self._endpoint, REGION, {"dynamodb": self._dynamodb} if self._dynamodb else {})

    @property
    def processes(self) -> Mapping[str, int]:
        """Return nothing: LocalStack's processes are in its container."""
        return {}

    @property
    def mark(self) -> Mapping[str, str]:
        """Return nothing: no guard of this engine is on this machine."""
        return {}

    def log_files(self) -> Sequence[Path]:
        """Return nothing: the container's log is kept when it ends."""
        return []

    def start(self) -> None:
        """Attach to the LocalStack on the endpoint, or start one; raises EngineError."""
        if self._healthy():
            return
        url = urlsplit(self._endpoint)
        if url.hostname not in ("127.0.0.1", "localhost"):
            raise EngineError(
                f"no LocalStack answers on {self._endpoint}",
                hint="`docker compose up -d --wait` starts one; AWS_ENDPOINT_URL says where it is",
            )
        self._container = Container.start(url.port or PORT, socket=self._socket)
        try:
            self._container.wait(self._healthy, START_SECONDS)
            self._dynamodb = self._container.dynamodb_url()
        except BaseException:
            self.stop()
            raise

    def deploy(
        self, template: Path, parameters: Mapping[str, str], *, stack_name: str, code: Path | None = None
    ) -> Deployment:
        """Deploy a template, or use the stack that is there when template, parameters and code are the same.

        A different stack of that name is removed first, with its data. Raises EngineError.
        """
        loaded = load_template(template.read_text("utf-8"))
        declared = loaded.get("Parameters", {})
        chosen = {k: v for k, v in PARAMETERS.items() if k in declared} | dict(parameters)
        grown = with_parallel_mappings(loaded, chosen, self._mappings)
        if self._dynamodb:
            grown = with_variables(grown, {"AWS_ENDPOINT_URL_DYNAMODB": FUNCTIONS_DYNAMODB})
        body = json.dumps(grown)
        with tempfile.TemporaryDirectory() as folder:
            package = stacks.build_package(code, Path(folder) / "package.zip")
            digest = digest_of(body, chosen, package.read_bytes())
            there = self.reusable(stack_name, digest)
            if there is not None:
                return Deployment(stack_name, there, chosen)
            given = dict(chosen)
            if "CodeBucket" in declared:
                given |= stacks.upload_package(self._clients, package, code_bucket(stack_name))
        outputs = self.create(stack_name, body, given, digest)
        return Deployment(stack_name, outputs, chosen)

    def reusable(self, stack_name: str, digest: str) -> dict[str, str] | None:
        """Return the outputs of a stack of that name and content; remove one of other content, with its data.

        Returns None where a stack is to be made.
        """
        there = self._describe(stack_name)
        if there is None:
            return None
        tags = {tag["Key"]: tag["Value"] for tag in there.get("Tags", [])}
        if there["StackStatus"] == "CREATE_COMPLETE" and tags.get(CONTENT_TAG) == digest:
            return stacks.outputs_of(there)
        self.remove(stack_name)
        return None

    def create(self, stack_name: str, body: str, parameters: Mapping[str, str], digest: str) -> dict[str, str]:
        """Create a stack that carries `digest` and return its outputs; raises EngineError with the reasons."""
        return stacks.create_stack(
            self._clients,
            stack_name,
            body,
            parameters,
            tags={CONTENT_TAG: digest},
            poll_seconds=0.5,
            timeout_seconds=DEPLOY_SECONDS,
        )

    def deployed(self, stack_name: str) -> Deployment:
        """Return the stack that is there; raises EngineError where LocalStack or the stack is missing."""
        if not self._healthy():
            raise EngineError(
                f"no LocalStack answers on {self._endpoint}", hint="`docker compose up -d --wait` starts it"
            )
        there = self._describe(stack_name)
        if there is None:
            raise EngineError(f"stack {stack_name} is not deployed", hint="`harness deploy --engine localstack --once`")
        return stacks.deployment_of(there, stack_name)

    def remove(self, stack_name: str) -> None:
        """Empty the stack's buckets and remove it with its data; raises EngineError if it does not go."""
        cloudformation = self.client("cloudformation")
        for resource in cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]:
            if resource["ResourceType"] == "AWS::S3::Bucket":
                stacks.empty_bucket(self._clients, resource["PhysicalResourceId"])
        cloudformation.delete_stack(StackName=stack_name)
        deadline = time.monotonic() + DEPLOY_SECONDS
        while there := self._describe(stack_name):
            if there["StackStatus"] == "DELETE_COMPLETE":
                return
            if "FAILED" in there["StackStatus"] or time.monotonic() > deadline:
                raise EngineError(
                    f"stack {stack_name} does not go: {there['StackStatus']} {there.get('StackStatusReason', '')}",
                    hint="`docker compose down -v` starts from nothing",
                )
            time.sleep(0.5)

    def client(self, service: str) -> Any:
        """Return a cached boto3 client."""
        return self._clients.get(service)

    def session(self) -> Any:
        """Return a boto3 session with the credentials that emulators take."""
        return self._clients.session()

    def check(self) -> None:
        """Raise EngineError when LocalStack is gone; asks every few seconds at most."""
        if time.monotonic() - self._checked < CHECK_SECONDS:
            return
        self._checked = time.monotonic()
        if self._container is not None:
            self._container.check()
        elif not self._healthy(timeout=30):
            raise EngineError(
                f"LocalStack no longer answers on {self._endpoint}",
                hint="`docker compose ps` and `docker compose logs localstack` say why",
            )

    def report(self) -> EngineReport:
        """Return versions and what LocalStack does and does not enforce; it keeps no figures of functions."""
        info = self._get("/_localstack/info", timeout=10)
        versions = {"localstack": str(info.get("version", "unknown")), "boto3": version("boto3")}
        versions["python"] = sys.version.split()[0]
        mappings = "1 mapping" if self._mappings == 1 else f"{self._mappings} mappings"
        way = "past" if self._dynamodb else "through"
        limits = {
            "concurrency": f"{mappings} a queue, each one batch at a time: not AWS's",
            "data services": f"one Python gateway decides the rates; DynamoDB Local is reached {way} it",
            **LIMITS,
        }
        return EngineReport(self.name, versions, limits, {})

    def activity(self) -> Activity | None:
        """Return None: LocalStack does not tell what its functions do."""
        return None

    def consumption(self) -> Consumption | None:
        """Return None: LocalStack does not tell what its tables consume."""
        return None

    def billed_requests(self) -> BilledRequests | None:
        """Return None: LocalStack does not tell how it is polled."""
        return None

    def stop(self) -> None:
        """Close connections, and remove the container if this engine started it; safe to call twice."""
        self._clients.close()
        if self._container is not None:
            try:
                if self._logs is not None:
                    self._container.save_log(self._logs / "localstack.log")
            finally:
                self._container.stop()
                self._container = None

    def __enter__(self) -> LocalStackEngine:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _healthy(self, timeout: float = 3) -> bool:
        try:
            services = self._get("/_localstack/health", timeout=timeout).get("services", {})
        except (OSError, ValueError, HTTPException):
            return False
        return all(services.get(name) in ("available", "running") for name in self._services)

    def _get(self, path: str, timeout: float) -> dict[str, Any]:
        with direct.open(self._endpoint + path, timeout=timeout) as answer:
            return dict(json.load(answer))

    def _describe(self, stack_name: str) -> dict[str, Any] | None:
        return stacks.describe_stack(self._clients, stack_name)


def _mappings() -> int:
    text = os.environ.get(MAPPINGS_VARIABLE) or str(PARALLEL_MAPPINGS)
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise UsageError(f"{MAPPINGS_VARIABLE} is {text!r}, a whole number of 1 or more is needed")
    return int(text)


def _url(variable: str) -> str:
    url = os.environ.get(variable, "")
    if url and urlsplit(url).scheme not in ("http", "https"):
        raise UsageError(f"{variable} {url!r} is no URL", hint="for example http://127.0.0.1:4559")
    return url


def code_bucket(stack_name: str) -> str:
    """Return the name of the bucket that holds a stack's deployment package."""
    return f"{stack_name}-code".lower()


def digest_of(body: str, parameters: Mapping[str, str], package: bytes) -> str:
    """Return a digest of everything that makes a stack what it is."""
    parts = hashlib.sha256()
    for part in (body.encode(), json.dumps(dict(parameters), sort_keys=True).encode(), package):
        parts.update(hashlib.sha256(part).digest())
    return parts.hexdigest()
