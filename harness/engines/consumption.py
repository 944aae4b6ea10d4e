"""What tables consumed of their capacity, and which requests were throttled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.engines.counts import CountsByName
from harness.results import ConsumptionFigures, TableFigures


@dataclass(frozen=True)
class TableConsumption:
    """One table with its indexes and its stream.

    Units are capacity units as DynamoDB meters them; `stream_reads` counts calls of GetRecords. By reason (the API's
    ThrottlingReasons): `throttled_items` counts the items that were refused, `throttled_requests` the requests that met
    a refusal, those included that came back with UnprocessedItems or UnprocessedKeys.
    """

    write_units: float = 0.0
    read_units: float = 0.0
    stream_reads: int = 0
    throttled_items: Mapping[str, int] = field(default_factory=dict)
    throttled_requests: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TableConsumption:
        """Return what the tables' service says of a table."""
        return cls(
            data["WriteUnits"], data["ReadUnits"], data["StreamReads"], data["Throttled"], data["ThrottledRequests"]
        )

    def figures(self) -> TableFigures:
        """Return what a result says of the table."""
        return TableFigures(
            write_units=self.write_units,
            read_units=self.read_units,
            stream_reads=self.stream_reads,
            throttled_items=dict(self.throttled_items),
            throttled_requests=dict(self.throttled_requests),
        )

    def since(self, before: TableConsumption) -> TableConsumption:
        """Return what has come on top of `before`."""
        return TableConsumption(
            self.write_units - before.write_units,
            self.read_units - before.read_units,
            self.stream_reads - before.stream_reads,
            _more(self.throttled_items, before.throttled_items),
            _more(self.throttled_requests, before.throttled_requests),
        )


class Consumption(CountsByName[TableConsumption]):
    """What all tables of an engine consumed, by name."""

    @property
    def tables(self) -> Mapping[str, TableConsumption]:
        """What was consumed, by the table's name."""
        return self.by_name

    def figures(self) -> ConsumptionFigures:
        """Return what a result says of the tables."""
        return ConsumptionFigures(
            complete=self.complete, tables={name: used.figures() for name, used in self.tables.items()}
        )


class _Consumer(Protocol):
    def consumption(self) -> Consumption | None: ...


def consumed_since(engine: _Consumer, before: Consumption | None) -> Consumption | None:
    """Return what an engine's tables consumed since `before`; None where the engine does not know."""
    now = engine.consumption()
    return now.since(before) if now is not None and before is not None else None


def _more(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {reason: more for reason, count in now.items() if (more := count - before.get(reason, 0))}


def consumption_lines(consumption: ConsumptionFigures | None) -> list[str]:
    """Return a result's consumption in words, a line for each table that was used; [] where the engine knows none."""
    if consumption is None:
        return []
    lines = []
    for name, used in consumption.tables.items():
        if not used.used:
            continue
        reasons = ", ".join(f"{count:,} × {reason}" for reason, count in sorted(used.throttled_requests.items()))
        throttled = f"throttled {reasons}" if reasons else "nothing throttled"
        lines.append(
            f"{name}: {used.write_units:,.0f} write and {used.read_units:,.1f} read units, "
            f"{used.stream_reads:,} stream reads; {throttled}"
        )
    if not consumption.complete:
        lines.append("not complete: the tables' process ended meanwhile, and what it had counted is lost")
    return lines
