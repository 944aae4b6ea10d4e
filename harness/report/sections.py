"""The words and tables of a run's report: verdict, tiles, stages, rows that did not arrive, environment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.objectives import sentence
from harness.report.tables import Table, bytes_text, milliseconds_text, number, percent, seconds_text
from harness.results import (
    AuditFigures,
    ConsumptionFigures,
    DeployedResult,
    LatencyFigures,
    LoadResult,
    ObjectiveFigures,
    Outcome,
    Result,
    RunResult,
    SaturationFigures,
    SaturationResult,
    WatchedResult,
    describe_rule,
    memory_scope,
)

PUBLISHED_ROWS = 558_000
PUBLISHED_CLEAN_SECONDS = 90.0
PUBLISHED_INSERT_SECONDS = 300.0
"""The published design on AWS: so many rows cleaned and inserted in so many seconds; see README.md."""

STOLEN_NOTICE = 0.02
"""Share of CPU time withheld by a host from which rates are not comparable (docs/results.md)."""


@dataclass(frozen=True)
class Verdict:
    """The first thing a reader sees. `tone` is good, warn or bad; it never speaks alone, the words say it too."""

    tone: str
    word: str
    sentence: str


@dataclass(frozen=True)
class Tile:
    """One headline figure: what it is, the figure, its unit, and a note below."""

    label: str
    value: str
    unit: str = ""
    note: str = ""


def verdict_of(audit: AuditFigures, failed_uploads: int = 0) -> Verdict:
    """Return what the audit found, in a word and a sentence."""
    sentence = (
        f"{audit.rows:,} rows in = {audit.updated or 0:,} updated + {audit.quarantined_rows:,} quarantined "
        f"+ {audit.dead_lettered_rows:,} in dead-letter queues."
    )
    if stray := sum(sum(kinds.values()) for kinds in audit.unattributed.values()):
        sentence += f" {stray:,} dead-letter messages name no row."
    if not audit.conserved:
        problems = ", ".join(f"{count:,} × {name}" for name, count in audit.problems.items())
        return Verdict("bad", "Not conserved", f"{sentence} {problems or 'The sums do not agree'}.")
    if not audit.as_expected:
        return Verdict("bad", "Conserved, but not as expected", f"{sentence} Not every row is where it should be.")
    if failed_uploads:
        return Verdict("warn", f"Conserved, {failed_uploads:,} uploads failed or missing", sentence)
    checked = (
        "Every row was looked for, and found where its manifest says, for the reason it says, with the values it says."
        if audit.with_manifest
        else "Every row was looked for and found; values were not compared, as there is no manifest."
    )
    return Verdict("good", "Conserved", f"{sentence} {checked}")


def with_objectives(found: Verdict, objectives: Sequence[ObjectiveFigures]) -> Verdict:
    """Return the verdict of rows with what became of objectives; lost rows go before missed objectives."""
    failed = [one for one in objectives if one.outcome is not Outcome.KEPT]
    if not failed or found.tone == "bad":
        return found
    missed = any(one.outcome is Outcome.MISSED for one in failed)
    word = "objective missed" if missed else "objective not measured"
    return Verdict("bad" if missed else "warn", f"{found.word}; {word}", f"{found.sentence} {_said(failed)}")


def _said(objectives: Sequence[ObjectiveFigures]) -> str:
    return "; ".join(sentence(one) for one in objectives) + "."


def objectives_table(objectives: Sequence[ObjectiveFigures]) -> Table | None:
    """Return each objective with what was found; None where there were none."""
    if not objectives:
        return None
    rows = tuple(
        (one.metric, one.outcome.value, f"{one.comparison} {number(one.limit)}", number(one.value), one.unit)
        for one in objectives
    )
    return Table("Objectives", ("figure", "outcome", "asked for", "found", "unit"), rows, 2)


def run_tiles(result: WatchedResult) -> list[Tile]:
    """Return the headline figures of a run, a load or a search for saturation."""
    audit = result.audit
    lost = audit.problems.get("lost", 0)
    return [
        *_sustained_tile(result),
        Tile("through all stages", number(result.pipeline_rows_per_second), "rows/s", _rows_in(result)),
        *_driven_tiles(result),
        Tile("lost", f"{lost:,}", "rows", f"{audit.dead_lettered_rows:,} in dead-letter queues"),
        _tile("peak memory", bytes_text(result.memory_peak_bytes), memory_scope(result.engine.name)),
        Tile("harness", percent(result.harness_cpu_share), "of a core", "to watch all this"),
    ]


def _sustained_tile(result: WatchedResult) -> list[Tile]:
    if not isinstance(result, SaturationResult):
        return []
    above = result.saturation.not_sustained_rows_per_second
    note = "no higher rate failed" if above is None else f"{number(above)} rows/s are not"
    return [Tile("sustained", number(result.saturation.rows_per_second), "rows/s", note)]


def _driven_tiles(result: WatchedResult) -> list[Tile]:
    if isinstance(result, LoadResult):
        load, latencies = result.load, result.latencies
        return [
            Tile("latency, upload", *_percentile_words(latencies.upload)),
            Tile("latency, end to end", *_percentile_words(latencies.end_to_end)),
            Tile("uploads", f"{load.files:,}", "files", f"{load.uploads_failed:,} failed; {load.shape} load"),
        ]
    if isinstance(result, RunResult):
        insert = result.stages.get("insert")
        rate = insert.rows_per_second if insert is not None else None
        return [
            Tile("insert", number(rate), "rows/s", "while every later stage runs"),
            _tile("clean", seconds_text(result.clean_seconds), "from the upload's end"),
        ]
    return []


def consumption_table(consumption: ConsumptionFigures) -> Table:
    """Return what each table consumed and what it throttled."""
    rows = []
    for name, used in consumption.tables.items():
        words = ", ".join(
            f"{count:,} × {reason} ({used.throttled_items.get(reason, 0):,} items)"
            for reason, count in sorted(used.throttled_requests.items())
        )
        rows.append(
            (
                name,
                words or "none",
                f"{used.write_units:,.0f}",
                f"{used.read_units:,.1f}",
                f"{used.stream_reads:,}",
                f"{sum(used.throttled_requests.values()):,}",
            )
        )
    columns = ("table", "reasons", "write units", "read units", "stream reads", "requests throttled")
    return Table("Capacity by table", columns, tuple(rows), words=2)


def _tile(label: str, text: str, note: str) -> Tile:
    value, _, unit = text.partition(" ")
    return Tile(label, value, unit, note)


def _rows_in(result: WatchedResult) -> str:
    return f"{result.audit.rows:,} rows in {seconds_text(result.pipeline_seconds)}"


def _percentile_words(found: LatencyFigures) -> tuple[str, str, str]:
    if not found.percentiles:
        return "–", "", f"{found.count:,} files support no percentile"
    (lowest, value), *rest = found.percentiles.items()
    amount, unit = milliseconds_text(value).split(" ")
    return (
        amount,
        f"{unit}, p{lowest}",
        ", ".join(f"p{p} {milliseconds_text(v)}" for p, v in rest if p in ("95", "99")) or "no higher one is supported",
    )


def published_table(result: WatchedResult) -> Table | None:
    """Return the published design's figures beside this run's; None where there is no clean time."""
    insert, rows = result.stages.get("insert"), result.audit.rows
    clean = result.clean_seconds if isinstance(result, RunResult) else None
    if clean is None or not rows:
        return None
    published = PUBLISHED_ROWS / PUBLISHED_CLEAN_SECONDS, PUBLISHED_ROWS / PUBLISHED_INSERT_SECONDS
    inserted = (insert.rows_per_second, insert.seconds) if insert is not None else (None, None)
    pairs = (
        (
            "clean, object to all batches in SQS",
            *_pair(published[0], rows / clean if clean > 0 else None, clean),
        ),
        ("insert, into the table", *_pair(published[1], *inserted)),
    )
    return Table(
        f"The published design on AWS ({PUBLISHED_ROWS:,} rows) beside this run ({rows:,} rows)",
        ("stage", "published, rows/s", "this run, rows/s", "ratio", "this run, duration"),
        pairs,
    )


def _pair(published: float, ours: float | None, seconds: float | None) -> tuple[str, str, str, str]:
    ratio = "–" if ours is None else f"{ours / published:.2f} ×"
    return number(published), number(ours), ratio, seconds_text(seconds)


def stage_table(result: Result) -> Table:
    """Return the stages with their sums."""
    stages = result.stages if isinstance(result, DeployedResult) else {}
    shares = result.share_of_baseline if isinstance(result, RunResult) else {}
    dead = result.audit.dead_letters
    rows = tuple(
        (
            name,
            f"{totals.rows_ok:,}",
            seconds_text(totals.seconds),
            number(totals.rows_per_second),
            percent(shares.get(name), 0),
            f"{totals.invocations:,}",
            f"{totals.rows_failed:,}",
            f"{sum(dead.get(name, {}).values()):,}",
        )
        for name, totals in stages.items()
    )
    columns = ("stage", "rows", "duration", "rows/s", "of baseline", "invocations", "refused, each receive", "DLQ rows")
    return Table("Stages, from the functions' own telemetry", columns, rows)


def rejected_table(audit: AuditFigures) -> Table:
    """Return where rows that were not updated are, and why: quarantine and dead-letter queues by reason."""
    rows = [("quarantine", reason, f"{count:,}") for reason, count in sorted(audit.quarantined.items())]
    for stage, reasons in audit.dead_letters.items():
        rows += [(f"{stage} DLQ", reason, f"{count:,}") for reason, count in sorted(reasons.items())]
    return Table("Rows in quarantine and dead-letter queues, by reason", ("where", "reason", "rows"), tuple(rows), 2)


def unattributed_table(audit: AuditFigures) -> Table | None:
    """Return the dead-letter messages that name no row, by stage and what they are; None where there are none."""
    found = audit.unattributed
    rows = [(f"{stage} DLQ", what, f"{n:,}") for stage, kinds in found.items() for what, n in sorted(kinds.items())]
    if not rows:
        return None
    return Table("Dead-letter messages that name no row", ("where", "what", "messages"), tuple(rows), 2)


def object_table(result: DeployedResult) -> Table | None:
    """Return how clean read its objects, and which were refused as a whole; None where it said nothing of either."""
    clean = result.stages.get("clean")
    notes = clean.notes if clean is not None else {}
    rows = [("delimiter", name, f"{count:,}") for name, count in sorted(notes.get("delimiter", {}).items())]
    rows += [("refused as a whole", why, f"{count:,}") for why, count in sorted(notes.get("rejected", {}).items())]
    if not rows:
        return None
    return Table("Objects, as the clean function read them", ("what", "", "invocations"), tuple(rows), 2)


def problem_table(audit: AuditFigures) -> Table | None:
    """Return the rows that are not as they should be, the first ones by name; None where there are none."""
    if not audit.problems:
        return None
    rows = [(f"{f.key} row {f.row}".strip(), f.problem, f.detail) for f in audit.findings]
    total = sum(audit.problems.values())
    caption = f"Rows that are not as they should be: {total:,}, the first {len(rows)} of them"
    return Table(caption, ("row", "problem", "detail"), tuple(rows), 3)


def function_table(result: DeployedResult) -> Table | None:
    """Return the engine's figures of every function; None where it keeps none."""
    if not result.engine.functions:
        return None
    rows = tuple(
        (
            name,
            f"{f.invocations:,}",
            f"{f.errors:,}",
            f"{f.timeouts:,}",
            f"{f.throttles:,}",
            f"{f.max_concurrency:,}",
            f"{f.cold_starts:,}",
            milliseconds_text(f.init_ms.p50),
            milliseconds_text(f.duration_ms.p50),
            milliseconds_text(f.duration_ms.p95),
            milliseconds_text(f.duration_ms.max),
            f"{f.max_memory_mb:,} MB",
            seconds_text(f.billed_ms / 1000),
        )
        for name, f in result.engine.functions.items()
    )
    columns = (
        "function", "invocations", "errors", "time-outs", "throttles", "peak concurrency", "cold starts", "init p50",
        "p50", "p95", "max", "max memory", "billed",
    )  # fmt: skip
    return Table("Functions, as the engine saw them", columns, rows)


