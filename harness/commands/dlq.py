"""dlq list, show, redrive."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from harness.commands.options import EngineName, out

app = typer.Typer(
    no_args_is_help=True,
    help="""Dead-letter queues: list, show, redrive.

    They look at the engine that another terminal keeps up with `harness deploy` or `harness run --keep`, or at a
    LocalStack (`--engine localstack`).

    Every stage has a dead-letter queue. Those of insert, process and update hold record batches that were received
    MaxReceiveCount times: the rows and why they were refused. That of clean holds the events whose object was given up,
    that of capture the positions of stream records. Whatever else was sent there is shown as what it is.

    Exit codes: 0 done, 2 a stage that there is not or that cannot be sent back, 5 no engine, or one that does not
    answer.
    """,
)


@app.command("list")
def dlq_list(engine: EngineName = "embedded") -> None:
    """Count the dead letters of every stage of the engine that is up (`harness deploy`, `harness run --keep`)."""
    from harness import dlq
    from harness.experiments.lifecycle import STACK
    from harness.session import attach

    session = attach(engine, STACK)
    table = Table("stage", "messages", box=None, header_style="bold")
    with dlq.refusals(session.endpoint):
        for stage, count in dlq.counts(session.client("sqs"), session.deployment).items():
            table.add_row(stage, f"{count:,}")
    out.print(table)


@app.command("show")
def dlq_show(
    stage: Annotated[str, typer.Argument(help="clean, insert, capture, process or update.")],
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many messages.")] = 20,
    engine: EngineName = "embedded",
) -> None:
    """Show a stage's dead letters: which rows, and why. Nothing is taken out of the queue.

    A message that names no row is shown as what it is, with its size and its first characters. Control characters are
    shown as escapes. Reading a message counts as one more receive.

    Examples:

      harness dlq show process
      harness dlq show clean --limit 100
    """
    from harness import dlq
    from harness.experiments.lifecycle import STACK
    from harness.session import attach

    wanted = dlq.stage_named(stage)
    session = attach(engine, STACK)
    table = Table("message", "source", "rows", "receives", "reason", "detail", box=None, header_style="bold")
    shown = 0
    with dlq.refusals(session.endpoint):
        sqs = session.client("sqs")
        total = dlq.counts(sqs, session.deployment)[wanted.name]
        for message in dlq.messages(sqs, session.deployment, wanted, limit):
            rows = ", ".join(map(str, message.rows[:5]))
            if len(message.rows) > 5:
                rows += f" … {len(message.rows):,} in all"
            cells = (
                message.message_id[:8],
                message.source_id,
                rows,
                str(message.receives),
                message.reason,
                message.detail,
            )
            # Text, because whoever sent a message may have put markup into it.
            table.add_row(*map(Text, cells))
            shown += 1
    if not shown:
        out.print(f"no dead-letter messages of {wanted.name}")
        return
    out.print(table)
    if total > shown:
        out.print(f"{shown:,} of {total:,} messages; --limit shows more", highlight=False)


@app.command("redrive")
def dlq_redrive(
    stage: Annotated[str, typer.Argument(help="insert, process or update.")], engine: EngineName = "embedded"
) -> None:
    """Send a stage's dead letters back to its queue; each is deleted only once its copy was accepted.

    Do so once the cause is gone: what fails again comes back to the dead-letter queue after MaxReceiveCount receives.
    An interruption may double a message, which changes nothing, and loses none. Messages of clean and capture name what
    failed rather than hold it: upload the object again, or put the items again.

    Example: harness dlq redrive process
    """
    from harness import dlq
    from harness.experiments.lifecycle import STACK
    from harness.session import attach

    wanted = dlq.stage_named(stage)
    session = attach(engine, STACK)
    with dlq.refusals(session.endpoint):
        done = dlq.redrive(session.client("sqs"), session.deployment, wanted)
    out.print(f"{done.moved:,} messages sent back to {wanted.name}", highlight=False)
    if done.not_batches:
        out.print(
            f"no record batches: {done.not_batches:,} of them; {wanted.name} cannot read such a message, "
            "and it will come back",
            highlight=False,
            soft_wrap=True,
        )
