"""Figures by name that whoever counts them keeps from its start on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, Self, TypeVar


class _Count(Protocol):
    def since(self, before: Any) -> Any: ...


Count = TypeVar("Count", bound=_Count)


@dataclass(frozen=True)
class CountsByName(Generic[Count]):
    """What was counted so far, by the name of what it is of.

    `starts` says how often whoever counts was started: another number means that it began anew at nothing. A figure
    that lacks what came before is not `complete`.
    """

    by_name: Mapping[str, Count]
    starts: int = 1
    complete: bool = True

    def since(self, before: Self) -> Self:
        """Return what has come on top of `before`, of the names that there are still."""
        if before.starts != self.starts:
            return replace(self, complete=False)
        past = before.by_name
        return replace(
            self,
            by_name={name: now.since(past[name]) if name in past else now for name, now in self.by_name.items()},
            complete=self.complete and before.complete,
        )
