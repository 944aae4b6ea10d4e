"""LocalStack for the data, our Lambda service for the functions: the variant that needs no Docker socket."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.engines import packaging, stacks
from harness.engines.base import Activity, Deployment, Endpoints, EngineReport
from harness.engines.clients import Clients
from harness.engines.consumption import Consumption
from harness.engines.embedded import processes
from harness.engines.localstack.engine import CHECK_SECONDS, REGION, LocalStackEngine, code_bucket, digest_of
from harness.engines.queue_requests import BilledRequests
from harness.engines.split_deployment import deployment, halve, put_functions
from harness.engines.templates.split import Context
from harness.errors import EngineError, HarnessError, UsageError
from harness.lambda_service.control import LambdaControl
from harness.lambda_service.model import ServiceSettings
from harness.processes.guard import MARK
from harness.processes.guarding import start_guard
from harness.processes.supervision import Child

ACCOUNT_ID = "000000000000"
"""LocalStack's account for the access key `test` (LocalStack documentation, "Credentials")."""

URL_VARIABLE = "HARNESS_LAMBDA_URL"
TOKEN_VARIABLE = "HARNESS_LAMBDA_TOKEN"  # noqa: S105  the name of a variable, not a secret
"""Where a Lambda service already runs, as in docker-compose.nosocket.yml; without them the engine starts its own."""


SERVICES = ("s3", "sqs", "dynamodb", "dynamodbstreams", "logs", "cloudformation", "iam")
"""LocalStack's names of the services that hold the data."""


