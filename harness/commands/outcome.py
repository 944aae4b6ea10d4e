"""How a command about an experiment ends: which exit code goes before which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from harness.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.results import ObjectiveFigures


def end_with(*, conserved: bool, objectives: Sequence[ObjectiveFigures]) -> None:
    """Raise typer.Exit unless every row is where it must be (else 3), and every objective was kept (1 where one was
    missed, 4 where one was not measured)."""
    from harness.objectives import exit_code_of

    code = exit_code_of(objectives) if conserved else ExitCode.NOT_CONSERVED
    if code is not ExitCode.OK:
        raise typer.Exit(code)
