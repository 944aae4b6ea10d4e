"""Which rules fire for a request. Pure: time is given, and every rule has a random generator of its own.

The n-th request that matches a rule is decided by the rule's seed and n alone, whatever other rules do: two numbers
are drawn for each, one for whether it fires and one for how much or which part.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from random import Random

from harness.data_plane.chaos.rules import ANY, Rule


class RuleState:
    """A rule, and how often it matched and was injected so far."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.matched = 0
        self.injected = 0
        self._random = Random(rule.seed)

    def covers(self, service: str, operation: str) -> bool:
        """Return whether the rule is about an operation of a service."""
        return self.rule.service == service and self.rule.operation in (ANY, operation)

    def concerns(self, resource: str) -> bool:
        """Return whether the rule is about a queue or table of that name; case counts."""
        return fnmatch.fnmatchcase(resource, self.rule.resource)

    def decide(self, age: float) -> float | None:
        """Decide the next matching request, `age` seconds after the start: None where the rule does not fire, else a
        number from 0 to below 1 that says how much or which part."""
        rule = self.rule
        if age < rule.begins or (rule.ends is not None and age >= rule.ends):
            return None
        self.matched += 1
        chance, detail = self._random.random(), self._random.random()
        if chance >= rule.probability or (rule.times is not None and self.injected >= rule.times):
            return None
        return detail


@dataclass(frozen=True)
class Fired:
    """A rule that fires for a request; `detail` is 0 to below 1."""

    state: RuleState
    detail: float


def decide(states: Iterable[RuleState], resources: Collection[str] | None, age: float) -> list[Fired]:
    """Return the rules that fire for a request, in the order of the file.

    `resources` are the queues or tables that it names (None: not looked for, as no rule asks).
    """
    fired = []
    for state in states:
        if state.rule.resource != ANY and not any(map(state.concerns, resources or ())):
            continue
        detail = state.decide(age)
        if detail is not None:
            fired.append(Fired(state, detail))
    return fired


def chosen(count: int, fraction: float, detail: float) -> frozenset[int]:
    """Return which of `count` entries a partial failure takes: a share of them, rounded, at least one."""
    if not count:
        return frozenset()
    size = min(count, max(1, int(count * fraction + 0.5)))
    return frozenset(Random(detail).sample(range(count), size))
