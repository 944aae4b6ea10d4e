"""How one object writes its table: the delimiter, what quotes mean, and the header's own text. Pure.

The delimiter is taken from the header alone. Rows could only be guessed from, and a wrong guess turns a table into
one wide column without a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CANDIDATES = (",", ";", "\t", "|")
"""Delimiters that `auto` looks for in a header, the ones spreadsheets and databases export."""

NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
"""Delimiters by name, for command lines and templates in which the character itself is awkward."""

AUTO = "auto"
STRICT = "strict"
LENIENT = "lenient"

_SEPARATOR_LINE = re.compile(rb'"?sep=([^"\r\n])"?(\r?\r\n|\n|\r|\Z)', re.IGNORECASE)


class DialectError(ValueError):
    """A delimiter or a way of reading quotes that cannot be used."""


@dataclass(frozen=True)
class Dialect:
    """One object's dialect. `header` are the header's cells, cleaned; a row that repeats them is no row.

    `strict` is RFC 4180: a field that holds a quote is enclosed in quotes, and its own are doubled. Otherwise quotes
    mean what they mean to Python's `csv`: a quote is special only at the start of a field, and text may follow the
    closing one.
    """

    delimiter: str = ","
    strict: bool = True
    header: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The delimiter as people say it: its name, or the character itself."""
        return next((name for name, character in NAMES.items() if character == self.delimiter), self.delimiter)


PLAIN = Dialect()
"""Commas and strict quotes, no header known."""


def parse_delimiter(text: str) -> str:
    """Return the delimiter that a setting names, or "" for `auto`; raises DialectError.

    A name of `NAMES`, or one ASCII character that is no letter, digit, quote, backslash or line end.
    """
    if text == AUTO:
        return ""
    character = NAMES.get(text, text)
    if len(character) != 1 or not character.isascii() or character.isalnum() or character in '"\\\r\n\0':
        raise DialectError(
            f"delimiter {text!r} is none of {AUTO}, {', '.join(NAMES)}, and no single ASCII character that may separate"
        )
    return character


def parse_quotes(text: str) -> bool:
    """Return whether a setting asks for strict quotes; raises DialectError."""
    if text not in (STRICT, LENIENT):
        raise DialectError(f"quotes {text!r} is neither {STRICT} nor {LENIENT}")
    return text == STRICT


def separator_line(head: bytes) -> tuple[str, int] | None:
    """Return the delimiter that a first line such as `sep=;` declares and the bytes that line takes, or None.

    Spreadsheets write and read that line; it is no part of the table.
    """
    match = _SEPARATOR_LINE.match(head)
    if match is None:
        return None
    try:
        return parse_delimiter(match.group(1).decode("ascii")), match.end()
    except (UnicodeDecodeError, DialectError):
        return None
