"""The cleaning rules: pure functions over text. docs/cleaning-rules.md lists them with their tests.

Cells: characters that carry no text or that SQS refuses are removed, every kind of space becomes one ASCII space,
the text is put into Unicode normal form C, runs of spaces collapse, and the ends are trimmed. Cleaning is
idempotent. Rows that cannot be cleaned are not: see `Reason`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum

from handlers.record_batch import KEY

MAX_COLUMNS = 1024
"""More columns than this are taken for a file that is not a table; an item has 400 KB for names and values."""

MAX_NAME_CHARACTERS = 64


class Reason(StrEnum):
    """Why a row, or a whole object, is quarantined; the first that applies is given."""

    UNDECODABLE_BYTES = "undecodable_bytes"
    MALFORMED_QUOTES = "malformed_quotes"
    UNTERMINATED_QUOTE = "unterminated_quote"
    EMPTY_ROW = "empty_row"
    REPEATED_HEADER = "repeated_header"
    WRONG_ARITY = "wrong_arity"
    FIELD_TOO_LARGE = "field_too_large"
    ROW_TOO_LARGE = "row_too_large"
    REFUSED_BY_QUEUE = "refused_by_queue"
    CLEANING_CRASHED = "cleaning_crashed"
    NOT_CSV = "not_csv"
    BLANK_HEADER = "blank_header"
    AMBIGUOUS_DELIMITER = "ambiguous_delimiter"
    HEADER_MISMATCH = "header_mismatch"
    TOO_MANY_COLUMNS = "too_many_columns"


def _translation() -> dict[int, str | None]:
    removed = {
        *range(0x00, 0x20),  # C0 controls
        *range(0x7F, 0xA0),  # DEL and C1 controls
        0x00AD,  # soft hyphen
        0x200B,  # zero-width space; the joiners U+200C and U+200D carry meaning in many scripts and in emoji
        0x200E,  # marks of direction
        0x200F,
        *range(0x202A, 0x202F),  # embeddings and overrides of direction
        *range(0x2060, 0x2065),  # word joiner, invisible operators
        *range(0x2066, 0x206A),  # isolates of direction
        0xFEFF,  # byte order mark
        *range(0xD800, 0xE000),  # surrogates
        0xFFFE,
        0xFFFF,
    }
    spaces = {
        *(0x09, 0x0A, 0x0D, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000),
        *range(0x2000, 0x200B),
    }
    table: dict[int, str | None] = dict.fromkeys(removed)
    table.update(dict.fromkeys(spaces, " "))
    return table


_TABLE = _translation()


def is_tidy(text: str) -> bool:
    """Return whether a text without leading or trailing spaces is its own cleaned form; quick, and never wrong
    when it says yes.

    Printable text holds no controls, no format characters and no spaces but the ASCII one (str.isprintable). Text
    with joiners is not printable by that measure and takes the exact way.
    """
    return text.isprintable() and "  " not in text and (text.isascii() or unicodedata.is_normalized("NFC", text))


def clean_cell(text: str) -> str:
    """Return the cleaned form of one cell."""
    # Composition comes after removal: an invisible character may have kept two apart that compose. What is
    # left of white space are ASCII spaces, and `split` collapses and trims them.
    return " ".join(unicodedata.normalize("NFC", text.translate(_TABLE)).split())


def column_names(cells: Sequence[str]) -> tuple[str, ...]:
    """Return identifiers for a header's cells: ASCII, lower case, unique, never beginning with an underscore.

    An empty name becomes `column_<position>`; the item's own key is never shadowed.
    """
    names: list[str] = []
    for position, cell in enumerate(cells, 1):
        ascii_text = unicodedata.normalize("NFKD", clean_cell(cell)).encode("ascii", "ignore").decode()
        name = re.sub(r"[^a-z0-9]+", "_", ascii_text.lower()).strip("_")[:MAX_NAME_CHARACTERS].strip("_")
        if not name:
            name = f"column_{position}"
        elif name[0].isdigit():
            name = f"c_{name}"
        if name == KEY:
            name = f"{KEY}_column"
        names.append(_unique(name, names))
    return tuple(names)


def _unique(name: str, taken: Sequence[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
