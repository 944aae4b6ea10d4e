"""How programs end: a code that means something, a word to the user, never a traceback."""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError, ProfileNotFound

from harness.corpus import cache
from harness.entry import in_one_line
from harness.errors import EnvironmentProblem, ExitCode
from harness.host_environment import ROOT
from tests.processes import heed_interrupts

HARNESS = [sys.executable, "-m", "harness"]


def run(
    program: str | list[str], tmp_path: Path, shell: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python code that defines `main` (or a command) under `enter`; `shell` follows it in a pipeline."""
    code = f"import os, sys\nfrom harness.entry import enter\n{program}\nenter(main)\n"
    command = program if isinstance(program, list) else [sys.executable, "-c", code]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "", **variables}
    if shell:
        command = ["bash", "-c", f'"$@" {shell}', "bash", *command]
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


def logs(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob("harness-error-*.log"))


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        ("ValueError('odd')", "error: ValueError: odd"),
        ("KeyError('rows')", "error: KeyError: 'rows'"),
        ("RuntimeError('two\\nlines')", "error: RuntimeError: two lines"),
        ("AssertionError()", "error: AssertionError"),
        ("OSError(28, 'No space left on device', '/data/x')", "error: No space left on device: /data/x"),
        ("PermissionError(13, 'Permission denied', '/data/x')", "error: Permission denied: /data/x"),
        ("MemoryError()", "error: MemoryError"),
        ("RecursionError('too deep')", "error: RecursionError: too deep"),
        ("ExceptionGroup('several', [ValueError('a')])", "error: ExceptionGroup: several (1 sub-exception)"),
        ("GeneratorExit()", "error: GeneratorExit"),
    ],
)
def test_enter_when_an_error_is_unexpected_says_it_in_a_line_and_keeps_the_traceback_for_this_user_alone(
    tmp_path: Path, raised: str, line: str
) -> None:
    done = run(f"def main():\n    secret = 'row 7'\n    raise {raised}", tmp_path)
    assert done.returncode == ExitCode.ENVIRONMENT
    (log,) = logs(tmp_path)
    assert done.stderr == f"{line}\nthe traceback is in {log}\n"
    assert done.stdout == ""
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    kept = log.read_text()
    assert "Traceback (most recent call last)" in kept
    assert "row 7" not in kept


def test_enter_when_the_log_cannot_be_written_says_so_instead(tmp_path: Path) -> None:
    program = "import tempfile\ntempfile.tempdir = '/nonexistent'\ndef main():\n    raise ValueError('odd')"
    done = run(program, tmp_path)
    assert done.returncode == ExitCode.ENVIRONMENT
    assert done.stderr.startswith("error: ValueError: odd\nthe traceback could not be kept: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("program", "code", "words"),
    [
        (
            "from harness.errors import UsageError\ndef main(): raise UsageError('bad', hint='do this')",
            2,
            "bad\ndo this",
        ),
        ("def main(): sys.exit(3)", 3, ""),
        ("def main(): sys.exit()", 0, ""),
        ("def main(): sys.exit('text')", 5, "error: text"),
        ("def main(): raise KeyboardInterrupt", 130, "interrupted"),
        ("def main(): sys.exit(130)", 130, "interrupted"),
        ("def main(): pass", 0, ""),
        ("import typer\ndef main(): typer.run(lambda: open('nowhere'))", 5, "No such file or directory: nowhere"),
        ("import typer\ndef ask(): raise EOFError\ndef main(): typer.run(ask)", 5, "error: EOFError"),
        ("def main(): import nonexistent_package", 5, "error: ModuleNotFoundError: No module named"),
    ],
)
def test_enter_when_a_program_ends_gives_its_code_and_a_word(
    tmp_path: Path, program: str, code: int, words: str
) -> None:
    done = run(program, tmp_path)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "program",
    [
        "def main():\n    for _ in range(100_000): print('x' * 100)",
        "def main():\n    for _ in range(100_000): os.write(1, b'x' * 100)",
        "from harness.console import console\ndef main():\n    for _ in range(5_000): console().print('x' * 100)",
        "import typer\ndef say():\n    for _ in range(100_000): typer.echo('x' * 100)\ndef main(): typer.run(say)",
    ],
    ids=["print", "write", "rich", "typer"],
)
def test_enter_when_nobody_reads_the_output_any_more_is_interrupted(tmp_path: Path, program: str) -> None:
    done = run(program, tmp_path, "| head -n 0; exit ${PIPESTATUS[0]}")
    assert done.returncode == ExitCode.INTERRUPTED
    assert done.stderr == "interrupted: nobody reads the output any more; whatever this command started is stopped\n"


def test_enter_when_only_the_last_flush_finds_the_output_closed_keeps_a_verdict(tmp_path: Path) -> None:
    program = "import time\ndef main():\n    print('x')\n    time.sleep(1)\n    sys.exit({})"
    assert run(program.format(3), tmp_path, "| true; exit ${PIPESTATUS[0]}").returncode == ExitCode.NOT_CONSERVED
    done = run(program.format(0), tmp_path, "| true; exit ${PIPESTATUS[0]}")
    assert done.returncode == ExitCode.INTERRUPTED
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["doctor"]])
def test_harness_when_its_output_cannot_be_written_exits_5(tmp_path: Path, arguments: list[str]) -> None:
    done = run([*HARNESS, *arguments], tmp_path, "> /dev/full")
    assert done.returncode == ExitCode.ENVIRONMENT
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_harness_when_a_standard_stream_is_closed_ends_as_ever(tmp_path: Path, redirection: str) -> None:
    assert run([*HARNESS, "dlq", "list"], tmp_path, redirection, HOME=str(tmp_path)).returncode == 5
    assert run([*HARNESS, "--help"], tmp_path, redirection).returncode == 0
    assert logs(tmp_path) == []


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_harness_when_the_terminal_cannot_show_a_character_goes_on(tmp_path: Path, encoding: str) -> None:
    for arguments in (["doctor"], ["bench", "--help"], ["run", "--file", "größe–∞.csv"]):
        done = subprocess.run(
            [*HARNESS, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": encoding, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=100,
            check=False,
        )
        assert done.returncode in (ExitCode.OK, ExitCode.USAGE)
        assert b"Traceback" not in done.stderr
        assert logs(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_enter_when_signalled_lets_the_program_clean_up_and_exits_130(tmp_path: Path, number: signal.Signals) -> None:
    code = (
        "import time\nfrom harness.entry import enter\n"
        "def main():\n"
        "    try:\n        print('ready', flush=True)\n        time.sleep(60)\n"
        "    finally:\n        print('cleaned', flush=True)\n"
        "enter(main)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509  no threads here
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (ExitCode.INTERRUPTED, "cleaned\n")
    assert err == "interrupted: whatever this command started is stopped\n"


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("harness.lambda_service", 2),
        ("tools.gate.calibrate", 2),
        ("harness.load.observe", 2),
        ("harness.bench.cleaners", 2),
        ("harness.engines.embedded.server", 2),
        ("harness.engines.localstack.lambda_container", 2),
    ],
)
def test_program_when_started_without_what_it_needs_exits_2_with_a_word(tmp_path: Path, module: str, code: int) -> None:
    done = run([sys.executable, "-m", module], tmp_path, "< /dev/null", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert done.returncode == code, done.stderr
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert logs(tmp_path) == []


def test_harness_when_its_caches_cannot_be_written_names_the_folder_and_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run([*HARNESS, "run", "--rows", "5"], tmp_path, XDG_CACHE_HOME=str(tmp_path / "file"))
    assert done.returncode == ExitCode.ENVIRONMENT
    assert f"{tmp_path}/file/ingestion-harness/corpus cannot hold generated corpora: Not a directory" in done.stderr
    assert "XDG_CACHE_HOME" in done.stderr


def test_default_cache_when_the_user_has_no_home_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(EnvironmentProblem, match="no home folder"):
        cache.default_cache()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), r"EndpointConnectionError: .*http://127.0.0.1:1"),
        (ProfileNotFound(profile="x"), r"ProfileNotFound: .*\(x\) could not be found"),
        (OSError(errno.ENOSPC, "No space left on device"), r"OSError: \[Errno 28\] No space left on device"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "UnicodeDecodeError: "),
    ],
)
def test_in_one_line_when_given_an_error_has_no_line_end(error: Exception, line: str) -> None:
    assert re.match(line, in_one_line(error))
    assert "\n" not in in_one_line(error)
