"""The command line's entry point; `harness.commands.application` has the commands."""

from __future__ import annotations

from harness.entry import enter


def main() -> None:
    """Run the command line and exit with its code."""
    enter(_command_line)


def _command_line() -> None:
    # Here rather than above: loading the commands takes a moment, in which Ctrl-C may come.
    from harness.commands.application import app

    app(prog_name="harness")
