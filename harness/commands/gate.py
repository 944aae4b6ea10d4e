"""gate: base against head, by paired trials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.commands.options import Out, out
from harness.errors import ExitCode, UsageError


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(gate)


def gate(
    context: typer.Context,
    base: Annotated[
        str | None,
        typer.Option(
            help="Git ref, wheel or folder to compare with (default: head's parent; of a folder with changed files, "
            "its commit)."
        ),
    ] = None,
    head: Annotated[str, typer.Option(help="Git ref, wheel or folder that is judged.")] = ".",
    replay: Annotated[
        bool,
        typer.Option(
            "--replay",
            help="Replay recorded events through the handlers alone: sharper, in under 3 minutes, blind to the rest.",
        ),
    ] = False,
    suite: Annotated[
        str | None, typer.Option(help="Suite of kind run, by name or as a .toml file.", show_default="ci")
    ] = None,
    pairs: Annotated[int | None, typer.Option(help="Pairs of trials (default: the suite's, or the replay's).")] = None,
    rows: Annotated[int | None, typer.Option(help="Rows of a trial (default: the suite's).")] = None,
    threshold: Annotated[float | None, typer.Option(help="Ratio of median costs from which head is worse.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Largest p-value, all metrics together.")] = None,
    self_check: Annotated[
        bool, typer.Option("--self-check", help="Run head against itself: shows what the gate can detect here.")
    ] = False,
    engine: Annotated[
        str | None,
        typer.Option(
            envvar="HARNESS_ENGINE",
            help="Engine of the trials: embedded, localstack, localstack-data.",
            show_default="embedded",
        ),
    ] = None,
    out_dir: Out = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print gate.json and nothing else.")] = False,
) -> None:
    """Decide whether head is slower than base, or loses rows: paired trials that take turns, and an exact test.

    With --replay the handlers alone are judged, by events that base's own handlers recorded, against services that
    answer at once; a request more than base makes is a regression, too.

    Exit codes: 0 no regression found, 1 regressed, 2 versions or rules that cannot be used, 3 rows not conserved in a
    trial, 4 too noisy to tell or a metric that decides is missing, 5 a trial could not be carried out.
    docs/benchmarking.md has the rules and how often the gate is wrong.

    Examples:

      harness gate                          the working tree against its commit, or the commit against its parent
      harness gate --base origin/main       a branch
      harness gate --base v1.0 --head v1.1
      harness gate --self-check             what can be detected on this machine?
      harness gate --replay                 are the handlers slower? 5% is found, in under 3 minutes
    """
    from harness.gate.command import GateRequest, carry_out
    from harness.results import json_of

    if self_check and base is not None:
        raise UsageError(f"--self-check compares head with itself, --base {base} has no use", hint="leave one out")
    if replay:
        for name in ("suite", "rows", "engine"):
            source = context.get_parameter_source(name)
            # A variable is set for other commands, too.
            if source is not None and source.name == "COMMANDLINE":
                raise UsageError(f"--{name}: --replay runs no trials of the pipeline", hint=f"leave --{name} out")
    request = GateRequest(
        base,
        head,
        suite or "ci",
        pairs=pairs,
        rows=rows,
        threshold=threshold,
        alpha=alpha,
        self_check=self_check,
        engine=engine or "embedded",
        replay=replay,
    )
    finished = carry_out(request, out_dir, out, quiet=as_json)
    if as_json:
        print(json_of(finished.document, indent=0))  # noqa: T201
    if finished.outcome.error is not None:
        raise finished.outcome.error
    code = finished.outcome.decision.verdict.exit_code
    if code is not ExitCode.OK:
        raise typer.Exit(code)
