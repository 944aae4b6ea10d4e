"""The pipeline in Locust's web UI: two tabs with tables, and a page of live charts of its own at /pipeline.

The charts work offline: plotly's JavaScript is served from the installed package.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, request, send_file, send_from_directory
from locust.env import Environment
from locust.web import WebUI

from harness.load.monitor import SERIES_FILE
from loadtests.uploads import options_of

STATIC = Path(__file__).resolve().parent / "static"
TAIL_BYTES = 64 * 1024
"""More than the newest line of the time series takes."""

STAGES_TAB, FILES_TAB = "pipeline-stages", "pipeline-files"
_STAGE_COLUMNS = {
    "name": "Stage",
    "rows": "Rows",
    "rate": "Rows/s",
    "queued": "Messages queued",
    "inFlight": "In flight",
    "age": "Backlog age (s)",
    "dlq": "DLQ messages",
    "errors": "Error lines",
    "concurrency": "Running",
    "coldStarts": "Cold starts",
}
_FILE_COLUMNS = {"name": "", "value": "Now"}
_FILE_ROWS = {
    "offered_files": "Files offered by the schedule",
    "uploaded_files": "Files uploaded",
    "failed_files": "Uploads failed",
    "finished_files": "Files finished, to their last row",
    "offered_rows": "Rows offered",
    "finished_rows": "Rows finished",
    "unfinished_rows": "Rows unfinished",
    "oldest_seconds": "Age of the oldest unfinished file (s)",
}


class PipelinePage:
    """Adds the tabs and the page to a web UI; figures come from `folder`, where a monitor writes them."""

    def __init__(self, environment: Environment, ui: WebUI, folder: Path) -> None:
        self._series = folder / SERIES_FILE
        ui.template_args |= {
            "extended_tabs": [
                {"title": "Pipeline", "key": STAGES_TAB},
                {"title": "Files", "key": FILES_TAB},
            ],
            "extended_tables": [
                {"key": STAGES_TAB, "structure": [{"key": k, "title": t} for k, t in _STAGE_COLUMNS.items()]},
                {"key": FILES_TAB, "structure": [{"key": k, "title": t} for k, t in _FILE_COLUMNS.items()]},
            ],
            # The web UI has no other place for links: they stand in its tab "Download Data".
            "extended_csv_files": [{"href": "./pipeline", "title": "Live charts of the pipeline"}],
        }
        page = Blueprint("pipeline", __name__, url_prefix=options_of(environment).web_base_path or None)
        protect: Any = ui.auth_required_if_enabled
        page.add_url_rule("/pipeline", "page", protect(lambda: send_from_directory(STATIC, "pipeline.html")))
        page.add_url_rule("/pipeline/charts.js", "charts", protect(lambda: send_from_directory(STATIC, "charts.js")))
        page.add_url_rule("/pipeline/plotly.js", "plotly", protect(lambda: send_file(_plotly(), max_age=3600)))
        page.add_url_rule("/pipeline/series", "series", protect(self.series))
        assert ui.app is not None
        ui.app.after_request(self.extend_statistics)
        ui.app.register_blueprint(page)

    def series(self) -> Response:
        """Return the lines of the time series after byte `after` of its file, and where they end."""
        after = request.args.get("after", 0, type=int)
        lines, position = read_lines(self._series, after)
        return jsonify({"position": position, "lines": lines})

    def extend_statistics(self, response: Response) -> Response:
        """Put the tables' rows into the answer that the web UI asks for every two seconds."""
        if not request.path.endswith("/stats/requests") or not response.is_json:
            return response
        newest = newest_line(self._series)
        tables = [
            {"key": STAGES_TAB, "data": stage_rows(newest)},
            {"key": FILES_TAB, "data": file_rows(newest)},
        ]
        response.set_data(json.dumps({**response.get_json(), "extended_stats": tables}))
        return response


def read_lines(path: Path, after: int) -> tuple[list[dict[str, Any]], int]:
    """Return the complete lines of a file from byte `after`, decoded, and the position behind them.

    A file that is shorter than that began anew and is read from its start.
    """
    if not path.exists():
        return [], 0
    with path.open("rb") as file:
        if after > file.seek(0, 2):
            after = 0
        file.seek(after)
        data = file.read()
    complete = data[: data.rfind(b"\n") + 1]
    return [json.loads(line) for line in complete.splitlines()], after + len(complete)


def newest_line(path: Path) -> dict[str, Any] | None:
    """Return the last complete line of the time series, None where there is none."""
    if not path.exists():
        return None
    lines, _ = read_lines(path, 0) if (size := path.stat().st_size) <= TAIL_BYTES else _tail(path, size)
    return lines[-1] if lines else None


def _tail(path: Path, size: int) -> tuple[list[dict[str, Any]], int]:
    with path.open("rb") as file:
        file.seek(size - TAIL_BYTES)
        file.readline()
        start = file.tell()
    return read_lines(path, start)


def stage_rows(line: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the table of stages of one line of the time series."""
    if line is None:
        return []
    return [
        {
            "name": stage["name"],
            "rows": stage["rows"],
            "rate": round(stage["rate"]),
            "queued": stage["queued"],
            "inFlight": stage["in_flight"],
            "age": _or_dash(stage["queue_age"]),
            "dlq": stage["dlq"],
            "errors": stage["errors"],
            "concurrency": _or_dash(stage["concurrency"]),
            "coldStarts": _or_dash(stage["cold_starts"]),
        }
        for stage in line["stages"]
    ]


def file_rows(line: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the table of files of one line of the time series."""
    if line is None:
        return []
    return [{"name": title, "value": line["load"][key]} for key, title in _FILE_ROWS.items()]


def _or_dash(value: Any) -> Any:
    return "–" if value is None else value


def _plotly() -> Path:
    found = find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("plotly is not installed")
    return Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
