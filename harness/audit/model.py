"""What was found of a row, what was expected of it, and the verdict. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.corpus import ExpectedRow, Outcome
from harness.results import AuditFigures, FoundRow

MAX_FINDINGS = 20
"""Offending rows that are named; all of them are counted."""


class PlaceKind(StrEnum):
    """Where a row can end."""

    UPDATED = "updated"
    QUARANTINED = "quarantined"
    DLQ = "DLQ"


@dataclass(frozen=True)
class Place:
    """One place in which a row can end; `stage` names the dead-letter queue's stage."""

    kind: PlaceKind
    stage: str = ""

    def __str__(self) -> str:
        return f"{self.stage} {self.kind}" if self.stage else self.kind.value


UPDATED = Place(PlaceKind.UPDATED)
QUARANTINED = Place(PlaceKind.QUARANTINED)


def dlq(stage: str) -> Place:
    """Return the place of a stage's dead letters."""
    return Place(PlaceKind.DLQ, stage)


_EXPECTED_PLACES: Mapping[Outcome, Place] = {
    Outcome.UPDATED: UPDATED,
    Outcome.QUARANTINED: QUARANTINED,
    Outcome.INSERT_DLQ: dlq("insert"),
    Outcome.PROCESS_DLQ: dlq("process"),
    Outcome.UPDATE_DLQ: dlq("update"),
}


@dataclass(frozen=True)
class Item:
    """One item of the records table: its columns, and the pipeline's own attributes."""

    cells: Mapping[str, str]
    own: Mapping[str, str]

    @property
    def processed(self) -> bool:
        """Whether the update reached it."""
        return self.own.get("_status") == "processed"


@dataclass(frozen=True)
class Finding:
    """One row that is not as it should be; `problem` is a word, `detail` what was expected and found, `key` the
    object's."""

    row: int
    problem: str
    detail: str
    key: str = ""


@dataclass(frozen=True)
class Places:
    """Where rows of one source were found outside the table.

    `quarantined` maps row to reasons, `dlqs` stage to row to reasons; one entry per copy. `whole_object` is
    where a dead letter or a line of the quarantine speaks for every row that is nowhere else, None without one;
    `whole_reason` says why.
    """

    quarantined: Mapping[int, list[str]]
    dlqs: Mapping[str, Mapping[int, list[str]]]
    whole_object: Place | None = None
    whole_reason: str = "whole object"


def _counters() -> defaultdict[str, Counter[str]]:
    # A name of the module: reports travel between processes, and lambdas do not.
    return defaultdict(Counter)


@dataclass
class AuditReport:
    """The verdict over a run. `conserved`: every row is in exactly one place, and unharmed. `as_expected`: every
    row is where the manifest says, for the reason it says (always so without a manifest). `object_key` names the
    object whose rows are being judged, for the findings.

    `unattributed` counts dead-letter messages that name no row, by stage and what they are, `other_objects` those of
    objects that were not audited. They are no rows, so neither decides the verdict: a row that such a message held is
    missing elsewhere. `refused_objects` maps the keys of objects that were quarantined as a whole to the reason; one
    without rows counts nowhere else."""

    rows: int = 0
    updated: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    dead_letters: dict[str, Counter[str]] = field(default_factory=_counters)
    problems: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    duplicate_messages: int = 0
    unattributed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    other_objects: int = 0
    refused_objects: dict[str, str] = field(default_factory=dict)
    items_in_table: int = 0
    items_accounted: int = 0
    with_manifest: bool = False
    seconds: float = 0.0
    object_key: str = ""

    _UNEXPECTED = frozenset({"unexpected place", "unexpected reason"})

    @property
    def conserved(self) -> bool:
        """Whether no row is lost, in two places, or harmed, and the table holds nothing else."""
        accounted = self.updated + sum(self.quarantined.values()) + self.dead_lettered
        return not (self.problems.keys() - self._UNEXPECTED) and accounted == self.rows

    @property
    def as_expected(self) -> bool:
        """Whether every row is where and why the manifest says."""
        return not (self.problems.keys() & self._UNEXPECTED)

    @property
    def dead_lettered(self) -> int:
        """Rows in dead-letter queues."""
        return sum(sum(reasons.values()) for reasons in self.dead_letters.values())

    @property
    def unattributed_messages(self) -> int:
        """Dead-letter messages that name no row, or not all of theirs."""
        return sum(sum(kinds.values()) for kinds in self.unattributed.values())

    def add(self, row: int, problem: str, detail: str) -> None:
        """Note one row that is not as it should be."""
        self.problems[problem] += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(row, problem, detail, self.object_key))

    def merge(self, part: AuditReport) -> None:
        """Add what was found of some of the rows."""
        self.rows += part.rows
        self.updated += part.updated
        self.items_accounted += part.items_accounted
        self.duplicate_messages += part.duplicate_messages
        self.quarantined.update(part.quarantined)
        for stage, reasons in part.dead_letters.items():
            self.dead_letters[stage].update(reasons)
        self.problems.update(part.problems)
        self.findings += part.findings[: MAX_FINDINGS - len(self.findings)]

    def sentence(self) -> str:
        """Return the verdict in one line."""
        verdict = "conserved" if self.conserved else "NOT CONSERVED"
        text = (
            f"{verdict}: {self.rows:,} in = {self.updated:,} updated + "
            f"{sum(self.quarantined.values()):,} quarantined + {self.dead_lettered:,} in DLQs"
        )
        if self.conserved and not self.as_expected:
            text += ", but not all where the manifest expects them"
        if self.refused_objects:
            text += f"; {_counted(len(self.refused_objects), 'object')} refused as a whole"
        if count := self.unattributed_messages:
            text += f"; {count:,} dead-letter message{'s name' if count > 1 else ' names'} no row"
        return text

    def figures(self) -> AuditFigures:
        """Return what a result says of it."""
        return AuditFigures(
            conserved=self.conserved,
            as_expected=self.as_expected,
            with_manifest=self.with_manifest,
            rows=self.rows,
            updated=self.updated,
            quarantined=dict(self.quarantined),
            dead_letters={stage: dict(reasons) for stage, reasons in self.dead_letters.items()},
            problems=dict(self.problems),
            findings=[FoundRow(row=f.row, problem=f.problem, detail=f.detail, key=f.key) for f in self.findings],
            duplicate_messages=self.duplicate_messages,
            unattributed={stage: dict(kinds) for stage, kinds in self.unattributed.items()},
            other_objects=self.other_objects,
            refused_objects=dict(self.refused_objects),
            items_in_table=self.items_in_table,
            items_accounted=self.items_accounted,
            seconds=round(self.seconds, 3),
        )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


