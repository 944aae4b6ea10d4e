"""The lesson on file descriptors."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from harness.engines.registry import create
from harness.lambda_service.limits import MAX_DESCRIPTORS
from harness.lessons.descriptors.drive import CLOSED, JOINED, OURS, PIPED, ROWS, Cleaning, clean_by_all_ways
from harness.lessons.model import Comparison, Finding, Line, Plot, Setting, Verdict

PUBLISHED_PROCESSES = 500
NEAR = 0.1
"""The author wrote of about 500 processes: a tenth more or less is taken for the same."""

FULL_ROWS, QUICK_ROWS = 25, 50
"""Rows of a process: 1,200 processes for the file, or 600, which is still more than there are descriptors for."""


class DescriptorsLesson:
    """Cleans one file with a process for each chunk, joined, joined with a pipe, and closed, and by the pipeline's own
    processes, in execution environments with 1,024 descriptors; see `harness.lessons.model.Lesson` for its members."""

    name = "descriptors"
    title = "A process that is joined but not closed keeps its file descriptors, until there are none left"
    published = (
        "One Lambda function cleaned a CSV with a multiprocessing.Process for each chunk, as Lambda has no /dev/shm "
        "and so no Pool. It joined each process and closed none. Near 500 processes it failed: too many open files."
    )
    rule = (
        "An execution environment has 1,024 file descriptors and 1,024 processes and threads, which cannot be raised "
        "(AWS Lambda Developer Guide, Lambda quotas). Process.join waits for a process; Process.close releases what "
        "the object holds (Python library reference, multiprocessing)."
    )
    ours = (
        "handlers/clean_pool.py has no more processes than virtual CPUs alive, joins and closes each and its pipe, and "
        "gives each 4 MiB to clean. Our Lambda service enforces the 1,024 descriptors, so the error would appear here "
        "and not first on AWS."
    )

    def seconds(self, *, quick: bool) -> float:
        """Return about how long it takes on two cores."""
        return 25.0 if quick else 45.0

    def run(self, setting: Setting) -> Finding:
        """Run it; raises EngineError where the engine does not start or dies, EnvironmentProblem where a cleaner fails
        otherwise than published."""
        setting.progress(0.0, "starting the engine")
        with create("embedded", logs=setting.folder) as engine:
            found = clean_by_all_ways(engine, QUICK_ROWS if setting.quick else FULL_ROWS, setting.progress)
        setting.progress(1.0, "done")
        return finding(found)


def finding(found: Mapping[str, Cleaning]) -> Finding:
    """Return the verdict on what came of each way. Pure."""
    verdict, reason = _judge(found)
    joined, piped, closed, ours = (found[way] for way in (JOINED, PIPED, CLOSED, OURS))
    return Finding(
        verdict,
        reason,
        [
            Comparison("processes started until it fails, joined", f"near {PUBLISHED_PROCESSES}", _end(joined)),
            Comparison("the same with a Pipe for each process", "", _end(piped)),
            Comparison("joined and closed", "", _end(closed)),
            Comparison("ours, on the same file and chunks", "", _end(ours)),
            Comparison("error", "too many open files", joined.error or "none"),
            Comparison("descriptors a process keeps", "", f"{_kept(joined):.0f}, with a Pipe {_kept(piped):.0f}"),
            Comparison("most descriptors open, ours", "", f"{ours.most:,} of {ours.limit:,}"),
        ],
        [_plot(found)],
        (
            "Each cleaner is a function in an execution environment of this project's Lambda service, started by AWS's "
            f"runtime client and limited by the operating system to {joined.limit:,} descriptors.",
            f"The file has {ROWS:,} rows. Ours has chunks as small as the others' here; deployed, one process cleans "
            "4 MiB, which are about 23,000 rows.",
        ),
    )


def _judge(found: Mapping[str, Cleaning]) -> tuple[Verdict, str]:
    joined, ours = found[JOINED], found[OURS]
    if joined.limit != MAX_DESCRIPTORS:
        return Verdict.DIFFERS, f"a function has {joined.limit:,} descriptors on this machine, not {MAX_DESCRIPTORS:,}."
    if joined.errno != errno.EMFILE:
        ended = joined.error or f"{joined.started:,} processes ended without an error"
        return Verdict.DIFFERS, f"joined processes did not run out of descriptors: {ended}."
    if ours.errno or ours.rows != ROWS:
        return Verdict.DIFFERS, f"ours cleaned {ours.rows:,} of {ROWS:,} rows: {ours.error or 'no error'}."
    if abs(joined.started - PUBLISHED_PROCESSES) > NEAR * PUBLISHED_PROCESSES:
        return Verdict.DIFFERS, f"it failed after {joined.started:,} processes, not near {PUBLISHED_PROCESSES}."
    return Verdict.REPRODUCED, (
        f"after {joined.started:,} processes, {_kept(joined):.0f} descriptors each, none of {joined.limit:,} was left; "
        f"ours started {ours.started:,} for the same file, with at most {ours.most} descriptors open."
    )


def _end(one: Cleaning) -> str:
    if one.errno:
        return f"{one.started:,}, then it fails"
    return f"{one.started:,}, all done"


def _kept(one: Cleaning) -> float:
    """Return the descriptors that each process added."""
    return (one.most - one.before) / one.started if one.started else 0.0


def _plot(found: Mapping[str, Cleaning]) -> Plot:
    names = {JOINED: "joined", PIPED: "joined, a Pipe each", CLOSED: "joined and closed", OURS: "ours"}
    lines = [
        Line(names[way], [(0, one.before), *((n, open_) for n, open_ in enumerate(one.samples, start=1))])
        for way, one in found.items()
    ]
    last = max(one.started for one in found.values())
    limit = next(iter(found.values())).limit
    lines.append(Line("limit", [(0, limit), (last, limit)]))
    return Plot("Open file descriptors", "processes started", "descriptors open", lines)
