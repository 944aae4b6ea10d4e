"""Uploads CSVs into the deployed pipeline: `locust -f loadtests/locustfile.py`, with the web UI or `--headless`.

AWS_ENDPOINT_URL says where the engine is, `--rows` how many rows a file has. Latencies are those of the upload
(PutObject); what became of the rows is the business of `harness run` and its audit.
"""

from __future__ import annotations

from locust import User, events, task  # before boto3: gevent must patch ssl first (Locust's documentation)
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

import os  # isort: skip
import tempfile  # isort: skip
import time  # isort: skip
import uuid  # isort: skip
from pathlib import Path  # isort: skip
from typing import Any  # isort: skip

from botocore.exceptions import BotoCoreError, ClientError  # isort: skip
from harness.corpus import CorpusSpec, generate  # isort: skip
from harness.engines.base import Endpoints  # isort: skip
from harness.engines.clients import Clients  # isort: skip
from harness.engines.stacks import outputs_of  # isort: skip
from harness.run.core import STACK  # isort: skip

DEFAULT_ENDPOINT = "http://127.0.0.1:4566"
SEEDS = 4
"""Different files that uploads take turns with; their keys differ every time, so their rows do too."""


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    """Add --rows."""
    parser.add_argument("--rows", type=int, default=1000, help="rows of each uploaded CSV (default: 1000)")


@events.quitting.add_listener
def fail_without_uploads(environment: Environment, **_: Any) -> None:
    """Make a run that uploaded nothing, or had failures, end with exit code 1."""
    total = environment.stats.total
    if total.num_requests == 0 or total.num_failures > 0:
        environment.process_exit_code = 1


class Uploader(User):  # type: ignore[misc]
    """Uploads one file after the other."""

    def on_start(self) -> None:
        """Find the bucket and make the files."""
        endpoint = os.environ.get("AWS_ENDPOINT_URL", DEFAULT_ENDPOINT)
        self._clients = Clients(lambda: Endpoints(endpoint))
        stack = self._clients.get("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        self._bucket = outputs_of(stack)["UploadBucket"]
        self._files = list(self._make(self.environment.parsed_options.rows))
        self._next = 0

    def on_stop(self) -> None:
        """Close the connections."""
        self._clients.close()

    @task
    def upload(self) -> None:
        """Upload one file under a key of its own."""
        body = self._files[self._next % len(self._files)]
        self._next += 1
        started = time.perf_counter()
        error: Exception | None = None
        try:
            self._clients.get("s3").put_object(
                Bucket=self._bucket, Key=f"uploads/locust/{uuid.uuid4().hex}.csv", Body=body
            )
        except (BotoCoreError, ClientError) as refused:
            error = refused
        self.environment.events.request.fire(
            request_type="PutObject",
            name="upload",
            response_time=(time.perf_counter() - started) * 1000,
            response_length=len(body),
            exception=error,
            context={},
        )

    def _make(self, rows: int) -> list[bytes]:
        made = []
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(1, SEEDS + 1):
                path = Path(folder) / f"{seed}.csv"
                generate(path, CorpusSpec(rows=rows, seed=seed))
                made.append(path.read_bytes())
        return made
