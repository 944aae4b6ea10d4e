"""Tables of a report and how figures are written in them. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table: its caption, its column heads, and its cells as text; cells are escaped where they are rendered.

    The first `words` columns hold words and are set left, all others figures and are set right.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


def number(value: float | None) -> str:
    """Return a figure with as many digits as a reader can use: three significant ones, whole from a hundred on."""
    if value is None:
        return "–"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def seconds_text(value: float | None) -> str:
    """Return a duration as a reader says it: `0.42 s`, `17.3 s`, `6:37 min`."""
    if value is None:
        return "–"
    if value >= 120:
        whole = round(value)
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def milliseconds_text(value: float | None) -> str:
    """Return milliseconds as a duration of suitable unit."""
    if value is None:
        return "–"
    return f"{value:.0f} ms" if value < 1000 else seconds_text(value / 1000)


def bytes_text(value: float | None) -> str:
    """Return bytes in decimal units, as disks and networks count them."""
    if value is None:
        return "–"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f} bytes"


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share as per cent."""
    return "–" if value is None else f"{value:.{digits}%}"
