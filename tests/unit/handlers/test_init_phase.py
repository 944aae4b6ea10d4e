"""Clients are made in the init phase, and only there."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from handlers import init_phase, telemetry

STAGES = {
    "clean": {"sqs"},
    "insert": {"dynamodb", "sqs"},
    "capture": {"sqs"},
    "process": {"sqs"},
    "update": {"dynamodb", "sqs"},
}

_IMPORT = """
import sys
from handlers import aws
made = []
plain = aws.JsonClient.__init__
def noted(self, service, *rest):
    made.append(service)
    plain(self, service, *rest)
aws.JsonClient.__init__ = noted
__import__("handlers." + sys.argv[1])
print(*sorted(made))
"""


def imported(stage: str, **environment: str) -> set[str]:
    """Return the services of which importing a stage's module made clients."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT, stage], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("stage", STAGES)
def test_function_when_initialised_by_lambda_has_its_clients_before_the_first_event(stage: str) -> None:
    environment = {"AWS_LAMBDA_FUNCTION_NAME": stage, "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    assert imported(stage, **environment) == STAGES[stage]


@pytest.mark.parametrize("stage", STAGES)
def test_function_when_imported_outside_of_lambda_needs_no_aws(stage: str) -> None:
    assert imported(stage) == set()


def test_prepare_when_in_lambda_counts_cpu_time_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    monkeypatch.setattr(init_phase, "client", made.append)
    monkeypatch.setattr(gc, "freeze", lambda: made.append("frozen"))
    monkeypatch.setattr(telemetry, "_cpu_before", [-1.0])
    monkeypatch.setattr(telemetry, "cpu_ms", lambda: float(len(made)))
    init_phase.prepare("sqs", also=lambda: made.append("also"))
    assert made == ["sqs", "also", "frozen"]
    assert telemetry._cpu_before == [3.0]


def test_prepare_when_outside_of_lambda_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    init_phase.prepare("no such service", also=lambda: pytest.fail("called"))
