"""Suites as data: those that come with the harness, files of one's own, and mistakes in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.corpus import CorpusSpec
from harness.errors import UsageError
from harness.suites.catalogue import summaries
from harness.suites.model import Kind, load_suite, names, parse

GOOD = 'description = "a test"\nduration = "1 s"\n'
RUN = GOOD + 'kind = "run"\n'
FILE = Path("mine.toml")


def test_names_when_listed_are_those_the_documentation_promises() -> None:
    assert names() == ["ci", "clean", "insert", "load", "pipeline", "smoke", "soak"]
    assert list(summaries()) == names()


@pytest.mark.parametrize("name", names())
def test_load_suite_when_it_comes_with_the_harness_can_be_used(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert summaries()[name] == f"{suite.description} ({suite.duration})"


def test_load_suite_when_it_is_ci_has_a_policy_that_can_find_something() -> None:
    suite = load_suite("ci")
    suite.gate.policy.check()
    assert suite.kind is Kind.RUN
    assert suite.gate.policy.pairs >= 10


def test_load_suite_when_given_a_path_reads_that_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(RUN + "repetitions = 4\n[corpus]\nrows = 500\nseed = 9\n[parameters]\nRowsPerMessage = 1\n")
    suite = load_suite(str(path))
    assert (suite.name, suite.repetitions, suite.warmup) == ("mine", 4, 0)
    assert suite.corpus == CorpusSpec(rows=500, seed=9)
    assert suite.parameters == {"RowsPerMessage": "1"}


def test_parse_when_a_load_is_given_reads_it() -> None:
    suite = parse(
        GOOD + 'kind = "load"\n[load]\nshape = "spike"\nseconds = 30\nrate = 100\nusers = 8\nwarmup = 0\n', FILE
    )
    assert (suite.load.spec.shape, suite.load.spec.seconds, suite.load.spec.rate) == ("spike", 30.0, 100.0)
    assert (suite.load.users, suite.load.warmup, suite.load.processes) == (8, 0.0, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind = ", "suite mine.toml is not TOML"),
        ('kind = "run"\nduration = "1 s"\n', "description is missing; a text is needed"),
        (GOOD, "kind is missing; one of run, load, insert, clean is needed"),
        (GOOD + 'kind = "jog"\n', "kind is 'jog'; one of run, load, insert, clean is needed"),
        (RUN + "warmup = -1\n", "warmup is -1; a whole number of 0 or more is needed"),
        (RUN + "repetitions = 0\n", "repetitions is 0; a whole number of 1 or more is needed"),
        (RUN + "repetitions = true\n", "repetitions is True; a whole number"),
        (RUN + "repetitons = 3\n", "repetitons is not known"),
        (RUN + "corpus = 3\n", "corpus is 3, a table is needed"),
        (RUN + '[corpus]\nrows = "many"\n', r"\[corpus\] rows is 'many'; a whole number of 0 or more is needed"),
        (RUN + "[corpus]\npoison = 1.5\n", r"\[corpus\] poison is 1.5; a fraction between 0 and 1 is needed"),
        (RUN + "[corpus]\nrow = 3\n", r"\[corpus\] row is not known"),
        (RUN + "[corpus]\ndirty = 0.9\npoison = 0.9\n", "suite mine.toml: the shares of dirty"),
        (RUN + "[parameters]\nRowsPerMessage = [1]\n", r"\[parameters\] RowsPerMessage is \[1\]; a text or a number"),
        (RUN + '[load]\nshape = "steady"\n', "kind run takes no section"),
        (GOOD + 'kind = "load"\n', "kind load needs a section"),
        (GOOD + 'kind = "load"\n[load]\nrate = 5\n[corpus]\nrows = 5\n', "kind load takes no section"),
        (GOOD + 'kind = "load"\n[load]\nshape = "square"\n', "suite mine.toml: shape 'square' is not known"),
        (GOOD + 'kind = "load"\n[load]\nrate = -1\n', r"\[load\] rate is -1; a number of 0 or more is needed"),
        (GOOD + 'kind = "clean"\n[gate]\npairs = 12\n', "only kind run takes a section"),
        (RUN + "[gate]\nmetrics = []\n", r"\[gate\] metrics is \[\]; a list of different texts is needed"),
        (RUN + '[gate]\nmetrics = ["a", "a"]\n', "a list of different texts is needed"),
        (RUN + "[gate]\nthreshold = 0.5\n", r"\[gate\] threshold is 0.5; a number of 1 or more is needed"),
    ],
)
def test_parse_when_a_file_has_a_mistake_names_file_key_value_and_what_is_allowed(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        parse(text, FILE)
    assert "mine.toml" in str(refused.value)


def test_parse_when_a_key_is_unknown_lists_those_allowed() -> None:
    with pytest.raises(UsageError) as refused:
        parse(RUN + "[corpus]\nrow = 3\n", FILE)
    assert refused.value.hint == "allowed: dirty, poison, quarantine, rows, seed"


@pytest.mark.parametrize(("name", "words"), [("nope", "there is no suite 'nope'"), ("nope.toml", "cannot be read")])
def test_load_suite_when_there_is_none_refuses(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_suite(name)


def test_load_suite_when_the_file_is_no_text_refuses(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_suite(str(path))
