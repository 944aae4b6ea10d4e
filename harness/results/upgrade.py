"""Files of schema version 2 as files of version 3: they still compare and report. Pure.

Version 2 was written until 2026-11. A field that its writer did not have gets what stands for "not known".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OLD_VERSION = 2


def upgraded(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document of version 2, as JSON gave it, as one of version 3; raises KeyError, TypeError or
    AttributeError where it is none."""
    new = {"run": "", **data, "schema_version": 3}
    kind = data["kind"]
    if kind in ("suite", "gate", "error"):
        return new
    reason = new.pop("figures_void_reason", "")
    if new.pop("figures_void", False):
        new["figures_void_reason"] = reason or "unknown"
    new["audit"] = _audit(data["audit"])
    if "warmup_audit" in data:
        new["warmup_audit"] = _audit(data["warmup_audit"])
    if "engine" in data:
        new["engine"] = _engine(data["engine"])
    if kind == "run":
        new["baseline"] = new.pop("ceiling", [])
        new["share_of_baseline"] = new.pop("share_of_ceiling", {})
        new.setdefault("clean_seconds", None)
    if kind in ("load", "saturation"):
        new.setdefault("tracker_cpu_share", None)
    return new


def _audit(data: Mapping[str, Any]) -> dict[str, Any]:
    new = dict(data)
    if "duplicate_letters" in new:
        new["duplicate_messages"] = new.pop("duplicate_letters")
    return new


def _engine(data: Mapping[str, Any]) -> dict[str, Any]:
    functions = dict(data["functions"])
    service = functions.pop("_service", {})
    return {**data, "functions": functions, "service": service}
