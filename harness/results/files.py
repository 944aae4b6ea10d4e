"""A run's folder: what is written into it, and read from it; docs/results.md explains every file."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from harness.entry import in_one_line
from harness.errors import EnvironmentProblem, UsageError
from harness.results.document import KINDS, SCHEMA_VERSION, AnyDocument, Document, ErrorResult
from harness.results.upgrade import OLD_VERSION, upgraded

RESULT, AGGREGATE, GATE, ERROR = "result.json", "aggregate.json", "gate.json", "error.json"
SERIES, SAMPLES = "timeseries.jsonl", "samples.jsonl"
_NAME_ONE = "name a run's folder or its result"
NOT_THIS = (
    f"results of this version have schema_version {SCHEMA_VERSION}, {OLD_VERSION} is read too; make the result again"
)


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


def save_result(folder: Path, document: Document, name: str = RESULT) -> Path:
    """Write a document into a run's folder in one step; returns its path."""
    path, unfinished = folder / name, folder / f".{name}.unfinished"
    unfinished.write_text(json_of(document) + "\n")
    unfinished.replace(path)
    return path


def json_of(document: Document, *, indent: int = 2) -> str:
    """Return a document as JSON, in one line where `indent` is 0."""
    return msgspec.json.format(msgspec.json.encode(document), indent=indent).decode()


def document_of(data: Mapping[str, Any]) -> AnyDocument:
    """Return what JSON gave as the document that it is; those of schema version 2 are brought up to this version.

    Raises ValueError, in a sentence, where it is none.
    """
    try:
        known = upgraded(data) if data["schema_version"] == OLD_VERSION else data
        found: AnyDocument = msgspec.convert(known, AnyDocument)
    except KeyError as error:
        raise ValueError(f"it has no field {error}") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(in_one_line(error)) from error
    return found


Kind_co = TypeVar("Kind_co", bound=Document, covariant=True)


@dataclass(frozen=True)
class Stored(Generic[Kind_co]):
    """A stored document: where its file lies and what it says."""

    path: Path
    document: Kind_co

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.path.parent

    @property
    def name(self) -> str:
        """The run's own name, else its folder's."""
        return self.document.run or self.folder.resolve().name


def read_stored(place: Path, names: tuple[str, ...] = (RESULT, AGGREGATE, GATE)) -> Stored[AnyDocument]:
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


def _why(path: Path) -> str:
    """Return how a run without a result ended, from its `error.json`."""
    found = _read(path)
    if not isinstance(found, ErrorResult):
        return f"{path.name} is of kind {found.kind!r}"
    return f"it {'was' if found.outcome == 'interrupted' else 'has'} {found.outcome}: {found.error}"


def _read(path: Path) -> AnyDocument:
    try:
        data = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=_NAME_ONE) from error
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}", hint=_NAME_ONE) from error
    if not isinstance(data, dict) or "schema_version" not in data:
        raise UsageError(f"{path} is no result: it has no schema_version", hint=_NAME_ONE)
    if data["schema_version"] not in (OLD_VERSION, SCHEMA_VERSION):
        raise UsageError(f"{path} has schema_version {data['schema_version']!r}", hint=NOT_THIS)
    kinds = {kind.__struct_config__.tag for kind in KINDS}
    if data.get("kind") not in kinds:
        raise UsageError(
            f"{path} does not say of what kind it is" if "kind" not in data else f"{path} is of kind {data['kind']!r}",
            hint=NOT_THIS,
        )
    try:
        return document_of(data)
    except ValueError as error:
        raise UsageError(f"{path} is no complete result: {error}", hint=NOT_THIS) from error


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
