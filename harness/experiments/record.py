"""What a run leaves in its folder however it ends: the engine's logs, and word of what went wrong."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.console import console
from harness.engines.base import Engine
from harness.errors import ExitCode, HarnessError
from harness.results import ERROR, ErrorResult, save_result

LOGS = "engine"
"""The folder of the engine's logs within a run's."""

_KEPT_IN = "kept_in"


@contextmanager
def recorded(folder: Path) -> Iterator[None]:
    """Write `error.json` into a run's folder when what the context holds fails or is interrupted, and name the folder.

    The name goes into the hint of a HarnessError, of anything else it is printed. Contexts may be nested: the innermost
    one speaks, the others write only.
    """
    began = time.monotonic()
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        _write(folder, error, time.monotonic() - began)
        if not hasattr(error, _KEPT_IN):
            setattr(error, _KEPT_IN, folder)
            words = f"kept: {folder} ({', '.join(_files(folder))})"
            if isinstance(error, HarnessError):
                error.hint = f"{error.hint}\n{words}".lstrip()
            else:
                _say(words)
        raise


@contextmanager
def logs_kept(engine: Engine, folder: Path) -> Iterator[None]:
    """Copy a started engine's logs into a run's folder at the end of the context, whatever that end is."""
    try:
        yield
    finally:
        keep_logs(engine, folder)


def keep_logs(engine: Engine, folder: Path) -> None:
    """Copy the engine's logs to `folder`/engine; an engine that has none on this machine leaves nothing.

    Where they cannot be written that is said, and not raised: it must not take the place of the run's own error.
    """
    logs = engine.log_files()
    if not logs:
        return
    kept = folder / LOGS
    try:
        kept.mkdir(exist_ok=True)
        for log in logs:
            shutil.copy(log, kept / log.name)
    except OSError as error:
        _say(f"the engine's logs could not be kept: {error}")


def _write(folder: Path, error: BaseException, seconds: float) -> None:
    known = isinstance(error, HarnessError)
    interrupted = isinstance(error, KeyboardInterrupt)
    code = error.exit_code if isinstance(error, HarnessError) else ExitCode.ENVIRONMENT
    found = ErrorResult(
        run=folder.name,
        outcome="interrupted" if interrupted else "failed",
        exit_code=int(ExitCode.INTERRUPTED if interrupted else code),
        error=str(error) or type(error).__name__,
        hint=error.hint if isinstance(error, HarnessError) else "",
        traceback="" if known or interrupted else "".join(traceback.format_exception(error)),
        seconds=round(seconds, 3),
    )
    try:
        save_result(folder, found, ERROR)
    except OSError as unwritten:
        _say(f"{folder / ERROR} could not be written: {unwritten}")


def _say(text: str) -> None:
    console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)


def _files(folder: Path) -> list[str]:
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return [*found[:_MOST_NAMES], "…"] if len(found) > _MOST_NAMES else found


_MOST_NAMES = 8
