"""The lesson on logs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from harness.cost.bill import GB
from harness.cost.prices import Prices, load_prices
from harness.cost.published import LOG_GB_OF_ALL_TESTS, ROWS
from harness.cost.tiers import in_tiers
from harness.engines.registry import create
from harness.lessons.logs.drive import ARRANGEMENTS, ONE, PACKED, Arrangement, Logged, insert_by_all
from harness.lessons.model import Comparison, Finding, Line, Plot, Setting
from harness.lessons.rules import Check, judged

FULL_ROWS, QUICK_ROWS = 10_000, 2_000
MILLION = 1_000_000
LEAST_TIMES = 5
"""An event that is printed must make the log at least so many times as large for the verdict: less would be no reason
to leave it out."""

LEAST_SHARE = Decimal("0.25")
"""What printing costs must be at least this share of what writing the rows costs: less would hardly be noticed."""

_GB_OF_TB = 1_000
_MOST_TB = 60
"""The picture of dollars ends here: above 50 TB the last tier holds."""

PRINTING_ONE, SILENT_ONE, PRINTING_PACKED, SILENT_PACKED = ARRANGEMENTS


class LogsLesson:
    """Inserts the same rows with and without printing each event, one row and 250 rows a message, and weighs what lies
    in CloudWatch Logs; see `harness.lessons.model.Lesson` for its members."""

    name = "logs"
    title = "A function that prints its events pays for its data once more, as logs"
    published = (
        "The functions wrote each event to CloudWatch Logs. Over all of the author's tests these were 6.6 TB of logs; "
        "how many rows the tests had is not published."
    )
    rule = (
        "What a function writes to standard output goes to CloudWatch Logs (AWS Lambda Developer Guide, Sending Lambda "
        "function logs to CloudWatch Logs) and is charged by the GB taken in: $0.50 to 10 TB a month, then $0.25, from "
        "30 TB $0.10, from 50 TB $0.05 (Amazon CloudWatch pricing, us-east-1, tiers of Lambda's logs since May 2025)."
    )
    ours = (
        "No handler prints an event or a row. Each invocation writes one line of metrics for each object its rows are "
        "from (handlers/telemetry.py), and 250 rows share a message, so the log grows with invocations and not with "
        "rows. Log groups have a retention in handlers/template.yaml."
    )

    def seconds(self, *, quick: bool) -> float:
        """Return about how long it takes on two cores."""
        return 15.0 if quick else 40.0

    def run(self, setting: Setting) -> Finding:
        """Run it; raises EngineError where the engine does not start or dies, StageStuck where messages are not taken,
        EnvironmentProblem where rows are missing."""
        setting.progress(0.0, "starting the engine")
        with create("embedded", logs=setting.folder) as engine:
            found = insert_by_all(engine, QUICK_ROWS if setting.quick else FULL_ROWS, setting.progress)
        setting.progress(1.0, "done")
        return finding(found, load_prices())


def finding(found: Mapping[Arrangement, Logged], prices: Prices) -> Finding:
    """Return the verdict on what each arrangement logged. Pure."""
    printing, silent = found[PRINTING_ONE], found[SILENT_ONE]
    times = printing.bytes_per_row / silent.bytes_per_row
    per_million = {way: _dollars_per_million(logged, prices) for way, logged in found.items()}
    write = prices["dynamodb_write_request_unit"]
    writes = write.amount * MILLION / write.per
    author = in_tiers(LOG_GB_OF_ALL_TESTS, prices["logs_ingested"])
    files = _rows_of_author(printing) / ROWS
    verdict, reason = judged(
        [
            Check(f"with its event printed a row takes {times:.0f} times as much log", times >= LEAST_TIMES),
            Check(
                f"a million rows then cost {_money(per_million[PRINTING_ONE])} of logs, where their writes to the "
                f"table cost ${writes.normalize():f}",
                per_million[PRINTING_ONE] >= writes * LEAST_SHARE,
            ),
        ]
    )
    comparisons = [
        Comparison("logs of all tests, to ingest", "6.6 TB", f"${author:,.0f} at today's prices"),
        *(Comparison(f"log for each row, {_name(way)}", "", _bytes(one)) for way, one in found.items()),
        *(Comparison(f"a million rows, {_name(way)}", "", _money(per_million[way])) for way in found),
        Comparison(
            "rows that make 6.6 TB, one a message, printed", "", f"{_rows_of_author(printing) / 1e9:.1f} billion"
        ),
        Comparison(
            f"rows that make 6.6 TB, {PACKED} a message, printed",
            "",
            f"{_rows_of_author(found[PRINTING_PACKED]) / 1e9:.1f} billion",
        ),
        Comparison(f"files of {ROWS:,} rows that make 6.6 TB, one a message, printed", "", f"{files:,.0f}"),
        Comparison(f"log of a file of {ROWS:,} rows, one a message, printed", "", _gigabytes(printing)),
        Comparison(f"log of a file of {ROWS:,} rows, {PACKED} a message, not", "", _gigabytes(found[SILENT_PACKED])),
    ]
    return Finding(verdict, reason, comparisons, [_growth(found), _tiers(prices)], _notes(printing, prices))


def _notes(printing: Logged, prices: Prices) -> tuple[str, ...]:
    return (
        f"Measured: {printing.rows:,} generated rows of 16 columns are inserted four times by the pipeline's own "
        "function from SQS, in batches of up to 10 messages, and the bytes in each log group are counted, Lambda's own "
        "lines included. Printing is one line of code in front of the same function.",
        "The event holds the row and, around it, what SQS adds to each message: with one row a message that is most of "
        "it. Only insert is counted; the author's other functions logged too.",
        f"Dollars are to ingest, in one month, in us-east-1; prices were read on {prices.read}. Storage is extra.",
    )


def _rows_of_author(logged: Logged) -> float:
    """Return how many rows make the author's logs at so many bytes each."""
    return float(LOG_GB_OF_ALL_TESTS) * GB / logged.bytes_per_row


