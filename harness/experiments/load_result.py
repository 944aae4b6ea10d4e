"""What a load session leaves in its folder: result.json, the raw samples, the histograms."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness.audit import AuditReport
from harness.engines.base import EngineReport
from harness.errors import EnvironmentProblem
from harness.experiments.lifecycle import Examined
from harness.experiments.upload_result import Deployed, Watched, deployed, watched
from harness.load.locust_process import LOG_FILE, LocustOptions
from harness.load.samples import Sample
from harness.load.schedule import LoadSpec
from harness.results import (
    AuditFigures,
    CorpusFigures,
    Lag,
    Latencies,
    LatencyFigures,
    LoadFigures,
    LoadResult,
    SaturationFigures,
    SaturationResult,
    StageFigures,
)
from harness.stats.latency import Latency

SAMPLES_FILE = "samples.jsonl"


@dataclass(frozen=True)
class FileOutcome:
    """One file of the schedule that was tried: its sample, the source it became ("" where the upload failed), and
    when its last row was durable (Unix seconds; None where that never happened or is not known)."""

    sample: Sample
    source_id: str
    completed: float | None


@dataclass(frozen=True)
class LoadFinding:
    """What became of a load's files, once everything had come to rest; `rows` are of all objects in the bucket.

    `ambiguous` counts uploads that the client took for failed, or did not live to report, and that are in the bucket
    all the same: their rows are audited with the others. `unsent` files of the schedule were never sent, `unreported`
    ones are in the bucket though Locust ended before it said so; neither counts loads that were ended on purpose.
    `redelivered` counts rows that were updated more than once, `settle_seconds` is from the last upload to rest.
    `usage` is what AWS would bill for, None where the engine does not tell.
    """

    outcomes: Sequence[FileOutcome]
    audit: AuditReport
    rows: int
    ambiguous: int
    unsent: int
    unreported: int
    redelivered: int
    settle_seconds: float
    usage: Mapping[str, Any] | None = None


def upload_latency(outcomes: Sequence[FileOutcome]) -> Latency:
    """Return how long uploads took, from each file's intended start; failed ones are not in it."""
    latency = Latency()
    for one in outcomes:
        if not one.sample.error:
            # A clock that was set back in between would give less than nothing.
            latency.record(max(0.0, one.sample.uploaded - one.sample.intended))
    return latency


def end_to_end_latency(outcomes: Sequence[FileOutcome]) -> Latency:
    """Return how long files took from their intended start to their last durable row."""
    latency = Latency()
    for one in outcomes:
        if one.completed is not None:
            latency.record(max(0.0, one.completed - one.sample.intended))
    return latency


@dataclass(frozen=True)
class Driven:
    """What a load's result is made of: the folder's name (`run`), the loads that were driven, one after the other, of
    which the last one stands for the run, and how long the warm-up before them was meant to last (0 without one)."""

    run: str
    engine: EngineReport
    began_at: float
    specs: Sequence[LoadSpec]
    options: LocustOptions
    parameters: Mapping[str, str]
    warmup_seconds: float
    examined: Examined[LoadFinding]
    warmed: Examined[LoadFinding] | None


class _Common(Deployed, Watched):
    spec: Mapping[str, Any]
    corpus: CorpusFigures
    tracker_cpu_share: float | None
    pipeline_seconds: float
    pipeline_rows_per_second: float | None
    stages: Mapping[str, StageFigures]
    audit: AuditFigures
    warmup_audit: AuditFigures | None
    usage: Mapping[str, Any] | None


def load_result(driven: Driven) -> LoadResult:
    """Return the result of a load."""
    outcomes = driven.examined.finding.outcomes
    return LoadResult(
        **_common(driven),
        load=_load_figures(driven, _halves(outcomes)),
        latencies=Latencies(
            upload=_distribution(upload_latency(outcomes)), end_to_end=_distribution(end_to_end_latency(outcomes))
        ),
    )


def saturation_result(driven: Driven, found: SaturationFigures) -> SaturationResult:
    """Return the result of a search. It has no latencies: those of different rates, overload among them, make no
    common distribution."""
    return SaturationResult(**_common(driven), load=_load_figures(driven, (None, None)), saturation=found)


def _common(driven: Driven) -> _Common:
    observed, found = driven.examined.observed, driven.examined.finding
    seconds = seconds_of(found.outcomes)
    return {
        **deployed(driven.run, driven.engine, driven.began_at, driven.parameters, observed),
        **watched(observed),
        "spec": driven.specs[-1].to_json(),
        "corpus": CorpusFigures(file_bytes=sum(s.bytes for s in _uploaded(found))),
        "tracker_cpu_share": round(observed.telemetry_cpu / observed.seconds, 4) if observed.seconds else None,
        "pipeline_seconds": round(seconds, 3),
        "pipeline_rows_per_second": round(found.rows / seconds, 1) if seconds else None,
        "stages": {name: totals.figures() for name, totals in observed.totals.items()},
        "audit": found.audit.figures(),
        "warmup_audit": driven.warmed.finding.audit.figures() if driven.warmed is not None else None,
        "usage": found.usage,
    }


