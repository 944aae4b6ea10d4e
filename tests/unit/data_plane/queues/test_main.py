"""The service's process: its options, its port, its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from harness.data_plane.http_server import listen
from harness.lambda_service.bootstrap import PARENT_VARIABLE

COMMAND = [sys.executable, "-m", "harness.data_plane.queues"]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
    return subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, check=False, env=environment, timeout=60
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "65536"),
        ("--port", "-1"),
        ("--port", "http"),
        ("--fd", "-1"),
        ("--fd", "stdin"),
        ("--account", "1"),
        ("--account", "00000000000a"),
        ("--region", "US"),
        ("--in-flight", "0"),
        ("--in-flight", "120001"),
    ],
)
def test_option_that_cannot_be_is_refused_with_its_value(option: str, value: str) -> None:
    done = run(f"{option}={value}")
    assert done.returncode == 2
    assert value in done.stderr and "Traceback" not in done.stderr


def test_port_that_is_taken_is_said_to_be() -> None:
    listener, port = listen()
    with listener:
        done = run("--port", str(port))
    assert done.returncode == 5
    assert str(port) in done.stderr and "Traceback" not in done.stderr


def test_port_and_descriptor_exclude_each_other() -> None:
    done = run("--port", "0", "--fd", "3")
    assert done.returncode == 2
    assert "--port" in done.stderr and "--fd" in done.stderr


def test_descriptor_that_is_no_listening_socket_is_refused_with_its_number() -> None:
    done = run("--fd", "1")
    assert done.returncode == 5
    assert "file descriptor 1 is not a socket" in done.stderr and "Traceback" not in done.stderr


def test_service_serves_on_an_inherited_socket_and_so_does_the_next_after_it_was_killed() -> None:
    listener, port = listen()
    with listener:
        for _ in range(2):
            # The connection is taken by the kernel before there is a process to answer it.
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                client.sendall(b"GET /?Action=ListQueues HTTP/1.1\r\nHost: x\r\n\r\n")
                process = subprocess.Popen(
                    [*COMMAND, "--fd", str(listener.fileno())],
                    stdout=subprocess.PIPE,
                    pass_fds=(listener.fileno(),),
                    env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
                )
                assert process.stdout is not None
                with process.stdout:
                    assert json.loads(process.stdout.readline()) == {"port": port}
                assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
                process.kill()
                process.wait(20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_says_its_port_and_ends_when_asked(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--port", "0"], stdout=subprocess.PIPE, env={**os.environ, PARENT_VARIABLE: str(os.getpid())}
    )
    assert process.stdout is not None
    assert 0 < json.loads(process.stdout.readline())["port"] < 65_536
    process.send_signal(number)
    assert process.wait(20) == 0
