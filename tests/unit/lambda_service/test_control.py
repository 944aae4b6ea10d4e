"""The Lambda service's control API through its client, with the service in a process of its own."""

from __future__ import annotations

import io
import json
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engines.base import Activity, Endpoints
from harness.engines.embedded import processes
from harness.engines.localstack.data_engine import service_settings
from harness.errors import EngineError, TemplateError
from harness.lambda_service import packages
from harness.lambda_service.control import LambdaControl
from harness.lambda_service.model import StackConfig

TOKEN = "secret"


def zipped(**files: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in files.items():
            # Of a fixed date: the same files are the same bytes, whenever they are packed.
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o644 << 16
            archive.writestr(info, text)
    return target.getvalue()


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaControl]:
    work_dir = tmp_path_factory.mktemp("service")
    (work_dir / "pids").mkdir()
    # Nothing answers on the endpoint: stacks without mappings need no data services.
    settings = service_settings(Endpoints("http://127.0.0.1:9"), work_dir, TOKEN, "local")
    child, url = processes.start_lambda_service(work_dir, settings)
    yield LambdaControl(url, TOKEN)
    child.stop()


def test_package_when_put_is_unpacked_once_for_the_same_bytes(control: LambdaControl) -> None:
    folder = control.put_package(zipped(**{"index.py": "x = 1"}))
    assert (folder / "index.py").read_text() == "x = 1"
    assert control.put_package(zipped(**{"index.py": "x = 1"})) == folder
    assert control.put_package(zipped(**{"index.py": "x = 2"})) != folder
    assert not [p for p in folder.parent.iterdir() if p.name.startswith("tmp")]


@pytest.mark.parametrize(
    ("package", "why"),
    [
        (b"no zip", "not a zip file"),
        (zipped(**{"../evil.py": ""}), "leads out of it"),
        (zipped(**{"/evil.py": ""}), "leads out of it"),
    ],
    ids=["no zip", "parent", "absolute"],
)
def test_package_when_it_is_none_is_refused_and_leaves_nothing(
    control: LambdaControl, package: bytes, why: str
) -> None:
    with pytest.raises(EngineError, match=why):
        control.put_package(package)


def test_package_when_larger_than_lambdas_limit_is_refused(control: LambdaControl) -> None:
    with pytest.raises(EngineError, match="has 52428801 bytes, allowed are 52428800"):
        control.put_package(bytes(packages.UPLOAD_LIMIT + 1))


def test_package_when_it_unpacks_to_more_than_lambdas_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "UNZIPPED_LIMIT", 10)
    with pytest.raises(TemplateError, match="unpacks to 11 bytes"):
        packages.store(tmp_path / "code", zipped(a="x" * 11))
    assert list((tmp_path / "code").iterdir()) == []


def test_stacks_when_put_and_deleted_are_listed_accordingly(control: LambdaControl) -> None:
    control.put_stack(StackConfig("one"))
    control.put_stack(StackConfig("two"))
    assert control.stacks() == ["one", "two"]
    control.delete_stack("one")
    control.delete_stack("unknown")
    assert control.stacks() == ["two"]
    control.delete_stack("two")


def test_control_when_the_token_is_wrong_refuses_everything_but_health(control: LambdaControl) -> None:
    stranger = LambdaControl(control.url, "guess")
    for call in (stranger.stacks, stranger.report, lambda: stranger.put_package(zipped(a=""))):
        with pytest.raises(EngineError, match="wrong token"):
            call()
    with urllib.request.urlopen(f"{control.url}/_control/health") as answer:
        assert json.load(answer) == {"stacks": 0}


def test_control_when_nobody_listens_names_the_url() -> None:
    with pytest.raises(EngineError, match=r"http://127\.0\.0\.1:9 does not answer"):
        LambdaControl("http://127.0.0.1:9", TOKEN).stacks()


def test_activity_when_nothing_was_deployed_is_idle(control: LambdaControl) -> None:
    first, second = (Activity.from_json(control.activity()) for _ in range(2))
    assert first.idle
    assert (first.moved, first.service, first.queues, first.functions) == (0, second.service, (), {})
    # Without a stream everything in it has been read.
    assert second.streams_read_at is not None
    assert second.streams_read_at >= first.now
    assert second.due_seconds == 0


class SlowToAnswer:
    """Stands in for the opener: the first call runs into its time-out, as after the process was stopped."""

    def __init__(self) -> None:
        self.calls = 0

    def open(self, request: object, timeout: float) -> io.BytesIO:
        self.calls += 1
        if self.calls == 1:
            raise TimeoutError("timed out")
        return io.BytesIO(b'{"stacks": ["one"]}')


def test_control_when_a_reading_call_times_out_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    opener = SlowToAnswer()
    monkeypatch.setattr("harness.lambda_service.control.direct", opener)
    assert LambdaControl("http://127.0.0.1:9", TOKEN).stacks() == ["one"]
    assert opener.calls == 2


def test_control_when_a_changing_call_times_out_does_not_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opener = SlowToAnswer()
    monkeypatch.setattr("harness.lambda_service.control.direct", opener)
    with pytest.raises(EngineError, match="does not answer: timed out"):
        LambdaControl("http://127.0.0.1:9", TOKEN).delete_stack("one")
    assert opener.calls == 1
