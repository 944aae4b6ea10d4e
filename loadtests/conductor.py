"""Conducts a load: makes the schedule, deals it to the workers, collects the samples, ends it."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent import subprocess
from locust.env import Environment
from locust.runners import MasterRunner

from harness.engines.local_session import local_session
from harness.engines.stacks import outputs_of
from harness.errors import UsageError
from harness.experiments.lifecycle import STACK
from harness.host_environment import ENGINE, child_environment
from harness.load.pool import make_pool
from harness.load.samples import COMPLETIONS_FILE, EVENTS_FILE, EventWriter, LineFollower, LoadStart, LoadStop, Sample
from harness.load.schedule import LoadSpec, schedule
from loadtests.uploads import ASK, READ_SECONDS, SAMPLE, WORK, Job, Uploads, access, endpoint, options_of, runner_of

LEAD_SECONDS = {"alone": 1.0, "master": 4.0}
"""From the start to the moment that the schedule counts from: users are spawned and workers have their shares."""

_log = logging.getLogger(__name__)


class Conductor:
    """The part of the master, or of a single process, which has `uploads` of its own. `folder` holds the events it
    writes, and the figures that a monitor writes: the harness, or an observer started here when nobody else looks."""

    def __init__(
        self, environment: Environment, spec_of: Callable[[Any], LoadSpec], uploads: Uploads | None = None
    ) -> None:
        self._environment = environment
        self._spec_of = spec_of
        self._uploads = uploads
        if uploads is not None:
            uploads.report = self.take
        self._given = options_of(environment).folder
        self._temporary = None if self._given else tempfile.TemporaryDirectory(prefix="harness-locust-")
        self.folder = Path(self._given or self._temporary.name)  # type: ignore[union-attr]
        self._events = EventWriter(self.folder / EVENTS_FILE)
        self._bucket = options_of(environment).bucket
        self._shares: dict[str, list[Job]] = {}
        self._spec: LoadSpec | None = None
        self._prefix = ""
        self._expected: dict[int, float] = {}
        self._reported: set[int] = set()
        self._uploaded = 0
        self._failed = 0
        self._overdue = 0
        self._running = False
        self._ender: gevent.Greenlet | None = None
        self._observer: subprocess.Popen | None = None
        self._teller = gevent.spawn(self._tell_completions)
        self._runner = runner_of(environment)
        if isinstance(self._runner, MasterRunner):
            self._runner.register_message(ASK, self._on_ask)
            self._runner.register_message(SAMPLE, self._on_sample)

    @property
    def succeeded(self) -> bool:
        """Whether files were uploaded, none failed, and none was left out whose time had come."""
        return self._uploaded > 0 and self._failed == 0 and self._overdue == 0

    def begin(self) -> None:
        """Make the schedule of the options and hand it out."""
        environment = self._environment
        _refuse_other(environment.host)
        options = options_of(environment)
        self._spec = self._spec_of(options)
        self._bucket = self._bucket or _find_bucket()
        if not self._given and environment.web_ui is not None:
            self._observe()
        self._prefix = f"uploads/load/{uuid.uuid4().hex[:12]}/"
        arrivals = schedule(self._spec)
        uploads = self._uploads
        if uploads is not None:
            uploads.prepare(self._spec)
        else:
            # The workers of this machine then find the files in the cache.
            make_pool(self._spec)
        origin = time.time() + LEAD_SECONDS["alone" if uploads is not None else "master"]
        jobs = [Job(a.number, origin + a.offset, a.file) for a in arrivals]
        self._expected = {job.number: job.intended for job in jobs}
        self._reported = set()
        runner = self._runner
        workers = [client.id for client in runner.clients.ready] if isinstance(runner, MasterRunner) else []
        self._shares = {worker: jobs[i :: len(workers)] for i, worker in enumerate(workers)}
        users = runner.target_user_count or options.num_users or 1
        self._events.write(LoadStart(origin, self._prefix, self._spec, users, len(workers)))
        self._running = True
        if uploads is not None:
            uploads.start(self._bucket, self._prefix, jobs)
        self._ender = gevent.spawn(self._end_when_done, max(self._expected.values()))

    def take(self, sample: Sample) -> None:
        """Note one upload."""
        self._events.write(sample)
        self._reported.add(sample.number)
        self._failed += bool(sample.error)
        self._uploaded += not sample.error

    def end(self) -> None:
        """Note that no more uploads come."""
        if not self._running:
            return
        self._running = False
        missing = self._missing()
        now = time.time()
        self._overdue += sum(1 for number in missing if self._expected[number] <= now)
        self._events.write(LoadStop(len(missing)))

    def close(self) -> None:
        """Stop what was started and remove what was made."""
        self.end()
        self._teller.kill(block=False)
        self._events.close()
        if self._observer is not None:
            self._observer.terminate()
            self._observer.wait()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _end_when_done(self, last_intended: float) -> None:
        """End the load when every file is reported, or when the last one cannot be on its way any more."""
        latest = last_intended + 2 * READ_SECONDS
        while self._missing() and time.time() < latest:
            gevent.sleep(0.2)
        if missing := self._missing():
            _log.error("%d files were never reported", len(missing))
        self.end()
        if options_of(self._environment).headless:
            self._runner.quit()
        else:
            self._runner.stop()

    def _missing(self) -> set[int]:
        return self._expected.keys() - self._reported

    def _on_ask(self, msg: Any, **_: Any) -> None:
        jobs = self._shares.pop(msg.node_id, [])
        if jobs and self._spec is not None and isinstance(self._runner, MasterRunner):
            work = {
                "spec": self._spec.to_json(),
                "bucket": self._bucket,
                "prefix": self._prefix,
                "jobs": [[job.number, job.intended, job.file] for job in jobs],
            }
            self._runner.send_message(WORK, work, msg.node_id)

    def _on_sample(self, msg: Any, **_: Any) -> None:
        self.take(Sample(**msg.data))

    def _tell_completions(self) -> None:
        """Count files that are finished in Locust's statistics, from their intended start to their last row."""
        follower = LineFollower(self.folder / COMPLETIONS_FILE)
        while True:
            for line in follower.read():
                self._environment.events.request.fire(
                    request_type="pipeline",
                    name="end to end",
                    response_time=max(0.0, line["completed"] - line["intended"]) * 1000,
                    response_length=0,
                    exception=None,
                    context={},
                )
            gevent.sleep(0.5)

    def _observe(self) -> None:
        """Start a process that looks at the pipeline: its work must not hold uploads up."""
        if self._observer is None or self._observer.poll() is not None:
            log = (self.folder / "observer.log").open("ab")
            command = [sys.executable, "-m", "harness.experiments.observer", str(self.folder), "--endpoint", endpoint()]
            variables = child_environment(os.environ, ENGINE)
            self._observer = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            log.close()


def _refuse_other(host: str | None) -> None:
    """Raise UsageError for a Host, of the web UI or --host, that is not where the uploads go."""
    if host and host.rstrip("/") != endpoint().rstrip("/"):
        raise UsageError(
            f"Host is {host}, but files are uploaded to {endpoint()}: start Locust with AWS_ENDPOINT_URL={host}, or "
            "leave Host as it was"
        )


def _find_bucket() -> str:
    region, credentials = access()
    cloudformation = local_session(region, credentials).client("cloudformation", endpoint_url=endpoint())
    try:
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    finally:
        cloudformation.close()
    return str(outputs_of(stack)["UploadBucket"])
