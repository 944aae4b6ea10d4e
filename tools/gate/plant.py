"""Plants a slowdown of known size in one handler of a source tree, to measure what the gate finds."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from harness.errors import UsageError
from harness.stages import STAGES


class Kind(StrEnum):
    """`CPU` computes for longer, `WAIT` sleeps: what a slower algorithm and a slower dependency look like."""

    CPU = "cpu"
    WAIT = "wait"


_CODE = """

import resource as _resource
import sys as _sys
import time as _time

_handler = handler
_began = [0.0, 0.0]


def _cpu():
    usages = (_resource.getrusage(who) for who in (_resource.RUSAGE_SELF, _resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _slowly(emit):
    def emit_later(works, context):
        if "{kind}" == "wait":
            _time.sleep({share} * (_time.perf_counter() - _began[0]))
        else:
            until = _cpu() + {share} * (_cpu() - _began[1])
            while _cpu() < until:
                sum(range(200))
        return emit(works, context)

    return emit_later


def _slow_down():
    for module in (_sys.modules[__name__], _sys.modules.get("handlers.settlement")):
        if hasattr(module, "emit"):
            module.emit = _slowly(module.emit)


def handler(event, context):
    # Not on import: whoever imports this module for something else must not be slowed down with it.
    if not any(_began):
        _slow_down()
    _began[:] = _time.perf_counter(), _cpu()
    return _handler(event, context)
"""

_CODE_AROUND = """

import resource as _resource
import sys as _sys
import time as _time

_handler = handler


def _cpu():
    usages = (_resource.getrusage(who) for who in (_resource.RUSAGE_SELF, _resource.RUSAGE_CHILDREN))
    spent = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    # The services' answering is CPU time of this process, and none of the handler's.
    return spent - _sys.modules["harness.gate.replay.stub"].Ledger.current.taken_ns / 1e9


def handler(event, context):
    began, cpu = _time.perf_counter(), _cpu()
    answer = _handler(event, context)
    if "{kind}" == "wait":
        _time.sleep({share} * (_time.perf_counter() - began))
    else:
        until = _cpu() + {share} * (_cpu() - cpu)
        while _cpu() < until:
            sum(range(200))
    return answer
"""


def plant(tree: Path, stage: str, share: float, kind: Kind) -> None:
    """Make the handler of `stage` in the tree spend `share` (0.15 is 15%) of its own time again in every invocation.

    It does so just before it reports, so that its figures have the slowdown in them. A share of 0 plants the same code,
    which then does nothing. Raises UsageError for a stage or share that cannot be.
    """
    _append(tree, stage, share, kind, _CODE)


def plant_around(tree: Path, stage: str, share: float, kind: Kind) -> None:
    """Plant a slowdown as `plant` does, for a replay: after the handler's end and without the services' share of its
    time, so that handlers in one process do not slow each other down."""
    _append(tree, stage, share, kind, _CODE_AROUND)


def _append(tree: Path, stage: str, share: float, kind: Kind, code: str) -> None:
    names = [s.name for s in STAGES]
    if stage not in names:
        raise UsageError(f"there is no stage {stage!r}", hint=f"there are {', '.join(names)}")
    if not 0 <= share <= 10:
        raise UsageError(f"a slowdown of {share:g} cannot be planted", hint="0 to 10; 0.15 is 15%")
    module = tree / "handlers" / f"{stage}.py"
    module.write_text(module.read_text("utf-8") + code.format(share=share, kind=kind.value), "utf-8")