class LocalStackDataEngine:
    """See `harness.engines.base.Engine`. A `LocalStackEngine` holds the data; functions run in our Lambda service, and
    LocalStack never sees them.

    The service runs on this machine as a child process, or, where HARNESS_LAMBDA_URL names one, in another container,
    which keeps the stack's functions when this process ends. `profile` is that of the service started here.
    """

    name = "localstack-data"
    live_counts = True

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        profile: str = "local",
        async_retry_delays: tuple[float, ...] | None = None,
        logs: Path | None = None,
    ) -> None:
        self._logs = logs
        self._localstack = LocalStackEngine(endpoint, logs=logs, socket=False, services=SERVICES)
        self._clients = Clients(lambda: self.endpoints)
        self._profile = profile
        self._async_retry_delays = async_retry_delays
        self._control = _remote_control()
        self._remote = self._control is not None
        self._work_dir: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._child: Child | None = None
        self._deployed: set[str] = set()
        self._checked = 0.0

    @property
    def endpoints(self) -> Endpoints:
        """Where the engine answers; the lambda endpoint is our service's."""
        found = self._localstack.endpoints
        if self._control is None:
            return found
        return Endpoints(found.default, REGION, {**found.services, "lambda": self._control.url})

    @property
    def processes(self) -> Mapping[str, int]:
        """The Lambda service, where it runs on this machine."""
        return {} if self._child is None else {self._child.name: self._child.process.pid}

    @property
    def mark(self) -> Mapping[str, str]:
        """The variable by which the guard knows what must end with the engine; {} where the service runs elsewhere."""
        return {} if self._work_dir is None else {MARK: str(self._work_dir)}

    def log_files(self) -> Sequence[Path]:
        """Return the service's logs; none where it runs elsewhere."""
        return [] if self._work_dir is None else sorted(self._work_dir.glob("*.log"))

    def start(self) -> None:
        """Attach to LocalStack or start one without the Docker socket, then the Lambda service; raises EngineError."""
        try:
            self._localstack.start()
            if not self._remote:
                self._start_service()
        except BaseException:
            self.stop()
            raise

    def deploy(
        self, template: Path, parameters: Mapping[str, str], *, stack_name: str, code: Path | None = None
    ) -> Deployment:
        """Deploy the data half to LocalStack and the functions to the Lambda service.

        An equal stack whose functions still run is used as it is; any other of that name is removed with its data.
        Raises TemplateError for what the template or its parameters get wrong, EngineError for refusals.
        """
        body = template.read_text("utf-8")
        given = dict(parameters)
        with tempfile.TemporaryDirectory() as folder:
            package = stacks.build_package(code, Path(folder) / "package.zip")
            digest = digest_of(body, parameters, package.read_bytes())
            if "CodeBucket" in body:
                given |= stacks.upload_package(self._clients, package, code_bucket(stack_name))
        halves = halve(body, given, Context(stack_name, REGION, ACCOUNT_ID))
        there = self._localstack.reusable(stack_name, digest)
        if there is not None and stack_name in self._lambda.stacks():
            self._deployed.add(stack_name)
            return deployment(halves, there)
        if there is not None:
            # The service was started anew and has lost its position in the table's stream: from nothing, then.
            self.remove(stack_name)
        outputs = self._localstack.create(stack_name, halves.data_template(), halves.data_parameters(), digest)
        try:
            made = put_functions(halves, outputs, self._clients, self._lambda)
        except HarnessError:
            # As CloudFormation rolls back: a stack is there with all it has, or not at all.
            self.remove(stack_name)
            raise
        self._deployed.add(stack_name)
        return made

    def deployed(self, stack_name: str) -> Deployment:
        """Return the stack that is there; raises EngineError where LocalStack or the stack is missing."""
        found = self._localstack.deployed(stack_name)
        outputs = {k: v for k, v in found.outputs.items() if not k.startswith("HarnessValue")}
        return Deployment(stack_name, outputs, found.parameters)

    def remove(self, stack_name: str) -> None:
        """Stop the stack's functions and remove its data; raises EngineError if it does not go."""
        self._deployed.discard(stack_name)
        self._lambda.delete_stack(stack_name)
        self._localstack.remove(stack_name)

    def client(self, service: str) -> Any:
        """Return a cached boto3 client; lambda's is of our service."""
        return self._clients.get(service)

    def session(self) -> Any:
        """Return a boto3 session with the credentials that emulators take."""
        return self._clients.session()

    def check(self) -> None:
        """Raise EngineError when LocalStack or the Lambda service is gone; asks over the network every few seconds."""
        self._localstack.check()
        if self._child is not None:
            self._child.check()
            return
        if time.monotonic() - self._checked < CHECK_SECONDS:
            return
        self._checked = time.monotonic()
        if lost := self._deployed - set(self._lambda.stacks()):
            raise EngineError(
                f"the Lambda service on {self._lambda.url} no longer runs stack {', '.join(sorted(lost))}",
                hint="it was started anew, perhaps because it ran out of memory: its container's log says more",
            )

    def report(self) -> EngineReport:
        """Return versions, limits in force and the figures of every function."""
        answer = self._lambda.report()
        localstack = self._localstack.report()
        versions = {**localstack.versions, "awslambdaric": version("awslambdaric")}
        limits = {
            **answer["limits"],
            "concurrency profile": answer["profile"],
            "data services": localstack.limits["data services"],
        }
        service = {k: v for k, v in answer.items() if k not in ("limits", "functions", "profile")}
        return EngineReport(self.name, versions, limits, {**answer["functions"], "_service": service})

    def activity(self) -> Activity | None:
        """Return what is under way, and every function's part of it by short name."""
        return Activity.from_json(self._lambda.activity())

    def consumption(self) -> Consumption | None:
        """Return None: LocalStack does not tell what its tables consume."""
        return self._localstack.consumption()

    def billed_requests(self) -> BilledRequests | None:
        """Return None: LocalStack does not tell how it is polled."""
        return self._localstack.billed_requests()

    def stop(self) -> None:
        """Stop what this engine started, the service before LocalStack; safe to call twice."""
        if self._child is not None:
            self._child.stop()
            self._child, self._control = None, None
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait()
            self._guard = None
        if self._work_dir is not None:
            shutil.rmtree(self._work_dir, ignore_errors=True)
            self._work_dir = None
        self._clients.close()
        self._localstack.stop()

    def __enter__(self) -> LocalStackDataEngine:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def _lambda(self) -> LambdaControl:
        if self._control is None:
            raise EngineError("the Lambda service is not started")
        return self._control

    def _start_service(self) -> None:
        work_dir = Path(tempfile.mkdtemp(prefix="harness-"))
        self._work_dir = work_dir
        (work_dir / "pids").mkdir()
        self._guard = start_guard(work_dir, self._logs)
        token = secrets.token_urlsafe(24)
        settings = service_settings(
            self._localstack.endpoints, work_dir, token, self._profile, self._async_retry_delays
        )
        self._child, url = processes.start_lambda_service(work_dir, settings)
        self._control = LambdaControl(url, token)


def service_settings(
    endpoints: Endpoints,
    work_dir: Path,
    token: str,
    profile: str,
    async_retry_delays: tuple[float, ...] | None = None,
) -> ServiceSettings:
    """Return the settings of a Lambda service over LocalStack's data services; links its runtime into `work_dir`."""
    return ServiceSettings(
        endpoints={"default": endpoints.default, **endpoints.services},
        region=endpoints.region,
        account_id=ACCOUNT_ID,
        runtime_dir=str(packaging.link_runtime(work_dir / "runtime")),
        work_dir=str(work_dir),
        token=token,
        profile=profile,
        async_retry_delays=async_retry_delays,
    )


def _remote_control() -> LambdaControl | None:
    url = os.environ.get(URL_VARIABLE, "")
    if not url:
        return None
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{URL_VARIABLE} {url!r} is no URL", hint="for example http://lambda:9001")
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise UsageError(
            f"{URL_VARIABLE} is set, {TOKEN_VARIABLE} is not", hint="give the token the service was started with"
        )
    return LambdaControl(url.rstrip("/"), token)
