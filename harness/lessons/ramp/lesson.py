"""The lesson `ramp`: the published peak of 267 invocations is how far the pollers of 2021 had come; what they do today.

Everything happens in virtual time with the Lambda service's own scaling (`simulation.py`), so `quick` changes nothing.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass

from harness.cost.published import BATCH, INSERT_SECONDS, PEAK_CONCURRENCY, ROWS
from harness.data_plane.tables.capacity import ON_DEMAND_START
from harness.lambda_service.concurrency import (
    ACCOUNT_CONCURRENCY,
    DEFAULT_MAX_POLLERS,
    DEFAULT_MIN_POLLERS,
    ENVIRONMENTS_AT_ONCE,
    ENVIRONMENTS_PER_SECOND,
    LOOK_SECONDS,
    PollerScaling,
    Profile,
    ProvisionedPollers,
    Scaling,
    profile_named,
)
from harness.lessons.model import Comparison, Finding, Line, Plot, Setting
from harness.lessons.ramp.simulation import Backlog, Drained, drain
from harness.lessons.rules import Check, judged
from harness.observation.display import clock

MESSAGE_BYTES = 1000
"""A row's message. Assumed, as the items of at most 1 KB in `harness/cost/published.py`; what pollers carry in bytes
would only matter from 10 KB on."""

OUR_ROWS_PER_MESSAGE, OUR_BATCH = 250, 10
"""RowsPerMessage and InsertBatchSize of `handlers/template.yaml`; a test holds them to it."""

PEAK_TOLERANCE, SECONDS_TOLERANCE = 0.02, 0.15
"""How far a reproduced figure may be from the published one. The insert's time was published in whole minutes."""

MOST_BATCH = 10_000
"""BatchSize of an SQS event source mapping at most (Lambda API, CreateEventSourceMapping)."""

RAISED_ACCOUNT = 20_000
"""An account limit above every scaling shown; limits above 1,000 are granted on request (Lambda quotas)."""

RAMP_MINUTES = 25
"""How long the picture of the ramps alone is: the slowest one to its ceiling takes 17, provisioned pollers 18."""


@dataclass(frozen=True)
class Scenario:
    """One way to scale: its name, what makes its scaling afresh, the account's limit."""

    name: str
    make: Callable[[], Scaling]
    account: int = ACCOUNT_CONCURRENCY


def _ramp(profile: str) -> Callable[[], Scaling]:
    return lambda: PollerScaling(profile_named(profile), None)


THEN = Scenario("2021: 5, then 60 more a minute", _ramp("2021"))
TODAY = (
    Scenario("2026: 5, then 300 more a minute", _ramp("2026")),
    Scenario(f"provisioned pollers, {DEFAULT_MIN_POLLERS} to {DEFAULT_MAX_POLLERS}", ProvisionedPollers),
    Scenario("provisioned pollers, 200 to 2,000", lambda: ProvisionedPollers(200, 2_000)),
    Scenario(
        f"provisioned pollers, 200 to 2,000, account limit {RAISED_ACCOUNT:,}",
        lambda: ProvisionedPollers(200, 2_000),
        RAISED_ACCOUNT,
    ),
)


