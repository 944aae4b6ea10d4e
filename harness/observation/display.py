"""What a person sees while a run goes on: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.observation.progress import Snapshot

PLAIN_SECONDS = 5.0


class Display(Protocol):
    """Shows snapshots while it is entered; it takes the terminal with the first one, not before."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, snapshot: Snapshot) -> None:
        """Show one snapshot."""


def make_display(console: Console, *, quiet: bool = False) -> Display:
    """Return the display that suits the console; `quiet` shows nothing."""
    if quiet:
        return _Silent()
    return _LiveTable(console) if console.is_terminal else _PlainLines(console)


def clock(seconds: float | None) -> str:
    """Return seconds as m:ss, or a dash."""
    return "–" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def render(snapshot: Snapshot) -> Group:
    """Return the live view of a snapshot."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage")
    table.add_column("", width=24)
    for name in ("rows", "rows/s", "queued", "in flight", "DLQ", "errors"):
        table.add_column(name, justify="right")
    for stage in snapshot.stages:
        due = max(1, snapshot.expected_rows - snapshot.quarantined)
        table.add_row(
            stage.name,
            ProgressBar(total=due, completed=min(stage.rows, due), width=24),
            f"{stage.rows:,}",
            f"{stage.rate:,.0f}",
            "" if stage.name in ("clean", "capture") else f"{stage.queued:,}",
            "" if stage.name in ("clean", "capture") else f"{stage.in_flight:,}",
            Text(f"{stage.dlq:,}", style="yellow" if stage.dlq else "dim"),
            Text(f"{stage.errors:,}", style="red" if stage.errors else "dim"),
        )
    head = Text.assemble(
        ("elapsed ", "dim"),
        clock(snapshot.elapsed),
        ("   remaining ", "dim"),
        clock(snapshot.eta_seconds()),
        ("   quarantined ", "dim"),
        f"{snapshot.quarantined:,}",
        ("   of ", "dim"),
        f"{snapshot.expected_rows:,} rows",
    )
    return Group(head, table)


class _Silent:
    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, snapshot: Snapshot) -> None:
        """Show nothing."""


class _LiveTable:
    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> _LiveTable:
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Redraw the table."""
        if not self._live.is_started:
            self._live.start()
        self._live.update(render(snapshot), refresh=True)


class _PlainLines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = -PLAIN_SECONDS

    def __enter__(self) -> _PlainLines:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, snapshot: Snapshot) -> None:
        """Print a line every few seconds."""
        if snapshot.elapsed - self._last < PLAIN_SECONDS:
            return
        self._last = snapshot.elapsed
        stages = "  ".join(f"{s.name} {s.rows:,}" for s in snapshot.stages)
        dlq = sum(s.dlq for s in snapshot.stages)
        self._console.print(
            f"{clock(snapshot.elapsed):>6}  {stages}  DLQ {dlq:,}  remaining {clock(snapshot.eta_seconds())}",
            highlight=False,
            soft_wrap=True,
        )
