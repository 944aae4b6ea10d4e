"""Throughput as DynamoDB meters it: capacity units by size, burst, partitions, previous peaks, and who is throttled.

Pure: the clock is injected, nothing is read or written elsewhere. Sources: DynamoDB Developer Guide, "Burst and
adaptive capacity", "On-demand capacity mode", "Throttling". Where AWS says no figure, the constant says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

PARTITION = {"Write": 1_000.0, "Read": 3_000.0}
"""Units a second of one partition; burst does not lift them."""
ON_DEMAND_START = {"Write": 4_000.0, "Read": 12_000.0}
"""Units a second that a new on-demand table serves."""
BURST_SECONDS = 300.0
"""Seconds of unused provisioned capacity that are kept for bursts."""
PEAK_SECONDS = 60.0
"""A peak is the mean over this time. AWS names no figure; its metrics have one-minute resolution."""
PEAK_AGE_SECONDS = 1_800.0
"""An on-demand table serves twice a peak that is this old: growing faster can be throttled."""
SPLIT_AFTER_SECONDS = 60.0
"""A partition that throttled in this many seconds is split for heat. AWS names no figure."""
RING = 1 << 32

TableKey = tuple[str, str, str]
Clock = Callable[[], float]
"""Seconds; only differences count."""


def write_units(size: int) -> float:
    """Return the units of a write: one per started KB of the larger version, at least one."""
    return float(max(1, -(-size // 1024)))


def read_units(size: int, consistent: bool) -> float:
    """Return the units of a read: one per started 4 KB, at least one, half when eventually consistent."""
    units = max(1, -(-size // 4096))
    return float(units) if consistent else units / 2


@dataclass(frozen=True, slots=True)
class Throughput:
    """A table's or index's settings. Units a second; `None`: no maximum; `warm` only counts on demand."""

    on_demand: bool
    write: float = 0.0
    read: float = 0.0
    max_write: float | None = None
    max_read: float | None = None
    warm_write: float = 0.0
    warm_read: float = 0.0


class Throttled(Exception):
    """A request was refused. `reason` is one of the API's; `on_demand` decides the name of the API's exception."""

    def __init__(self, reason: str, resource: str, on_demand: bool) -> None:
        super().__init__(f"{reason} {resource}")
        self.reason = reason
        self.resource = resource
        self.on_demand = on_demand


class Bucket:
    """Tokens that flow in at `rate` a second up to `depth`; what is larger than a second's flow may go into debt."""

    def __init__(self, rate: float, depth: float, now: float, start: float = 0.0) -> None:
        self.rate = rate
        self.depth = depth
        self._tokens = start
        self._at = now

    def set_rate(self, rate: float, depth: float, now: float) -> None:
        """Change rate and depth from now on."""
        self._refill(now)
        self.rate, self.depth = rate, depth
        self._tokens = min(self._tokens, depth)

    def _refill(self, now: float) -> None:
        self._tokens = min(self.depth, self._tokens + (now - self._at) * self.rate)
        self._at = now

    def has(self, units: float, now: float) -> bool:
        """Tell whether `units` may be taken: an item of more than a second's flow only needs that flow."""
        self._refill(now)
        # Refilling adds in floating point; a billionth of a unit must not refuse what is due.
        return self._tokens + 1e-9 >= min(units, max(self.rate, 1.0))

    def take(self, units: float) -> None:
        """Take units; `has` must have allowed it."""
        self._tokens -= units


class Peak:
    """The highest mean rate that is old enough to count as "previous peak"."""

    def __init__(self, now: float) -> None:
        self._start = now
        self._units = 0.0
        self._means: list[tuple[float, float]] = []
        self._old = 0.0

    def add(self, units: float, now: float) -> None:
        """Count units that were consumed."""
        self._close(now)
        self._units += units

    def _close(self, now: float) -> None:
        if now - self._start >= PEAK_SECONDS:
            self._means.append((self._start + PEAK_SECONDS, self._units / PEAK_SECONDS))
            self._start += (now - self._start) // PEAK_SECONDS * PEAK_SECONDS
            self._units = 0.0

    def value(self, now: float) -> float:
        """Return units a second."""
        self._close(now)
        while self._means and self._means[0][0] + PEAK_AGE_SECONDS <= now:
            self._old = max(self._old, self._means.pop(0)[1])
        return self._old


@dataclass
class _Partition:
    low: int
    high: int
    bucket: Bucket
    throttled_seconds: set[int] = field(default_factory=set)