class RampLesson:
    """The lesson `ramp`, see `harness.lessons.model.Lesson`."""

    name = "ramp"
    title = "A queue's backlog starts slowly: the pollers grow by a fixed number a minute, whatever waits"
    published = (
        f"{ROWS:,} rows, one a message, were inserted in about 5 minutes. The insert function ran at most "
        f"{PEAK_CONCURRENCY} times at once, though an account allows {ACCOUNT_CONCURRENCY:,} by default."
    )
    rule = (
        "In 2021 a standard queue's mapping started with 5 batches at a time and added up to 60 a minute, to 1,000 "
        '(AWS Compute Blog, "Understanding how AWS Lambda scales with Amazon SQS standard queues"). Today it starts '
        "with 5 and adds up to 300 a minute, to 1,250; in provisioned mode each poller handles up to 10 concurrent "
        "invocations, 10 polls and 1 MB a second, and Lambda adds up to 1,000 concurrency a minute between the "
        'configured minimum and maximum (AWS Lambda Developer Guide, "Configuring scaling behavior for SQS event '
        'source mappings"). A function gets at most 1,000 new execution environments in 10 seconds (same guide, '
        '"Lambda scaling behavior"), and an account runs 1,000 invocations at a time unless more are granted ("Lambda '
        'quotas").'
    )
    ours = (
        f"A message holds {OUR_ROWS_PER_MESSAGE} rows instead of one, so the same file is "
        f"{-(-ROWS // OUR_ROWS_PER_MESSAGE):,} messages, and a batch of {OUR_BATCH} inserts "
        f"{OUR_BATCH * OUR_ROWS_PER_MESSAGE:,} rows by BatchWriteItem: few environments do much while the pollers are "
        "still few. MaximumConcurrency of each mapping says how far it may go. `harness run --profile 2021` and "
        "`--profile 2026` run the pipeline under AWS's ramps."
    )

    def seconds(self, *, quick: bool) -> float:  # noqa: ARG002  a simulation has no shorter form
        """Return about how long it takes on two cores."""
        return 4.0

    def run(self, setting: Setting) -> Finding:
        """Return what the simulations found; raises nothing."""
        backlog = published_backlog(profile_named("2021"))
        setting.progress(0.0, "the ramp of 2021")
        then = drain(backlog, THEN.make(), THEN.account)
        longer = longer_batches(then.received_at)
        slow = drain(longer, THEN.make(), THEN.account)
        found = []
        for index, scenario in enumerate(TODAY, start=1):
            setting.progress(index / (len(TODAY) + 1), scenario.name)
            found.append((scenario, drain(backlog, scenario.make(), scenario.account)))
        verdict, reason = judged(checks(then))
        return Finding(
            verdict,
            reason,
            [*_published(then, longer, slow), *(_today(scenario, backlog, drained) for scenario, drained in found)],
            [_picture([(THEN, then), *found]), _ramps()],
            _notes(backlog, longer, found[0][1]),
        )


def published_backlog(profile: Profile) -> Backlog:
    """Return the published backlog, every row a message, in batches of 10.

    The seconds a row takes are not published. They are chosen so that the queue is empty in the middle of the second in
    which `profile`'s ramp stands at the published peak: what the pollers can do until then, divided by the rows.
    """
    scaling = PollerScaling(profile, None)
    scaling.observe(True, 0.0)
    busy = reached = now = 0.0
    while now < INSERT_SECONDS and scaling.allowed(now) <= PEAK_CONCURRENCY:
        if scaling.allowed(now) < PEAK_CONCURRENCY:
            reached = busy
        busy += scaling.allowed(now) * LOOK_SECONDS
        now += LOOK_SECONDS
    return Backlog(ROWS, BATCH, (reached + busy) / 2 / ROWS, MESSAGE_BYTES)


def longer_batches(received_at: float) -> Backlog:
    """Return the backlog in batches that last from `received_at`, when the queue is empty, until the published end: the
    smallest under which the ramp of 2021 goes no further than the published peak."""
    seconds = INSERT_SECONDS - received_at

    def backlog(size: int) -> Backlog:
        return Backlog(ROWS, size, seconds / size, MESSAGE_BYTES)

    sizes = range(BATCH, MOST_BATCH)
    fits = bisect.bisect_left(sizes, True, key=lambda size: drain(backlog(size), THEN.make()).peak <= PEAK_CONCURRENCY)
    return backlog(sizes.start + fits)


def checks(then: Drained) -> list[Check]:
    """Return the parts of the rule: the peak within 2%; the time, which is published in whole minutes, within 15%."""
    peak, seconds = then.peak / PEAK_CONCURRENCY - 1, then.seconds / INSERT_SECONDS - 1
    return [
        Check(
            f"{then.peak} invocations run after {clock(then.peak_at)}, when the queue is empty "
            f"(rule: {PEAK_CONCURRENCY}, within {PEAK_TOLERANCE:.0%})",
            abs(peak) <= PEAK_TOLERANCE,
        ),
        Check(
            f"the last ends after {clock(then.seconds)} "
            f"(rule: {clock(INSERT_SECONDS)}, within {SECONDS_TOLERANCE:.0%})",
            abs(seconds) <= SECONDS_TOLERANCE,
        ),
    ]


def _published(then: Drained, longer: Backlog, slow: Drained) -> list[Comparison]:
    batch = f"{longer.batch_size} rows, {longer.batch_size * longer.seconds_per_message:.0f} s each"
    return [
        Comparison("peak concurrency", str(PEAK_CONCURRENCY), f"{then.peak}, at {clock(then.peak_at)}"),
        Comparison("time to insert all rows", "5 minutes", f"{clock(then.seconds)}, in batches of {BATCH}"),
        Comparison(
            f"both, in batches of {batch}",
            f"{PEAK_CONCURRENCY}, 5 minutes",
            f"{slow.peak} at {clock(slow.peak_at)}, all in {clock(slow.seconds)}",
        ),
    ]