@dataclass(frozen=True)
class _Sighting:
    """A place in which a row was found, why it is there, and how many times."""

    place: Place
    reason: str = ""
    copies: int = 1


def judge(
    report: AuditReport,
    row: int,
    item: Item | None,
    places: Places,
    expected: ExpectedRow | None,
    processed: Mapping[str, str] | None,
) -> None:
    """Enter one row into the report.

    `expected` is None without a manifest; then any single place will do and values are not compared.
    `processed` are the attributes the business rule must have added to an updated item.
    """
    report.rows += 1
    report.items_accounted += item is not None
    found = _sightings(row, item, places)
    report.duplicate_messages += sum(sighting.copies - 1 for sighting in found)
    if not found:
        report.add(row, "lost", "inserted but never updated" if item is not None else "in no place")
        return
    if len(found) > 1:
        report.add(row, "in two places", " and ".join(str(sighting.place) for sighting in found))
    first = found[0]
    _count(report, first)
    if item is not None and first.place == QUARANTINED:
        report.add(row, "in two places", "quarantined, and an item in the table")
    if expected is None:
        return
    _compare_place(report, row, first, expected)
    if item is not None and expected.cells is not None:
        _compare(report, row, item, expected.cells, processed if item.processed else None)


def _sightings(row: int, item: Item | None, places: Places) -> list[_Sighting]:
    """Return where one row is: updated, quarantined, in dead-letter queues, in this order."""
    found: list[_Sighting] = []
    if item is not None and item.processed:
        found.append(_Sighting(UPDATED))
    if row in places.quarantined:
        reasons = places.quarantined[row]
        found.append(_Sighting(QUARANTINED, reasons[0], len(reasons)))
    for stage, rows in places.dlqs.items():
        if row in rows:
            found.append(_Sighting(dlq(stage), rows[row][0], len(rows[row])))
    if not found and item is None and places.whole_object is not None:
        found.append(_Sighting(places.whole_object, places.whole_reason))
    return found


def _count(report: AuditReport, found: _Sighting) -> None:
    if found.place.kind is PlaceKind.UPDATED:
        report.updated += 1
    elif found.place.kind is PlaceKind.QUARANTINED:
        report.quarantined[found.reason] += 1
    else:
        report.dead_letters[found.place.stage][found.reason] += 1


def _compare_place(report: AuditReport, row: int, found: _Sighting, expected: ExpectedRow) -> None:
    wanted = _EXPECTED_PLACES[expected.outcome]
    if found.place != wanted:
        report.add(row, "unexpected place", f"expected {wanted}, found {found.place} ({found.reason})")
    elif expected.reason and found.reason != expected.reason:
        report.add(row, "unexpected reason", f"{found.place}: expected {expected.reason}, found {found.reason}")


def _compare(
    report: AuditReport,
    row: int,
    item: Item,
    cells: tuple[str, ...],
    processed: Mapping[str, str] | None,
) -> None:
    found = tuple(item.cells.values())
    if found != cells:
        names = list(item.cells)
        for name, got, want in zip(names, found, cells, strict=False):
            if got != want:
                report.add(row, "wrong value", f"{name}: expected {_short(want)}, found {_short(got)}")
                return
        report.add(row, "wrong value", f"expected {len(cells)} columns, found {len(found)}")
        return
    for name, want in (processed or {}).items():
        got = item.own.get(name, "")
        if got != want and not _same_number(got, want):
            report.add(row, "wrong value", f"{name}: expected {_short(want)}, found {_short(got)}")
            return


def _same_number(a: str, b: str) -> bool:
    # DynamoDB returns numbers in a canonical form: "12.50" comes back as "12.5".
    try:
        return float(a) == float(b)
    except ValueError:
        return False


def _short(text: str) -> str:
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return ascii(shown)
