"""A suite as data, read from TOML; every mistake in a file is told with file, key, value and what is allowed."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.bench.clean import CONTESTANTS as CLEANERS
from harness.corpus import CorpusSpec
from harness.errors import UsageError
from harness.gate_policy import Policy
from harness.load.schedule import LoadSpec
from harness.metrics import names_of
from harness.objectives import CLEANER_METRICS, Objective, parse_objectives
from harness.results import CleanResult, InsertResult, LoadResult, Result, RunResult

FOLDER = Path(__file__).parent


class Kind(StrEnum):
    """What a suite repeats: a run of the pipeline, a load, inserting alone, or the comparison of cleaners."""

    RUN = "run"
    LOAD = "load"
    INSERT = "insert"
    CLEAN = "clean"


@dataclass(frozen=True)
class LoadSetting:
    """The load of a suite: what is sent, seconds of warm-up inside each load, most uploads at a time, and processes."""

    spec: LoadSpec = field(default_factory=LoadSpec)
    warmup: float = 5.0
    users: int = 64
    processes: int = 0


@dataclass(frozen=True)
class GateSetting:
    """What `harness gate` takes from a suite: the policy, and seconds after which a trial has failed."""

    policy: Policy = field(default_factory=Policy)
    timeout: float = 300.0


@dataclass(frozen=True)
class Suite:
    """One benchmark: `warmup` discarded repetitions, then `repetitions`, each on a fresh engine.

    `duration` is for people, such as "20 s": the whole suite on two cores. `parameters` are the template's.
    """

    name: str
    description: str
    duration: str
    kind: Kind
    warmup: int = 0
    repetitions: int = 1
    corpus: CorpusSpec = field(default_factory=CorpusSpec)
    load: LoadSetting = field(default_factory=LoadSetting)
    parameters: Mapping[str, str] = field(default_factory=dict)
    gate: GateSetting = field(default_factory=GateSetting)
    objectives: tuple[Objective, ...] = ()

    def requiring(self, texts: Sequence[str], where: str) -> Suite:
        """Return the suite with more objectives; raises UsageError, naming the place, for what is none of its kind."""
        asked = [str(one) for one in self.objectives]
        return replace(self, objectives=parse_objectives([*asked, *texts], metrics_of_kind(self.kind), where))


def names() -> list[str]:
    """Return the names of the suites that come with the harness."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_suite(name: str) -> Suite:
    """Return the suite of that name, or of the TOML file at that path; raises UsageError for what cannot be used."""
    path = FOLDER / f"{name}.toml"
    if name.endswith(".toml"):
        path = Path(name)
    elif name not in names():
        raise UsageError(f"there is no suite {name!r}", hint=f"there are {', '.join(names())}; or name a .toml file")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"suite {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"suite {path} is not UTF-8 text") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Suite:
    """Return the suite that a TOML text describes; `path` names it in errors. Raises UsageError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"suite {path} is not TOML: {error}") from error
    top = _Section(path, "", data)
    suite = Suite(
        name=path.stem,
        description=top.take("description", _text, required=True),
        duration=top.take("duration", _text, required=True),
        kind=top.take("kind", _choice([k.value for k in Kind]), required=True, convert=Kind),
        warmup=top.take("warmup", _whole(0), 0),
        repetitions=top.take("repetitions", _whole(1), 1),
        parameters=top.section("parameters").parameters(),
    )
    corpus, load, gate, objectives = (top.section(name) for name in ("corpus", "load", "gate", "objectives"))
    top.finish()
    if (suite.kind is Kind.LOAD) != bool(load.data):
        needed = "needs a section [load]" if suite.kind is Kind.LOAD else "takes no section [load]"
        raise UsageError(f"suite {path}: kind {suite.kind} {needed}")
    if suite.kind is Kind.LOAD and corpus.data:
        raise UsageError(f"suite {path}: kind load takes no section [corpus]", hint="shares of rows belong into [load]")
    if suite.kind is not Kind.RUN and gate.data:
        raise UsageError(f"suite {path}: only kind run takes a section [gate], this is {suite.kind}")
    try:
        suite = replace(suite, corpus=_corpus(corpus), load=_load(load), gate=_gate(gate))
        return suite.requiring(_required(objectives), "[objectives] require")
    except UsageError as error:
        prefix = "" if str(error).startswith("suite ") else f"suite {path}: "
        raise UsageError(f"{prefix}{error}", hint=error.hint) from error


Check = Callable[[Any], str]
"""Returns what is needed instead of a value, or nothing if it will do."""


class _Section:
    """One table of a file; knows where it is, and refuses keys that nobody took."""

    def __init__(self, path: Path, name: str, data: Any) -> None:
        self._path = path
        self._where = f"[{name}] " if name else ""
        if not isinstance(data, dict):
            raise UsageError(f"suite {path}: {name} is {data!r}, a table is needed", hint=f"write it as [{name}]")
        self.data = data
        self._known: set[str] = set()

    def take(
        self,
        key: str,
        check: Check,
        default: Any = None,
        *,
        required: bool = False,
        convert: Callable[[Any], Any] = lambda value: value,
    ) -> Any:
        """Return a checked value; raises UsageError naming file, key, value and what is allowed."""
        self._known.add(key)
        if key not in self.data:
            if required:
                raise UsageError(f"suite {self._path}: {self._where}{key} is missing; {check(None)} is needed")
            return default
        value = self.data[key]
        needed = check(value)
        if needed:
            raise UsageError(f"suite {self._path}: {self._where}{key} is {value!r}; {needed} is needed")
        return convert(value)

    def section(self, key: str) -> _Section:
        """Return a table below this one, empty where it is absent."""
        self._known.add(key)
        return _Section(self._path, key, self.data.get(key, {}))

    def parameters(self) -> dict[str, str]:
        """Return all values as the text that CloudFormation takes."""
        return {key: str(self.take(key, _scalar)) for key in self.data}

    def finish(self) -> None:
        """Raise UsageError for a key that is not known."""
        unknown = sorted(self.data.keys() - self._known)
        if unknown:
            raise UsageError(
                f"suite {self._path}: {self._where}{unknown[0]} is not known",
                hint=f"allowed: {', '.join(sorted(self._known))}",
            )


def _corpus(section: _Section) -> CorpusSpec:
    default = CorpusSpec()
    spec = CorpusSpec(
        rows=section.take("rows", _whole(0), default.rows),
        seed=section.take("seed", _whole(0), default.seed),
        **{name: section.take(name, _share, getattr(default, name)) for name in ("dirty", "quarantine", "poison")},
    )
    section.finish()
    return spec


def _load(section: _Section) -> LoadSetting:
    default = LoadSpec()
    spec = LoadSpec(
        shape=section.take("shape", _text, default.shape),
        seconds=section.take("seconds", _number(0), default.seconds, convert=float),
        rate=section.take("rate", _number(0), default.rate, convert=float),
        rows_per_file=section.take("rows_per_file", _text, default.rows_per_file),
        arrivals=section.take("arrivals", _text, default.arrivals),
        seed=section.take("seed", _whole(0), default.seed),
        **{name: section.take(name, _share, getattr(default, name)) for name in ("dirty", "quarantine", "poison")},
    )
    setting = LoadSetting(
        spec,
        warmup=section.take("warmup", _number(0), LoadSetting.warmup, convert=float),
        users=section.take("users", _whole(1), LoadSetting.users),
        processes=section.take("processes", _whole(0), LoadSetting.processes),
    )
    section.finish()
    return setting


def _gate(section: _Section) -> GateSetting:
    default = Policy()
    policy = Policy(
        pairs=section.take("pairs", _whole(1), default.pairs),
        warmup=section.take("warmup", _whole(0), default.warmup),
        threshold=section.take("threshold", _number(1), default.threshold, convert=float),
        alpha=section.take("alpha", _share, default.alpha, convert=float),
        deciding=section.take("metrics", _metrics, default.deciding, convert=tuple),
    )
    setting = GateSetting(policy, section.take("timeout", _above(0), GateSetting.timeout, convert=float))
    section.finish()
    return setting


def _required(section: _Section) -> list[str]:
    texts: list[str] = section.take("require", _texts, [])
    section.finish()
    return texts


def metrics_of_kind(kind: Kind) -> Collection[str]:
    """Return the names of the figures that a suite of this kind can have."""
    if kind is Kind.CLEAN:
        return {f"{name.replace('-', '_')}{end}" for name in CLEANERS for end in CLEANER_METRICS}
    return names_of(_RESULTS[kind])


_RESULTS: Mapping[Kind, type[Result]] = {
    Kind.RUN: RunResult,
    Kind.LOAD: LoadResult,
    Kind.INSERT: InsertResult,
    Kind.CLEAN: CleanResult,
}


def _texts(value: Any) -> str:
    return "" if isinstance(value, list) and all(not _text(item) for item in value) else "a list of texts"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) and value.strip() else "a text"


def _metrics(value: Any) -> str:
    good = isinstance(value, list) and value and all(not _text(item) for item in value)
    if not good or len(set(value)) != len(value):
        return "a list of different texts"
    known = names_of(RunResult)
    unknown = [name for name in value if name not in known]
    return f"one of {', '.join(sorted(known))} instead of {', '.join(unknown)}" if unknown else ""


def _scalar(value: Any) -> str:
    return "" if isinstance(value, (str, int, float)) and not isinstance(value, bool) else "a text or a number"


def _choice(allowed: list[str]) -> Check:
    return lambda value: "" if value in allowed else f"one of {', '.join(allowed)}"


def _whole(least: int) -> Check:
    def check(value: Any) -> str:
        good = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return "" if good else f"a whole number of {least} or more"

    return check


def _number(least: float) -> Check:
    def check(value: Any) -> str:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= least
        return "" if good else f"a number of {least:g} or more"

    return check


def _above(least: float) -> Check:
    def check(value: Any) -> str:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and value > least
        return "" if good else f"a number above {least:g}"

    return check


def _share(value: Any) -> str:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
    return "" if good else "a fraction between 0 and 1"