def saturation_table(found: SaturationFigures) -> Table:
    """Return the steps of a search for the highest sustained rate, and why each was judged as it was."""
    rows = tuple(
        (
            f"{index}",
            step.verdict,
            step.reason,
            number(step.rate),
            seconds_text(step.seconds),
            seconds_text(step.oldest_last),
            seconds_text(step.drain_seconds),
        )
        for index, step in enumerate(found.steps, start=1)
    )
    columns = ("step", "verdict", "why", "offered, rows/s", "load", "oldest file at its end", "drained in")
    return Table(f"Steps of the search, which ended by {found.ended_by}", columns, rows, 3)


def baseline_table(result: Result) -> Table | None:
    """Return the engine's bare rates of just before the run; None where they were not measured."""
    loops = result.baseline if isinstance(result, RunResult) else ()
    if not loops:
        return None
    rows = tuple(
        (
            loop.name,
            f"{loop.clients}",
            number(loop.calls / loop.seconds if loop.seconds else None),
            number(loop.items_per_second),
            f"{loop.server_cpu_ms:.2f} ms",
        )
        for loop in loops
    )
    columns = ("call", "clients", "calls/s", "items/s", "server CPU a call")
    return Table("The engine's baseline: bare loops, alone with the engine, just before the run", columns, rows)


