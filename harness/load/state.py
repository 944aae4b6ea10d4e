"""One load while it goes on: what was offered, uploaded and finished so far. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from harness.load.pool import Expectation
from harness.load.samples import LoadStart, Sample, number_in
from harness.load.schedule import Arrival, schedule
from harness.load.tracker import BySource, finished_at, finished_rows


@dataclass(frozen=True)
class Figures:
    """A load at one moment. `offered` is what the schedule meant to have sent by now, `unfinished_rows` what of it has
    not reached its end (failed uploads, which never will, left out), `oldest_seconds` how long ago the oldest
    unfinished file was meant to be sent."""

    offered_files: int = 0
    offered_rows: int = 0
    uploaded_files: int = 0
    uploaded_rows: int = 0
    failed_files: int = 0
    finished_files: int = 0
    finished_rows: int = 0
    unfinished_rows: int = 0
    oldest_seconds: float = 0.0

    def __add__(self, other: Figures) -> Figures:
        """Return the figures of two loads together."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in vars(self) if name != "oldest_seconds"}
        return Figures(**sums, oldest_seconds=max(self.oldest_seconds, other.oldest_seconds))


@dataclass(frozen=True)
class Completion:
    """A file that seems finished: its sample, and when its last row was durable (Unix seconds)."""

    sample: Sample
    completed: float


class LoadState:
    """Follows one load from its start. `expectations` are those of the pool's files, `receives` the queues'
    maxReceiveCount. `stopped_early` is set on a load that was ended on purpose before its schedule was over."""

    def __init__(self, start: LoadStart, expectations: Sequence[Expectation], bucket: str, receives: int) -> None:
        self.start = start
        self.arrivals: list[Arrival] = schedule(start.spec)
        self.samples: list[Sample] = []
        self.stopped = False
        self.stopped_early = False
        self.expectations = expectations
        self.sources: dict[str, Sample] = {}
        self.reconciled: dict[str, Sample] = {}
        self._bucket = bucket
        self._receives = receives
        self._open: dict[str, int] = {}
        self._waiting = {a.number: a.offset for a in self.arrivals}
        self._offsets = [a.offset for a in self.arrivals]
        self._rows = [0, *accumulate(expectations[a.file].rows for a in self.arrivals)]
        self._finished_rows = 0
        self._finished_files = 0
        self._failed_rows = 0

    @property
    def rows(self) -> int:
        """Rows of all files of the schedule."""
        return self._rows[-1]

    @property
    def uploaded_rows(self) -> int:
        """Rows of all files that were uploaded so far."""
        return sum(sample.rows for sample in self.sources.values())

    def add(self, sample: Sample) -> None:
        """Note one upload."""
        self.samples.append(sample)
        if sample.error:
            self._waiting.pop(sample.number, None)
            self._failed_rows += sample.rows
        else:
            source_id = sample.source(self._bucket).source_id
            self.sources[source_id] = sample
            self._open[source_id] = 0

    @property
    def unsent(self) -> int:
        """Files of the schedule that were neither reported nor, after `reconcile`, found in the bucket; 0 for a load
        that was stopped early, which was not meant to send them."""
        return 0 if self.stopped_early else len(self.arrivals) - len(self._reported() | self._reconciled())

    @property
    def unreported(self) -> int:
        """Files that are in the bucket though nobody said whether their upload succeeded; 0 for a load that was stopped
        early."""
        return 0 if self.stopped_early else len(self._reconciled() - self._reported())

    def _reported(self) -> set[int]:
        return {s.number for s in self.samples}

    def _reconciled(self) -> set[int]:
        return {s.number for s in self.reconciled.values()}

    def stop(self) -> None:
        """Note that no more uploads come. Files that were not sent are no longer waited for."""
        self.stopped = True
        known = self._reported()
        for number in [n for n in self._waiting if n not in known]:
            del self._waiting[number]
            self._failed_rows += self.expectations[self.arrivals[number].file].rows

    def reconcile(self, key: str, version: str, size: int) -> None:
        """Wait for an object of `size` bytes that is in the bucket though no sample says so. It is in `reconciled`, not
        in `sources`: nobody knows when it was uploaded."""
        arrival = self.arrivals[number_in(key)]
        rows = self.expectations[arrival.file].rows
        intended = self.start.origin + arrival.offset
        sample = Sample(arrival.number, arrival.file, key, version, rows, size, intended, intended, intended)
        source_id = sample.source(self._bucket).source_id
        self.reconciled[source_id] = sample
        self._open[source_id] = 0
        self._waiting[arrival.number] = arrival.offset
        self._failed_rows -= rows

    def observe(self, by_source: Mapping[str, BySource]) -> list[Completion]:
        """Take a reading of the telemetry; returns the files that are finished since the last one."""
        done = []
        for source_id, before in list(self._open.items()):
            totals = by_source.get(source_id)
            if totals is None:
                continue
            sample = self.sources.get(source_id) or self.reconciled[source_id]
            expected = self.expectations[sample.file]
            rows = finished_rows(totals, expected, self._receives)
            self._finished_rows += rows - before
            self._open[source_id] = rows
            if rows >= expected.rows:
                del self._open[source_id]
                self._waiting.pop(sample.number, None)
                if source_id in self.reconciled:
                    continue
                self._finished_files += 1
                done.append(Completion(sample, finished_at(totals, expected)))
        return done

    def figures(self, now: float) -> Figures:
        """Return the figures at `now` (Unix seconds)."""
        elapsed = now - self.start.origin
        offered = bisect_right(self._offsets, elapsed)
        failed = sum(1 for s in self.samples if s.error)
        oldest = min(self._waiting.values(), default=elapsed)
        return Figures(
            offered_files=offered,
            offered_rows=self._rows[offered],
            uploaded_files=len(self.sources),
            uploaded_rows=self.uploaded_rows,
            failed_files=failed,
            finished_files=self._finished_files,
            finished_rows=self._finished_rows,
            unfinished_rows=max(0, self._rows[offered] - self._failed_rows - self._finished_rows),
            oldest_seconds=round(max(0.0, elapsed - oldest), 3),
        )
