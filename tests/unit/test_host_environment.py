"""What children get of this machine's environment."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
from pathlib import Path

import pytest

from harness.host_environment import (
    ENGINE,
    NO_HOME,
    PASSED_ON,
    PROXIES,
    ROOT,
    cache_home,
    child_environment,
    chosen,
    direct,
    hidden,
)
from tests import hostile

OWN = {"HOME", "LANG", "PYTHONUTF8", "PYTHONPATH", "PYTHONSAFEPATH", "XDG_CACHE_HOME", "PYTHONUSERBASE"}


def test_child_environment_when_the_machine_is_hostile_holds_only_what_is_listed(tmp_path: Path) -> None:
    given = hostile.variables(tmp_path, "http://127.0.0.1:9") | {"PATH": "/bin", "PYTHONPATH": "x", "PYTHONHOME": "x"}
    child = child_environment(given)
    assert child.keys() <= OWN | set(PASSED_ON)
    assert child["PATH"] == "/bin"
    assert child["PYTHONPATH"] == str(ROOT)
    assert child["HOME"] == NO_HOME
    assert "http://127.0.0.1:9" not in child.values()


def test_child_environment_when_more_is_named_adds_it_and_fixed_values_win(tmp_path: Path) -> None:
    given = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_PROFILE": "x", "TMPDIR": "/a", "HARNESS_LAMBDA_URL": ""}
    child = child_environment(given, ENGINE, {"TMPDIR": "/b", "OWN": "1"})
    assert child["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert (child["TMPDIR"], child["OWN"], child["HARNESS_LAMBDA_URL"]) == ("/b", "1", "")
    assert "AWS_PROFILE" not in child


def test_child_environment_when_packages_are_the_user_s_own_says_where_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(site, "ENABLE_USER_SITE", True)
    monkeypatch.setattr(site, "getuserbase", lambda: str(tmp_path))
    assert child_environment({})["PYTHONUSERBASE"] == str(tmp_path)
    monkeypatch.setattr(site, "ENABLE_USER_SITE", False)
    assert "PYTHONUSERBASE" not in child_environment({})


def test_child_environment_when_installed_leaves_the_search_for_packages_to_python(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert child_environment({})["PYTHONPATH"] == str(ROOT)
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(tmp_path), str(ROOT)])
    assert "PYTHONPATH" not in child_environment({})


def test_child_environment_when_a_child_starts_imports_nothing_of_its_working_folder(tmp_path: Path) -> None:
    hostile.make_folder(tmp_path / "here")
    code = (
        "import harness, json, locale, os; print(json.dumps([harness.__file__, os.path.expanduser('~/.locust.conf')]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "here",
        env=child_environment({**os.environ, **hostile.variables(tmp_path, "http://127.0.0.1:9")}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    package, configuration = json.loads(done.stdout)
    assert Path(package).parent.parent == ROOT
    assert not Path(configuration).exists()


@pytest.mark.parametrize("value", ["", "cache", "./cache"])
def test_cache_home_when_the_variable_is_no_absolute_path_is_below_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_home({"XDG_CACHE_HOME": value}) == tmp_path / ".cache"
    assert cache_home({"XDG_CACHE_HOME": "/var/cache"}) == Path("/var/cache")


def test_chosen_when_a_name_is_not_set_leaves_it_out() -> None:
    assert chosen({"A": "", "B": "2"}, ("A", "C")) == {"A": ""}


def test_hidden_when_the_context_raises_puts_the_variables_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_TEST_A", "1")
    monkeypatch.delenv("HARNESS_TEST_B", raising=False)
    with pytest.raises(ValueError, match="out"), hidden("HARNESS_TEST_A", "HARNESS_TEST_B"):
        assert "HARNESS_TEST_A" not in os.environ
        raise ValueError("out")
    assert os.environ["HARNESS_TEST_A"] == "1"
    assert "HARNESS_TEST_B" not in os.environ


def test_direct_when_every_proxy_is_set_goes_straight_to_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile.listener() as proxy, hostile.listener() as engine:
        for name in PROXIES:
            monkeypatch.setenv(name, "" if name.lower() == "no_proxy" else proxy.url)
        with pytest.raises(OSError):  # it hangs up
            direct.open(engine.url, timeout=10)
        assert len(engine.connections) == 1
        assert proxy.connections == []
