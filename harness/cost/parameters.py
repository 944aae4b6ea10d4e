"""What a deployment's template parameters say of its bill. Pure."""

from __future__ import annotations

from collections.abc import Mapping

DEFAULTS = {
    "RowsPerMessage": "250",
    "CleanMemory": "3538",
    "WorkerMemory": "512",
    "Architecture": "x86_64",
    "BillingMode": "PAY_PER_REQUEST",
    "WriteCapacity": "2000",
    "ReadCapacity": "100",
}
"""The defaults of `handlers/template.yaml`; a test holds them to it."""


def memory_mb(stage: str, parameters: Mapping[str, str]) -> int:
    """Return the memory of a stage's function in MB."""
    return int(_value("CleanMemory" if stage == "clean" else "WorkerMemory", parameters))


def number(name: str, parameters: Mapping[str, str]) -> int:
    """Return a parameter that is a whole number."""
    return int(_value(name, parameters))


def on_arm(parameters: Mapping[str, str]) -> bool:
    """Return whether functions run on Arm."""
    return _value("Architecture", parameters) == "arm64"


def provisioned(parameters: Mapping[str, str]) -> tuple[int, int] | None:
    """Return the table's write and read capacity; None where it is on demand."""
    if _value("BillingMode", parameters) != "PROVISIONED":
        return None
    return int(_value("WriteCapacity", parameters)), int(_value("ReadCapacity", parameters))


def _value(name: str, parameters: Mapping[str, str]) -> str:
    return str(parameters.get(name, DEFAULTS[name]))