def _load_figures(driven: Driven, halves: tuple[float | None, float | None]) -> LoadFigures:
    spec, found = driven.specs[-1], driven.examined.finding
    uploaded = _uploaded(found)
    lag = [max(0.0, s.started - s.intended) for s in uploaded]
    return LoadFigures(
        shape=spec.shape,
        arrivals=spec.arrivals,
        seconds=spec.seconds,
        rate=spec.rate,
        files=len(uploaded),
        rows=sum(s.rows for s in uploaded),
        files_per_second=round(spec.files_per_second, 4),
        rows_per_file=spec.rows_per_file,
        users=driven.options.users,
        processes=driven.options.processes or driven.options.workers or 1,
        uploads_failed=sum(1 for one in found.outcomes if one.sample.error),
        uploads_ambiguous=found.ambiguous,
        uploads_unreported=found.unreported,
        files_unsent=found.unsent,
        rows_redelivered=found.redelivered,
        files_without_completion=sum(1 for one in found.outcomes if not one.sample.error and one.completed is None),
        settle_seconds=round(found.settle_seconds, 3),
        generator_lag_ms=Lag(
            mean=round(1000 * sum(lag) / len(lag), 3) if lag else None, max=round(1000 * max(lag), 3) if lag else None
        ),
        halves_end_to_end_p50_ms=halves,
        warmup_seconds=driven.warmup_seconds,
        loads=[one.to_json() for one in driven.specs],
    )


def _uploaded(found: LoadFinding) -> list[Sample]:
    return [one.sample for one in found.outcomes if not one.sample.error]


def _distribution(latency: Latency) -> LatencyFigures:
    return msgspec.convert(latency.to_json(), LatencyFigures)


def seconds_of(outcomes: Sequence[FileOutcome]) -> float:
    """Return the seconds from the first intended start to the last durable row, 0 where there is none."""
    first = min((one.sample.intended for one in outcomes), default=0.0)
    last = max((one.completed for one in outcomes if one.completed is not None), default=0.0)
    return max(0.0, last - first)


def require_uploaded(found: LoadFinding, folder: Path) -> None:
    """Raise EnvironmentProblem unless every file of the schedule was sent and every upload is known to have succeeded:
    what was measured is otherwise another load than the one that was asked for."""
    failed = sum(1 for one in found.outcomes if one.sample.error)
    problems = []
    if failed:
        text, count = first_errors(found.outcomes, 1)[0]
        problems.append(f"{failed:,} uploads failed, {count:,} of them with: {text}")
    if found.unsent:
        problems.append(f"{found.unsent:,} files of the schedule were not sent")
    if found.unreported:
        problems.append(f"{found.unreported:,} files were sent, but Locust ended before it said so")
    if problems:
        # What failed is in the samples; why Locust did not send or say is in its own words.
        name = SAMPLES_FILE if len(problems) == 1 and failed else LOG_FILE
        raise EnvironmentProblem("; ".join(problems), hint=f"{folder}/{name} has more")


def first_errors(outcomes: Sequence[FileOutcome], limit: int = 5) -> list[tuple[str, int]]:
    """Return the most frequent upload errors, with their counts."""
    return Counter(one.sample.error for one in outcomes if one.sample.error).most_common(limit)


def write_samples(folder: Path, outcomes: Sequence[FileOutcome]) -> None:
    """Write `samples.jsonl`, a line a file, and the two histograms in HdrHistogram's encoding."""
    with (folder / SAMPLES_FILE).open("w") as lines:
        for one in outcomes:
            sample = one.sample
            lines.write(
                json.dumps(
                    {
                        "key": sample.key,
                        "source_id": one.source_id,
                        "version": sample.version,
                        "rows": sample.rows,
                        "bytes": sample.bytes,
                        "intended": round(sample.intended, 6),
                        "started": round(sample.started, 6),
                        "uploaded": round(sample.uploaded, 6),
                        "completed": one.completed,
                        "error": sample.error,
                    }
                )
                + "\n"
            )
    (folder / "upload.hdr").write_text(upload_latency(outcomes).encode())
    (folder / "end_to_end.hdr").write_text(end_to_end_latency(outcomes).encode())


def _halves(outcomes: Sequence[FileOutcome]) -> tuple[float | None, float | None]:
    """Return the median end-to-end latency of the files meant for the first and for the second half of the time, in
    milliseconds: a soak that slows down shows here. None where the sample does not support it."""
    if not outcomes:
        return None, None
    times = [one.sample.intended for one in outcomes]
    middle = (min(times) + max(times)) / 2
    first, second = (
        end_to_end_latency([o for o in outcomes if (o.sample.intended >= middle) is late]) for late in (False, True)
    )
    return _distribution(first).percentiles.get("50"), _distribution(second).percentiles.get("50")
