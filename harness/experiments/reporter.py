"""What an experiment tells the person who runs it: lines, progress bars, a live display."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harness.observation.display import Display, make_display


class ProgressBar:
    """A progress bar; entering it gives a function that takes the count so far."""

    def __init__(self, console: Console, label: str, total: int, *, data: bool = False, hidden: bool = False) -> None:
        counter = DownloadColumn() if data else MofNCompleteColumn()
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            counter,
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=hidden or not console.is_terminal,
        )
        self._label, self._total = label, total

    def __enter__(self) -> Callable[[int], None]:
        self._progress.start()
        task = self._progress.add_task(self._label, total=self._total)
        return lambda done: self._progress.update(task, completed=done)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


class Reporter:
    """Writes to a console, or, where `quiet`, nothing at all."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet

    def say(self, text: str) -> None:
        """Print a line."""
        if not self.quiet:
            self.console.print(text, highlight=False, soft_wrap=True)

    def bar(self, label: str, total: int, *, data: bool = False) -> ProgressBar:
        """Return a progress bar for a long step; `data` counts bytes."""
        return ProgressBar(self.console, label, total, data=data, hidden=self.quiet)

    def display(self, *, shown: bool = True) -> Display:
        """Return the live display of an experiment; one that is not `shown` says nothing."""
        return make_display(self.console, quiet=self.quiet or not shown)
