"""Renders pages: one HTML file each, with its style, scripts and data inside, and leave to load nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.report.charts import Chart
from harness.report.diagnosis import Limit
from harness.report.sections import Tile, Verdict
from harness.report.tables import Table


@dataclass(frozen=True)
class Section:
    """A part of a page: heading, an introduction, and what it shows, in this order."""

    title: str
    intro: str = ""
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    folded: bool = False


@dataclass(frozen=True)
class Page:
    """All that a page says. `facts` are short words under the title; `limits` what held a run up."""

    kind: str
    title: str
    facts: Sequence[str]
    verdict: Verdict
    tiles: Sequence[Tile]
    limits: Sequence[Limit]
    sections: Sequence[Section]


def write_page(page: Page, target: Path) -> Path:
    """Write a page in one step; returns `target`."""
    unfinished = target.with_name(f".{target.name}.unfinished")
    unfinished.write_text(render(page), "utf-8")
    unfinished.replace(target)
    return target


def render(page: Page) -> str:
    """Return a page's HTML. Text from outside is escaped, figures go in as JSON that cannot end its script element,
    and the policy in the page's head lets run only the two scripts that are known by their digest."""
    environment = _environment()
    draw = _source(environment, "charts.js")
    scripts = [_plotly(), draw] if any(section.charts for section in page.sections) else []
    return environment.get_template("page.html.j2").render(
        page=page,
        style=Markup(_source(environment, "style.css")),  # noqa: S704  our own file
        scripts=[Markup(script) for script in scripts],  # noqa: S704  plotly's and our own
        digests=" ".join(f"'sha256-{_digest(script)}'" for script in scripts) or "'none'",
    )


def moment(unix_seconds: float | None) -> str:
    """Return a time as a reader writes it, in UTC; "" if it is not known."""
    return "" if not unix_seconds else f"{datetime.fromtimestamp(unix_seconds, UTC):%Y-%m-%d %H:%M UTC}"


def iso_moment(unix_seconds: float | None) -> str:
    """Return a time in ISO 8601, in UTC and without a zone, as JUnit's schema wants it; "" if it is not known."""
    return "" if not unix_seconds else f"{datetime.fromtimestamp(unix_seconds, UTC):%Y-%m-%dT%H:%M:%S}"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _source(environment: Environment, name: str) -> str:
    if environment.loader is None:
        raise AssertionError("the environment was made with a loader")
    return environment.loader.get_source(environment, name)[0]


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    if "</script" in script.lower():
        raise AssertionError("plotly's bundle holds the end of a script element")
    # A browser reads CR LF as LF before it takes the digest.
    return script.replace("\r\n", "\n")


@cache
def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
