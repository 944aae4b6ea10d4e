"""A run's folder: what is written into it, and read from it; docs/results.md explains every file and field."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.entry import in_one_line
from harness.errors import EnvironmentProblem, UsageError

SCHEMA_VERSION = 2
RESULT, AGGREGATE, GATE, ERROR = "result.json", "aggregate.json", "gate.json", "error.json"
SERIES, SAMPLES = "timeseries.jsonl", "samples.jsonl"
_NAME_ONE = "name a run's folder or its result"
NOT_THIS = f"results of this version have schema_version {SCHEMA_VERSION}; make the result again"


def new_run_folder(out: Path) -> Path:
    """Make and return a new folder below `out`, named by time, with `out/latest` pointing at it.

    Raises EnvironmentProblem where `out` cannot be written.
    """
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
    folder = out / name
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"{out} cannot hold results: {error.strerror}", hint="--out names another folder"
        ) from error
    link, fresh = out / "latest", out / f".latest-{name}"
    fresh.symlink_to(name)
    fresh.replace(link)
    return folder


def save_result(folder: Path, result: dict[str, Any]) -> Path:
    """Write `result.json` in one step; returns its path."""
    path = folder / "result.json"
    unfinished = folder / ".result.json.unfinished"
    unfinished.write_text(json.dumps({"schema_version": SCHEMA_VERSION, **result}, indent=2) + "\n")
    unfinished.replace(path)
    return path


def memory_scope(result: Mapping[str, Any]) -> str:
    """Return whose memory a result holds, in words: Docker's containers are no children of the harness."""
    return "all processes together" if result["engine"]["name"] == "embedded" else "LocalStack's containers not counted"


def chaos_of(result: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the chaos rules of a result with what they did; none where it ran without, or says nothing of it."""
    rules: Sequence[Mapping[str, Any]] = result.get("engine", {}).get("chaos") or ()
    return rules


def describe_rule(rule: Mapping[str, Any]) -> str:
    """Return a chaos rule of a result in words: where, and what it does."""
    where = f"{rule['service']} {rule['operation']}"
    if rule.get("resource", "*") != "*":
        where += f" on {rule['resource']}"
    effect = rule["effect"]
    if effect == "error":
        what = str(rule["code"])
    elif effect == "partial":
        what = f"{rule.get('fraction', 0.5):.0%} of the batch not carried out"
    elif effect == "latency":
        given = rule["seconds"]
        what = " to ".join(f"{bound:g}" for bound in (given if isinstance(given, list) else [given])) + " s later"
    else:
        what = f"connection closed {rule['when']} carrying out"
    return f"{where}, {what}"


def void_reason(result: Mapping[str, Any]) -> str:
    """Return why a result's durations and rates mean nothing; "" where they do. Older results do not say."""
    return str(result.get("figures_void_reason") or "unknown") if result.get("figures_void") else ""


@dataclass(frozen=True)
class Stored:
    """A stored result: where its file lies and what it says."""

    path: Path
    data: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.path.parent

    @property
    def kind(self) -> str:
        """run, load, suite or gate; the word in the file."""
        return str(self.data["kind"])

    @property
    def name(self) -> str:
        """The run's own name, else its folder's."""
        return str(self.data.get("run") or self.folder.resolve().name)


def read_stored(place: Path, names: tuple[str, ...] = (RESULT, AGGREGATE, GATE)) -> Stored:
    """Return the result that `place` is, or that lies in the folder `place`.

    Raises UsageError where there is none, where it is no result, or where its schema is another version's.
    """
    path = place
    if place.is_dir():
        found = [place / name for name in names if (place / name).is_file()]
        if not found and (place / ERROR).is_file():
            raise UsageError(f"{place} has no result: {_why(place / ERROR)}", hint="the other files there are kept")
        if not found:
            raise UsageError(f"{place} holds none of {', '.join(names)}", hint="name a folder below runs/")
        path = found[0]
    return Stored(path, _read(path))


@contextmanager
def complete(place: Path) -> Iterator[None]:
    """Turn what reading a result that lacks fields, or holds others than its kind has, raises into UsageError."""
    try:
        yield
    except KeyError as error:
        raise UsageError(f"{place} is no complete result: it has no field {error}", hint=NOT_THIS) from error
    except (TypeError, AttributeError, IndexError, ValueError) as error:
        raise UsageError(f"{place} is no result of its kind: {in_one_line(error)}", hint=NOT_THIS) from error


def _why(path: Path) -> str:
    """Return how a run without a result ended, from its `error.json`."""
    word = _read(path)
    return f"it {'was' if word.get('outcome') == 'interrupted' else 'has'} {word.get('outcome')}: {word.get('error')}"


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=_NAME_ONE) from error
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}", hint=_NAME_ONE) from error
    if not isinstance(data, dict) or "schema_version" not in data:
        raise UsageError(f"{path} is no result: it has no schema_version", hint=_NAME_ONE)
    if data["schema_version"] != SCHEMA_VERSION:
        raise UsageError(f"{path} has schema_version {data['schema_version']!r}", hint=NOT_THIS)
    if not isinstance(data.get("kind"), str):
        raise UsageError(f"{path} does not say of what kind it is", hint=NOT_THIS)
    return data


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON lines file, [] where there is none; raises UsageError naming a line that is none.

    A last line without an end is left out: whoever wrote it was cut off in the middle.
    """
    if not path.is_file():
        return []
    lines: list[dict[str, Any]] = []
    text = path.read_text("utf-8")
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{path}, line {number}, is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise UsageError(f"{path}, line {number}, is no object")
        lines.append(value)
    return lines
