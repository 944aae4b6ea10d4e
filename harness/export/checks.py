"""Conservation as a list of checks, each passed or failed with what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.results import AuditFigures, LoadedResult, Result


@dataclass(frozen=True)
class Check:
    """One thing that must hold. `failure` is "" where it does, else one line; `details` are lines on what was found."""

    name: str
    failure: str
    details: tuple[str, ...] = ()


_PROBLEMS: Mapping[str, tuple[str, ...]] = {
    "no row is lost": ("lost",),
    "no row is in two places": ("in two places",),
    "every stored value is the expected one": ("wrong value",),
    "nothing is there that was not uploaded": ("unknown items", "unknown row"),
    "every row is where its manifest says": ("unexpected place",),
    "every refused row has the reason its manifest says": ("unexpected reason",),
}
"""What must hold, and the audit's words for its opposite."""


def checks_of(result: Result) -> list[Check]:
    """Return the checks of one result. A problem that no check knows by name fails one of its own."""
    audit = result.audit
    checks = []
    for name, words in _PROBLEMS.items():
        failure = ", ".join(f"{audit.problems[word]:,} × {word}" for word in words if audit.problems.get(word))
        checks.append(Check(name, failure, _findings(audit, words)))
    known = {word for words in _PROBLEMS.values() for word in words}
    for word in sorted(audit.problems.keys() - known):
        checks.append(
            Check(f"no row is found to be {word!r}", f"{audit.problems[word]:,} × {word}", _findings(audit, (word,)))
        )
    checks.append(_sums(audit))
    return [*checks, *_of_load(result)] if isinstance(result, LoadedResult) else checks


def _of_load(result: LoadedResult) -> list[Check]:
    load, warmup = result.load, result.warmup_audit
    checks = []
    if warmup is not None:
        found = ", ".join(f"{count:,} × {word}" for word, count in warmup.problems.items())
        checks.append(Check("the warm-up's rows are conserved", "" if warmup.good else found or "they are not"))
    failed, missing = load.uploads_failed, load.files_missing
    unsent = f"{missing:,} files were not sent or not reported" if missing else ""
    return [
        *checks,
        Check("every upload succeeded", f"{failed:,} uploads failed" if failed else ""),
        Check("every file of the schedule was sent", unsent),
        Check("at least one file was uploaded", "" if load.files else "no file was uploaded"),
    ]


def _sums(audit: AuditFigures) -> Check:
    if audit.updated is None:
        # A suite of one stage looks only whether its own rows are all there.
        return Check("every row is where the suite ends", "" if audit.conserved else "rows are missing")
    quarantined, dead = audit.quarantined_rows, audit.dead_lettered_rows
    total = audit.updated + quarantined + dead
    text = f"{audit.updated:,} updated + {quarantined:,} quarantined + {dead:,} in dead-letter queues = {total:,}"
    failure = "" if total == audit.rows else f"{text}, but {audit.rows:,} rows were uploaded"
    if not failure and not audit.conserved and not audit.problems:
        failure = "the audit says that rows are not conserved"
    return Check("rows in = updated + quarantined + dead-lettered", failure)


def _findings(audit: AuditFigures, words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{f.key} row {f.row}: {f.problem}: {f.detail}".strip() for f in audit.findings if f.problem in words)
