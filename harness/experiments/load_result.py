"""What a load session leaves in its folder: result.json, the raw samples, the histograms."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.engines.base import Engine
from harness.errors import EnvironmentProblem
from harness.fingerprint import fingerprint
from harness.load.locust_process import LOG_FILE, LocustOptions
from harness.load.schedule import LoadSpec
from harness.experiments.load_driver import FileOutcome, Found
from harness.observation.usage import HARNESS
from harness.stats.latency import Latency

SAMPLES_FILE = "samples.jsonl"


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


def load_result(
    engine: Engine, specs: Sequence[LoadSpec], options: LocustOptions, found: Found, parameters: dict[str, str]
) -> dict[str, Any]:
    """Return the fields of result.json that loads share; docs/results.md explains them.

    `specs` are the loads that were driven, one after the other; the last one stands for the run.
    """
    spec = specs[-1]
    report = engine.report()
    outcomes = found.outcomes
    uploaded = [one.sample for one in outcomes if not one.sample.error]
    first = min((one.sample.intended for one in outcomes), default=0.0)
    last = max((one.completed for one in outcomes if one.completed is not None), default=0.0)
    seconds = last - first if last > first else 0.0
    lag = [max(0.0, s.started - s.intended) for s in uploaded]
    return {
        "kind": "load",
        "began": round(found.began, 3),
        "watched_seconds": round(found.seconds, 3),
        "engine": vars(report) | {"versions": dict(report.versions)},
        "spec": spec.to_json(),
        "corpus": {"file_bytes": sum(s.bytes for s in uploaded)},
        "parameters": parameters,
        "fingerprint": fingerprint(),
        "load": {
            "shape": spec.shape,
            "arrivals": spec.arrivals,
            "seconds": spec.seconds,
            "rate": spec.rate,
            "files": len(uploaded),
            "rows": sum(s.rows for s in uploaded),
            "files_per_second": round(spec.files_per_second, 4),
            "rows_per_file": spec.rows_per_file,
            "users": options.users,
            "processes": options.processes or options.workers or 1,
            "uploads_failed": sum(1 for one in outcomes if one.sample.error),
            "uploads_ambiguous": found.ambiguous,
            "uploads_unreported": found.unreported,
            "files_unsent": found.unsent,
            "rows_redelivered": found.redelivered,
            "files_without_completion": sum(1 for one in outcomes if not one.sample.error and one.completed is None),
            "settle_seconds": round(found.settle_seconds, 3),
            "generator_lag_ms": {
                "mean": round(1000 * sum(lag) / len(lag), 3) if lag else None,
                "max": round(1000 * max(lag), 3) if lag else None,
            },
            "halves_end_to_end_p50_ms": _halves(outcomes),
            "loads": [one.to_json() for one in specs],
        },
        "latencies": {
            "upload": upload_latency(outcomes).to_json(),
            "end_to_end": end_to_end_latency(outcomes).to_json(),
        },
        "pipeline_seconds": round(seconds, 3),
        "pipeline_rows_per_second": round(found.rows / seconds, 1) if seconds else None,
        "stages": {name: totals.to_json() for name, totals in found.totals.items()},
        "audit": found.audit.to_json(),
        "memory_peak_bytes": found.memory_peak,
        "harness_cpu_share": round(found.cpu_seconds[HARNESS] / found.seconds, 4) if found.seconds else None,
        "tracker_cpu_share": round(found.tracker_cpu / found.seconds, 4) if found.seconds else None,
        "cpu_stolen_share": round(found.cpu_stolen, 4),
        "cpu_seconds": {group: round(seconds, 3) for group, seconds in found.cpu_seconds.items()},
        "log_bytes": found.log_bytes,
        "consumption": found.consumption.to_json() if found.consumption is not None else None,
        **found.doubt.to_json(),
    }


def require_uploaded(found: Found, folder: Path) -> None:
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


def _halves(outcomes: Sequence[FileOutcome]) -> list[float | None]:
    """Return the median end-to-end latency of the files meant for the first and for the second half of the time, in
    milliseconds: a soak that slows down shows here. None where the sample does not support it."""
    if not outcomes:
        return [None, None]
    times = [one.sample.intended for one in outcomes]
    middle = (min(times) + max(times)) / 2
    parts = ([o for o in outcomes if o.sample.intended < middle], [o for o in outcomes if o.sample.intended >= middle])
    return [end_to_end_latency(part).to_json()["percentiles"].get("50") for part in parts]
