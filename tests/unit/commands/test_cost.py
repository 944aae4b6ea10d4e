"""`harness cost`."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from harness.commands import cost, report
from harness.cost.measured import FunctionUse, Measured, QueueUse, TableUse, workload
from harness.errors import ExitCode, HarnessError, UsageError
from tests.unit.report.support import copy_of

USAGE = workload(
    Measured(
        rows=1000,
        seconds=5.0,
        objects=(1000,),
        functions={"clean": FunctionUse(1, 1000, 1024), "insert": FunctionUse(10, 2000, 512)},
        queues={"insert": QueueUse(1_000, 0)},
        table=TableUse(Decimal(1_000_000), Decimal(0)),
    )
).to_json()


def call(*arguments: str | Path) -> tuple[HarnessError | None, str]:
    app = typer.Typer()
    report.register(app)
    cost.register(app)
    environment = {"COLUMNS": "160", "TERM": "dumb"}
    done = CliRunner().invoke(app, ["cost", *(str(a) for a in arguments)], env=environment)
    if done.exception is None:
        return None, done.output
    if not isinstance(done.exception, HarnessError):
        raise done.exception
    return done.exception, done.output


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return copy_of("run", tmp_path / "a", usage=USAGE)


def line_of(output: str, key: str) -> list[str]:
    return next(line.split() for line in output.splitlines() if line.startswith(key))


def test_cost_prints_stages_services_prices_and_the_published_design_beside_them(run: Path) -> None:
    error, text = call(run)
    assert error is None
    assert text.startswith("1,000 rows in us-east-1")
    # 1,000,000 units x 0.625 / 1,000,000; the published design writes a unit a row: 1,000 x 0.625 / 1,000,000
    assert line_of(text, "dynamodb_write_request_unit") == ["dynamodb_write_request_unit", "0.625000", "0.000625"]
    # 1,000 requests x 0.40 / 1,000,000; 3 x 100 batches are 300
    assert line_of(text, "sqs_request_standard") == ["sqs_request_standard", "0.000400", "0.000120"]
    assert "3,300.00 dollars to ingest" in text
    assert "durations are this machine's" in text
    assert "assumed: memory as ours" in text


def test_cost_when_scaled_bills_so_many_rows(run: Path) -> None:
    _, text = call(run, "--scale", "558000")
    assert text.startswith("558,000 rows")
    # 558 times as much
    assert line_of(text, "dynamodb_write_request_unit") == ["dynamodb_write_request_unit", "348.75", "0.348750"]


def test_cost_as_json_is_exact_and_nothing_else(run: Path) -> None:
    _, text = call(run, "--json", "--monthly-files", "2")
    data = json.loads(text)
    assert set(data["bills"]) == {"this_run", "published", "a_month"}
    mine = data["bills"]["this_run"]
    assert sum(Fraction(line["dollars"]) for line in mine["lines"]) == Fraction(mine["total"])
    # idle polling of the one queue
    assert data["bills"]["a_month"]["by_stage"]["idle polling"].startswith("0.2592")
    assert data["prices"]["s3_put"]["source"]


def test_cost_with_own_prices_and_the_free_tier_takes_both(run: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text("dynamodb_write_request_unit = 2\n")
    _, text = call(run, "--prices", mine, "--free-tier")
    assert line_of(text, "dynamodb_write_request_unit")[1] == "2.00"
    assert line_of(text, "sqs_request_standard")[1] == "0.000000"
    assert line_of(text, "free tier")[2].startswith("-")


def test_cost_when_more_than_a_first_tier_is_used_says_that_it_is_an_upper_bound(run: Path) -> None:
    path = run / "result.json"
    data = json.loads(path.read_text())
    data["usage"]["stages"]["insert"]["log_bytes"] = str(20_000 * 2**30)
    path.write_text(json.dumps(data))
    _, text = call(run)
    assert "logs_ingested is above its first tier" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--scale", "0"), "--scale 0: at least 1"),
        (("--scale", "-5"), "--scale -5: at least 1"),
        (("--monthly-files", "0"), "--monthly-files 0: at least 1"),
    ],
)
def test_cost_of_nothing_is_a_usage_error(run: Path, options: tuple[str, ...], words: str) -> None:
    error, _ = call(run, *options)
    assert isinstance(error, UsageError)
    assert error.exit_code == ExitCode.USAGE
    assert words in str(error)


def test_cost_when_the_run_is_missing_says_where_it_looked(tmp_path: Path) -> None:
    error, _ = call(tmp_path / "none")
    assert isinstance(error, UsageError)
    assert "none" in str(error)


def test_cost_when_a_price_is_unknown_names_it(run: Path, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("lambda_requests = 1\n")
    error, _ = call(run, "--prices", tmp_path / "p.toml")
    assert isinstance(error, UsageError)
    assert "unknown price 'lambda_requests'" in str(error)


def test_cost_of_a_run_that_tells_no_usage_says_what_is_missing(tmp_path: Path) -> None:
    folder = copy_of("run", tmp_path / "a", usage=None, consumption=None)
    error, _ = call(folder)
    assert isinstance(error, UsageError)
    assert "does not tell" in str(error)
    assert "make the result again" in error.hint


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"rows": 0, "hours": 1, "stages": {}, "notes": []},
        {"rows": 1, "hours": 1, "stages": {"clean": {"invocations": "-1"}}, "notes": []},
        {"rows": 1, "hours": 1, "stages": {"clean": {"colour": "1"}}, "notes": []},
        {"rows": 1, "hours": 1, "stages": [], "notes": []},
        "much",
    ],
)
def test_cost_when_the_usage_is_damaged_is_a_usage_error(tmp_path: Path, usage: object) -> None:
    error, _ = call(copy_of("run", tmp_path / "a", usage=usage))
    assert isinstance(error, UsageError)