def _dollars_per_million(logged: Logged, prices: Prices) -> Decimal:
    # A binary GB has no short quotient; below a millionth of a dollar nothing matters.
    gigabytes = (Decimal(logged.bytes * MILLION) / Decimal(logged.rows) / GB).quantize(Decimal("1e-9"))
    return in_tiers(gigabytes, prices["logs_ingested"])


def _name(way: Arrangement) -> str:
    rows = "one a message" if way.rows_per_message == ONE else f"{way.rows_per_message} a message"
    return f"{rows}, {'printed' if way.prints else 'not'}"


def _bytes(logged: Logged) -> str:
    value = logged.bytes_per_row
    return f"{value:,.0f} bytes" if value >= 10 else f"{value:.2f} bytes"


def _gigabytes(logged: Logged) -> str:
    megabytes = logged.bytes_per_row * ROWS / 1e6
    return f"{megabytes / 1e3:.2f} GB" if megabytes >= 100 else f"{megabytes:.2f} MB"


def _money(dollars: Decimal) -> str:
    return f"${dollars:.2f}" if dollars >= Decimal("0.1") else f"${dollars:.5f}"


def _growth(found: Mapping[Arrangement, Logged]) -> Plot:
    rows = [float(10**power) for power in range(5, 11)]
    lines = [Line(_name(way), [(n, n * one.bytes_per_row / 1e12) for n in rows]) for way, one in found.items()]
    lines.append(Line("published, 6.6 TB", [(n, float(LOG_GB_OF_ALL_TESTS) / _GB_OF_TB) for n in rows]))
    return Plot("Logs by rows inserted", "rows", "TB of logs", lines, log_x=True, log_y=True)


def _tiers(prices: Prices) -> Plot:
    price = prices["logs_ingested"]
    points = [(float(tb), float(in_tiers(Decimal(tb * _GB_OF_TB), price))) for tb in range(0, _MOST_TB + 1, 2)]
    author = float(LOG_GB_OF_ALL_TESTS) / _GB_OF_TB, float(in_tiers(LOG_GB_OF_ALL_TESTS, price))
    lines = [Line("in one month", points), Line("published", [author])]
    return Plot("What logs cost to ingest", "TB of logs", "dollars", lines)
