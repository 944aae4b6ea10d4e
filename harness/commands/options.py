"""Options, consoles and small helpers that several commands share."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.console import console
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.data_plane.chaos.rules import RuleSet

out = console()
err = console(stderr=True)

Rows = Annotated[int, typer.Option("--rows", "-n", help="Rows of the generated corpus.")]
Seed = Annotated[int, typer.Option(help="Seed: the same seed gives the same bytes on any machine.")]
Dirty = Annotated[float, typer.Option(help="Share of rows that need cleaning.")]
Quarantine = Annotated[float, typer.Option(help="Share of rows that clean must reject.")]
Poison = Annotated[float, typer.Option(help="Share of rows that a later stage must give up.")]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine", envvar="HARNESS_ENGINE", help="Engine to run on: embedded, localstack, localstack-data, aws."
    ),
]
Profile = Annotated[
    str, typer.Option(help="Concurrency profile of our Lambda service (not of LocalStack's): local, 2021, 2026.")
]
Capacity = Annotated[
    str,
    typer.Option(help="aws: tables throttle as their capacity says (engine embedded only); unlimited: they never do."),
]
Chaos = Annotated[
    Path | None,
    typer.Option(
        "--chaos", help="Faults to inject (engine embedded): a TOML file, or the example `ingestion`; docs/chaos.md."
    ),
]
Params = Annotated[
    list[str] | None, typer.Option("--param", "-p", metavar="KEY=VALUE", help="Template parameter; repeatable.")
]
StallTimeout = Annotated[float, typer.Option(help="Give up when nothing that should move does for this many seconds.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]
Require = Annotated[
    list[str] | None,
    typer.Option(
        "--require",
        metavar="OBJECTIVE",
        help="A limit that a figure must keep, else exit code 1: 'insert.rows_per_second>3000'; repeatable.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for results; each run gets a folder of its own in it.")]


def chaos_rules(path: Path | None, engine: str) -> RuleSet | None:
    """Return the rules of `--chaos`, None without; raises UsageError for a file that is none, and for an engine that
    injects no faults."""
    if path is None:
        return None
    from harness.data_plane.chaos.rules import read_rules
    from harness.engines.registry import kind_of, no_chaos

    if not kind_of(engine).injects_faults:
        raise no_chaos(engine)
    return read_rules(path)


def parse_parameters(given: list[str] | None) -> dict[str, str]:
    """Return template parameters given as KEY=VALUE; raises UsageError naming the one that is not."""
    parameters = {}
    for text in given or []:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise UsageError(f"--param {text!r} is not KEY=VALUE", hint="for example --param RowsPerMessage=1")
        parameters[name] = value
    return parameters


def say(text: str, *, aside: bool = False) -> None:
    """Print a line as it is; `aside` to standard error, where standard output is a result."""
    (err if aside else out).print(text, highlight=False, soft_wrap=True, markup=False)


_LOOK_SECONDS = 0.5


def wait_for_interrupt() -> None:
    """Return when the user presses Ctrl-C."""
    out.print("\nup until Ctrl-C")
    try:
        while True:
            # A signal that comes just before the call does not end it, so it must end soon by itself.
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        out.print("stopping")
