"""The process under load, killed at random instants and started again on the same directory and socket; a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from harness.data_plane.http_server import listen
from harness.lambda_service.bootstrap import PARENT_VARIABLE

KILLS = 6
SENDERS, RECEIVERS = 2, 2


class Process:
    """The service on a directory and on one socket that outlives it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.listener, self.port = listen()
        self.start()

    def start(self) -> None:
        number = self.listener.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness.data_plane.queues", "--fd", str(number), "--data", str(self.data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(number,),
            env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1].decode()

    def limit(self, file_bytes: int) -> None:
        """Let its files grow to this size and no further, as on a disk that is full."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def client(self) -> Any:
        return boto3.client(
            "sqs",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
        )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def begin() -> Process:
        started.append(Process(tmp_path / "queues"))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.listener.close()


class Load:
    """What clients were told: bodies that were acknowledged as sent, and as deleted, and those that came back after it.

    `tried` are those of which a deletion was asked: without an answer it may have been carried out.
    """

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.sent: set[str] = set()
        self.tried: set[str] = set()
        self.deleted: set[str] = set()
        self.came_back: list[str] = []

    def send(self, client: Any, url: str, name: int) -> None:
        for batch in range(1_000_000):
            if self.ended.is_set():
                return
            bodies = [f"{name}-{batch}-{i}" for i in range(10)]
            entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)]
            with contextlib.suppress(BotoCoreError):
                answer = client.send_message_batch(QueueUrl=url, Entries=entries)
                with self.lock:
                    self.sent.update(bodies[int(entry["Id"])] for entry in answer["Successful"])

    def consume(self, client: Any, url: str, chance: random.Random) -> None:
        while not self.ended.is_set():
            with contextlib.suppress(BotoCoreError):
                self.receive_once(client, url, chance)

    def receive_once(self, client: Any, url: str, chance: random.Random) -> int:
        with self.lock:
            before = set(self.deleted)
        messages = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        self.came_back += [m["Body"] for m in messages if m["Body"] in before]
        # Some are left to come back by themselves.
        chosen = [m for m in messages if chance.random() < 0.7]
        if chosen:
            with self.lock:
                self.tried.update(m["Body"] for m in chosen)
            entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(chosen)]
            answer = client.delete_message_batch(QueueUrl=url, Entries=entries)
            assert len(answer["Successful"]) == len(chosen)
            with self.lock:
                self.deleted.update(m["Body"] for m in chosen)
        return len(messages)


def test_no_acknowledged_message_is_lost_and_no_deleted_one_comes_back(start: Callable[..., Process]) -> None:
    service = start()
    client = service.client()
    url = client.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    load = Load()
    chance = random.Random(7)
    threads = [threading.Thread(target=load.send, args=(service.client(), url, i)) for i in range(SENDERS)]
    threads += [
        threading.Thread(target=load.consume, args=(service.client(), url, random.Random(i))) for i in range(RECEIVERS)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(KILLS):
            known = len(load.sent)
            # Under load: something was acknowledged since the last kill.
            while len(load.sent) < known + 100:
                time.sleep(0.005)
            time.sleep(chance.random() / 20)
            service.kill()
            service.start()
    finally:
        load.ended.set()
        for thread in threads:
            thread.join(60)
    deadline = time.monotonic() + 60
    always = random.Random()
    always.random = lambda: 0.0  # type: ignore[method-assign]
    while lost := load.sent - load.tried:
        assert time.monotonic() < deadline, f"lost: {sorted(lost)[:10]}"
        load.receive_once(client, url, always)
    assert load.came_back == []
    assert len(load.sent) > KILLS * 100
    assert len(load.deleted) > KILLS * 50


def test_full_disk_is_an_error_of_the_service_which_goes_on_once_there_is_room(
    start: Callable[..., Process],
) -> None:
    """The limit is the operating system's own, of the size of a file, lifted by this process as a disk gets room."""
    service = start()
    service.limit(200_000)
    client = service.client()
    url = client.create_queue(QueueName="q")["QueueUrl"]
    sent = []
    with pytest.raises(ClientError) as caught:
        for number in range(1000):
            client.send_message(QueueUrl=url, MessageBody=f"{number} {'x' * 1000}")
            sent.append(str(number))
    error = caught.value.response
    assert error["Error"]["Code"] == "ServiceUnavailable"
    assert "File too large" in error["Error"]["Message"]
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert 100 < len(sent) < 200
    for _ in range(20):
        with pytest.raises(client.exceptions.ClientError, match="ServiceUnavailable"):
            client.send_message(QueueUrl=url, MessageBody="refused")
    assert service.process.poll() is None
    service.limit(resource.RLIM_INFINITY)
    client.send_message(QueueUrl=url, MessageBody="last")
    service.kill()
    service.start()
    got: list[str] = []
    while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        got += [m["Body"].split()[0] for m in messages]
    # The request that found the disk full may have been carried out, as any whose answer is an error of the service.
    assert [body for body in got if body != str(len(sent))] == [*sent, "last"]


def test_long_poll_is_answered_with_the_error_of_a_full_disk(start: Callable[..., Process]) -> None:
    service = start()
    client = service.client()
    url = client.create_queue(QueueName="q")["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody="a", DelaySeconds=1)
    service.limit(1)
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        client.receive_message(QueueUrl=url, WaitTimeSeconds=10)
    service.limit(resource.RLIM_INFINITY)
    assert client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["QueueArn"]


def test_directory_that_is_in_use_or_cannot_be_made_is_said_to_be(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    service = start()
    (tmp_path / "file").touch()
    for directory, reason in ((service.data, "in use by another process"), (tmp_path / "file", "File exists")):
        done = subprocess.run(
            [sys.executable, "-m", "harness.data_plane.queues", "--data", str(directory)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
        )
        assert done.returncode == 5
        assert reason in done.stderr and str(directory) in done.stderr and "Traceback" not in done.stderr


def test_after_sigterm_everything_is_there_again(start: Callable[..., Process]) -> None:
    service = start()
    client = service.client()
    url = client.create_queue(QueueName="q", tags={"a": "b"})["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody="kept")
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(20) == 0
    service.start()
    assert client.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "b"}
    assert [m["Body"] for m in client.receive_message(QueueUrl=url)["Messages"]] == ["kept"]


def test_without_a_directory_nothing_is_left_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.data_plane.queues"],
        stdout=subprocess.PIPE,
        env={**os.environ, PARENT_VARIABLE: str(os.getpid()), "TMPDIR": str(tmp_path)},
    )
    assert process.stdout is not None
    with process.stdout:
        port = json.loads(process.stdout.readline())["port"]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET /?Action=CreateQueue&QueueName=q HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
    process.kill()
    process.wait(20)
    assert list(tmp_path.iterdir()) == []