class _Side:
    """One kind, Read or Write, of one table or index."""

    def __init__(self, kind: str, scope: str, resource: str, settings: Throughput, now: float) -> None:
        self._kind = kind
        self._scope = scope
        self._resource = resource
        self._peak = Peak(now)
        self._settings = settings
        self._most_provisioned = 0.0
        rate = self._rate(now)
        self._table = Bucket(rate, self._depth(rate), now, min(rate, self._depth(rate)))
        self._maximum: Bucket | None = None
        self._set_maximum(now)
        self._partitions = [self._partition(0, RING, now)]
        self._split_for(rate, now)

    def _split_for(self, rate: float, now: float) -> None:
        """Split the widest partitions until there are enough for the rate; partitions are never merged."""
        while len(self._partitions) < -(-rate // PARTITION[self._kind]):
            self._split(max(self._partitions, key=lambda p: p.high - p.low), now)

    def _split(self, partition: _Partition, now: float) -> None:
        middle = (partition.low + partition.high) // 2
        at = self._partitions.index(partition)
        self._partitions[at : at + 1] = [
            self._partition(partition.low, middle, now),
            self._partition(middle, partition.high, now),
        ]

    def _partition(self, low: int, high: int, now: float) -> _Partition:
        rate = PARTITION[self._kind]
        return _Partition(low, high, Bucket(rate, rate, now, rate))

    def _rate(self, now: float) -> float:
        settings = self._settings
        if not settings.on_demand:
            return settings.write if self._kind == "Write" else settings.read
        warm = settings.warm_write if self._kind == "Write" else settings.warm_read
        return max(ON_DEMAND_START[self._kind], warm, 2 * self._peak.value(now), self._most_provisioned)

    def _depth(self, rate: float) -> float:
        return rate if self._settings.on_demand else rate * BURST_SECONDS

    def _set_maximum(self, now: float) -> None:
        maximum = self._settings.max_write if self._kind == "Write" else self._settings.max_read
        self._maximum = None if maximum is None else Bucket(maximum, maximum, now, maximum)

    def _set_rate(self, rate: float, now: float) -> None:
        self._table.set_rate(rate, self._depth(rate), now)
        self._split_for(rate, now)

    def configure(self, settings: Throughput, now: float) -> None:
        """Take over new settings; what has been saved up stays, within the new depth."""
        if settings != self._settings:
            if not self._settings.on_demand:
                # Half of it counts as a previous peak once the table is on demand.
                self._most_provisioned = max(self._most_provisioned, self._rate(now))
            self._settings = settings
            rate = self._rate(now)
            self._set_rate(rate, now)
            self._set_maximum(now)

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return len(self._partitions)

    def refusal(self, hashed: int, units: float, now: float) -> Throttled | None:
        """Return why `units` cannot be taken now, if so."""
        settings = self._settings
        if settings.on_demand:
            rate = self._rate(now)
            if rate != self._table.rate:
                self._set_rate(rate, now)
        partition = self._of(hashed)
        reason = None
        if self._maximum is not None and not self._maximum.has(units, now):
            reason = "MaxOnDemandThroughputExceeded"
        elif not self._table.has(units, now):
            # An on-demand table beyond twice its peak is limited by the partitions that it has.
            reason = "KeyRangeThroughputExceeded" if settings.on_demand else "ProvisionedThroughputExceeded"
        elif not partition.bucket.has(units, now):
            reason = "KeyRangeThroughputExceeded"
            self._heat(partition, now)
        if reason is not None:
            return Throttled(f"{self._scope}{self._kind}{reason}", self._resource, settings.on_demand)
        return None

    def take(self, hashed: int, units: float, now: float) -> None:
        """Take units that `refusal` did not refuse."""
        for bucket in (self._maximum, self._table, self._of(hashed).bucket):
            if bucket is not None:
                bucket.take(units)
        self._peak.add(units, now)

    def _of(self, hashed: int) -> _Partition:
        return next(p for p in self._partitions if p.low <= hashed < p.high)

    def _heat(self, partition: _Partition, now: float) -> None:
        """Split a partition that keeps throttling: two keys get twice as much, one key never does."""
        partition.throttled_seconds.add(int(now))
        if len(partition.throttled_seconds) < SPLIT_AFTER_SECONDS or partition.high - partition.low < 2:
            return
        self._split(partition, now)


@dataclass
class Usage:
    """What a table, its indexes and its stream consumed and what was refused, since it was created.

    By reason: `throttled` counts refused items, as CloudWatch's ReadThrottleEvents and WriteThrottleEvents do, and
    `throttled_requests` the requests that met it, as ThrottledRequests does. `stream_reads` counts calls of GetRecords,
    which are billed by the call.
    """

    read_units: float = 0.0
    write_units: float = 0.0
    stream_reads: int = 0
    throttled: Counter[str] = field(default_factory=Counter)
    throttled_requests: Counter[str] = field(default_factory=Counter)


Charge = tuple[TableKey, int, float, tuple[tuple[str, float], ...]]
"""Table, hash of the partition key, units of the table, units of each global secondary index."""


class Ledger:
    """All tables' throughput. Without `enforced` everything is admitted, and counted."""

    def __init__(self, enforced: bool, clock: Clock) -> None:
        self.enforced = enforced
        self._clock = clock
        self._paused = False
        self._sides: dict[tuple[TableKey, str | None, str], _Side] = {}
        self.usage: dict[TableKey, Usage] = {}

    def configure(self, key: TableKey, arn: str, table: Throughput, indexes: dict[str, Throughput]) -> None:
        """Set what a table and its indexes may consume; call again when it changes."""
        self.usage.setdefault(key, Usage())
        now = self._clock()
        for name, settings in ((None, table), *indexes.items()):
            for kind in ("Read", "Write"):
                side = self._sides.get((key, name, kind))
                if side is not None:
                    side.configure(settings, now)
                    continue
                scope, resource = ("Table", arn) if name is None else ("Index", f"{arn}/index/{name}")
                self._sides[key, name, kind] = _Side(kind, scope, resource, settings, now)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Admit everything and count nothing in this context."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    @property
    def is_paused(self) -> bool:
        """Whether everything is admitted and nothing counted just now, so that no charge need be computed."""
        return self._paused

    def count_stream_read(self, key: TableKey) -> None:
        """Count a call of GetRecords on a table's stream."""
        if not self._paused:
            self._usage(key).stream_reads += 1

    def count_writes(self, key: TableKey, units: float) -> None:
        """Count units of writes that need no admission, because nothing is enforced."""
        if not self._paused:
            self._usage(key).write_units += units

    def count_reads(self, key: TableKey, units: float) -> None:
        """Count units of reads that need no admission, because nothing is enforced."""
        if not self._paused:
            self._usage(key).read_units += units

    def _usage(self, key: TableKey) -> Usage:
        found = self.usage.get(key)
        if found is None:
            found = self.usage[key] = Usage()
        return found

    def partitions(self, key: TableKey) -> int:
        """Return how many partitions a table's writes have; more than at first when it was split for heat or rate."""
        side = self._sides.get((key, None, "Write"))
        return side.partitions if side is not None else 1

    def forget(self, key: TableKey) -> None:
        """Drop a deleted table."""
        self.usage.pop(key, None)
        for known in [k for k in self._sides if k[0] == key]:
            del self._sides[known]

    def _charge(self, kind: str, charge: Charge) -> Throttled | None:
        """Take all units of a charge, or none."""
        if self._paused:
            return None
        key, hashed, units, indexes = charge
        usage = self._usage(key)
        if self.enforced:
            now = self._clock()
            # An index's own partitions are not modelled by its keys: the hash of the table's key stands for them.
            parts = [(self._sides[key, name, kind], needed) for name, needed in ((None, units), *indexes)]
            for side, needed in parts:
                refused = side.refusal(hashed, needed, now) if needed else None
                if refused is not None:
                    usage.throttled[refused.reason] += 1
                    return refused
            for side, needed in parts:
                side.take(hashed, needed, now)
        total = units + sum(needed for _, needed in indexes) if indexes else units
        if kind == "Write":
            usage.write_units += total
        else:
            usage.read_units += total
        return None

    def require_write(self, charge: Charge) -> None:
        """Consume write units; raises Throttled."""
        self._require("Write", charge)

    def require_read(self, charge: Charge) -> None:
        """Consume read units; raises Throttled."""
        self._require("Read", charge)

    def _require(self, kind: str, charge: Charge) -> None:
        refused = self._charge(kind, charge)
        if refused is not None:
            self._usage(charge[0]).throttled_requests[refused.reason] += 1
            raise refused

    def admit_writes(self, charges: Sequence[Charge]) -> list[bool]:
        """Return for each write of a batch whether it is admitted; raises Throttled when none is."""
        return self._admit("Write", charges)

    def admit_reads(self, charges: Sequence[Charge]) -> list[bool]:
        """Return for each read of a batch whether it is admitted; raises Throttled when none is."""
        return self._admit("Read", charges)

    def _admit(self, kind: str, charges: Sequence[Charge]) -> list[bool]:
        refusals = [self._charge(kind, charge) for charge in charges]
        first = next((r for r in refusals if r is not None), None)
        if first is None:
            return [True] * len(charges)
        met = {(charge[0], r.reason) for charge, r in zip(charges, refusals, strict=True) if r is not None}
        for key, reason in met:
            self._usage(key).throttled_requests[reason] += 1
        if None not in refusals:
            raise first
        return [r is None for r in refusals]
