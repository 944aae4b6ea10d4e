"""Every command, option, parameter, variable, file and link that README.md and docs/ name is one that there is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from harness.commands.application import app
from harness.engines.registry import CAPACITIES, ENGINES
from harness.load.schedule import ARRIVALS, SHAPES, SPEC_OPTIONS
from harness.suites.catalogue import summaries
from tools.gate.calibrate import calibrate

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PLACEHOLDERS = {"SUITE": "ci", "FOLDER": "runs/latest", "...": "junit", "…": "", "NN": "1"}
NOT_OURS = {"AWS_ACCESS_KEY_ID", "AWS_CA_BUNDLE"}
"""Variables that the pages name and the project does not: other programs', and those that it does not heed."""

LOCUST_OPTIONS = {"--web-host", "--headless", "--users", "--worker", "--master-host", "--master-port"}
"""Options of Locust itself that the pages use; ours come from LoadSpec and loadtests/locustfile.py."""


def code_of(text: str) -> Iterator[tuple[str, bool]]:
    """Yield every line of fenced or indented code and every code span of a page, and whether it is a span."""
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line, False
        else:
            yield from ((span, True) for span in re.findall(r"`([^`]+)`", line))


def commands(pattern: str) -> list[tuple[str, str, bool]]:
    """Return page, arguments and whether it is a mere mention, of every command that the pages name, once."""
    found: dict[tuple[str, str, bool], None] = {}
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        # A code span may go over the end of a line.
        text = re.sub(r"(?<!`)`([^`]*)`(?!`)", lambda m: f"`{' '.join(m[1].split())}`", text)
        for line, span in code_of(text):
            if match := re.match(rf"\s*(?:\$ )?(?:[A-Z_]+=\S+ )*{pattern}(?:\s+([\w-].*))?$", line):
                found[page.name, (match[1] or "").split(" #")[0].strip(), span] = None
    return list(found)


HARNESS = commands(r"(?:\.venv/bin/|python -m )?harness")
COMPOSE = commands(r"docker compose (?:-f \S+ )*run --rm harness")
MAKE = commands("make")
LOCUST = commands("python -m loadtests")
CALIBRATE = commands(r"python -m tools\.gate\.calibrate")


def words_of(text: str) -> list[str]:
    """Return a command's arguments; a list of alternatives such as `smoke|ci` counts as its first."""
    words = [PLACEHOLDERS.get(word, word) for word in shlex.split(text)]
    return [word.split("|")[0] for word in words if word]


def parse(command: Any, name: str, arguments: list[str]) -> None:
    """Parse arguments as the command line does, without running anything; raises what it would say."""
    context = command.make_context(name, list(arguments), help_option_names=[])
    if hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        chosen, found, left = command.resolve_command(context, rest)
        assert found is not None, rest
        parse(found, str(chosen), left)


def check(command: Any, text: str, *, mention: bool = False) -> None:
    """Parse a command of a page; a mention may leave its arguments out."""
    arguments = [word for word in words_of(text) if word != "--help"]
    try:
        if arguments:
            parse(command, "harness", arguments)
    except Exception as error:
        if not mention or type(error).__name__ not in ("MissingParameter", "NoArgsIsHelpError"):
            raise


APP = typer.main.get_command(app)


def test_pages_when_searched_have_commands_of_every_kind() -> None:
    """The tests below must not pass because nothing was found."""
    assert len(HARNESS) > 40
    assert min(len(COMPOSE), len(MAKE), len(LOCUST), len(CALIBRATE)) > 1


@pytest.mark.parametrize(("page", "text", "mention"), HARNESS + COMPOSE)
def test_command_when_a_page_names_it_is_one_that_parses(page: str, text: str, mention: bool) -> None:
    check(APP, text, mention=mention)


@pytest.mark.parametrize("text", ["run --nonsense", "dlq drop insert", "bench ci --rows 5", "dlq show", "frobnicate"])
def test_command_when_there_is_none_such_is_refused(text: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|missing|resolve|frobnicate"):
        check(APP, text)


@pytest.mark.parametrize(("page", "text", "mention"), CALIBRATE)
def test_calibrate_when_a_page_names_it_parses(page: str, text: str, mention: bool) -> None:
    if text:
        single = typer.Typer(add_completion=False)
        single.command()(calibrate)
        parse(typer.main.get_command(single), "calibrate", words_of(text))


@pytest.mark.parametrize(("page", "text", "mention"), MAKE)
def test_make_when_a_page_names_a_target_has_it(page: str, text: str, mention: bool) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z]+)\s*[?:]?=", makefile, re.MULTILINE))
    for word in shlex.split(text):
        name, equals, _ = word.partition("=")
        if not name.startswith("-") and name.isascii() and name.replace("-", "").isalpha():
            assert name in (variables if equals else targets), f"make {text}"


