"""What the LocalStack engine does before it ever talks to a LocalStack, and where it finds none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from docker.errors import APIError, NotFound

from harness.engines.localstack import LocalStackEngine, container, engine
from harness.engines.registry import create
from harness.errors import EngineError, UsageError
from harness.experiments.lifecycle import TEMPLATE
from harness.queues import Depth, QueueDepths
from harness.session import attach
from tests import hostile

COMPOSE = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())


@pytest.fixture
def health() -> Iterator[dict[str, Any]]:
    """Serve LocalStack's two information pages; the test may change the answers."""
    answers: dict[str, Any] = {
        "/_localstack/health": {"services": {"lambda": "available"}},
        "/_localstack/info": {"version": "4.14.0"},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    answers["url"] = f"http://127.0.0.1:{server.server_port}"
    yield answers
    server.shutdown()
    server.server_close()


def test_compose_file_when_compared_has_the_settings_of_the_engines_own_container() -> None:
    environment = dict(COMPOSE["services"]["localstack"]["environment"])
    environment.pop("LOCALSTACK_AUTH_TOKEN")
    environment["LS_LOG"] = environment["LS_LOG"].removeprefix("${LOCALSTACK_LOG:-").removesuffix("}")
    flags, _, labels = environment.pop("LAMBDA_DOCKER_FLAGS").partition(" --label ")
    assert environment | {"LAMBDA_DOCKER_FLAGS": flags} == container.TUNING
    assert "com.docker.compose.service=function" in labels
    assert COMPOSE["services"]["function"]["profiles"] == ["functions"]
    assert container.IMAGE in COMPOSE["services"]["localstack"]["image"]


def test_compose_file_when_it_publishes_ports_binds_the_loopback_address_only() -> None:
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_compose_file_when_services_mount_volumes_gives_the_docker_socket_to_localstack_only() -> None:
    holders = [
        name
        for name, service in COMPOSE["services"].items()
        if any("docker.sock" in str(volume) for volume in service.get("volumes", []))
    ]
    assert holders == ["localstack"]


def test_start_when_localstack_answers_attaches_and_leaves_it_up(health: dict[str, Any]) -> None:
    with LocalStackEngine(health["url"]) as started:
        started.check()
        report = started.report()
    assert report.versions["localstack"] == "4.14.0"
    assert report.limits["concurrency"].startswith("1 mapping a queue, each one batch at a time")
    assert "reached through it" in report.limits["data services"]


def test_check_when_localstack_is_gone_says_so(health: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHECK_SECONDS", 0.0)
    with LocalStackEngine(health["url"]) as started:
        health["/_localstack/health"] = {"services": {"lambda": "error"}}
        with pytest.raises(EngineError, match="no longer answers"):
            started.check()


def test_start_when_a_remote_endpoint_does_not_answer_does_not_start_a_container() -> None:
    remote = LocalStackEngine("http://no-such-host.invalid:4566")
    with pytest.raises(EngineError, match="no LocalStack answers"):
        remote.start()


def test_start_when_docker_is_missing_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(EngineError, match="Docker cannot be asked") as caught:
        LocalStackEngine("http://127.0.0.1:9").start()
    assert "--engine embedded" in caught.value.hint


def test_container_when_it_never_gets_healthy_says_what_its_log_says() -> None:
    stub = SimpleNamespace(
        status="running", attrs={}, reload=lambda: None, logs=lambda tail: b"license problem", stop=lambda timeout: None
    )
    with pytest.raises(EngineError, match="not healthy") as caught:
        container.Container(None, stub).wait(lambda: False, 0.0)
    assert "license problem" in caught.value.hint


def test_container_when_it_has_ended_says_with_which_code() -> None:
    stub = SimpleNamespace(
        status="exited", attrs={"State": {"ExitCode": 55}}, reload=lambda: None, logs=lambda tail: b"last words"
    )
    with pytest.raises(EngineError, match="exit code 55"):
        container.Container(None, stub).check()


def test_container_when_every_proxy_is_set_asks_docker_directly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with hostile.listener() as proxy, hostile.listener() as docker:
        for name, value in hostile.variables(tmp_path, proxy.url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DOCKER_HOST", docker.url.replace("http", "tcp"))
        with pytest.raises(EngineError, match="Docker cannot be asked"):  # it hangs up
            container.Container.start()
        assert docker.connections
        assert proxy.connections == []


@pytest.mark.parametrize("value", ["many", "0", "-1", "1.5", "٣"])
def test_engine_when_the_number_of_mappings_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HARNESS_LOCALSTACK_MAPPINGS", value)
    with pytest.raises(UsageError, match="HARNESS_LOCALSTACK_MAPPINGS"):
        LocalStackEngine("http://127.0.0.1:9")


def test_engine_when_every_proxy_is_set_asks_localstack_directly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with hostile.listener() as proxy, hostile.listener() as localstack:
        for name, value in hostile.variables(tmp_path, proxy.url).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(EngineError, match="no LocalStack answers"):  # it hangs up
            LocalStackEngine(localstack.url).deployed("ingestion")
        assert localstack.connections
        assert proxy.connections == []


@pytest.mark.parametrize("status", [500, 409])
def test_container_when_docker_refuses_to_start_it_leaves_none_but_one_that_was_there(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    removed: list[bool] = []

    def run(*_: Any, **__: Any) -> None:
        raise APIError("refused", SimpleNamespace(status_code=status, url="", reason=""), "port is already allocated")

    containers = SimpleNamespace(
        run=run, get=lambda name: SimpleNamespace(remove=lambda **kind: removed.append(kind["force"]))
    )
    client = SimpleNamespace(ping=lambda: None, containers=containers, api=SimpleNamespace(trust_env=True))
    monkeypatch.setattr("docker.from_env", lambda: client)
    with pytest.raises(EngineError, match="already allocated") as caught:
        container.Container.start(1)
    assert removed == ([] if status == 409 else [True])
    assert ("docker rm" in caught.value.hint) == (status == 409)


def test_container_when_stopped_removes_the_function_containers_left_behind() -> None:
    removed: list[str] = []
    asked: list[dict[str, str]] = []

    def listed(all: bool, filters: dict[str, str]) -> list[Any]:
        asked.append(filters)
        return [SimpleNamespace(remove=lambda **kind: removed.append("function"))]

    def gone(**_: Any) -> None:
        raise NotFound("it was killed and removed")

    client = SimpleNamespace(containers=SimpleNamespace(list=listed), close=lambda: removed.append("closed"))
    container.Container(client, SimpleNamespace(stop=gone)).stop()
    assert removed == ["function", "closed"]
    assert asked == [{"label": f"{container.LABEL}={container.NAME}"}]


def test_engine_when_the_endpoint_is_no_url_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:4566")
    with pytest.raises(UsageError, match="localhost:4566"):
        create("localstack")


def test_endpoints_when_dynamodb_has_one_of_its_own_give_it_to_dynamodb_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(engine.DYNAMODB_VARIABLE, "http://127.0.0.1:4559")
    endpoints = LocalStackEngine("http://127.0.0.1:4566").endpoints
    assert endpoints.url("dynamodb") == "http://127.0.0.1:4559"
    assert endpoints.url("dynamodbstreams") == endpoints.url("sqs") == "http://127.0.0.1:4566"
    monkeypatch.setenv(engine.DYNAMODB_VARIABLE, "127.0.0.1:4559")
    with pytest.raises(UsageError, match=engine.DYNAMODB_VARIABLE):
        LocalStackEngine()


class FakeCloudFormation:
    """Keeps stacks the way the engine asks for them."""

    def __init__(self) -> None:
        self.stacks: dict[str, dict[str, Any]] = {}
        self.created = 0

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        if StackName not in self.stacks:
            raise ClientError(
                {"Error": {"Code": "ValidationError", "Message": f"Stack {StackName} does not exist"}}, "DescribeStacks"
            )
        return {"Stacks": [self.stacks[StackName]]}

    def create_stack(self, StackName: str, Tags: list[dict[str, str]], **_: Any) -> None:
        self.created += 1
        self.stacks[StackName] = {"StackStatus": "CREATE_COMPLETE", "Tags": Tags, "Outputs": []}

    def get_waiter(self, name: str) -> Any:
        return SimpleNamespace(wait=lambda **_: None)

    def describe_stack_resources(self, StackName: str) -> dict[str, Any]:
        return {"StackResources": []}

    def delete_stack(self, StackName: str) -> None:
        del self.stacks[StackName]


@pytest.fixture
def deployable(monkeypatch: pytest.MonkeyPatch) -> tuple[LocalStackEngine, FakeCloudFormation]:
    made, stacks = LocalStackEngine("http://127.0.0.1:9"), FakeCloudFormation()
    s3 = SimpleNamespace(create_bucket=lambda **_: None, put_object=lambda **_: None)
    monkeypatch.setattr(made._clients, "get", lambda service: {"cloudformation": stacks, "s3": s3}[service])
    return made, stacks


def test_deploy_when_nothing_has_changed_uses_the_stack_that_is_there(
    deployable: tuple[LocalStackEngine, FakeCloudFormation],
) -> None:
    made, stacks = deployable
    for _ in range(2):
        made.deploy(TEMPLATE, {"RowsPerMessage": "10"}, stack_name="s")
    assert stacks.created == 1


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "CREATE_FAILED"])
def test_deploy_when_parameters_differ_or_the_stack_failed_makes_it_anew(
    deployable: tuple[LocalStackEngine, FakeCloudFormation], status: str
) -> None:
    made, stacks = deployable
    made.deploy(TEMPLATE, {"RowsPerMessage": "10"}, stack_name="s")
    stacks.stacks["s"]["StackStatus"] = status
    made.deploy(TEMPLATE, {"RowsPerMessage": "20" if status == "CREATE_COMPLETE" else "10"}, stack_name="s")
    assert stacks.created == 2


def test_deployed_when_the_stack_is_missing_names_the_command(health: dict[str, Any]) -> None:
    started = LocalStackEngine(health["url"])
    started._clients = SimpleNamespace(get=lambda service: FakeCloudFormation())  # type: ignore[assignment]
    with pytest.raises(EngineError, match="stack s is not deployed") as caught:
        started.deployed("s")
    assert "harness deploy" in caught.value.hint


def test_deployed_when_the_stack_is_there_gives_outputs_and_parameters(health: dict[str, Any]) -> None:
    there = FakeCloudFormation()
    there.stacks["s"] = {
        "StackStatus": "CREATE_COMPLETE",
        "Outputs": [{"OutputKey": "A", "OutputValue": "1"}],
        "Parameters": [{"ParameterKey": "P", "ParameterValue": "2"}],
    }
    started = LocalStackEngine(health["url"])
    started._clients = SimpleNamespace(get=lambda service: there)  # type: ignore[assignment]
    found = started.deployed("s")
    assert (found.outputs, found.parameters) == ({"A": "1"}, {"P": "2"})


def test_dlq_when_no_localstack_answers_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(EngineError, match="no LocalStack answers") as caught:
        attach("localstack", "s")
    assert "docker compose up" in caught.value.hint


def test_depths_when_dead_letters_were_there_before_do_not_count_them() -> None:
    before = QueueDepths({"insert": Depth(5)}, {"insert": Depth(3), "update": Depth(1)})
    now = QueueDepths({"insert": Depth(7)}, {"insert": Depth(4), "update": Depth(0)})
    assert now.since(before) == QueueDepths({"insert": Depth(7)}, {"insert": Depth(1), "update": Depth(0)})


@pytest.mark.parametrize("broken", [False, True])
def test_engine_when_it_stops_the_localstack_it_started_keeps_its_log(tmp_path: Path, broken: bool) -> None:
    stopped: list[str] = []

    def logs(tail: int) -> bytes:
        if broken:
            raise APIError("no log driver", SimpleNamespace(status_code=500, url="", reason=""), "no log driver")
        return b"Ready.\n"

    made = SimpleNamespace(logs=logs, stop=lambda timeout: stopped.append("stop"), remove=lambda **_: None)
    client = SimpleNamespace(containers=SimpleNamespace(list=lambda **_: []), close=lambda: stopped.append("closed"))
    engine = LocalStackEngine("http://127.0.0.1:1", logs=tmp_path / "engine")
    engine._container = container.Container(client, made)
    engine.stop()
    text = (tmp_path / "engine" / "localstack.log").read_text()
    assert text.startswith("(no log: ") if broken else text == "Ready.\n"
    assert stopped == ["stop", "closed"]
