"""Follows a run through the engine's public API until it is settled, or stuck."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from harness.engines.base import Deployment, Engine
from harness.errors import StageStuck
from harness.queues import QueueDepths, read_depths
from harness.run.display import Display
from harness.run.progress import Progress, Snapshot, explain
from harness.run.usage import HARNESS, Usage, UsageSampler, machine_shares
from harness.stages import STAGES
from harness.telemetry import StageTotals, TelemetryReader

TICK_SECONDS = 1.0
SETTLE_SECONDS = 10.0
"""Nothing queued and nothing moving for this long ends a run whose rows do not add up; longer than any pause that a
batching window or a retry of the default template causes."""


@dataclass(frozen=True)
class Watched:
    """What watching found: the last snapshot, sums per stage, and what it cost.

    `memory_peak` is bytes of all processes of the run together, `harness_cpu` CPU seconds of this process,
    `cpu_stolen` the share of the machine's CPU time that its host gave to others meanwhile, `cpu_seconds` CPU
    seconds by group of processes (see `harness.run.usage`).
    """

    snapshot: Snapshot
    totals: Mapping[str, StageTotals]
    log_bytes: int
    seconds: float
    memory_peak: int
    harness_cpu: float
    cpu_stolen: float
    cpu_seconds: Mapping[str, float]


def watch(
    engine: Engine,
    deployment: Deployment,
    expected_rows: int,
    sources: set[str],
    display: Display,
    *,
    before: QueueDepths,
    stall_timeout: float,
    series: Path,
    began: float,
) -> Watched:
    """Return when the run is settled; `began` is the monotonic time of the upload's start, `before` are the depths
    of that moment.

    Writes one JSON line per look to `series`. Raises StageStuck when nothing moves for `stall_timeout` seconds,
    EngineError when the engine dies.
    """
    groups = {s.name: deployment.output(s.log_group) for s in STAGES}
    reader = TelemetryReader(engine.client("logs"), groups, sources)
    progress = Progress(expected_rows, len(sources), SETTLE_SECONDS)
    usage = UsageSampler(getattr(engine, "pids", {}))
    started = time.monotonic()
    machine_before = psutil.cpu_times()
    peak = 0
    with series.open("w") as lines, display:
        while True:
            look = time.monotonic()
            engine.check()
            reader.poll()
            snapshot = progress.observe(
                look - began,
                reader.totals,
                read_depths(engine, deployment).since(before),
                activity=engine.activity(),
                arrived=expected_rows,
            )
            used = usage.sample()
            peak = max(peak, used.memory_bytes)
            lines.write(series_line(snapshot, used))
            display.show(snapshot)
            if progress.settled(snapshot):
                break
            if progress.still_for(snapshot) >= stall_timeout:
                raise StageStuck(
                    f"nothing has moved for {stall_timeout:.0f} s: {explain(snapshot, reader.totals)}",
                    hint="the run's folder has the time series; --stall-timeout waits longer",
                )
            time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - look)))
    seconds = time.monotonic() - started
    cpu_seconds = usage.cpu_seconds()
    # Lines that came late, out of order, were not seen above: the sums that stay are read anew, from the start.
    final = TelemetryReader(engine.client("logs"), groups, sources)
    final.poll()
    _, stolen = machine_shares(machine_before, psutil.cpu_times())
    return Watched(snapshot, final.totals, final.log_bytes, seconds, peak, cpu_seconds[HARNESS], stolen, cpu_seconds)


def series_line(snapshot: Snapshot, used: Usage) -> str:
    """Return one line of `timeseries.jsonl`; docs/results.md explains its fields."""
    return json.dumps({**asdict(snapshot), **asdict(used), "memory_bytes": used.memory_bytes}) + "\n"
