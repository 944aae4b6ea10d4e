"""How the project's programs end: the one place where errors become messages and exit codes, and none a traceback.

`enter` runs a program. What the user can act on is a HarnessError and says so itself; anything else is one line, a log
file with the traceback, and exit code 5. Imports little, and of the standard library alone, so that an interrupt or a
missing package while a program's modules are loaded ends the same way.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

from harness.errors import ExitCode, HarnessError

INTERRUPTED = "interrupted: whatever this command started is stopped"
OUTPUT_CLOSED = "interrupted: nobody reads the output any more; whatever this command started is stopped"


def enter(program: Callable[[], object]) -> NoReturn:
    """Run `program`, then end this process with the exit code of how it ended; see `harness.errors.ExitCode`.

    SIGTERM interrupts it as Ctrl-C does.
    """
    _prepare()
    code = _run(program)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(_flush(code))


def interrupt(*_: object) -> NoReturn:
    """Raise KeyboardInterrupt; a handler of signals."""
    raise KeyboardInterrupt


def _prepare() -> None:
    signal.signal(signal.SIGTERM, interrupt)
    # Python's own default ignores it, so that a closed pipe is an error to handle and not the end.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character shows a question mark; it must not end a run.
            stream.reconfigure(errors="replace")
    # urllib3, requests and ssl open this file whenever they make a context, and fail where they may not.
    os.environ.pop("SSLKEYLOGFILE", None)


def _run(program: Callable[[], object]) -> int:
    try:
        program()
    except HarnessError as error:
        _say(f"error: {error}", error.hint)
        return int(error.exit_code)
    except KeyboardInterrupt:
        _say(INTERRUPTED)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _output_closed()
    except SystemExit as ended:
        return _code_of(ended)
    except BaseException as error:  # noqa: BLE001  the last place that can say it in words
        return _unexpected(error)
    return ExitCode.OK


def _code_of(ended: SystemExit) -> int:
    causes = list(_causes(ended))
    if any(isinstance(cause, BrokenPipeError) for cause in causes):
        # Rich and Typer make exit code 1 of a closed pipe, which is ours for a regression.
        return _output_closed()
    for cause in causes:
        if isinstance(cause, EOFError):
            return _unexpected(cause)
    if ended.code is None:
        return ExitCode.OK
    if not isinstance(ended.code, int):
        _say(f"error: {ended.code}")
        return ExitCode.ENVIRONMENT
    if ended.code == ExitCode.INTERRUPTED:
        # Typer ends an interrupted command with this code and without a word.
        _say(INTERRUPTED)
    return ended.code


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = set()
    cause = error.__cause__ or error.__context__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _output_closed() -> int:
    _to_nowhere(1)
    _say(OUTPUT_CLOSED)
    return ExitCode.INTERRUPTED


def _unexpected(error: BaseException) -> int:
    try:
        where = f"the traceback is in {write_log(error)}"
    except (OSError, ImportError) as problem:  # no descriptor may be left to load a module with
        where = f"the traceback could not be kept: {problem}"
    _say(f"error: {in_one_line(error)}", where)
    return ExitCode.ENVIRONMENT


def in_one_line(error: BaseException) -> str:
    """Return what an error is, in one line: an operating system's error with its file, any other with its class."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.strerror}: {error.filename}"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def write_log(error: BaseException) -> str:
    """Write an error's traceback to a new file of the temporary folder that only this user may read; returns its path.

    Local variables are not in it: they may hold rows. Raises OSError.
    """
    import platform
    import tempfile
    import traceback
    from datetime import UTC, datetime

    descriptor, path = tempfile.mkstemp(prefix="harness-error-", suffix=".log")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} Python {platform.python_version()} {platform.platform()}\n")
        log.write(f"{sys.argv!r}\n\n")
        log.writelines(traceback.format_exception(error))
    return path


def _say(text: str, more: str = "") -> None:
    # Nowhere to say it, should standard error be closed too.
    with contextlib.suppress(OSError, SystemExit, ValueError):
        try:
            from rich.text import Text

            from harness.console import console
        except ImportError:
            print(text, *filter(None, [more]), sep="\n", file=sys.stderr)  # noqa: T201
            return
        err = console(stderr=True)
        head, colon, rest = text.partition(":")
        style = "bold red" if head == "error" else ""
        err.print(Text.assemble((head + colon, style), rest), highlight=False, soft_wrap=True)
        if more:
            err.print(Text(more, "dim"), highlight=False, soft_wrap=True)


def _flush(code: int) -> int:
    """Write what is still held back; returns the exit code, another one where a good end did not reach its reader."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        closed = _output_closed()
        code = code or closed
    except (OSError, ValueError) as error:
        _to_nowhere(1)
        _say(f"error: standard output cannot be written: {in_one_line(error)}")
        code = code or ExitCode.ENVIRONMENT
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, ValueError):
        _to_nowhere(2)
    return code


def _to_nowhere(descriptor: int) -> None:
    """Let a standard stream lead nowhere, so that Python's own last flush finds nothing to complain about."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
