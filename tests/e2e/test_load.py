"""Loads end to end: conserved, failing uploads told, nothing left behind."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from hdrh.histogram import HdrHistogram
from rich.console import Console

from harness.engines.base import Engine
from harness.engines.embedded import EmbeddedEngine
from harness.errors import EnvironmentProblem, ExitCode
from harness.experiments.lifecycle import Setting, conduct
from harness.experiments.load_run import LoadExperiment, LoadOptions, LoadRun
from harness.experiments.reporter import Reporter
from harness.load import locust_process
from harness.load.locust_process import LOCUSTFILE, LocustOptions
from harness.load.schedule import LoadSpec
from tests.contract.support import eventually
from tests.e2e.support import QUICK
from tests.processes import descendants, heed_interrupts, wait_for_line

QUIET = Reporter(Console(file=io.StringIO()), quiet=True)


def conducted(engine: Engine, options: LoadOptions, folder: Path) -> LoadRun:
    """Conduct a load."""
    return conduct(LoadExperiment(options), engine, folder, QUIET)


SPEC = LoadSpec(seconds=6, rate=300, rows_per_file="choice:40=3,300=1")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "tmp").mkdir()
    return {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_load_when_some_rows_are_bad_ends_conserved_with_every_file_followed_to_its_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness", "bench", "load", "--seconds", "6", "--rate", "400", "--warmup", "2"]
    command += ["--rows-per-file", "choice:60=3,200=1", "--quarantine", "0.01", "--poison", "0.01", "--json"]
    command += ["-p", "RetryDelaySeconds=1", "--out", str(tmp_path / "runs")]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    load, found = result["load"], result["audit"]
    assert (found["conserved"], found["as_expected"], found["with_manifest"]) == (True, True, True)
    assert result["warmup_audit"]["conserved"]
    assert found["rows"] == load["rows"] > 2000
    assert found["dead_letters"]["process"]
    assert found["dead_letters"]["insert"]
    assert found["quarantined"]
    folder = tmp_path / "runs" / "latest"
    samples = lines(folder / "samples.jsonl")
    assert len(samples) == load["files"]
    assert len({s["source_id"] for s in samples}) == len(samples)
    # No coordinated omission: the order in time is intended, started, uploaded, completed.
    assert all(s["intended"] <= s["started"] + 0.01 <= s["uploaded"] + 0.02 for s in samples)
    assert all(s["completed"] > s["intended"] for s in samples)
    for name in ("upload", "end_to_end"):
        assert result["latencies"][name]["count"] == load["files"]
        assert HdrHistogram.decode((folder / f"{name}.hdr").read_text()).get_total_count() == load["files"]
    series = lines(folder / "timeseries.jsonl")
    assert series[-1]["load"]["finished_rows"] == load["rows"]
    assert series[-1]["load"]["unfinished_rows"] == 0
    assert (folder / "report.html").exists()


def test_load_when_sent_by_two_processes_uploads_every_file_once(tmp_path: Path) -> None:
    options = LoadOptions(SPEC, 0, LocustOptions(processes=2, master_port=locust_process.free_port("127.0.0.1")))
    with EmbeddedEngine() as engine:
        run = conducted(engine, options, tmp_path)
    assert run.conserved
    assert sorted(one.sample.number for one in run.examined.finding.outcomes) == list(range(SPEC.files))


def test_load_when_workers_are_started_by_hand_uploads_every_file_once(tmp_path: Path) -> None:
    port = locust_process.free_port("127.0.0.1")
    options = LoadOptions(SPEC, 0, LocustOptions(workers=2, master_port=port))
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--worker", "--master-host", "127.0.0.1"]
    with EmbeddedEngine() as engine:
        variables = {
            **environment(tmp_path),
            "AWS_ENDPOINT_URL": engine.endpoints.default,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        with (tmp_path / "workers.log").open("wb") as log:
            workers = [
                subprocess.Popen([*command, "--master-port", str(port)], env=variables, stdout=log, stderr=log)
                for _ in range(2)
            ]
        try:
            run = conducted(engine, options, tmp_path)
            for worker in workers:
                worker.wait(60)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
    assert run.conserved, (tmp_path / "workers.log").read_text()
    assert sorted(one.sample.number for one in run.examined.finding.outcomes) == list(range(SPEC.files))


def test_load_when_locust_uploads_nothing_fails_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "locustfile.py"
    broken.write_text("import locust\nraise SystemExit('no load today')\n")
    monkeypatch.setattr(locust_process, "LOCUSTFILE", broken)
    with EmbeddedEngine() as engine, pytest.raises(EnvironmentProblem, match="not a single file") as caught:
        conducted(engine, LoadOptions(SPEC, 0), tmp_path)
    assert "no load today" in caught.value.hint
    assert caught.value.exit_code == ExitCode.ENVIRONMENT


class FlakyStorage:
    """Stands between the uploads and S3. Of the uploads, one is refused, and one is stored but answered as failed."""

    def __init__(self) -> None:
        self.target = ""
        self.uploads = 0
        flaky = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                number = 0
                if self.command == "PUT" and "/uploads/load/" in self.path:
                    flaky.uploads += 1
                    number = flaky.uploads
                status, headers, answer = (503, [], b"") if number == 2 else flaky.pass_on(self, body)
                if number == 4:
                    status, headers, answer = 500, [], b""
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                if self.command == "HEAD":
                    self.send_header("Content-Length", {k.lower(): v for k, v in headers}["content-length"])
                else:
                    self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def pass_on(self, asked: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = {k: v for k, v in asked.headers.items() if k.lower() not in ("content-length", "connection")}
        request = urllib.request.Request(self.target + asked.path, body or None, headers, method=asked.command)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, list(response.headers.items()), response.read()
        except urllib.error.HTTPError as error:
            return error.code, list(error.headers.items()), error.read()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def storage() -> Iterator[FlakyStorage]:
    flaky = FlakyStorage()
    yield flaky
    flaky.close()


def test_load_when_uploads_fail_reports_them_and_still_accounts_for_every_row_in_the_bucket(
    tmp_path: Path, storage: FlakyStorage
) -> None:
    with EmbeddedEngine(service_endpoints={"s3": storage.url}) as engine:
        storage.target = engine.endpoints.default
        run = conducted(engine, LoadOptions(SPEC, 0, setting=Setting(QUICK)), tmp_path)
    load = run.result.load
    assert run.conserved
    assert (load.uploads_failed, load.uploads_ambiguous) == (2, 1)
    failed = [one for one in run.examined.finding.outcomes if one.sample.error]
    assert len(failed) == 2
    assert all(one.completed is None and one.source_id == "" for one in failed)
    assert run.result.latencies.upload.count == load.files == SPEC.files - 2
    # The stored one's rows are audited with the others: what is there counts, not what the client believes.
    sizes = {number: one.sample.rows for number, one in enumerate(run.examined.finding.outcomes)}
    lost = sum(one.sample.rows for one in failed)
    assert sum(sizes.values()) - lost < run.examined.finding.audit.rows < sum(sizes.values())


def test_locust_when_no_upload_succeeds_ends_with_exit_code_1(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--users", "4", "--spawn-rate", "4"]
    command += ["--seconds", "1", "--rate", "100", "--rows", "50", "--bucket", "none", "--folder", str(tmp_path)]
    variables = {**environment(tmp_path), "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    events = lines(tmp_path / "events.jsonl")
    assert [e["event"] for e in events] == ["start", "sample", "sample", "stop"]
    assert all("EndpointConnectionError" in e["error"] for e in events if e["event"] == "sample")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_load_when_it_is_ended_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "harness", "bench", "load", "--seconds", "60", "--rate", "300", "--warmup", "0"]
    process = subprocess.Popen(
        [*command, "--processes", "2", "--out", str(tmp_path / "runs")],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509  no threads here
    )
    try:
        wait_for_line(process, r"update [1-9]")
        family = descendants(process.pid)
        locusts = [p for p in family if "locust" in p.cmdline()]
        assert len(locusts) == 3
        process.send_signal(number)
        code = process.wait(120)
        assert code == (-signal.SIGKILL if number is signal.SIGKILL else ExitCode.INTERRUPTED)

        def gone() -> bool:
            alive = [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
            return not alive and not list((tmp_path / "tmp").glob("harness-*"))

        eventually("processes and folders gone", gone, seconds=60)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_load_when_locust_is_killed_midway_still_accounts_for_every_row_and_says_what_was_not_sent(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "harness", "bench", "load", "--seconds", "120", "--rate", "300", "--warmup", "0"]
    process = subprocess.Popen(
        [*command, "--quarantine", "0", "--poison", "0", "--out", str(tmp_path / "runs")],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for_line(process, r"update [1-9]")
        locusts = [p for p in descendants(process.pid) if "locust" in p.cmdline()]
        assert locusts
        for locust in locusts:
            locust.kill()
        said, _ = process.communicate(timeout=180)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == ExitCode.ENVIRONMENT, said
    assert "files of the schedule were not sent" in said
    result = json.loads((tmp_path / "runs" / "latest" / "result.json").read_text())
    assert result["load"]["files_unsent"] > 0
    assert result["audit"]["conserved"]
    assert result["audit"]["rows"] == result["audit"]["updated"] > 0


def test_saturation_when_the_budget_is_short_judges_what_it_tried_and_audits_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness", "bench", "saturation", "--start", "100", "--budget", "40", "--json"]
    command += ["--out", str(tmp_path / "runs")]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (ExitCode.OK, ExitCode.INCONCLUSIVE), done.stdout + done.stderr
    result = json.loads(done.stdout)
    found = result["saturation"]
    assert result["audit"]["conserved"]
    assert 1 <= len(found["steps"]) <= 3
    assert all(step["verdict"] in ("sustained", "not sustained", "undecided") for step in found["steps"])
    assert all(step["reason"] for step in found["steps"])
    best = max((s["rate"] for s in found["steps"] if s["verdict"] == "sustained"), default=0)
    assert found["rows_per_second"] == pytest.approx(best)
