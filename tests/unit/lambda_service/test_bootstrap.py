"""What an execution environment's first code does where the machine has no mount namespaces."""

from __future__ import annotations

import os

import pytest

from harness.lambda_service.bootstrap import apply_limits


def test_home_when_the_user_database_cannot_be_replaced_is_the_environments_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/developer")
    apply_limits({"cgroup_procs": [], "rlimits": {}, "hide_shm": False, "passwd": "/p", "home": "/srv/env/home"})
    assert os.environ["HOME"] == "/srv/env/home"
