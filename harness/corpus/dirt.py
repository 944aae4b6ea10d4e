"""Dirt, applied to clean cells: what cleaning must undo, and what it must reject.

The clean value comes first and is then soiled, so that the expectation never depends on the code under test.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from harness.corpus.values import quote_csv

NAME, MERCHANT, CITY, NOTE, AMOUNT, CURRENCY = 2, 4, 9, 15, 6, 7


def _around(text: str) -> str:
    return f"  {text} "


def _double_space(text: str) -> str:
    return text.replace(" ", "   ") + "  "


def _no_break(text: str) -> str:
    return "\u00a0" + text.replace(" ", "\u00a0")


def _tab(text: str) -> str:
    return "\t" + text.replace(" ", "\t")


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text) + "\u200b"


def _zero_width(text: str) -> str:
    return f"{text[:2]}\u200b{text[2:]}\ufeff"


def _control(text: str) -> str:
    return f"\x07{text[:3]}\x00{text[3:]}\x7f"


def _refused_by_sqs(text: str) -> str:
    return f"{text[:1]}\ufffe{text[1:]}\uffff"


def _line_break(text: str) -> str:
    return text.replace(" ", "\n") + "\n"


def _crlf(text: str) -> str:
    return text.replace(" ", "\r\n") + "\r\n"


def _carriage_return(text: str) -> str:
    return text.replace(" ", "\r") + "\r"


def _soft_hyphen(text: str) -> str:
    return f"{text[:4]}\u00ad{text[4:]}\u202e"


def _ideographic(text: str) -> str:
    return "\u3000" + text.replace(" ", "\u2003")


DIRT: tuple[tuple[int, Callable[[str], str]], ...] = (
    (NAME, _around),
    (MERCHANT, _double_space),
    (NAME, _no_break),
    (CITY, _tab),
    (NAME, _decomposed),
    (MERCHANT, _zero_width),
    (CITY, _control),
    (NAME, _refused_by_sqs),
    (MERCHANT, _line_break),
    (NAME, _crlf),
    (MERCHANT, _carriage_return),
    (CITY, _soft_hyphen),
    (MERCHANT, _ideographic),
)
"""Column and transformation. Every one of them changes its cell, and cleaning must give the cell back."""


def soil(cells: list[str], kind: int) -> tuple[str, int]:
    """Return a row's CSV text with one kind of dirt in it, and how many cells differ from their clean form."""
    column, apply = DIRT[kind % len(DIRT)]
    soiled = list(cells)
    soiled[column] = apply(cells[column])
    return ",".join(map(quote_csv, soiled)), 1


def reject(cells: list[str], kind: int) -> tuple[bytes, str]:
    """Return a row's bytes that clean must quarantine, and the reason it must give."""
    text = ",".join(map(quote_csv, cells))
    variants: tuple[tuple[bytes, str], ...] = (
        (f"{text},surplus".encode(), "wrong_arity"),
        (",".join(map(quote_csv, cells[:-2])).encode(), "wrong_arity"),
        (text.encode() + b" \xff\xfe\x80", "undecodable_bytes"),
        (b"", "empty_row"),
        (b"," * (len(cells) - 1), "empty_row"),
        (b" ,\xc2\xa0," + b"," * (len(cells) - 3), "empty_row"),
    )
    return variants[kind % len(variants)]


def poison(cells: list[str], kind: int) -> tuple[list[str], str]:
    """Return a row's cells, clean, that the business rule must refuse, and its reason."""
    poisoned = list(cells)
    which = kind % 4
    if which == 0:
        poisoned[AMOUNT] = "N/A"
        return poisoned, "amount_not_a_number"
    if which == 1:
        poisoned[AMOUNT] = "1,000.00"
        return poisoned, "amount_not_a_number"
    if which == 2:
        poisoned[CURRENCY] = "XXX"
        return poisoned, "unknown_currency"
    poisoned[AMOUNT] = "12.3456"
    return poisoned, "amount_precision"
