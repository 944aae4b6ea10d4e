"""The suites that come with the harness, as far as help needs them: quick, without reading more than their texts."""

from __future__ import annotations

import tomllib
from pathlib import Path


def summaries() -> dict[str, str]:
    """Return a line for every suite by name: what it measures, and about how long it takes on two cores."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        found[path.stem] = f"{data['description']} ({data['duration']})"
    return found
