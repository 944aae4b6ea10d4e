"""dlq list, show, redrive."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from harness.commands.options import EngineName, out

app = typer.Typer(no_args_is_help=True, help="Dead-letter queues: list, show, redrive.")


@app.command("list")
def dlq_list(engine: EngineName = "embedded") -> None:
    """Count the dead letters of every stage of the engine that is up (`harness deploy`, `harness run --keep`)."""
    from harness import dlq
    from harness.run.core import STACK
    from harness.session import attach

    session = attach(engine, STACK)
    table = Table("stage", "messages", box=None, header_style="bold")
    for stage, count in dlq.counts(session.client("sqs"), session.deployment).items():
        table.add_row(stage, f"{count:,}")
    out.print(table)


@app.command("show")
def dlq_show(
    stage: Annotated[str, typer.Argument(help="clean, insert, capture, process or update.")],
    limit: Annotated[int, typer.Option(help="Show at most this many letters.")] = 20,
    engine: EngineName = "embedded",
) -> None:
    """Show a stage's dead letters: which rows, and why. Nothing is taken out of the queue."""
    from itertools import islice

    from harness import dlq
    from harness.run.core import STACK
    from harness.session import attach

    session = attach(engine, STACK)
    wanted = dlq.stage_named(stage)
    table = Table("message", "source", "rows", "receives", "reason", "detail", box=None, header_style="bold")
    for letter in islice(dlq.letters(session.client("sqs"), session.deployment, wanted), limit):
        rows = ", ".join(map(str, letter.rows[:5])) + (f" … {len(letter.rows)} in all" if len(letter.rows) > 5 else "")
        table.add_row(letter.message_id[:8], letter.source_id, rows, str(letter.receives), letter.reason, letter.detail)
    out.print(table)


@app.command("redrive")
def dlq_redrive(
    stage: Annotated[str, typer.Argument(help="insert, process or update.")], engine: EngineName = "embedded"
) -> None:
    """Send a stage's dead letters back to its queue; each is deleted only once its copy was accepted."""
    from harness import dlq
    from harness.run.core import STACK
    from harness.session import attach

    session = attach(engine, STACK)
    moved = dlq.redrive(session.client("sqs"), session.deployment, dlq.stage_named(stage))
    out.print(f"{moved:,} messages sent back to {stage}", highlight=False)
