"""Reports in a real browser: they load nothing, complain of nothing, draw everything, in light, dark and on paper."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from harness.report import write_comparison, write_report
from tests.unit.report.browser import Tab, browser, executable
from tests.unit.report.support import HOSTILE, altered, copy_of, frozen, gate_result, suite_folder

CHROMIUM = executable()
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; on Debian: apt install chromium")
KINDS = ("run", "load", "suite", "gate", "comparison")

DRAWN = """[...document.querySelectorAll("figure")].map(figure => ({
  name: figure.id,
  asked: JSON.parse(figure.querySelector('script[type="application/json"]').textContent).data.length,
  drawn: figure.querySelectorAll(".scatterlayer .trace").length,
  width: figure.querySelector(".main-svg")?.getBoundingClientRect().width ?? 0,
  room: figure.querySelector(".chart").getBoundingClientRect().width,
}))"""

COLOURS = """({
  page: getComputedStyle(document.body).backgroundColor,
  text: getComputedStyle(document.body).color,
  card: getComputedStyle(document.querySelector(".card")).backgroundColor,
  soft: getComputedStyle(document.querySelector("figcaption")).color,
  tick: getComputedStyle(document.querySelector(".xtick text")).fill,
  legend: getComputedStyle(document.querySelector(".legendtext") ?? document.querySelector(".xtick text")).fill,
  lines: [...document.querySelectorAll(".js-line")].map(line => getComputedStyle(line).stroke),
})"""

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def luminance(colour: str) -> float:
    """Return the relative luminance of `rgb(r, g, b)` (WCAG 2.1)."""
    parts = [int(p) / 255 for p in colour[colour.index("(") + 1 : colour.index(")")].split(",")[:3]]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.1)."""
    lighter, darker = sorted((luminance(a), luminance(b)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def in_browser(folder: Path, look: Callable[[Tab], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        assert CHROMIUM is not None
        async with browser(CHROMIUM, folder / "profile") as tab:
            await look(tab)

    asyncio.run(run())


def make(kind: str, folder: Path) -> Path:
    """Write the page of a frozen result of that kind."""
    if kind in ("run", "load"):
        return write_report(copy_of(kind, folder / kind))
    if kind == "suite":
        return write_report(suite_folder(folder / kind))
    if kind == "gate":
        (folder / "gate.json").write_text(json.dumps(gate_result()))
        return write_report(folder)
    places = [copy_of("run", folder / name, run=f"{name} <a href='javascript:alert(1)'>x</a>") for name in ("a", "b")]
    return write_comparison(places, folder / "comparison.html")


@needs_browser
@pytest.mark.parametrize("kind", KINDS)
def test_page_when_opened_is_quiet_and_draws_every_chart_in_light_and_dark(tmp_path: Path, kind: str) -> None:
    page = make(kind, tmp_path)

    async def look(tab: Tab) -> None:
        for dark in (False, True):
            tab.requests.clear()
            await tab.open(page.as_uri(), dark=dark)
            assert tab.complaints == []
            assert tab.requests == [page.as_uri()]
            charts = await tab.evaluate(DRAWN)
            assert charts
            for chart in charts:
                assert chart["drawn"] == chart["asked"] > 0, chart
                assert abs(chart["width"] - chart["room"]) < 2, chart
            colours = await tab.evaluate(COLOURS)
            assert (luminance(colours["page"]) < 0.1) is dark
            assert contrast(colours["text"], colours["page"]) >= 7
            for name in ("soft", "tick", "legend"):
                assert contrast(colours[name], colours["card"]) >= 4.5, (name, colours)
            for line in colours["lines"]:
                assert contrast(line, colours["card"]) >= 3, (line, colours)
            assert await tab.evaluate("document.querySelectorAll('svg a').length") == 0

    in_browser(tmp_path, look)


@needs_browser
@pytest.mark.parametrize("kind", ["run", "gate"])
def test_page_when_narrow_or_printed_does_not_run_over_its_edge(tmp_path: Path, kind: str) -> None:
    page = make(kind, tmp_path)

    async def look(tab: Tab) -> None:
        await tab.open(page.as_uri(), width=390)
        assert await tab.evaluate(OVERFLOW) <= 0
        await tab.open(page.as_uri())
        await tab.evaluate(
            "addEventListener('beforeprint', () => { window.widths = [...document.querySelectorAll('.main-svg')]"
            ".map(svg => svg.getBoundingClientRect().width); })"
        )
        await tab.pdf(tmp_path / "page.pdf")
        assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
        widths = await tab.evaluate("window.widths")
        # 186 mm, A4 without its margins, are 703 CSS pixels.
        assert widths
        assert max(widths) <= 703
        assert tab.complaints == []
        charts = await tab.evaluate(DRAWN)
        assert all(abs(chart["width"] - chart["room"]) < 2 for chart in charts), charts

    in_browser(tmp_path, look)


@needs_browser
def test_page_when_texts_are_hostile_runs_none_of_them(tmp_path: Path) -> None:
    findings = [{"row": 1, "problem": "lost", "detail": HOSTILE, "key": HOSTILE}]
    result = altered(
        frozen("run"),
        spec={"file": HOSTILE},
        audit__quarantined={HOSTILE: 44},
        audit__findings=findings,
        audit__problems={HOSTILE: 1},
        audit__conserved=False,
    )
    page = write_report(copy_of("run", tmp_path / "run", **result))

    async def look(tab: Tab) -> None:
        await tab.open(page.as_uri())
        assert tab.complaints == []
        assert tab.requests == [page.as_uri()]
        assert await tab.evaluate("document.querySelectorAll('img, iframe, object').length") == 0
        assert HOSTILE in await tab.evaluate("document.querySelector('h1').textContent")
        assert len(await tab.evaluate(DRAWN)) == 7

    in_browser(tmp_path, look)


@needs_browser
def test_page_when_a_script_is_smuggled_in_is_stopped_by_its_policy(tmp_path: Path) -> None:
    """The policy is the second fence: a script that got past the first does not run either."""
    page = write_report(copy_of("run", tmp_path / "run"))
    page.write_text(page.read_text().replace("</main>", "<script>window.smuggled = true</script></main>", 1))

    async def look(tab: Tab) -> None:
        await tab.open(page.as_uri())
        assert await tab.evaluate("window.smuggled === undefined")
        assert any("Content Security Policy" in text for text in tab.complaints)
        assert len(await tab.evaluate(DRAWN)) == 7

    in_browser(tmp_path, look)
