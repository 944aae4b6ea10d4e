"""The kinds of results, each the whole of one file, told apart by `kind`; docs/results.md explains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.results.checked import Amount, Checked, Count
from harness.results.lessons import LessonFigures
from harness.results.parts import (
    AuditFigures,
    CleanerFigures,
    ConsumptionFigures,
    CorpusFigures,
    EngineFigures,
    Fingerprint,
    Latencies,
    LoadFigures,
    LoopFigures,
    MetricSummary,
    ObjectiveFigures,
    SaturationFigures,
    StageFigures,
)

SCHEMA_VERSION = 3


class Document(Checked, frozen=True, kw_only=True, tag_field="kind"):
    """Any stored file; `run` is the name of the folder that it was made in."""

    schema_version: int = SCHEMA_VERSION
    run: str

    @property
    def kind(self) -> str:
        """The word in the file: run, load, saturation, insert, clean, suite, gate, lessons or error."""
        return str(self.__struct_config__.tag)


class Result(Document, frozen=True, kw_only=True):
    """What every result of a single experiment has. `figures_void_reason` says why durations and rates mean nothing, ""
    where they do; counts and the audit hold in any case."""

    spec: Mapping[str, Any]
    corpus: CorpusFigures
    fingerprint: Fingerprint
    audit: AuditFigures
    figures_void_reason: str = ""
    objectives: Sequence[ObjectiveFigures] = ()

    @property
    def conserved(self) -> bool:
        """Whether every row is where it must be, those of a warm-up included."""
        return self.audit.good


class DeployedResult(Result, frozen=True, kw_only=True):
    """A result of a pipeline on an engine. `began` is in Unix seconds."""

    began: float
    engine: EngineFigures
    parameters: Mapping[str, str]
    stages: Mapping[str, StageFigures]
    consumption: ConsumptionFigures | None = None

    def stage(self, name: str) -> StageFigures | None:
        """Return a stage's figures; None of a stage that the result has not."""
        return self.stages.get(name)


class InsertResult(DeployedResult, frozen=True, kw_only=True, tag="insert"):
    """Clean and insert alone."""

    upload_seconds: Amount
    clean_seconds: float | None
    insert_seconds: float


class WatchedResult(DeployedResult, frozen=True, kw_only=True):
    """A result of the whole pipeline, watched to its end. CPU shares are of `watched_seconds`; None where nothing was
    watched, or not told by the version that made it. `usage` is what AWS would bill for (docs/cost.md), None where it
    is not known."""

    watched_seconds: Amount = 0.0
    pipeline_seconds: Amount | None
    pipeline_rows_per_second: Amount | None
    memory_peak_bytes: Count
    harness_cpu_share: Amount | None = None
    cpu_stolen_share: Amount = 0.0
    cpu_seconds: Mapping[str, Amount] = {}
    log_bytes: Count = 0
    usage: Mapping[str, Any] | None = None


class RunResult(WatchedResult, frozen=True, kw_only=True, tag="run"):
    """One file through all stages."""

    upload_seconds: Amount
    clean_seconds: float | None
    baseline: Sequence[LoopFigures] = ()
    share_of_baseline: Mapping[str, Amount] = {}


class LoadedResult(WatchedResult, frozen=True, kw_only=True):
    """A result of files that Locust uploaded; `warmup_audit` has the rows of the warm-up, which are in no figure."""

    load: LoadFigures
    tracker_cpu_share: Amount | None = None
    warmup_audit: AuditFigures | None = None

    @property
    def conserved(self) -> bool:
        """Whether every row is where it must be, those of a warm-up included."""
        return self.audit.good and (self.warmup_audit is None or self.warmup_audit.good)


class LoadResult(LoadedResult, frozen=True, kw_only=True, tag="load"):
    """One load."""

    latencies: Latencies


class SaturationResult(LoadedResult, frozen=True, kw_only=True, tag="saturation"):
    """A search for the highest rate that is sustained; latencies of different rates make no common distribution."""

    saturation: SaturationFigures


class CleanResult(Result, frozen=True, kw_only=True, tag="clean"):
    """Cleaners side by side on one file."""

    cleaners: Sequence[CleanerFigures]


class SuiteResult(Document, frozen=True, kw_only=True, tag="suite"):
    """What a suite's repetitions say together: `aggregate.json`."""

    suite: str
    description: str
    engine: str
    fingerprint: Fingerprint
    repetitions: Sequence[str]
    metrics: Mapping[str, MetricSummary]
    incomplete: Sequence[str] = ()
    objectives: Sequence[ObjectiveFigures] = ()
    conserved: bool


class Tree(Checked, frozen=True, kw_only=True):
    """One side of a gate."""

    label: str
    commit: str | None = None
    dirty: bool | None = None


class PolicyFigures(Checked, frozen=True, kw_only=True):
    """The rules of a gate's verdict."""

    pairs: Count
    warmup: Count
    threshold: Amount
    alpha: Amount
    deciding: Sequence[str]


class GateMetric(Checked, frozen=True, kw_only=True):
    """One metric of a gate: medians of both sides, and head's cost over base's with its interval."""

    unit: str
    direction: str
    deciding: bool
    base_median: float
    head_median: float
    pairs: Count
    median_ratio: float
    low: float
    high: float
    p: float
    exact: bool
    p_adjusted: float | None
    smallest_detectable_change: float | None
    regressed: bool
    suspicious: bool


class GateTrial(Checked, frozen=True, kw_only=True):
    """One trial of a gate."""

    number: Count
    pair: Count
    side: str
    warmup: bool
    seconds: Amount
    conserved: bool
    problem: str
    cpu_stolen_share: Amount
    metrics: Mapping[str, float]


class GateResult(Document, frozen=True, kw_only=True, tag="gate"):
    """A regression gate: `gate.json`."""

    suite: str
    engine: str
    self_check: bool
    verdict: str
    exit_code: int
    reasons: Sequence[str]
    base: Tree
    head: Tree
    lock_changes: Sequence[str]
    policy: PolicyFigures
    fingerprint: Fingerprint
    corpus_sha256: str
    versions: Mapping[str, str]
    seconds: Amount
    metrics: Mapping[str, GateMetric]
    not_compared: Mapping[str, str]
    trials: Sequence[GateTrial]


class LessonsResult(Document, frozen=True, kw_only=True, tag="lessons"):
    """Lessons that ran one after the other. `began` is in Unix seconds; `quick` says that each took its short form."""

    began: float
    seconds: Amount
    quick: bool
    fingerprint: Fingerprint
    lessons: Sequence[LessonFigures]

    @property
    def exit_code(self) -> int:
        """The exit code of the first lesson that failed, 0 where none did."""
        return next((lesson.exit_code for lesson in self.lessons if lesson.failed), 0)


class ErrorResult(Document, frozen=True, kw_only=True, tag="error"):
    """How something ended that has no result: `error.json`."""

    outcome: str
    exit_code: int
    error: str
    hint: str
    traceback: str
    seconds: float


KINDS: tuple[type[Document], ...] = (
    RunResult,
    LoadResult,
    SaturationResult,
    InsertResult,
    CleanResult,
    SuiteResult,
    GateResult,
    LessonsResult,
    ErrorResult,
)

AnyDocument = (
    RunResult
    | LoadResult
    | SaturationResult
    | InsertResult
    | CleanResult
    | SuiteResult
    | GateResult
    | LessonsResult
    | ErrorResult
)