@pytest.mark.parametrize(("page", "text", "mention"), LOCUST)
def test_locust_when_a_page_names_an_option_takes_it(page: str, text: str, mention: bool) -> None:
    ours = {option.locust_flag for option in SPEC_OPTIONS.values()}
    ours |= set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', (ROOT / "loadtests" / "locustfile.py").read_text()))
    assert {word for word in shlex.split(text) if word.startswith("-")} <= ours | LOCUST_OPTIONS


def options_named(*names: str) -> set[str]:
    """Return every value that the pages give to an option."""
    found: set[str] = set()
    for _, text, _ in HARNESS + COMPOSE + LOCUST:
        words = words_of(text)
        found |= {value for option, value in pairwise(words) if option in names}
    return found


def test_values_when_a_page_gives_them_are_known() -> None:
    parameters = yaml.load((ROOT / "handlers" / "template.yaml").read_text(), yaml.BaseLoader)["Parameters"]
    assert {value.partition("=")[0] for value in options_named("-p", "--param")} <= parameters.keys()
    assert options_named("--engine") <= set(ENGINES)
    assert options_named("--shape") <= set(SHAPES)
    assert options_named("--arrivals") <= set(ARRIVALS)
    assert options_named("--profile") <= {"local", "2021", "2026"}
    assert options_named("--capacity") <= set(CAPACITIES)
    assert options_named("--suite") <= summaries().keys()


def source() -> str:
    """Return everything in which a variable may be read."""
    places = [*ROOT.glob("*.yml"), *ROOT.glob(".ci/*"), ROOT / "Makefile"]
    places += [path for name in ("harness", "handlers", "loadtests") for path in (ROOT / name).rglob("*.py")]
    return "\n".join(path.read_text() for path in places if path.is_file())


def test_variables_when_a_page_names_them_are_read_somewhere() -> None:
    text = source()
    for page in PAGES:
        for name in set(re.findall(r"\b(?:HARNESS|LOCALSTACK|LOCUST|XDG|AWS)_[A-Z_]+\b", page.read_text())):
            assert name in text or name in NOT_OURS, f"{page.name}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_when_a_page_names_them_are_there(page: Path) -> None:
    text = page.read_text()
    for path in set(re.findall(r"`((?:harness|handlers|loadtests|tests|tools|docs)/[\w./-]*)`", text)):
        assert (ROOT / path).exists(), path
    for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", text):
        assert (page.parent / target).exists(), target
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([\w-]+)\)", text):
        there = (page.parent / target).read_text() if target else text
        headings = {
            re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", there, re.M)
        }
        assert anchor in headings, f"{target}#{anchor}"


def test_exit_codes_when_operations_lists_them_are_those_of_the_command_line() -> None:
    from harness.errors import ExitCode

    listed = re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert [int(code) for code in listed] == sorted(int(code) for code in ExitCode)


def test_suites_when_benchmarking_lists_them_are_those_there_are_with_their_times() -> None:
    text = (ROOT / "docs" / "benchmarking.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", text.split("## Suites")[1].split("```")[0], re.MULTILINE)
    assert {name: time.strip() for name, time in rows} == {
        name: summary.rsplit("(", 1)[1].rstrip(")") for name, summary in summaries().items()
    }


DEFAULTS = [
    ("load-testing.md", "--users", r"`--users` \((\d+)\)", "bench load"),
    ("load-testing.md", "--warmup", r"`--warmup` seconds \((\d+)\)", "bench load"),
    ("load-testing.md", "--step-seconds", r"`--step-seconds` \((\d+);", "bench saturation"),
    ("load-testing.md", "--resolution", r"`--resolution` \(([\d.]+),", "bench saturation"),
    ("load-testing.md", "--budget", r"`--budget` \((\d+) s\)", "bench saturation"),
    ("corpus.md", "--dirty", r"`--dirty ([\d.]+)`", "generate"),
    ("corpus.md", "--quarantine", r"`--quarantine ([\d.]+)`", "generate"),
    ("corpus.md", "--poison", r"`--poison ([\d.]+)`", "generate"),
]


@pytest.mark.parametrize(("page", "option", "pattern", "command"), DEFAULTS)
def test_defaults_when_a_page_gives_them_are_the_command_lines(
    page: str, option: str, pattern: str, command: str
) -> None:
    [given] = set(re.findall(pattern, (ROOT / "docs" / page).read_text()))
    found: Any = APP
    for name in command.split():
        found = found.commands[name]
    [default] = [parameter.default for parameter in found.params if option in parameter.opts]
    assert float(given) == float(default)


def test_template_when_a_page_gives_a_parameters_default_agrees() -> None:
    parameters = yaml.load((ROOT / "handlers" / "template.yaml").read_text(), yaml.BaseLoader)["Parameters"]
    text = (ROOT / "docs" / "load-testing.md").read_text()
    [delay] = re.findall(r"`RetryDelaySeconds` \((\d+)\)", text)
    assert delay == parameters["RetryDelaySeconds"]["Default"]
