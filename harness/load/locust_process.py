"""Locust as a process of its own: started with a load's options, ended with the harness.

It is never imported here: gevent, which it brings, replaces the standard library's sockets and threads for the whole
process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.engines.base import Deployment, Engine
from harness.errors import REINSTALL, EnvironmentProblem
from harness.host_environment import child_environment
from harness.lambda_service.bootstrap import PARENT_VARIABLE
from harness.load.schedule import SPEC_OPTIONS, LoadSpec
from harness.processes.supervision import tail

LOCUSTFILE = Path(__file__).resolve().parents[2] / "loadtests" / "locustfile.py"
LOG_FILE = "locust.log"
STOP_SECONDS = 15.0
UPLOAD_SECONDS = 60
"""How long Locust lets uploads finish that are on their way when a load ends."""


UPLOAD_VARIABLES = ("HARNESS_REGION", "HARNESS_ACCESS_KEY_ID", "HARNESS_SECRET_ACCESS_KEY", "HARNESS_SESSION_TOKEN")
"""Variables with the region and the credentials of uploads: emulators take any, and are not given the user's own."""

WORKERS_SECONDS = 600
"""How long Locust waits for workers that are to be started by hand."""


@dataclass(frozen=True)
class LocustOptions:
    """How Locust runs: users share the uploads and bound how many go on at a time; `processes` uploads from that many
    worker processes on this machine, `workers` waits for that many started by hand elsewhere (0: neither). `web`
    serves its web UI instead of starting at once."""

    users: int = 64
    processes: int = 0
    workers: int = 0
    master_host: str = "127.0.0.1"
    master_port: int = 5557
    web: bool = False
    web_host: str = "127.0.0.1"
    web_port: int = 8089

    def arguments(self) -> list[str]:
        """Return Locust's command line options."""
        given = ["--users", str(self.users), "--spawn-rate", str(self.users), "--stop-timeout", str(UPLOAD_SECONDS)]
        if self.web:
            given += ["--web-host", self.web_host, "--web-port", str(self.web_port)]
        else:
            given += ["--headless", "--only-summary"]
        if self.processes:
            given += ["--processes", str(self.processes)]
        if self.workers:
            given += ["--master", "--expect-workers", str(self.workers)]
            given += ["--expect-workers-max-wait", str(WORKERS_SECONDS)]
        if self.processes or self.workers:
            port = str(self.master_port)
            given += ["--master-bind-host", self.master_host, "--master-bind-port", port]
            # Where the workers of this machine look for the master.
            given += ["--master-port", port]
        return given


def free_port(host: str) -> int:
    """Return a TCP port that is free on `host` now."""
    with socket.create_server((host, 0)) as listener:
        return int(listener.getsockname()[1])


def load_arguments(spec: LoadSpec) -> list[str]:
    """Return the options of our locustfile that give this load."""
    return [text for name, option in SPEC_OPTIONS.items() for text in (option.locust_flag, str(getattr(spec, name)))]


class LocustProcess:
    """A running Locust with our locustfile. Also a context manager, which stops it.

    What it says goes to LOG_FILE in `folder`, its events to `folder/events.jsonl`.
    """

    def __init__(
        self, engine: Engine, deployment: Deployment, spec: LoadSpec, options: LocustOptions, folder: Path
    ) -> None:
        if not LOCUSTFILE.exists():
            raise EnvironmentProblem(f"{LOCUSTFILE} is missing", hint=REINSTALL)
        self.log = folder / LOG_FILE
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *options.arguments(), *load_arguments(spec)]
        command += ["--bucket", deployment.output("UploadBucket"), "--folder", str(folder.resolve())]
        with self.log.open("ab") as log:
            self._process = _start(command, engine, log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ended(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self._process.poll()

    def log_tail(self) -> str:
        """Return the end of its log."""
        return tail(self.log)

    def stop(self) -> None:
        """Let it end in order, then kill what is left of its group; safe to call twice."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> LocustProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def upload_variables(engine: Engine) -> dict[str, str]:
    """Return the variables by which a process of Locust uploads with an engine's credentials, as they are now."""
    session = engine.session()
    found = session.get_credentials().get_frozen_credentials()
    values = (session.region_name, found.access_key, found.secret_key, found.token or "")
    return dict(zip(UPLOAD_VARIABLES, values, strict=True))


def _start(command: Sequence[str], engine: Engine, log: IO[bytes]) -> subprocess.Popen[bytes]:
    fixed = {"AWS_ENDPOINT_URL": engine.endpoints.url("s3"), PARENT_VARIABLE: str(os.getpid())}
    fixed |= upload_variables(engine)
    # The engine's guard ends every process that carries its mark, should the harness be killed.
    fixed |= engine.mark
    return subprocess.Popen(
        command,
        # Not the user's working folder: its locust.conf and pyproject.toml would be read.
        cwd=LOCUSTFILE.parent,
        env=child_environment(os.environ, fixed=fixed),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
