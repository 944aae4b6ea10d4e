"""A LocalStack container of our own, through the Docker SDK, for when nothing answers on the endpoint."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from harness.errors import EngineError
from harness.host_environment import CERTIFICATES, PROXIES, hidden

IMAGE = os.environ.get("LOCALSTACK_IMAGE", "localstack/localstack:4.14.0")
"""The last image that needs no token (LocalStack's release notes)."""

PORT = 4566
NAME = "harness-localstack"
SOCKET = "/var/run/docker.sock"
CONFLICT = 409
"""Docker's answer where a container of that name exists (Docker Engine API)."""

DYNAMODB_PORT = 4559
"""Where DynamoDB Local answers inside the container, in LocalStack's range of ports for services of its own."""

FUNCTIONS_DYNAMODB = f"http://localhost.localstack.cloud:{DYNAMODB_PORT}"
"""DynamoDB Local as functions reach it: the name is LocalStack's own in their containers (LocalStack documentation)."""

FUNCTION_FLAGS = "--ulimit nofile=1024:1024"
"""Flags of Docker for the containers of functions: Lambda's 1,024 descriptors.

LocalStack takes no flag for a memory limit, and a container with something mounted over /dev/shm does not start there.
"""

LABEL = "ingestion-harness.functions-of"
"""Label of function containers, with the name of the LocalStack container that made them."""

TUNING = {
    # Its mappings sleep 1 s after every poll and up to 10 s on an empty queue by default.
    "LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC": "0.05",
    "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC": "1",
    # The default DynamoDB provider re-reads items around every write to build stream records.
    "PROVIDER_OVERRIDE_DYNAMODB": "v2",
    "PROVIDER_OVERRIDE_DYNAMODBSTREAMS": "v2",
    "DYNAMODB_IN_MEMORY": "1",
    "DYNAMODB_HEAP_SIZE": "4g",
    # DynamoDB Local can be reached past the gateway, by whatever access key.
    "DYNAMODB_LOCAL_PORT": str(DYNAMODB_PORT),
    "DYNAMODB_SHARE_DB": "1",
    # Slow machines need more than the default 20 s for the first start of a function's container.
    "LAMBDA_RUNTIME_ENVIRONMENT_TIMEOUT": "120",
    "LAMBDA_KEEPALIVE_MS": "600000",
    # Asynchronous retries after 1 and 2 s, as in the embedded engine's profile `local`; AWS waits 60 and 120 s.
    "LAMBDA_RETRY_BASE_DELAY": "1",
    "LAMBDA_DOCKER_FLAGS": FUNCTION_FLAGS,
    # A metric of every message is a transaction of its own in a database of LocalStack; nothing here reads them.
    "SQS_DISABLE_CLOUDWATCH_METRICS": "1",
    # Without a line for every request.
    "LS_LOG": "warning",
}
"""Settings of the container, as in docker-compose.yml; docs/localstack.md says which were compared with others."""

_LOG_LINES = 100_000
"""Lines of its log that are kept: with LS_LOG=warning that is all of it, with debug the end."""

DATA_SERVICES = "s3,sqs,dynamodb,dynamodbstreams,logs,cloudformation,iam,kms,sts"
"""What the data half of a template needs; `kms` makes the key of an encrypted table."""

DATA_TUNING = {
    **{name: value for name, value in TUNING.items() if not name.startswith("LAMBDA_")},
    # Its own Lambda service is not even loaded: it could start nothing, and must never see a function.
    "SERVICES": DATA_SERVICES,
    "STRICT_SERVICE_LOADING": "1",
}
"""Settings of a container that serves data only, as in docker-compose.nosocket.yml."""


class Container:
    """A started LocalStack container; `stop` removes it and the function containers it made."""

    def __init__(self, client: Any, container: Any) -> None:
        self._client = client
        self._container = container

    @classmethod
    def start(cls, port: int = PORT, *, socket: bool = True) -> Container:
        """Start LocalStack on 127.0.0.1:`port` and return at once; raises EngineError where Docker cannot.

        Without the Docker `socket` it serves data only.
        """
        try:
            # Docker's own variables say where it is. Proxies do not lead to it: the container's port must be reached
            # on this machine.
            with hidden(*PROXIES, *CERTIFICATES):
                client = docker.from_env()
            client.api.trust_env = False
            client.ping()
        except DockerException as error:
            raise EngineError(
                f"nothing answers on 127.0.0.1:{port}, and Docker cannot be asked for LocalStack: {error}",
                hint="start Docker, or `docker compose up -d --wait`; `--engine embedded` needs neither",
            ) from error
        environment = dict(TUNING if socket else DATA_TUNING)
        if socket:
            environment["LAMBDA_DOCKER_FLAGS"] += f" --label {LABEL}={NAME}"
        if token := os.environ.get("LOCALSTACK_AUTH_TOKEN"):
            environment["LOCALSTACK_AUTH_TOKEN"] = token
        try:
            container = client.containers.run(
                IMAGE,
                name=NAME,
                detach=True,
                auto_remove=False,
                environment=environment,
                ports={f"{PORT}/tcp": ("127.0.0.1", port), f"{DYNAMODB_PORT}/tcp": ("127.0.0.1", None)},
                volumes={SOCKET: {"bind": SOCKET, "mode": "rw"}} if socket else {},
            )
        except ImageNotFound as error:
            raise EngineError(f"image {IMAGE} is neither here nor can it be pulled: {error}") from error
        except APIError as error:
            hint = ""
            if error.status_code == CONFLICT:
                hint = f"`docker rm -f {NAME}` removes what an earlier run left"
            else:
                # Made but not started, for example because something else has the port.
                with suppress(NotFound):
                    client.containers.get(NAME).remove(v=True, force=True)
            raise EngineError(f"Docker refused to start {IMAGE}: {error.explanation}", hint=hint) from error
        return cls(client, container)

    def wait(self, healthy: Callable[[], bool], seconds: float) -> None:
        """Return when `healthy` says so; raises EngineError with the log when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not healthy():
            self.check()
            if time.monotonic() > deadline:
                raise EngineError(f"LocalStack was not healthy after {seconds:g} s", hint=self.tail())
            time.sleep(0.5)

    def check(self) -> None:
        """Raise EngineError when the container has ended."""
        try:
            self._container.reload()
        except NotFound as error:
            raise EngineError(f"the container {NAME} is gone") from error
        if self._container.status not in ("created", "running"):
            code = self._container.attrs["State"].get("ExitCode")
            raise EngineError(f"the container {NAME} is {self._container.status} (exit code {code})", hint=self.tail())

    def dynamodb_url(self) -> str:
        """Return where its DynamoDB Local answers on this machine."""
        self._container.reload()
        (binding,) = self._container.ports[f"{DYNAMODB_PORT}/tcp"]
        return f"http://127.0.0.1:{binding['HostPort']}"

    def tail(self, lines: int = 15) -> str:
        """Return the end of its log."""
        try:
            return str(self._container.logs(tail=lines).decode("utf-8", "replace"))
        except APIError as error:
            return f"(no log: {error})"

    def save_log(self, path: Path) -> None:
        """Write its log to a file; why there is none, where Docker does not give it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.tail(_LOG_LINES), "utf-8")

    def stop(self) -> None:
        """Stop and remove it, and the function containers that a LocalStack which was killed leaves behind."""
        try:
            with suppress(NotFound):
                self._container.stop(timeout=30)
                self._container.remove(v=True, force=True)
            for left in self._client.containers.list(all=True, filters={"label": f"{LABEL}={NAME}"}):
                with suppress(NotFound):
                    left.remove(v=True, force=True)
        finally:
            self._client.close()
