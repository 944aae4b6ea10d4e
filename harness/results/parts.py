"""What results are made of: machine, engine, stages, audit, capacity, latencies; docs/results.md has each field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from harness.results.checked import Amount, Checked, Count, Share


class Fingerprint(Checked, frozen=True, kw_only=True):
    """What a result was measured on; `git_dirty` is None where the code is no checkout."""

    cpu: str
    cores: Count | None
    memory_bytes: Count
    system: str
    python: str
    packages: Mapping[str, str] = {}
    git_sha: str = ""
    git_dirty: bool | None = None


class Durations(Checked, frozen=True, kw_only=True):
    """Percentiles of durations in milliseconds; None where there was none."""

    p50: Amount | None = None
    p95: Amount | None = None
    max: Amount | None = None


class FunctionFigures(Checked, frozen=True, kw_only=True):
    """What an engine counted of one function since it was deployed."""

    invocations: Count
    errors: Count
    timeouts: Count
    throttles: Count
    cold_starts: Count
    billed_ms: Count
    max_concurrency: Count
    max_memory_mb: Count
    max_iterator_age_ms: Count = 0
    duration_ms: Durations = Durations()
    init_ms: Durations = Durations()


class EngineFigures(Checked, frozen=True, kw_only=True):
    """What an engine says of itself.

    `service` is the Lambda service's own account, `chaos` the rules in force, as they were written, with `rule`,
    `matched` and `injected`.
    """

    name: str
    versions: Mapping[str, str]
    limits: Mapping[str, str]
    functions: Mapping[str, FunctionFigures]
    service: Mapping[str, Any] = {}
    capacity: str = "unlimited"
    chaos: Sequence[Mapping[str, Any]] = ()


class CorpusFigures(Checked, frozen=True, kw_only=True):
    """The bytes that were uploaded; of a user's file and of loads no more than their number is known."""

    file_bytes: Count
    sha256: str = ""
    checksum: str = ""


class StageFigures(Checked, frozen=True, kw_only=True):
    """The sums over one stage's telemetry; `handler_ms` and `cpu_ms` are None where they are not known."""

    invocations: Count
    rows_in: Count
    rows_ok: Count
    rows_failed: Count
    rows_quarantined: Count
    messages: Count
    bytes: Count
    started_ms: Count
    ended_ms: Count
    seconds: float
    rows_per_second: float
    handler_ms: Amount | None = None
    waiting_ms: Amount = 0.0
    cpu_ms: Amount | None = None
    error_lines: Count = 0
    last_errors: Sequence[str] = ()
    notes: Mapping[str, Mapping[str, int]] = {}


class LoopFigures(Checked, frozen=True, kw_only=True):
    """One bare loop against an engine: items a second, and CPU of the server a call."""

    name: str
    clients: Count
    calls: Count
    seconds: Amount
    items_per_call: Amount
    items_per_second: Amount
    server_cpu_ms: Amount


class FoundRow(Checked, frozen=True, kw_only=True):
    """A row that is not as it should be; `row` 0 stands for all of an object."""

    row: int
    problem: str
    detail: str
    key: str = ""


class AuditFigures(Checked, frozen=True, kw_only=True):
    """Where every row is. `updated` is None of what ends before the last stage."""

    conserved: bool
    as_expected: bool
    rows: Count
    updated: Count | None = None
    quarantined: Mapping[str, Count] = {}
    dead_letters: Mapping[str, Mapping[str, Count]] = {}
    problems: Mapping[str, Count] = {}
    findings: Sequence[FoundRow] = ()
    with_manifest: bool = True
    duplicate_messages: Count = 0
    unattributed: Mapping[str, Mapping[str, Count]] = {}
    other_objects: Count = 0
    refused_objects: Mapping[str, str] = {}
    items_in_table: int = 0
    items_accounted: Count = 0
    seconds: Amount = 0.0

    @property
    def good(self) -> bool:
        """Whether every row is somewhere, once, and where it is expected."""
        return self.conserved and self.as_expected

    @property
    def quarantined_rows(self) -> int:
        """Rows in quarantine."""
        return sum(self.quarantined.values())

    @property
    def dead_lettered_rows(self) -> int:
        """Rows in dead-letter queues."""
        return sum(sum(reasons.values()) for reasons in self.dead_letters.values())


