"""The engine's processes: data services, Lambda service, guard. Started, watched, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from harness.engines.embedded import guard
from harness.errors import EngineError
from harness.host_environment import child_environment, direct
from harness.lambda_service.bootstrap import PARENT_VARIABLE
from harness.lambda_service.model import ServiceSettings

START_SECONDS = 60.0
STOP_SECONDS = 10.0


class Child:
    """A process of the engine in a group of its own, registered for the guard.

    `graceful` says whether it has anything to do before it ends; the others are killed at once.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], work_dir: Path, *, graceful: bool) -> None:
        self.name = name
        self._graceful = graceful
        self.process = process
        self.log = work_dir / f"{name}.log"
        self._pid_file = work_dir / "pids" / str(process.pid)
        self._pid_file.write_text(name)

    def check(self) -> None:
        """Raise EngineError with the end of its log when the process is gone."""
        code = self.process.poll()
        if code is not None:
            raise EngineError(
                f"the {self.name} process ended with {_status(code)}",
                hint=f"last lines of its log:\n{tail(self.log)}",
            )

    def stop(self) -> None:
        """Ask the process to stop, then kill its whole group; safe to call twice."""
        if self._graceful and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._pid_file.unlink(missing_ok=True)


def _status(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def tail(path: Path, lines: int = 12) -> str:
    """Return the last lines of a text file, or a word that there are none."""
    if not path.exists():
        return "(no log)"
    return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:]) or "(empty log)"


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Put Ctrl-C and SIGTERM off until the end of the context, so that what is made in it is known to its maker."""
    numbers = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_guard(work_dir: Path, logs: Path | None = None) -> subprocess.Popen[bytes]:
    """Start the guard; it acts when this process ends or closes the returned process's standard input.

    Before it removes `work_dir` it copies the logs in it to `logs`, if given: also those of a harness that was killed.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__, str(work_dir), *([str(logs.resolve())] if logs else [])],
        # The mark of whoever started this process: its guard must find this one too.
        env=child_environment(os.environ, (guard.MARK,)),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def start_data_services(work_dir: Path, *, stock: bool = False) -> tuple[Child, str]:
    """Start MiniStack on a free loopback port and wait until it answers; returns it with its endpoint URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    port = listener.getsockname()[1]
    tmp = work_dir / "tmp"
    tmp.mkdir(exist_ok=True)
    fixed = {
        "HOME": str(tmp),
        "TMPDIR": str(tmp),
        "TZ": "UTC",
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "IOT_MTLS_ENABLED": "0",
        "S3_DATA_DIR": str(tmp / "s3"),
    }
    with (work_dir / "data-services.log").open("ab") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "harness.engines.embedded.server",
                str(listener.fileno()),
                *(["--stock"] if stock else []),
            ],
            env=child_environment(os.environ, fixed=fixed | _own_variables(work_dir)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(listener.fileno(),),
            start_new_session=True,
        )
    listener.close()
    # Its state is in memory and ends with it; a graceful stop would wait for long polls.
    child = Child("data-services", process, work_dir, graceful=False)
    url = f"http://127.0.0.1:{port}"
    _wait_until_healthy(child, f"{url}/_ministack/health")
    return child, url


def start_lambda_service(work_dir: Path, settings: ServiceSettings) -> tuple[Child, str]:
    """Start the Lambda service; returns it with its endpoint URL."""
    log: IO[bytes]
    with (work_dir / "lambda-service.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.lambda_service"],
            env=child_environment(os.environ, fixed=_own_variables(work_dir)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    child = Child("lambda-service", process, work_dir, graceful=True)
    if process.stdin is None or process.stdout is None:
        raise EngineError("the Lambda service has no pipes")
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(settings.to_json()).encode() + b"\n")
        process.stdin.close()
    line = process.stdout.readline()
    if not line:
        process.wait()
        child.check()
    ready = json.loads(line)
    (work_dir / "control_groups").write_text("\n".join(ready["control_folders"]))
    return child, f"http://127.0.0.1:{ready['port']}"


def _own_variables(work_dir: Path) -> dict[str, str]:
    return {PARENT_VARIABLE: str(os.getpid()), guard.MARK: str(work_dir)}


def _wait_until_healthy(child: Child, url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        child.check()
        with contextlib.suppress(OSError), direct.open(url, timeout=5):
            return
        time.sleep(0.05)
    child.stop()
    raise EngineError(
        f"the data services did not answer within {START_SECONDS:.0f} s",
        hint=f"last lines of their log:\n{tail(child.log)}",
    )
