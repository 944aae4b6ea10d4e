"""What a result says, in words for several readers: console, page, export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def memory_scope(engine: str) -> str:
    """Return whose memory a result of this engine holds: Docker's containers are no children of the harness."""
    if engine == "aws":
        return "the harness alone"
    return "all processes together" if engine == "embedded" else "LocalStack's containers not counted"


def describe_rule(rule: Mapping[str, Any]) -> str:
    """Return a chaos rule of a result in words: where, and what it does."""
    where = f"{rule['service']} {rule['operation']}"
    if rule.get("resource", "*") != "*":
        where += f" on {rule['resource']}"
    effect = rule["effect"]
    if effect == "error":
        what = str(rule["code"])
    elif effect == "partial":
        what = f"{rule.get('fraction', 0.5):.0%} of the batch not carried out"
    elif effect == "latency":
        given = rule["seconds"]
        what = " to ".join(f"{bound:g}" for bound in (given if isinstance(given, list) else [given])) + " s later"
    else:
        what = f"connection closed {rule['when']} carrying out"
    return f"{where}, {what}"
