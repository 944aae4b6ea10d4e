"""Options declared once as a dataclass: they are options of every command that takes the group."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from harness.commands.option_groups import grouped


@dataclass(frozen=True)
class Size:
    rows: Annotated[int, typer.Option("--rows", "-n", min=1, help="How many rows.")] = 5
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Repeatable.")] = None


@dataclass(frozen=True)
class Place:
    folder: Annotated[Path, typer.Option(help="Where to.")]
    rate: float = 1.5


def app_of(command: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(command)
    return app


def test_command_when_it_takes_groups_is_called_with_what_was_given_and_the_defaults() -> None:
    seen: list[Any] = []

    @grouped
    def command(size: Size, place: Place, name: str, quick: bool = False) -> None:
        """Do it."""
        seen.append((size, place, name, quick))

    runner = CliRunner()
    done = runner.invoke(app_of(command), ["it", "-n", "7", "--folder", "x", "--tag", "a", "--tag", "b", "--quick"])
    assert done.exit_code == 0, done.output
    done = runner.invoke(app_of(command), ["it", "--folder", "x", "--rate", "2"])
    assert done.exit_code == 0, done.output
    assert seen == [
        (Size(7, ["a", "b"]), Place(Path("x"), 1.5), "it", True),
        (Size(5, None), Place(Path("x"), 2.0), "it", False),
    ]


def test_help_when_options_come_from_groups_has_them_with_their_texts_and_the_commands_own() -> None:
    @grouped
    def command(size: Size, place: Place) -> None:
        """Do it to all."""

    text = CliRunner().invoke(app_of(command), ["--help"], env={"COLUMNS": "100"}).output
    for part in ("Do it to all.", "--rows", "How many rows.", "--folder", "[required]", "--rate"):
        assert part in text


@pytest.mark.parametrize("given", [["--folder", "x", "-n", "0"], [], ["--folder", "x", "--rate", "fast"]])
def test_command_when_a_groups_option_is_wrong_is_a_usage_error_and_not_called(given: list[str]) -> None:
    @grouped
    def command(size: Size, place: Place) -> None:
        raise AssertionError("called")

    assert CliRunner().invoke(app_of(command), given).exit_code == 2


def test_grouped_when_two_groups_have_an_option_of_one_name_refuses() -> None:
    def command(size: Size, rows: int = 1) -> None: ...

    with pytest.raises(TypeError, match="two options of one name among rows, tags, rows"):
        grouped(command)


def test_command_when_it_has_no_group_is_as_before() -> None:
    seen = []

    @grouped
    def command(name: str = "you") -> None:
        seen.append(name)

    assert CliRunner().invoke(app_of(command), ["--name", "me"]).exit_code == 0
    assert seen == ["me"]