def environment_tables(result: Result) -> list[Table]:
    """Return what the run ran on and with: machine, code, versions, limits in force, parameters."""
    seen = result.fingerprint
    known = {True: ", with uncommitted changes", False: "", None: ", state of the files unknown"}
    stolen = result.cpu_stolen_share if isinstance(result, WatchedResult) else None
    machine = [
        ("CPU", seen.cpu),
        ("cores", str(seen.cores or "unknown")),
        ("memory", bytes_text(seen.memory_bytes)),
        ("system", seen.system),
        ("Python", seen.python),
        ("commit", (seen.git_sha[:12] or "unknown") + known[seen.git_dirty]),
        ("CPU time withheld by the host", percent(stolen)),
    ]
    tables = [_pairs("Machine and code", machine), _pairs("Input", _input(result))]
    versions = dict(seen.packages)
    if isinstance(result, DeployedResult):
        engine = result.engine
        versions |= engine.versions
        tables.append(_pairs(f"Limits in force on engine {engine.name}", engine.limits.items()))
        tables.append(_pairs("Template parameters that were set", result.parameters.items()))
    return [*tables, _pairs("Versions", sorted(versions.items()))]


def chaos_table(result: DeployedResult) -> Table | None:
    """Return what chaos rules did, a row a rule; None where no faults were asked for."""
    rules = result.engine.chaos
    if not rules:
        return None
    rows = tuple(
        (str(rule["rule"]), describe_rule(rule), f"{rule['matched']:,}", f"{rule['injected']:,}") for rule in rules
    )
    return Table("Chaos: faults that were injected", ("rule", "what", "requests matched", "injected"), rows, 2)


def _input(result: Result) -> list[tuple[str, str]]:
    found = [(name, str(value)) for name, value in result.spec.items()]
    found.append(("bytes", f"{result.corpus.file_bytes:,}"))
    if result.corpus.sha256:
        found.append(("SHA-256", result.corpus.sha256))
    return found


def _pairs(caption: str, pairs: Iterable[tuple[Any, Any]]) -> Table:
    rows = tuple((str(name), str(value)) for name, value in pairs)
    return Table(caption, ("what", "value"), rows or (("none", ""),), 2)