class TableFigures(Checked, frozen=True, kw_only=True):
    """What one table consumed and throttled."""

    write_units: Amount
    read_units: Amount
    stream_reads: Count
    throttled_items: Mapping[str, Count] = {}
    throttled_requests: Mapping[str, Count] = {}

    @property
    def used(self) -> bool:
        """Whether anything was asked of it."""
        return bool(self.write_units or self.read_units or self.stream_reads or self.throttled_requests)


class ConsumptionFigures(Checked, frozen=True, kw_only=True):
    """What all tables consumed; `complete` is false where their process ended meanwhile."""

    complete: bool
    tables: Mapping[str, TableFigures]


class LatencyFigures(Checked, frozen=True, kw_only=True):
    """A distribution in milliseconds; percentiles by name ("99.9"), only those that the sample supports."""

    count: Count
    min: Amount | None = None
    mean: Amount | None = None
    max: Amount | None = None
    percentiles: Mapping[str, Amount] = {}


class Latencies(Checked, frozen=True, kw_only=True):
    """From a file's intended start: to the end of its upload, and to its last durable row."""

    upload: LatencyFigures
    end_to_end: LatencyFigures


class Lag(Checked, frozen=True, kw_only=True):
    """How late Locust started uploads, in milliseconds; None where there was none."""

    mean: Amount | None = None
    max: Amount | None = None


class LoadFigures(Checked, frozen=True, kw_only=True):
    """What a load offered and what became of it. `loads` are the specs of all loads that were driven."""

    shape: str
    arrivals: str
    seconds: Amount
    rate: Amount
    files: Count
    rows: Count
    files_per_second: Amount
    rows_per_file: str
    users: Count
    processes: Count
    uploads_failed: Count
    uploads_ambiguous: Count
    uploads_unreported: Count = 0
    files_unsent: Count = 0
    rows_redelivered: Count
    files_without_completion: Count
    settle_seconds: Amount
    generator_lag_ms: Lag
    halves_end_to_end_p50_ms: tuple[float | None, float | None] = (None, None)
    warmup_seconds: Amount = 0.0
    loads: Sequence[Mapping[str, Any]] = ()

    @property
    def files_missing(self) -> int:
        """Files of the schedule that were not sent, or sent and not reported."""
        return self.files_unsent + self.uploads_unreported


class TrendFigures(Checked, frozen=True, kw_only=True):
    """The slope of a step's backlog in rows a second, and its interval."""

    slope: float
    low: float
    high: float
    points: Amount


class StepFigures(Checked, frozen=True, kw_only=True):
    """One step of a search."""

    rate: Amount
    seconds: float
    oldest_first: float
    oldest_last: float
    unfinished_first: Amount
    unfinished_last: Amount
    drain_seconds: float
    verdict: str
    reason: str
    trend: TrendFigures | None = None


class SaturationFigures(Checked, frozen=True, kw_only=True):
    """What a search found; `not_sustained_rows_per_second` is None where every rate was sustained."""

    rows_per_second: Amount
    not_sustained_rows_per_second: Amount | None
    resolution: Amount
    ended_by: str
    step_seconds: Amount
    budget_seconds: Amount
    steps: Sequence[StepFigures]


class CleanerFigures(Checked, frozen=True, kw_only=True):
    """One cleaner of the clean suite; `missing` says why it did not run."""

    name: str
    rows: Count
    seconds: Amount
    cpu_seconds: Amount
    peak_memory_mb: Amount
    missing: str = ""


class Outcome(StrEnum):
    """What became of an objective."""

    KEPT = "kept"
    MISSED = "missed"
    NOT_MEASURED = "not measured"


class ObjectiveFigures(Checked, frozen=True, kw_only=True):
    """An objective and what became of it; `value` is None where the figure was not measured."""

    metric: str
    comparison: str
    limit: float
    unit: str
    value: float | None
    outcome: Outcome


class MetricSummary(Checked, frozen=True, kw_only=True):
    """A metric over a suite's repetitions; `interval` says what `low` and `high` are."""

    unit: str
    direction: str
    values: Sequence[float]
    median: float
    low: float
    high: float
    interval: str
    spread: Share
