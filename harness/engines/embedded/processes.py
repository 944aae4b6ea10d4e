"""The engine's processes: data services and Lambda service. Started, watched, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from harness.data_plane.chaos.injection import CONTROL_PATH
from harness.data_plane.chaos.rules import RuleSet
from harness.engines.embedded.data_folder import DataFolder
from harness.errors import EngineError
from harness.host_environment import child_environment, direct
from harness.lambda_service.bootstrap import PARENT_VARIABLE
from harness.lambda_service.model import ServiceSettings
from harness.processes import guard
from harness.processes.supervision import Child, Supervised, tail

START_SECONDS = 60.0
_LOOPBACK = "127.0.0.1"
_BACKLOG = 4096


def start_data_services(work_dir: Path) -> tuple[Child, str]:
    """Start MiniStack on a free loopback port and wait until it answers; returns it with its endpoint URL."""
    listener = _listener()
    url = _url(listener)
    tmp = work_dir / "tmp"
    tmp.mkdir(exist_ok=True)
    fixed = {
        "HOME": str(tmp),
        "TMPDIR": str(tmp),
        "TZ": "UTC",
        "BIND_HOST": _LOOPBACK,
        "MINISTACK_HOST": _LOOPBACK,
        "GATEWAY_PORT": url.rpartition(":")[2],
        "LOG_LEVEL": "WARNING",
        "IOT_MTLS_ENABLED": "0",
        "S3_DATA_DIR": str(tmp / "s3"),
    }
    with (work_dir / "data-services.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.engines.embedded.server", str(listener.fileno())],
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
    _wait_until_healthy(child, f"{url}/_ministack/health")
    return child, url


def start_queues(
    work_dir: Path, account: str, region: str, kept: DataFolder | None, chaos: Sequence[str] = ()
) -> tuple[Supervised, str]:
    """Start the queues' service on a free loopback port; returns it with its endpoint URL.

    Its queues live in `kept`, else in a folder of `work_dir`, so that it is started again where it was when it ends by
    itself. `chaos` are options of faults to inject; see `chaos_options`.
    """
    data = kept.queues if kept else work_dir / "queues"
    command = ["harness.data_plane.queues", "--data", str(data), "--account", account, "--region", region, *chaos]
    return _supervised("queues", work_dir, command, kept)


def start_tables(
    work_dir: Path, region: str, capacity: str, kept: DataFolder | None, chaos: Sequence[str] = ()
) -> tuple[Supervised, str]:
    """Start the tables' service on a free loopback port; returns it with its endpoint URL.

    Its tables live in `kept`, else in a folder of `work_dir`, so that it is started again where it was when it ends by
    itself.
    """
    data = kept.tables if kept else work_dir / "tables"
    command = ["harness.data_plane.tables", "--data", str(data), "--region", region, "--capacity", capacity, *chaos]
    return _supervised("tables", work_dir, command, kept)


def _supervised(name: str, work_dir: Path, command: list[str], kept: DataFolder | None) -> tuple[Supervised, str]:
    listener = _listener()
    return Supervised(lambda: _data_plane(name, work_dir, command, listener, kept), listener), _url(listener)


def chaos_options(work_dir: Path, rules: RuleSet | None) -> list[str]:
    """Return the options by which processes of the data plane inject faults from now on; [] without rules."""
    if rules is None:
        return []
    path = work_dir / "chaos.toml"
    path.write_text(rules.text, "utf-8")
    return ["--chaos", str(path), "--chaos-began", str(time.monotonic())]


def chaos_counts(url: str) -> list[dict[str, int]]:
    """Return how many requests each rule of a process matched and was injected into; raises EngineError.

    One that was started again counts from then on.
    """
    try:
        try:
            return _counts(url)
        except OSError:
            # It may just have been killed; the next one answers the same.
            return _counts(url)
    except OSError as error:
        raise EngineError(f"{url} does not say which faults it injected: {error}") from error


def _counts(url: str) -> list[dict[str, int]]:
    with direct.open(f"{url}{CONTROL_PATH}", timeout=30) as answer:
        return list(json.loads(answer.read())["rules"])


def _listener() -> socket.socket:
    return socket.create_server((_LOOPBACK, 0), backlog=_BACKLOG)


def _url(listener: socket.socket) -> str:
    return f"http://{_LOOPBACK}:{listener.getsockname()[1]}"


def _data_plane(
    name: str, work_dir: Path, command: list[str], listener: socket.socket, kept: DataFolder | None
) -> Child:
    """Start a process of the data plane on a listening socket and wait until it serves; it holds `kept` taken."""
    with (work_dir / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--fd", str(listener.fileno())],
            env=child_environment(os.environ, fixed=_own_variables(work_dir)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=(listener.fileno(), *([kept.descriptor] if kept else [])),
            start_new_session=True,
        )
    # Nothing to do before it ends: what it keeps is on disk, or ends with the engine.
    child = Child(name, process, work_dir, graceful=False)
    if process.stdout is not None:
        with process.stdout as output:
            if not output.readline():
                process.wait()
                child.check()
    return child


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