def _today(scenario: Scenario, backlog: Backlog, drained: Drained) -> Comparison:
    rate = drained.peak / backlog.seconds_per_message
    refused = f", {drained.throttles:,} invocations throttled" if drained.throttles else ""
    return Comparison(
        f"the same backlog: {scenario.name}",
        "",
        f"peak {drained.peak:,} at {clock(drained.peak_at)}, all in {clock(drained.seconds)}; "
        f"{rate:,.0f} rows/s at the peak{refused}",
    )


def _picture(found: list[tuple[Scenario, Drained]]) -> Plot:
    return Plot(
        f"Invocations at a time while {ROWS:,} rows are inserted",
        "minutes since the first message",
        "invocations at a time",
        [Line(scenario.name, [(at / 60, running) for at, running in drained.samples]) for scenario, drained in found],
    )


def _ramps() -> Plot:
    """Return the ramps alone, under a backlog that does not end."""
    lines = []
    for scenario in (THEN, *TODAY[:3]):
        scaling = scenario.make()
        scaling.observe(True, 0.0)
        quarters = range(RAMP_MINUTES * 4 + 1)
        lines.append(Line(scenario.name, [(n / 4, float(scaling.allowed(n * 15.0))) for n in quarters]))
    return Plot(
        "What the pollers may do while a backlog lasts, before any other limit",
        "minutes since the first message",
        "invocations at a time",
        lines,
        log_y=True,
    )


def _notes(backlog: Backlog, longer: Backlog, today: Drained) -> list[str]:
    return [
        "Simulated in virtual time with the scaling code of this project's Lambda service; nothing ran on AWS.",
        f"Assumed: all {ROWS:,} messages of {MESSAGE_BYTES:,} bytes wait at the start (they were sent within 90 s, "
        f"faster than the pollers took them), batches of {BATCH}, the default; rows of a batch are written one after "
        "the other; no other function runs, no batch fails or is delivered twice, a cold start takes no time.",
        f"Chosen: {backlog.seconds_per_message * 1000:.1f} ms a row, so that the queue is empty when the ramp stands "
        f"at {PEAK_CONCURRENCY}. That the insert then ends near the published 5 minutes follows from the ramp alone.",
        *_notes_of_time(longer),
        *_notes_of_limits(backlog, today),
        "AWS documents how many pollers come in a minute, not how they spread over it: here they come evenly.",
    ]


def _notes_of_time(longer: Backlog) -> list[str]:
    whole = _ramp("2021")()
    whole.observe(True, 0.0)
    seconds = longer.batch_size * longer.seconds_per_message
    return [
        f"A ramp that lasted the whole 5 minutes would have come to {whole.allowed(INSERT_SECONDS)}, so the pollers "
        "had stopped growing before. The rest of the time may be a rounded figure, messages that came back after "
        f"their visibility timeout, or long batches: with {longer.batch_size} rows and {seconds:.0f} s a batch, "
        f"{longer.seconds_per_message * 1000:.0f} ms a row, both published figures hold exactly. The figures do not "
        "tell which.",
    ]


def _notes_of_limits(backlog: Backlog, today: Drained) -> list[str]:
    writes = ON_DEMAND_START["Write"]
    row = backlog.seconds_per_message
    passed = next((at for at, running in today.samples if running / row > writes), today.seconds)
    return [
        f"No table is simulated. {PEAK_CONCURRENCY} invocations write {PEAK_CONCURRENCY / row:,.0f} rows/s, about what "
        f"a new table on demand takes ({writes:,.0f} writes/s). Today's ramp passes that after {clock(passed)}, and "
        f"{ROWS:,} rows need {clock(ROWS / writes)} there however many pollers come: the table is the next limit.",
        "Provisioned pollers poll 10 times a second each. With one row a message and batches of 10 that is at most "
        "100 rows/s a poller, and fewer than 10 invocations at a time where a batch takes less than a second.",
        f"Pollers above the account's limit of {ACCOUNT_CONCURRENCY:,} only have more invocations throttled. Where it "
        f"is raised, the function's own limit shows: {ENVIRONMENTS_AT_ONCE:,} environments at once, then "
        f"{ENVIRONMENTS_PER_SECOND} more a second.",
    ]
