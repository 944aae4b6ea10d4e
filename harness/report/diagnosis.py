"""What limits a run, read from its time series: host, server, CPU, pollers, concurrency, the load itself. Pure.

Every finding states the figures it rests on, so that a reader can disagree. The thresholds are constants below.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from harness.report.series import Series, StageSeries, mean, share
from harness.results import LoadedResult, WatchedResult

STOLEN = 0.02
"""Share of CPU time withheld by the host from which rates are said to be too low."""

SERVER_BUSY = 0.85
"""Cores used by the data services, one Python process, from which it counts as full."""

MACHINE_BUSY = 0.9
"""Share of all CPU time, used or withheld, from which the machine counts as full."""

OFTEN = 0.5
"""Share of a stage's seconds in which something must hold to be named."""

HARNESS_CORES = 0.05
"""What the harness itself may use, in cores."""

SERVER = "data-services"
_NAMES = {
    SERVER: "the data services",
    "queues": "the queues",
    "functions": "the functions",
    "lambda-service": "the Lambda service",
    "harness": "the harness",
    "locust": "Locust",
    "other": "other processes of the run",
}


@dataclass(frozen=True)
class Limit:
    """One finding: what it is about (`host`, `server`, `client`, `cpu`, `poller`, `concurrency`, `stage`, `engine`,
    `load`, `harness` or `unknown`), a headline, and the figures behind it."""

    about: str
    headline: str
    evidence: str


def limits_of(series: Series, result: WatchedResult) -> list[Limit]:
    """Return what limited the run, most telling first; the series should end where the work ended."""
    if not series.seconds:
        return [Limit("unknown", "Not known: there is no time series", "The run left no timeseries.jsonl.")]
    cores = result.fingerprint.cores or 1
    found = [
        *_host(series),
        *_engine(result),
        *_processor(series, cores),
        *_stages(series, cores),
        *_harness(series, result),
    ]
    if all(limit.about in ("harness", "engine") for limit in found):
        found.append(_nothing(series, result, cores))
    return found


def _host(series: Series) -> list[Limit]:
    stolen = fmean(series.steal)
    if stolen < STOLEN:
        return []
    worst = max(series.steal)
    return [
        Limit(
            "host",
            f"The host withheld {stolen:.0%} of this machine's CPU time",
            f"CPU steal was {stolen:.1%} on average and {worst:.0%} in the worst second. Rates are too low by more "
            "than that; do not compare them with a quiet machine's.",
        )
    ]


def _engine(result: WatchedResult) -> list[Limit]:
    text = result.engine.limits.get("concurrency", "")
    if result.engine.name != "localstack" or not text:
        return []
    return [Limit("engine", "LocalStack decides the concurrency, not the template", f"It says: {text}.")]


def _processor(series: Series, cores: int) -> list[Limit]:
    used = {name: fmean(values) for name, values in series.cpu.items()}
    whole = fmean(series.busy) + fmean(series.steal)
    ranked = sorted(((cpu, name) for name, cpu in used.items() if cpu >= 0.005), reverse=True)
    split = ", ".join(f"{_NAMES.get(name, name)} {cpu:.2f}" for cpu, name in ranked)
    evidence = f"Cores used on average: {split} of {cores}; the machine was busy {whole:.0%} of the time."
    found = []
    if used.get(SERVER, 0.0) >= SERVER_BUSY:
        found.append(
            Limit(
                "server",
                f"Server: the data services' one process is full, at {used[SERVER]:.2f} of the one core it can use",
                evidence,
            )
        )
    if whole >= MACHINE_BUSY and ranked:
        most, name = ranked[0]
        outside = max(0.0, fmean(series.busy) * cores - sum(used.values()))
        note = f" Processes outside this run used {outside:.2f} cores." if outside >= 0.1 * cores else ""
        about, who = {SERVER: "server", "functions": "client"}.get(name, "cpu"), _NAMES.get(name, name)
        if outside > most:
            about, who = "host", "processes that are not the run's"
        headline = f"CPU: the machine is full ({whole:.0%} of {cores} cores), the largest part used by {who}"
        found.append(Limit(about, headline, evidence + note))
    return found


def _stages(series: Series, cores: int) -> list[Limit]:
    found = []
    behind = {name: share([n > 0 for n in stage.queued]) for name, stage in series.stages.items()}
    if behind:
        name = max(behind, key=lambda n: behind[n])
        if behind[name] >= OFTEN:
            age = mean(series.stages[name].age)
            aged = "" if age is None else f"; its backlog was {age:.0f} s old on average"
            found.append(
                Limit(
                    "stage",
                    f"Stage {name} is the one that is waited for most",
                    f"Its queue held messages in {behind[name]:.0%} of all seconds{aged}.",
                )
            )
    for name, stage in series.stages.items():
        found += _concurrency(name, stage, fmean(series.busy) + fmean(series.steal), cores)
    return found


def _concurrency(name: str, stage: StageSeries, busy: float, cores: int) -> list[Limit]:
    samples = [
        (running, limit)
        for queued, running, limit in zip(stage.queued, stage.concurrency, stage.limit, strict=True)
        if queued > 0 and running is not None and limit
    ]
    if len(samples) < 5:
        return []
    at_limit = share([running >= limit for running, limit in samples])
    limit = max(limit for _, limit in samples)
    if at_limit >= OFTEN:
        more = (
            f"With the {cores} cores busy {busy:.0%} of the time, a higher limit would not help."
            if busy >= MACHINE_BUSY
            else "The machine had CPU left: a higher limit may help."
        )
        return [
            Limit(
                "concurrency",
                f"Concurrency: {name} ran at its limit of {limit:.0f} while messages waited",
                f"So it was in {at_limit:.0%} of {len(samples)} samples with a queue. {more}",
            )
        ]
    if busy < MACHINE_BUSY and share([running < limit for running, limit in samples]) >= OFTEN:
        return [
            Limit(
                "poller",
                f"Poller: messages for {name} waited though more of it might have run",
                f"In {1 - at_limit:.0%} of {len(samples)} samples with a queue fewer than the {limit:.0f} allowed "
                "invocations ran: receiving, not working, took the time.",
            )
        ]
    return []


def _harness(series: Series, result: WatchedResult) -> list[Limit]:
    own = result.harness_cpu_share
    if own is None:
        own = fmean(series.cpu["harness"]) if series.cpu.get("harness") else 0.0
    if own <= HARNESS_CORES:
        return []
    return [
        Limit(
            "harness",
            f"The harness itself used {own:.0%} of a core",
            f"More than {HARNESS_CORES:.0%} means that watching takes part in what is measured.",
        )
    ]


def _nothing(series: Series, result: WatchedResult, cores: int) -> Limit:
    busy = fmean(series.busy)
    if isinstance(result, LoadedResult):
        return Limit(
            "load",
            "The load that was offered: the pipeline kept up",
            f"No queue held messages in more than {OFTEN:.0%} of the seconds, and {cores} cores were busy {busy:.0%}.",
        )
    return Limit(
        "unknown",
        "No single limit stands out",
        f"{cores} cores were busy {busy:.0%}; no queue held messages in more than {OFTEN:.0%} of the seconds.",
    )
