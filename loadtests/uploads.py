"""The uploads of one Locust process: its share of the schedule, and sending it."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from locust.env import Environment
from locust.runners import Runner, WorkerRunner

from harness.engines.local_session import ACCESS_KEY, SECRET_KEY, Credentials, local_session
from harness.load.locust_process import UPLOAD_VARIABLES
from harness.load.pool import PoolFile, make_pool
from harness.load.samples import Sample, key_of
from harness.load.schedule import LoadSpec

DEFAULT_ENDPOINT = "http://127.0.0.1:4566"
REGION = "us-east-1"
CONNECT_SECONDS, READ_SECONDS = 5, 60
ASK, WORK, SAMPLE = "ask-for-work", "work", "sample"
"""Messages: a worker asks, the master answers with the worker's share, the worker sends a sample an upload."""


@dataclass(frozen=True)
class Job:
    """One file to upload: its number, when (Unix seconds), and which file of the pool."""

    number: int
    intended: float
    file: int

    def seconds_left(self) -> float:
        """Return the seconds until its time; negative when it is late."""
        return self.intended - time.time()


def endpoint() -> str:
    """Return where the engine answers."""
    return os.environ.get("AWS_ENDPOINT_URL") or DEFAULT_ENDPOINT


def access() -> tuple[str, Credentials]:
    """Return region and credentials of the engine: those of the variables, else what emulators take."""
    region, key, secret, token = (os.environ.get(name, "") for name in UPLOAD_VARIABLES)
    return region or REGION, (key or ACCESS_KEY, secret or SECRET_KEY, token or None)


def make_s3_client() -> Any:
    """Return an S3 client whose uploads do not hold each other up and are tried once.

    With signed payloads or checksums, hashing one large file stops every other upload of the process. A retry would
    hide a failure and make one upload two.
    """
    region, credentials = access()
    return local_session(region, credentials).client(
        "s3",
        endpoint_url=endpoint(),
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=256,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            parameter_validation=False,
            s3={"addressing_style": "path", "payload_signing_enabled": False},
        ),
    )


def runner_of(environment: Environment) -> Runner:
    """Return Locust's runner, which there is from the event `init` on."""
    assert environment.runner is not None
    return environment.runner


def options_of(environment: Environment) -> Any:
    """Return the command line's options, as the web UI last changed them."""
    assert environment.parsed_options is not None
    return environment.parsed_options


class Uploads:
    """What this process has to upload. `report` takes each upload's sample; by default it is sent to the master."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.report: Callable[[Sample], None] = self._send_to_master
        self._jobs: deque[Job] = deque()
        self._client = make_s3_client()
        self._bodies: list[bytes] = []
        self._pool: list[PoolFile] = []
        self._spec: LoadSpec | None = None
        self._bucket = self._prefix = ""
        if isinstance(environment.runner, WorkerRunner):
            environment.runner.register_message(WORK, self._on_work)

    def ask_for_work(self) -> None:
        """Ask the master for this worker's share; the answer starts it."""
        runner_of(self._environment).send_message(ASK)

    def prepare(self, spec: LoadSpec) -> None:
        """Have the files of a load in memory."""
        if spec != self._spec:
            self._pool = make_pool(spec)
            self._bodies = [file.path.read_bytes() for file in self._pool]
            self._spec = spec

    def start(self, bucket: str, prefix: str, jobs: Sequence[Job]) -> None:
        """Take on a share of a load that was prepared."""
        self._bucket, self._prefix = bucket, prefix
        self._jobs = deque(jobs)

    def take(self) -> Job | None:
        """Return the next job, None where there is none."""
        return self._jobs.popleft() if self._jobs else None

    def clear(self) -> None:
        """Forget what was not begun."""
        self._jobs.clear()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def upload(self, job: Job) -> None:
        """Upload one file, count it in Locust's statistics from its intended start, and report it."""
        file, body = self._pool[job.file], self._bodies[job.file]
        key = key_of(self._prefix, job.number)
        started, clock = time.time(), time.perf_counter()
        version, problem = "", None
        try:
            answer = self._client.put_object(Bucket=self._bucket, Key=key, Body=body)
            version = answer.get("VersionId") or answer["ETag"].strip('"')
        except (BotoCoreError, ClientError) as error:
            problem = error
        uploaded = started + time.perf_counter() - clock
        sample = Sample(
            number=job.number,
            file=job.file,
            key=key,
            version=version,
            rows=file.spec.rows,
            bytes=len(body),
            intended=job.intended,
            started=started,
            uploaded=uploaded,
            error="" if problem is None else f"{type(problem).__name__}: {problem}"[:300],
        )
        self._environment.events.request.fire(
            request_type="PutObject",
            name="upload",
            response_time=max(0.0, uploaded - job.intended) * 1000,
            response_length=len(body),
            exception=problem,
            context={},
        )
        self.report(sample)

    def _send_to_master(self, sample: Sample) -> None:
        runner_of(self._environment).send_message(SAMPLE, sample.to_json())

    def _on_work(self, msg: Any, **_: Any) -> None:
        self.prepare(LoadSpec(**msg.data["spec"]))
        self.start(msg.data["bucket"], msg.data["prefix"], [Job(*job) for job in msg.data["jobs"]])
