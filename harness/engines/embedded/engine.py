"""The embedded engine: queues, tables and functions on services of our own, MiniStack for the rest, no Docker."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.data_plane.chaos.rules import RuleSet
from harness.data_plane.queues.paths import USAGE_PATH as QUEUES_USAGE_PATH
from harness.data_plane.tables.paths import UNMETERED_PATH, USAGE_PATH
from harness.engines import packaging, stacks
from harness.engines.base import Activity, Deployment, Endpoints, EngineReport
from harness.engines.clients import Clients
from harness.engines.consumption import Consumption, TableConsumption
from harness.engines.embedded import processes
from harness.engines.embedded.data_folder import DataFolder, KeptPlans
from harness.engines.embedded.stack_queues import StackQueues, check_queues
from harness.engines.embedded.stack_tables import StackTables
from harness.engines.queue_requests import BilledRequests, QueueRequests
from harness.engines.split_deployment import halve, put_functions
from harness.engines.templates.intrinsics import load_template
from harness.engines.templates.split import Context
from harness.errors import EngineError, HarnessError
from harness.host_environment import direct
from harness.lambda_service.control import LambdaControl
from harness.lambda_service.model import ServiceSettings
from harness.processes.guard import MARK
from harness.processes.guarding import start_guard
from harness.processes.supervision import Child, Supervised
from harness.signals import signals_held

REGION = "us-east-1"
ACCOUNT_ID = "000000000000"
"""MiniStack's default account."""


