"""Locust's page by hand: no field asks for what nothing uses. Needs no engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.load.locust_process import LOCUSTFILE, free_port
from tests.contract.support import eventually

ENDPOINT = "http://127.0.0.1:9"
"""Nothing answers there (the discard port)."""


class Page:
    """A Locust with its web UI; `said` is its log."""

    def __init__(self, log: Path, port: int) -> None:
        self._log = log
        self.url = f"http://127.0.0.1:{port}"
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def said(self) -> str:
        return self._log.read_text()

    def arguments(self) -> dict[str, Any]:
        """Return what the page is made of."""
        try:
            with self._open(self.url, timeout=10) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        [found] = re.findall(r"window\.templateArgs = (\{.*\})", text)
        arguments: dict[str, Any] = json.loads(found)
        return arguments

    def start_load(self, host: str) -> dict[str, Any]:
        form = urllib.parse.urlencode({"user_count": 1, "spawn_rate": 1, "host": host, "seconds": 1, "rate": 10})
        with self._open(f"{self.url}/swarm", form.encode(), timeout=20) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    port = free_port("127.0.0.1")
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(LOCUSTFILE),
        "--web-host",
        "127.0.0.1",
        "--web-port",
        str(port),
    ]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    variables |= {"AWS_ENDPOINT_URL": ENDPOINT, "PYTHONPATH": str(LOCUSTFILE.parents[1])}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--bucket", "b"], env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=tmp_path
        )
    try:
        made = Page(tmp_path / "log", port)
        eventually("the page", made.arguments, seconds=60)
        yield made
    finally:
        process.terminate()
        process.wait(30)


def test_page_when_opened_has_a_host_that_is_used_and_warns_of_none_missing(page: Page) -> None:
    arguments = page.arguments()
    assert arguments["host"] == ENDPOINT
    assert not arguments["missing_host_warning"]
    assert not arguments["is_host_required"]


def test_load_when_another_host_is_asked_for_is_refused_naming_both(page: Page) -> None:
    assert page.start_load("http://127.0.0.1:10")["success"]
    wanted = f"the load cannot begin: Host is http://127.0.0.1:10, but files are uploaded to {ENDPOINT}"
    eventually("the refusal", lambda: wanted in page.said(), seconds=30)
    eventually("the end of the load", lambda: page.arguments()["state"] in ("stopped", "ready"), seconds=30)


@pytest.mark.parametrize("host", ["", ENDPOINT, f"{ENDPOINT}/"])
def test_load_when_host_is_left_alone_begins(page: Page, host: str) -> None:
    assert page.start_load(host)["success"]
    # Nothing answers there: that it tries is enough.
    eventually(
        "an upload that was tried",
        lambda: "cannot begin: Host" not in page.said() and _tried(page),
        seconds=60,
    )


def _tried(page: Page) -> bool:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{page.url}/stats/requests") as answer:
        return bool(json.load(answer)["errors"])
