"""One execution environment: a process running awslambdaric with Lambda's limits, from cold start to removal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import resource
import shutil
import signal
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.lambda_service.activity import wait_running
from harness.lambda_service.limits import MAX_DESCRIPTORS, MAX_PROCESSES, ControlGroups, Limits, read_small_file
from harness.lambda_service.model import Function, ServiceSettings
from harness.lambda_service.output import OutputPipe
from harness.lambda_service.runtime_api import Invocation, RuntimeAnswer, RuntimeApi, error_body
from harness.lambda_service.system_logs import SystemLog
from harness.lambda_service.variables import environment

INIT_TIMEOUT_SECONDS = 10.0
"""Lambda's own init phase limit (developer guide, "Understanding the execution environment lifecycle")."""

LOG_TAIL_BYTES = 4 * 1024
"""How much of an invocation's log LogType Tail returns (Lambda API reference, Invoke)."""

_USER = "sbx_user1051"
"""The user that functions find themselves to be, as on Lambda."""

LogSink = Callable[["ExecutionEnvironment", str], None]


@dataclass(frozen=True)
class Outcome:
    """The end of one invocation. `error_type` is empty on success; times are milliseconds, memory MB. `log_tail` holds
    the last of its log, where that was asked for."""

    request_id: str
    payload: bytes
    error_type: str
    duration_ms: float
    billed_ms: int
    init_ms: float | None
    max_memory_mb: int
    log_tail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the function returned rather than raised, timed out or died."""
        return not self.error_type


@dataclass(frozen=True)
class Sandbox:
    """What every execution environment of a service shares."""

    settings: ServiceSettings
    controls: ControlGroups
    limits: Limits
    log: LogSink


class ExecutionEnvironment:
    """A sandboxed process for one function; runs one invocation at a time.

    `start` returns when the process exists, not when it is initialised: `invoke` waits for that, so a cold
    start's init counts where AWS counts it. After an error of the sandbox itself (time-out, crash) `alive` is
    False and the environment must be closed.
    """

    def __init__(self, function: Function, sandbox: Sandbox) -> None:
        self.function = function
        self.env_id = uuid.uuid4().hex
        self.log_stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{self.env_id}"
        self.alive = False
        self.last_used = time.monotonic()
        self._sandbox = sandbox
        self._name = f"{function.name}-{self.env_id[:12]}"
        self._folder = Path(sandbox.settings.work_dir) / "environments" / self._name
        self._pid_file: Path | None = None
        self._api = RuntimeApi()
        self._system_log = SystemLog(function)
        self._output = OutputPipe(self._printed)
        self._tail: deque[str] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._init_ms: float | None = None
        self._initialised = False
        self._started = 0.0

    async def start(self) -> None:
        """Start the process; raises OSError where the operating system refuses."""
        settings = self._sandbox.settings
        tmp = self._folder / "tmp"
        tmp.mkdir(parents=True)
        address = await self._api.start()
        memory = self.function.memory_mb * 1024 * 1024
        # Lambda counts memory for the whole environment; a control group does too.
        procs = self._sandbox.controls.create(self._name, memory, MAX_PROCESSES)
        options = {
            "parent": os.getpid(),
            "handler": self.function.handler,
            "code_dir": self.function.code_dir,
            "runtime_dir": settings.runtime_dir,
            "cgroup_procs": procs,
            "rlimits": self._rlimits(memory),
            "hide_shm": bool(self._sandbox.limits.shared_memory),
            "passwd": self._password_file(),
            "home": str(self._folder / "home"),
        }
        variables = environment(
            self.function, settings, log_stream=self.log_stream, runtime_api=address, temporary=str(tmp)
        )
        self._write(self._system_log.init_started())
        self._started = time.monotonic()
        self._process = await asyncio.create_subprocess_exec(
            base_interpreter(),
            # Not -I: the PYTHON* variables of the template count, and there are no others.
            *("-P", "-s", "-S"),
            str(Path(__file__).with_name("bootstrap.py")),
            json.dumps(options),
            cwd=self.function.code_dir,
            env=variables,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._output.write_end,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._output.started()
        self._pid_file = Path(settings.work_dir) / "pids" / str(self._process.pid)
        self._pid_file.write_text(self._name)
        self.alive = True
        self._tasks = [asyncio.create_task(self._watch_exit(), name=f"exit {self._name}")]

    async def invoke(
        self, payload: bytes, *, request_id: str = "", client_context: str = "", tail: bool = False
    ) -> Outcome:
        """Run one invocation to its end: an answer, an error, a time-out or the death of the process.

        `request_id` is made up where none is given; `client_context` is JSON for the function's context; `tail` asks
        for the end of the log.
        """
        request_id = request_id or str(uuid.uuid4())
        function = self.function
        self._tail = deque() if tail else None
        init_ms: float | None = None
        if not self._initialised:
            failure = await self._initialise()
            init_ms = self._init_ms
            if failure is not None:
                self._output.drain()
                return replace(self._outcome(request_id, failure, 0.0, init_ms), log_tail=self._log_tail())
        elif not self._api.ready.is_set():
            await self._wait_first(asyncio.create_task(self._api.ready.wait()), INIT_TIMEOUT_SECONDS)
        self._output.drain()
        self._tail = deque() if tail else None
        self._write(self._system_log.start(request_id))
        began = time.monotonic()
        if self._exit.done():
            answer = self._crash(request_id)
        else:
            deadline = int((time.time() + function.timeout) * 1000)
            pending = self._api.offer(Invocation(request_id, payload, deadline, function.arn, client_context))
            answer = await self._answer(request_id, pending, function.timeout)
        duration = (time.monotonic() - began) * 1000
        self.last_used = time.monotonic()
        # What the function printed precedes what is said of its end.
        self._output.drain()
        outcome = self._outcome(request_id, answer, duration, init_ms)
        self._report(outcome)
        return replace(outcome, log_tail=self._log_tail())

    async def close(self) -> None:
        """Kill every process of the environment and remove what it left; safe to call twice."""
        self.alive = False
        self.kill()
        if self._process is not None:
            await asyncio.shield(self._exit)
        await self._api.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._output.close()
        for _ in range(50):
            if not self._sandbox.controls.members(self._name):
                break
            self.kill()
            await asyncio.sleep(0.01)
        self._sandbox.controls.remove(self._name)
        if self._pid_file is not None:
            self._pid_file.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """Send SIGKILL to the process group, and to whoever left it but not the control group."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pid in self._sandbox.controls.members(self._name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def _initialise(self) -> RuntimeAnswer | None:
        ready = asyncio.create_task(self._api.ready.wait())
        # Lambda restarts an init that overruns its 10 s as part of the invocation, with the function's time-out.
        limit = max(INIT_TIMEOUT_SECONDS, float(self.function.timeout))
        await self._wait_first(ready, limit)
        self._init_ms = (time.monotonic() - self._started) * 1000
        failed = self._api.init_error.done() or self._exit.done()
        status = "success" if self._api.ready.is_set() else "error" if failed else "timeout"
        self._write(self._system_log.init_done(self._init_ms, status))
        if self._api.init_error.done():
            self.alive = False
            return self._api.init_error.result()
        if self._exit.done():
            self.alive = False
            return self._crash("")
        if not self._api.ready.is_set():
            self.alive = False
            self.kill()
            return RuntimeAnswer(
                error_body("Sandbox.Timedout", f"Init timed out after {limit:.2f} seconds"),
                "Sandbox.Timedout",
            )
        self._initialised = True
        return None

    async def _wait_first(self, ready: asyncio.Task[bool], limit: float) -> None:
        waited: set[asyncio.Future[Any]] = {ready, self._exit, self._api.init_error}
        await wait_running(waited, limit)
        ready.cancel()

    async def _answer(self, request_id: str, pending: asyncio.Future[RuntimeAnswer], timeout: float) -> RuntimeAnswer:
        waited: set[asyncio.Future[Any]] = {pending, self._exit}
        await wait_running(waited, timeout)
        if pending.done():
            return pending.result()
        self.alive = False
        if self._exit.done():
            return self._crash(request_id)
        self.kill()
        reason = f"Task timed out after {timeout:.2f} seconds"
        self._output.drain()
        self._write(self._system_log.failed(request_id, reason, timed_out=True))
        message = f"RequestId: {request_id} Error: {reason}"
        return RuntimeAnswer(error_body("Sandbox.Timedout", message), "Sandbox.Timedout")

    def _crash(self, request_id: str) -> RuntimeAnswer:
        code = self._exit.result()
        if code < 0:
            name = signal.Signals(-code).name.removeprefix("SIG").lower()
            reason = f"signal: {'killed' if -code == signal.SIGKILL else name}"
        else:
            reason = f"exit status {code}"
        reason = f"Runtime exited with error: {reason}"
        self._output.drain()
        self._write(self._system_log.failed(request_id, reason, timed_out=False))
        message = f"RequestId: {request_id} Error: {reason}"
        return RuntimeAnswer(error_body("Runtime.ExitError", message), "Runtime.ExitError")

    def _outcome(self, request_id: str, answer: RuntimeAnswer, duration_ms: float, init_ms: float | None) -> Outcome:
        # INIT is billed since August 2025.
        billed = math.ceil(duration_ms + (init_ms or 0.0))
        return Outcome(
            request_id, answer.payload, answer.error_type, duration_ms, billed, init_ms, self.max_memory_mb()
        )

    def _report(self, outcome: Outcome) -> None:
        status = {"": "success", "Sandbox.Timedout": "timeout", "Runtime.ExitError": "failure"}
        self._write(
            self._system_log.end(
                outcome.request_id,
                status=status.get(outcome.error_type, "error"),
                duration_ms=outcome.duration_ms,
                billed_ms=outcome.billed_ms,
                max_memory_mb=outcome.max_memory_mb,
                init_ms=outcome.init_ms,
                produced_bytes=len(outcome.payload),
            )
        )

    def _printed(self, line: str) -> None:
        if self._system_log.passes(line):
            self._write([line])

    def _write(self, lines: list[str]) -> None:
        for line in lines:
            self._sandbox.log(self, line)
            if self._tail is not None:
                self._tail.append(line)
                # Lines of one byte are the shortest: more of them cannot be in the tail.
                if len(self._tail) > LOG_TAIL_BYTES:
                    self._tail.popleft()

    def _log_tail(self) -> str:
        text = "".join(f"{line}\n" for line in self._tail or ()).encode()
        return text[-LOG_TAIL_BYTES:].decode("utf-8", "ignore")

    def max_memory_mb(self) -> int:
        """Return the most memory used so far, in MB: of the whole environment where a control group tells."""
        # A control group misses what the interpreter had allocated before it joined, and libraries shared with
        # other environments; AWS counts both.
        peaks = [self._sandbox.controls.peak_memory(self._name) or 0]
        if self._process is not None:
            peaks.append(_peak_of_process(self._process.pid))
        return math.ceil(max(peaks) / (1024 * 1024))

    def _password_file(self) -> str:
        """Write what takes the place of /etc/passwd: this process's user has Lambda's name and a home of its own.

        Returns its path, or an empty string where there is nothing to replace.
        """
        original = Path("/etc/passwd")
        if not original.is_file():
            return ""
        uid, gid = os.geteuid(), os.getegid()
        lines = original.read_text(errors="replace").splitlines()
        others = [line for line in lines if line.split(":")[2:3] != [str(uid)]]
        own = f"{_USER}:x:{uid}:{gid}::{self._folder / 'home'}:/sbin/nologin"
        path = self._folder / "passwd"
        path.write_text("\n".join([own, *others, ""]))
        return str(path)

    def _rlimits(self, memory: int) -> dict[str, int]:
        limits = {"RLIMIT_NOFILE": MAX_DESCRIPTORS, "RLIMIT_CORE": 0}
        if self._sandbox.limits.memory.startswith("rlimit"):
            limits["RLIMIT_DATA"] = memory
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY:
            limits["RLIMIT_NOFILE"] = min(MAX_DESCRIPTORS, hard)
        return limits

    async def _watch_exit(self) -> None:
        if self._process is None:
            raise RuntimeError("only a started process exits")
        code = await self._process.wait()
        self.alive = False
        if not self._exit.done():
            self._exit.set_result(code)


def base_interpreter() -> str:
    """Return the interpreter beneath the virtual environment, which sees none of its packages."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def _peak_of_process(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        _, _, peak = read_small_file(f"/proc/{pid}/status").partition(b"VmHWM:")
        return int(peak.split(None, 1)[0]) * 1024
    return 0
