"""The engine of LocalStack's data services under our Lambda service, as far as it needs no LocalStack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.engines.localstack import LocalStackDataEngine, LocalStackEngine, container
from harness.engines.localstack.data_engine import ACCOUNT_ID, SERVICES, TOKEN_VARIABLE, URL_VARIABLE
from harness.engines.localstack.engine import REGION
from harness.engines.registry import create
from harness.engines.split_deployment import deployment, halve
from harness.engines.templates.intrinsics import references
from harness.engines.templates.split import Context
from harness.errors import EngineError, ExitCode, TemplateError, UsageError
from harness.experiments.lifecycle import TEMPLATE


class _Reset(yaml.SafeLoader):
    """Reads docker compose's own tags."""


def _override(loader: _Reset, node: yaml.Node) -> Any:
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Reset.add_constructor("!reset", lambda loader, node: None)
_Reset.add_constructor("!override", _override)
OVERRIDE = yaml.load((Path(__file__).parents[2] / "docker-compose.nosocket.yml").read_text(), Loader=_Reset)
GIVEN = {"CodeBucket": "b", "CodeKey": "k"}


def halves() -> Any:
    return halve(TEMPLATE.read_text(), GIVEN, Context("s", REGION, ACCOUNT_ID))


def test_override_file_when_compared_has_the_settings_of_the_engines_own_container() -> None:
    environment = dict(OVERRIDE["services"]["localstack"]["environment"])
    environment.pop("LOCALSTACK_AUTH_TOKEN")
    environment["LS_LOG"] = environment["LS_LOG"].removeprefix("${LOCALSTACK_LOG:-").removesuffix("}")
    assert environment == container.DATA_TUNING


def test_override_file_when_services_mount_volumes_gives_the_docker_socket_to_nobody() -> None:
    assert OVERRIDE["services"]["localstack"]["volumes"] is None
    assert not any("docker.sock" in str(service) for service in OVERRIDE["services"].values())


def test_override_file_when_services_need_the_lambda_service_names_it_and_publishes_nothing() -> None:
    lambda_service = OVERRIDE["services"]["lambda"]
    assert "ports" not in lambda_service
    for name in ("deploy", "harness", "locust"):
        environment = OVERRIDE["services"][name]["environment"]
        assert environment[URL_VARIABLE] == "http://lambda:9001"
        assert environment[TOKEN_VARIABLE] == lambda_service["environment"][TOKEN_VARIABLE]
        assert environment["HARNESS_ENGINE"] == "localstack-data"


def test_data_services_when_started_here_do_not_include_lambda() -> None:
    assert "lambda" not in container.DATA_TUNING["SERVICES"].split(",")
    assert set(SERVICES) <= set(container.DATA_TUNING["SERVICES"].split(","))
    assert container.DATA_TUNING["STRICT_SERVICE_LOADING"] == "1"


def test_data_template_when_split_holds_nothing_of_lambda() -> None:
    data = json.loads(halves().data_template())
    assert data["Resources"]
    assert not [r for r in data["Resources"].values() if r["Type"].startswith("AWS::Lambda::")]
    assert "LambdaConfigurations" not in json.dumps(data)
    assert all(name in data["Resources"] or "::" in name or name in data["Parameters"] for name, _ in references(data))


def test_data_template_when_the_bucket_notifies_names_the_internal_queue_after_the_stack() -> None:
    queues = [
        r["Properties"].get("QueueName")
        for r in json.loads(halves().data_template())["Resources"].values()
        if r["Type"] == "AWS::SQS::Queue"
    ]
    assert queues.count("s-s3-events") == 1


def test_deployment_when_seen_from_above_has_the_templates_outputs_and_no_others() -> None:
    split_up = halves()
    declared = set(split_up.body["Outputs"])
    outputs = {key: f"value of {key}" for key in json.loads(split_up.data_template())["Outputs"]}
    found = deployment(split_up, outputs)
    assert set(found.outputs) == declared
    assert found.outputs["InsertFunction"] == "s-insert"


def test_parameters_when_unknown_are_refused_before_anything_is_made() -> None:
    with pytest.raises(TemplateError, match="NoSuchParameter"):
        halve(TEMPLATE.read_text(), {**GIVEN, "NoSuchParameter": "1"}, Context("s", REGION, ACCOUNT_ID))


def test_engine_when_the_lambda_service_is_elsewhere_uses_it_and_starts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, "http://lambda.invalid:9001/")
    monkeypatch.setenv(TOKEN_VARIABLE, "t")
    made = create("localstack-data")
    assert made.endpoints.url("lambda") == "http://lambda.invalid:9001"
    assert made.endpoints.url("sqs") == made.endpoints.default
    assert (made.processes, made.mark, made.log_files()) == ({}, {}, [])


@pytest.mark.parametrize(("url", "token", "named"), [("lambda:9001", "t", "lambda:9001"), ("http://l:1", "", "TOKEN")])
def test_engine_when_the_lambda_services_variables_are_wrong_names_them(
    monkeypatch: pytest.MonkeyPatch, url: str, token: str, named: str
) -> None:
    monkeypatch.setenv(URL_VARIABLE, url)
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    with pytest.raises(UsageError, match=named):
        create("localstack-data")


def test_engine_when_asked_before_its_start_says_so() -> None:
    with pytest.raises(EngineError, match="not started"):
        LocalStackDataEngine("http://127.0.0.1:9").report()


def test_start_when_the_service_cannot_start_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from harness.engines.embedded import processes

    def refuse(*_: object) -> None:
        raise EngineError("no more processes")

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(LocalStackEngine, "_healthy", lambda self, timeout=3: True)
    monkeypatch.setattr(processes, "start_lambda_service", refuse)
    with pytest.raises(EngineError, match="no more processes"):
        LocalStackDataEngine("http://127.0.0.1:9").start()
    assert list(tmp_path.iterdir()) == []


def test_lambda_container_when_its_environment_is_incomplete_says_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness.engines.localstack.lambda_container"],
        env={"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == ExitCode.USAGE
    assert TOKEN_VARIABLE in done.stderr
