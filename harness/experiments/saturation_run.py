"""`harness bench saturation`: finds the highest rate that a pipeline sustains, a step of load at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.doctor.room import rows_that_fit
from harness.errors import EnvironmentProblem, UsageError
from harness.experiments.lifecycle import Examined, Setting, Testbed, judged
from harness.experiments.load_result import Driven, LoadFinding, saturation_result, write_samples
from harness.experiments.load_run import LocustLoads, all_conserved, rows_of, warm_up_load
from harness.experiments.rate_search import Judgement, RateSearch, StepVerdict, judge
from harness.experiments.reporter import Reporter
from harness.load.locust_process import LocustOptions
from harness.load.schedule import LoadSpec
from harness.results import SaturationFigures, SaturationResult, StepFigures

WARMUP_SECONDS = 5.0
"""Load before the first step, for functions to start."""

SETTLE_SECONDS = 5.0
"""The first part of a step, which is not judged: the backlog that any rate needs is being built."""

SHORTEST_SECONDS = 16.0
"""A step goes on at least this long: shorter ones have too few looks for a verdict."""

OVERHEAD_SECONDS = 12.0
"""What a step takes beyond its load, at a guess: starting Locust, and waiting for the backlog to go."""


@dataclass(frozen=True)
class SearchOptions:
    """What to search. A step ends once it is decided, or after `step_seconds` of load; `budget`
    is in seconds and bounds the search, not the audit after it. `room_here` ends it before a step whose rows
    would not fit here. Of `spec` a step takes what its files are like and the seed.

    Raises UsageError for a search that could not move or be decided.
    """

    start: float
    growth: float = 1.6
    resolution: float = 0.1
    step_seconds: float = 45.0
    budget: float = 240.0
    room_here: bool = True
    spec: LoadSpec = field(default_factory=LoadSpec)
    locust: LocustOptions = field(default_factory=LocustOptions)
    setting: Setting = field(default_factory=Setting)

    def __post_init__(self) -> None:
        for name in ("start", "resolution", "budget"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"--{name} is {value:g}, a number above 0 is needed")
        if not (math.isfinite(self.growth) and self.growth > 1):
            raise UsageError(f"the growth is {self.growth:g}, a number above 1 is needed")
        if not (math.isfinite(self.step_seconds) and self.step_seconds >= SHORTEST_SECONDS):
            raise UsageError(
                f"--step-seconds is {self.step_seconds:g}, too short for a verdict",
                hint=f"{SHORTEST_SECONDS:g} or more are needed",
            )
        # Refused now rather than when the first step begins.
        _step_spec(self, self.start, 0)


@dataclass(frozen=True)
class Step:
    """One step: the rate that was offered, what it showed and why, the age in seconds of the oldest unfinished file and
    the unfinished rows when judging began and ended, and how long the backlog took to go afterwards."""

    rate: float
    seconds: float
    judgement: Judgement
    oldest_first: float
    oldest_last: float
    unfinished_first: int
    unfinished_last: int
    drain_seconds: float

    @property
    def sustained(self) -> bool:
        """Whether the rate was sustained; undecided to the end counts as not."""
        return self.judgement.verdict is StepVerdict.SUSTAINED

    def figures(self) -> StepFigures:
        """Return what a result says of the step."""
        found = self.judgement
        return StepFigures(
            rate=round(self.rate, 3),
            seconds=round(self.seconds, 3),
            oldest_first=round(self.oldest_first, 3),
            oldest_last=round(self.oldest_last, 3),
            unfinished_first=self.unfinished_first,
            unfinished_last=self.unfinished_last,
            drain_seconds=round(self.drain_seconds, 3),
            verdict=found.verdict.value,
            reason=found.reason,
            trend=found.trend.figures() if found.trend is not None else None,
        )


@dataclass(frozen=True)
class Saturation:
    """A finished search. `rate` is the highest offered rows/s that was sustained, 0 where none was; `not_sustained` the
    lowest that was not, None where all were. `ended_by` says what ended it: the resolution, the budget, the space on
    this machine, or that nothing is sustained. `warmed` is what the warm-up found."""

    folder: Path
    steps: Sequence[Step]
    rate: float
    not_sustained: float | None
    ended_by: str
    examined: Examined[LoadFinding]
    warmed: Examined[LoadFinding] | None
    result: SaturationResult

    @property
    def conserved(self) -> bool:
        """Whether every row of the steps and of the warm-up is where it must be."""
        return all_conserved(self.examined, self.warmed)


class SaturationExperiment(LocustLoads):
    """A search: steps of load, one after the other, then the audit of every row of all of them."""

    def __init__(self, options: SearchOptions) -> None:
        super().__init__(_step_spec(options, options.start, 0), options.locust, options.setting, shown=False)
        self._options = options
        self._search = RateSearch(options.start, options.growth, options.resolution)
        self._steps: list[Step] = []
        self._ended_by = "resolution"
        self._began = time.monotonic()

    def warm_up(self, reporter: Reporter) -> LocustLoads:
        """Return the load before the first step; the budget counts from here."""
        self._began = time.monotonic()
        return warm_up_load(self.spec, WARMUP_SECONDS, self.locust, self.setting, reporter)

    def announce(self, reporter: Reporter) -> None:
        """Say nothing: each step says what it is."""

    def drive(self, bed: Testbed) -> None:
        """Search; raises EnvironmentProblem where the rows of the first step would not fit on this machine."""
        while not self._search.done:
            left = self._options.budget - (time.monotonic() - self._began)
            rate = self._search.next_rate()
            self._ended_by = self._reason_to_end(rate, left)
            if self._ended_by:
                return
            step = self._step(bed, rate, left)
            self._steps.append(step)
            self._search.record(step.rate, step.sustained)
        self._ended_by = "resolution"

    def _reason_to_end(self, rate: float, left: float) -> str:
        """Return why a step at `rate` is not made with `left` seconds of the budget; "" where it is."""
        options = self._options
        if self._search.low == 0 and self._search.high < options.start / options.growth**6:
            return "nothing is sustained"
        if self._steps and left < SHORTEST_SECONDS + OVERHEAD_SECONDS:
            return "budget"
        if options.room_here and (rows := rows_of(_step_spec(options, rate, 0))) > rows_that_fit():
            if not self._steps:
                raise EnvironmentProblem(
                    f"the first step has {rows:,} rows; {rows_that_fit():,} fit on this machine",
                    hint="lower --start or --step-seconds",
                )
            return "space"
        return ""

    def _step(self, bed: Testbed, rate: float, left: float) -> Step:
        options = self._options
        longest = min(options.step_seconds, max(SHORTEST_SECONDS, left - OVERHEAD_SECONDS))
        spec = replace(_step_spec(options, rate, len(self._steps) + 1), seconds=longest)
        watcher = StepWatcher(rate, longest)
        before = len(self.loads)

        def decided() -> bool:
            if len(self.loads) == before:
                return False
            load, now = self.loads[-1], time.time()
            figures = load.figures(now)
            return watcher.take(now - load.start.origin, figures.unfinished_rows, figures.oldest_seconds)

        self.load(bed, spec, decided)
        began = time.monotonic()
        bed.watch.settle(shown=False)
        driven = self.loads[before:]
        failed = sum(1 for load in driven for sample in load.samples if sample.error)
        missing = sum(load.unsent + load.unreported for load in driven)
        step = watcher.step(time.monotonic() - began, failed, missing)
        bed.reporter.say(
            f"step       {rate:7,.0f} rows/s for {step.seconds:3.0f} s: {step.judgement.verdict.value:13}  "
            f"{step.judgement.reason}; oldest file {step.oldest_first:.1f} s, then {step.oldest_last:.1f} s; "
            f"drained in {step.drain_seconds:.0f} s"
        )
        return step

    def finish(self, bed: Testbed, examined: Examined[LoadFinding], warmed: Examined[LoadFinding] | None) -> Saturation:
        """Return the finished search; writes the samples of all steps."""
        write_samples(bed.folder, examined.finding.outcomes)
        high = self._search.high if self._search.high < math.inf else None
        found = SaturationFigures(
            rows_per_second=round(self._search.low, 1),
            not_sustained_rows_per_second=round(high, 1) if high is not None else None,
            resolution=self._options.resolution,
            ended_by=self._ended_by,
            step_seconds=self._options.step_seconds,
            budget_seconds=self._options.budget,
            steps=[step.figures() for step in self._steps],
        )
        driven = Driven(
            bed.folder.name,
            bed.engine.report(),
            bed.watch.began_at,
            [self.spec],
            self.locust,
            self.setting.parameters,
            WARMUP_SECONDS if warmed is not None else 0,
            examined,
            warmed,
        )
        result = judged(saturation_result(driven, found), self.setting)
        return Saturation(bed.folder, self._steps, self._search.low, high, self._ended_by, examined, warmed, result)


class StepWatcher:
    """Follows one step, and says when it need not go on: two looks in a row agree on a verdict."""

    def __init__(self, rate: float, seconds: float) -> None:
        self._rate = rate
        self._seconds = seconds
        self._looks: list[tuple[float, int, float]] = []
        self._judgement = Judgement(StepVerdict.UNDECIDED, "it was not looked at", None)
        self._agreed = 0

    def take(self, elapsed: float, unfinished: int, oldest: float) -> bool:
        """Take a look at `elapsed` seconds into the step; returns whether the step is decided."""
        if not SETTLE_SECONDS <= elapsed <= self._seconds:
            return False
        self._looks.append((elapsed, unfinished, oldest))
        before = self._judgement.verdict
        self._judgement = judge([look[0] for look in self._looks], [look[1] for look in self._looks], self._rate)
        same = self._judgement.verdict is before and before is not StepVerdict.UNDECIDED
        self._agreed = self._agreed + 1 if same else 0
        return elapsed >= SHORTEST_SECONDS and self._agreed >= 1

    def step(self, drain_seconds: float, failed: int = 0, missing: int = 0) -> Step:
        """Return the finished step. `failed` uploads, and `missing` files that were not sent or not reported, are in no
        backlog: a rate whose files do not arrive is not sustained however short the backlog is."""
        judgement = self._judgement
        if failed or missing:
            lost = [f"{failed:,} uploads failed"] if failed else []
            lost += [f"{missing:,} files were not sent or not reported"] if missing else []
            judgement = Judgement(StepVerdict.NOT_SUSTAINED, ", ".join(lost), judgement.trend)
        first, last = (self._looks[0], self._looks[-1]) if self._looks else ((0.0, 0, 0.0), (0.0, 0, 0.0))
        return Step(self._rate, last[0], judgement, first[2], last[2], first[1], last[1], drain_seconds)


def _step_spec(options: SearchOptions, rate: float, number: int) -> LoadSpec:
    """Return the load of a step: evenly spaced, so that the slope has no noise from the arrivals."""
    return replace(
        options.spec,
        shape="steady",
        arrivals="constant",
        rate=rate,
        seconds=options.step_seconds,
        seed=options.spec.seed + number,
    )


def line(found: Saturation) -> str:
    """Return what a search found, in one line."""
    if not found.rate:
        return f"no rate was sustained, not even {found.not_sustained or 0:,.0f} rows/s"
    if found.not_sustained is None:
        return f"sustained {found.rate:,.0f} rows/s, and no rate was found that is not (ended by {found.ended_by})"
    return f"sustained {found.rate:,.0f} rows/s, not {found.not_sustained:,.0f} rows/s (ended by {found.ended_by})"
