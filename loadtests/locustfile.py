"""Uploads CSVs into the deployed pipeline by a schedule that is known up front (an open model).

`harness bench load` starts it with everything it needs. By hand it works with an engine that is up already:

    python -m loadtests --web-host 127.0.0.1            # web UI on port 8089
    python -m loadtests --headless --users 64 --shape spike --seconds 120 --rate 500
    python -m loadtests --worker --master-host 10.0.0.5 # a worker on another machine

AWS_ENDPOINT_URL says where the engine is. See docs/load-testing.md.
"""

from __future__ import annotations

from locust import User, events, task  # before boto3: gevent must patch ssl first (Locust's documentation)
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

import logging  # isort: skip
import os  # isort: skip
from dataclasses import dataclass  # isort: skip
from typing import Any  # isort: skip

import gevent  # isort: skip
from botocore.exceptions import BotoCoreError, ClientError  # isort: skip
from locust.user.task import LOCUST_STATE_STOPPING  # isort: skip

from loadtests.conductor import Conductor  # isort: skip
from loadtests.pipeline_page import PipelinePage  # isort: skip
from loadtests.uploads import Uploads, endpoint, options_of, runner_of  # isort: skip

from harness.errors import HarnessError  # isort: skip
from harness.lambda_service.bootstrap import PARENT_VARIABLE, die_with_parent  # isort: skip
from harness.load.schedule import SPEC_OPTIONS, LoadSpec  # isort: skip

LOADED_IN = os.getpid()
"""The process that read this file first; workers made by --processes are forked from it."""

BY_HAND = {"rate": 50.0}
"""Defaults of a Locust that is started by hand, for any engine."""


@dataclass
class Parts:
    """What this process does in a load: uploads, unless it is a master; a conductor, unless it is a worker."""

    uploads: Uploads | None = None
    conductor: Conductor | None = None


parts = Parts()
"""Set when Locust has initialised, once in each process."""

_log = logging.getLogger(__name__)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: LocustArgumentParser) -> None:
    """Add the options of a load; those without `include_in_web_ui=False` can be changed in the web UI."""
    for option in SPEC_OPTIONS.values():
        parser.add_argument(
            option.locust_flag,
            type=type(option.default),
            default=BY_HAND.get(option.name, option.default),
            choices=option.choices or None,
            help=option.help,
        )
    hidden: dict[str, Any] = {"include_in_web_ui": False}
    parser.add_argument("--rows", type=int, default=0, help="short for --rows-per-file fixed:ROWS", **hidden)
    parser.add_argument("--bucket", default="", help="upload bucket (default: the deployed stack's)", **hidden)
    parser.add_argument("--folder", default="", help="folder for events and figures (default: temporary)", **hidden)


def spec_of(options: Any) -> LoadSpec:
    """Return the load that the options describe; raises UsageError."""
    given = {name: getattr(options, option.locust_name) for name, option in SPEC_OPTIONS.items()}
    if options.rows:
        given["rows_per_file"] = f"fixed:{options.rows}"
    return LoadSpec(**given)


@events.init.add_listener  # type: ignore[untyped-decorator]
def set_up(environment: Environment, **_: Any) -> None:
    """Give each process its part: the conductor to the master or a single process, uploads to all but the master."""
    if os.getpid() != LOADED_IN:
        die_with_parent(LOADED_IN)
    elif PARENT_VARIABLE in os.environ:
        die_with_parent(int(os.environ[PARENT_VARIABLE]))
    runner = runner_of(environment)
    parts.uploads = None if isinstance(runner, MasterRunner) else Uploads(environment)
    parts.conductor = None
    if not isinstance(runner, WorkerRunner):
        parts.conductor = Conductor(environment, spec_of, parts.uploads)
        if environment.web_ui is not None:
            PipelinePage(environment, environment.web_ui, parts.conductor.folder)


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Environment, **_: Any) -> None:
    """Make the schedule, or ask the master for this worker's share of it."""
    if parts.conductor is not None:
        try:
            parts.conductor.begin()
        except (HarnessError, BotoCoreError, ClientError) as error:
            _log.error("the load cannot begin: %s", error)
            # Not from here: the runner is in the middle of starting.
            runner = runner_of(environment)
            gevent.spawn_later(1, runner.quit if options_of(environment).headless else runner.stop)
    elif parts.uploads is not None:
        parts.uploads.ask_for_work()


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def end(**_: Any) -> None:
    """Say that no more uploads come."""
    if parts.uploads is not None:
        parts.uploads.clear()
    if parts.conductor is not None:
        parts.conductor.end()


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def close(environment: Environment, **_: Any) -> None:
    """Make a run that uploaded nothing, or not everything it tried, end with exit code 1."""
    if parts.uploads is not None:
        parts.uploads.close()
    if parts.conductor is not None:
        parts.conductor.close()
        if not parts.conductor.succeeded:
            environment.process_exit_code = 1


class Uploader(User):
    """Takes the next file of the schedule, waits for its time, uploads it. Users only bound how many uploads go on at
    a time: a file whose time has come while all are busy starts late, and its latency counts the wait.

    `host` fills the field of that name in the web UI, which Locust always shows: it says where the uploads go.
    """

    host = endpoint()

    @task
    def upload(self) -> None:
        """Upload one file."""
        uploads = parts.uploads
        job = None if uploads is None else uploads.take()
        if uploads is None or job is None:
            gevent.sleep(0.1)
            return
        while (left := job.seconds_left()) > 0:
            if self._state == LOCUST_STATE_STOPPING:
                return
            gevent.sleep(min(left, 0.5))
        uploads.upload(job)
