"""How old a stage's backlog is, from cumulative curves of rows in and rows out. Pure."""

from __future__ import annotations

from collections import deque


class BacklogAge:
    """Follows one stage: how long ago the oldest row that still waits came in, if rows leave in their order.

    Two cumulative curves over time: rows that entered and rows that are done. The age at a moment is how far back the
    first curve passed the second one's present value.
    """

    def __init__(self) -> None:
        self._curve: deque[tuple[float, float]] = deque()
        self._last_empty = 0.0

    def observe(self, now: float, done: float, waiting: float) -> float:
        """Return the age in seconds at `now`, a clock that never goes back, with `done` rows so far and `waiting`
        rows before or in the stage; 0 where nothing waits.
        """
        if waiting <= 0:
            self._curve.clear()
            self._last_empty = now
            self._curve.append((now, done))
            return 0.0
        if not self._curve:
            self._curve.append((self._last_empty, 0.0))
        entered = max(done + waiting, self._curve[-1][1])
        self._curve.append((now, entered))
        while len(self._curve) > 2 and self._curve[1][1] <= done:
            self._curve.popleft()
        (earlier, before), (later, after) = self._curve[0], self._curve[1]
        # before <= done < after: the points up to `done` are gone, and the last one holds what waits.
        return now - (earlier + (done - before) / (after - before) * (later - earlier))
