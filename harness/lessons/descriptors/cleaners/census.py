"""How many file descriptors this process has open, sample by sample."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def open_descriptors() -> int:
    """Return how many file descriptors are open. Raises OSError where none is left to look with."""
    # Looking opens one, too.
    return sum(1 for _ in Path("/dev/fd").iterdir()) - 1


@dataclass
class Census:
    """A sample of the open descriptors for each process that was started; `before` is from before the first."""

    before: int = field(default_factory=open_descriptors)
    samples: list[int] = field(default_factory=list)

    def take(self) -> None:
        """Add a sample; call it after each start."""
        self.samples.append(open_descriptors())

    def answer(self, rows: int, errno: int | None = None, error: str = "") -> dict[str, Any]:
        """Return a function's answer: rows cleaned, samples, limit, and the error that ended it, if one did."""
        return {
            "rows": rows,
            "before": self.before,
            "samples": self.samples,
            "limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "errno": errno or 0,
            "error": error,
        }