class EmbeddedEngine:
    """An engine in processes of this machine; see `harness.engines.base.Engine` for its methods.

    `work_dir` (default: a temporary folder) holds logs, function code and environments, and is removed by
    `stop`. `endpoints` overrides services, so that for instance DynamoDB may live elsewhere. `logs` is a folder in
    which the logs are kept when the engine ends, however it ends. `capacity` is "unlimited", or "aws" for tables
    that throttle as AWS's do. `data` is a folder in which tables, queues and positions of
    streams are kept for the next engine on it. `chaos` are rules of faults that queues and tables inject.
    """

    name = "embedded"
    live_counts = True

    def __init__(
        self,
        work_dir: Path | None = None,
        profile: str = "local",
        *,
        account_concurrency: int = 1000,
        async_retry_delays: tuple[float, ...] | None = None,
        service_endpoints: Mapping[str, str] | None = None,
        logs: Path | None = None,
        capacity: str = "unlimited",
        data: Path | None = None,
        chaos: RuleSet | None = None,
    ) -> None:
        self._given_dir = work_dir
        self._profile = profile
        self._account_concurrency = account_concurrency
        self._async_retry_delays = async_retry_delays
        self._service_endpoints = dict(service_endpoints or {})
        self._services = dict(self._service_endpoints)
        self._logs = logs
        self._capacity = capacity
        self._data = data
        self._kept: DataFolder | None = None
        self._chaos = chaos
        self._token = secrets.token_urlsafe(24)
        self._work_dir: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._children: list[Child | Supervised] = []
        self._data_url = ""
        self._lambda_url = ""
        self._tables_url = ""
        self._clients = Clients(lambda: self.endpoints)
        self._ministack = Clients(lambda: Endpoints(self._data_url, REGION))
        self._queues: StackQueues | None = None
        self._tables: StackTables | None = None
        self._stacks: list[str] = []

    @property
    def endpoints(self) -> Endpoints:
        """Where the engine answers; the lambda endpoint is our service's."""
        if not self._data_url:
            raise EngineError("the embedded engine is not started")
        observers = {}
        if self._tables_url:
            observers = dict.fromkeys(("dynamodb", "dynamodbstreams"), self._tables_url + UNMETERED_PATH)
        return Endpoints(self._data_url, REGION, {**self._services, "lambda": self._lambda_url}, observers)

    @property
    def work_dir(self) -> Path:
        """The folder of logs and environments; valid while started."""
        if self._work_dir is None:
            raise EngineError("the embedded engine is not started")
        return self._work_dir

    @property
    def processes(self) -> Mapping[str, int]:
        """Process ids of the engine's own processes by name (functions not included)."""
        return {child.name: child.process.pid for child in self._children}

    @property
    def mark(self) -> Mapping[str, str]:
        """The variable by which the guard knows what must end with the engine."""
        return {MARK: str(self.work_dir)}

    def log_files(self) -> Sequence[Path]:
        """Return the logs of its processes; none where it is not started."""
        return sorted(self._work_dir.glob("*.log")) if self._work_dir is not None else []

    def start(self) -> None:
        """Start the data services and the Lambda service; raises EngineError."""
        if self._given_dir is not None:
            self._given_dir.mkdir(parents=True, exist_ok=True)
        try:
            if self._data is not None:
                self._kept = DataFolder(self._data)
            with signals_held():
                self._work_dir = work_dir = Path(tempfile.mkdtemp(prefix="harness-", dir=self._given_dir))
                (work_dir / "pids").mkdir()
                self._guard = start_guard(work_dir, self._logs)
            data, self._data_url = processes.start_data_services(work_dir)
            self._children.append(data)
            chaos = processes.chaos_options(work_dir, self._chaos)
            if "sqs" not in self._service_endpoints:
                queues, self._services["sqs"] = processes.start_queues(work_dir, ACCOUNT_ID, REGION, self._kept, chaos)
                self._children.append(queues)
            if "dynamodb" not in self._service_endpoints:
                tables, self._tables_url = processes.start_tables(work_dir, REGION, self._capacity, self._kept, chaos)
                self._children.append(tables)
                self._services |= dict.fromkeys(("dynamodb", "dynamodbstreams"), self._tables_url)
            runtime = packaging.link_runtime(work_dir / "runtime")
            settings = ServiceSettings(
                endpoints={"default": self._data_url, **self._services},
                region=REGION,
                account_id=ACCOUNT_ID,
                runtime_dir=str(runtime),
                work_dir=str(work_dir),
                token=self._token,
                profile=self._profile,
                account_concurrency=self._account_concurrency,
                async_retry_delays=self._async_retry_delays,
                positions_dir=str(self._kept.positions) if self._kept else "",
            )
            service, self._lambda_url = processes.start_lambda_service(work_dir, settings)
            self._children.append(service)
            if "sqs" not in self._service_endpoints:
                get = self._clients.get
                self._queues = StackQueues(get("cloudformation"), get("s3"), self._ministack.get("sqs"), get("sqs"))
            plans = KeptPlans(self._kept.plans) if self._kept else None
            self._tables = StackTables(self._clients.get("dynamodb"), plans)
        except BaseException:
            self.stop()
            raise

    def deploy(
        self, template: Path, parameters: Mapping[str, str], *, stack_name: str, code: Path | None = None
    ) -> Deployment:
        """Deploy a template: data resources first, then functions and mappings.

        Raises TemplateError for what the template or its parameters get wrong, EngineError for refusals.
        """
        body = template.read_text("utf-8")
        given = dict(parameters)
        if set(stacks.CODE_PARAMETERS) <= set(load_template(body).get("Parameters", {})):
            package = stacks.build_package(code, self.work_dir / f"{stack_name}.zip")
            given |= stacks.upload_package(self._clients, package, f"{stack_name}-code".lower())
            package.unlink()
        halves = halve(body, given, Context(stack_name, REGION, ACCOUNT_ID), take_tables=True)
        resources = halves.split.data["Resources"]
        if self._queues is not None:
            check_queues(resources)
        if self._tables is None:
            raise EngineError("the embedded engine is not started")
        halves = halves.with_tables(self._tables.create(stack_name, halves.split.tables))
        try:
            outputs = stacks.create_stack(self._clients, stack_name, halves.data_template(), halves.data_parameters())
            if self._queues is not None:
                outputs = self._queues.create(stack_name, resources, outputs)
            made = put_functions(halves, outputs, self._clients, self._control)
        except HarnessError:
            # As CloudFormation rolls back: a stack is there with all it has, or not at all. What was kept is spared.
            if self._queues is not None:
                self._queues.roll_back(stack_name)
            self._tables.roll_back(stack_name)
            self.client("cloudformation").delete_stack(StackName=stack_name)
            raise
        self._stacks.append(stack_name)
        return made

    def remove(self, stack_name: str) -> None:
        """Remove a stack's functions, mappings and data."""
        self._control.delete_stack(stack_name)
        if self._queues is not None:
            self._queues.delete(stack_name)
        if self._tables is not None:
            self._tables.delete(stack_name)
        self.client("cloudformation").delete_stack(StackName=stack_name)
        if stack_name in self._stacks:
            self._stacks.remove(stack_name)

    def client(self, service: str) -> Any:
        """Return a cached boto3 client for the engine's endpoint of `service`."""
        return self._clients.get(service)

    def session(self) -> Any:
        """Return a boto3 session with the credentials that emulators take."""
        return self._clients.session()

    def check(self) -> None:
        """Raise EngineError when a process of the engine has died."""
        for child in self._children:
            child.check()

    def report(self) -> EngineReport:
        """Return versions, limits in force and the figures of every function."""
        answer = self._control.report()
        limits = {**answer["limits"], "concurrency profile": answer["profile"]}
        versions = {name: version(name) for name in ("ministack", "awslambdaric", "boto3", "uvicorn", "uvloop")}
        versions["python"] = sys.version.split()[0]
        service = {k: v for k, v in answer.items() if k not in ("limits", "functions", "profile")}
        service["restarts"] = {child.name: child.restarts for child in self._children if isinstance(child, Supervised)}
        functions = {**answer["functions"], "_service": service}
        return EngineReport(self.name, versions, limits, functions, self._capacity, self._injected())

    def _injected(self) -> list[dict[str, Any]]:
        """Return the chaos rules with what they did so far; rules of a service that lives elsewhere did nothing."""
        if self._chaos is None:
            return []
        counts: dict[int, dict[str, int]] = {}
        for service in ("sqs", "dynamodb"):
            if service not in self._service_endpoints:
                counts |= {found["rule"]: found for found in processes.chaos_counts(self._services[service])}
        return [{"matched": 0, "injected": 0, **rule, **counts.get(rule["rule"], {})} for rule in self._chaos.to_json()]

    def activity(self) -> Activity:
        """Return what is under way, and every function's part of it by short name."""
        return Activity.from_json(self._control.activity())

    def consumption(self) -> Consumption | None:
        """Return what the tables consumed so far; None where DynamoDB is elsewhere. Raises EngineError."""
        if not self._tables_url:
            return None
        try:
            with direct.open(self._tables_url + USAGE_PATH, timeout=30) as answer:
                usage = json.load(answer)["Tables"]
        except (OSError, ValueError) as error:
            raise EngineError(f"the tables do not tell what they consumed: {error}") from error
        tables = {used["TableName"]: TableConsumption.from_json(used) for used in usage}
        return Consumption(tables, 1 + self._restarts("tables"))

    def billed_requests(self) -> BilledRequests | None:
        """Return the requests to queues that SQS would have billed so far; None where SQS is elsewhere. Raises
        EngineError."""
        if "sqs" in self._service_endpoints:
            return None
        try:
            with direct.open(self._services["sqs"] + QUEUES_USAGE_PATH, timeout=30) as answer:
                usage = json.load(answer)["Queues"]
        except (OSError, ValueError) as error:
            raise EngineError(f"the queues do not tell their requests: {error}") from error
        return BilledRequests(
            {name: QueueRequests.from_json(used) for name, used in usage.items()}, 1 + self._restarts("queues")
        )

    def _restarts(self, name: str) -> int:
        return sum(c.restarts for c in self._children if c.name == name and isinstance(c, Supervised))

    def stop(self) -> None:
        """Stop every process and remove the work folder; safe to call twice."""
        if self._queues is not None:
            self._queues.stop()
        for child in reversed(self._children):
            child.stop()
        self._children.clear()
        self._clients.close()
        self._ministack.close()
        self._queues = None
        self._tables = None
        self._services = dict(self._service_endpoints)
        if self._guard is not None and self._guard.stdin is not None:
            # With its pipe closed the guard removes what is left, the work folder included.
            self._guard.stdin.close()
            self._guard.wait()
        if self._work_dir is not None:
            shutil.rmtree(self._work_dir, ignore_errors=True)
        self._guard, self._work_dir = None, None
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        self._data_url = self._lambda_url = self._tables_url = ""

    def __enter__(self) -> EmbeddedEngine:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def _control(self) -> LambdaControl:
        if not self._lambda_url:
            raise EngineError("the embedded engine is not started")
        return LambdaControl(self._lambda_url, self._token)
