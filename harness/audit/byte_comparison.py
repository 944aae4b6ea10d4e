"""Recognises items that are exactly as expected by their bytes, without decoding them.

Nearly every item of a run is. What its JSON must be is written down and compared with what the table sent: equal bytes
mean equal attributes. In which order a table writes them, and as which type, is taken from an item that it sent, so
any engine whose items are all written alike is served. An item whose bytes differ need not be wrong: white space,
escapes or another order are for who decodes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from handlers.record_batch import INSERTED_AT, KEY, PROCESSED, PROCESSED_AT, STATUS, record_id

RawItem = Mapping[str, Mapping[str, Any]]
"""An item as DynamoDB's API gives it."""

_EMPTY, _NULL = '{"S":""}', '{"NULL":true}'
"""An empty cell is stored as NULL. Inside a value quotes are escaped, so only a whole empty value looks like this."""

_TIMES = (INSERTED_AT, PROCESSED_AT)
"""Attributes of which any text will do."""

_time_of = tuple(re.compile(rb'"%b":\{"S":"([ !#-\[\]-~]*)"\}' % name.encode()).search for name in _TIMES)
"""Finds printable ASCII that needs no escape in JSON."""

_with_zeros = re.compile(r"-?[0-9]+\.[0-9]*0").fullmatch
_MOST_LAYOUTS = 100

Times = tuple[str, str]


def json_values(cells: Sequence[str], processed: Sequence[str]) -> tuple[str, ...]:
    """Return an updated item's cells and processed attributes as they are between the quotes of its JSON; numbers
    without zeros at the end of a fraction, as DynamoDB returns them."""
    values = (*cells, *[_canonical(text) if text[-1:] == "0" else text for text in processed])
    together = "".join(values)
    if '"' in together or "\\" in together:
        return tuple(value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return values


def _canonical(text: str) -> str:
    return text.rstrip("0").rstrip(".") if _with_zeros(text) else text


class ItemComparison:
    """Compares items with what is expected of them; `columns` and `attributes` (those of the business rule) are the
    names of the values that `json_values` returns."""

    def __init__(self, columns: Sequence[str], attributes: Sequence[str]) -> None:
        self._columns, self._attributes = frozenset(columns), frozenset(attributes)
        self._names = (KEY, *columns, *attributes)
        self._all = frozenset((*self._names, *_TIMES, STATUS))
        self._layouts: dict[tuple[tuple[str, str], ...], _Layout] = {}
        self._layout: _Layout | None = None

    def is_expected(self, image: bytes, source_id: str, row: int, values: Sequence[str]) -> bool:
        """Return whether `image`, an item's JSON, is the updated item of this row with these values and nothing else;
        False says only that it takes a closer look."""
        return self._layout is not None and self._layout.fits(image, (record_id(source_id, row), *values))

    def learn(self, item: RawItem) -> bool:
        """Take the order and types of an item's attributes for those of the items to come; returns whether they are
        other ones than before. Nothing is learnt from an item that cannot be an updated one."""
        kinds = []
        for name, value in item.items():
            [kind] = value
            kinds.append((name, "S" if kind == "NULL" and name in self._columns else kind))
        key = tuple(kinds)
        layout = self._layouts.get(key)
        if layout is None:
            if item.keys() != self._all or not all(self._is_known(name, kind) for name, kind in key):
                return False
            if len(self._layouts) >= _MOST_LAYOUTS:
                self._layouts.clear()
            layout = self._layouts[key] = _Layout(key, self._names)
        changed = layout is not self._layout
        self._layout = layout
        return changed

    def _is_known(self, name: str, kind: str) -> bool:
        return kind == "S" or (kind == "N" and name in self._attributes)


class _Layout:
    """The JSON of an updated item, for one order and the types of its attributes.

    Items of one invocation have the same times, so a template with the times of the item before is tried first.
    """

    def __init__(self, kinds: Iterable[tuple[str, str]], names: Sequence[str]) -> None:
        kinds = tuple(kinds)
        order = [name for name, _ in kinds if name in names]
        self._pick = itemgetter(*(names.index(name) for name in order))
        self._kinds = kinds
        self._times: Times = ("", "")
        self._template = self._with_times(self._times)

    def _with_times(self, times: Times) -> str:
        fixed = {STATUS: PROCESSED, **dict(zip(_TIMES, times, strict=True))}
        members = []
        for name, kind in self._kinds:
            text = fixed[name].replace("%", "%%") if name in fixed else "%s"
            members.append(f'"{name}":{{"{kind}":"{text}"}}')
        return "{" + ",".join(members) + "}"

    def fits(self, image: bytes, values: Sequence[str]) -> bool:
        """Return whether `image` is the JSON of these values, with any times."""
        picked: tuple[str, ...] = self._pick(values)
        if (self._template % picked).replace(_EMPTY, _NULL).encode() == image:
            return True
        times = _times(image)
        if times is None or times == self._times:
            return False
        self._times, self._template = times, self._with_times(times)
        image_of_values = (self._template % picked).replace(_EMPTY, _NULL).encode()
        return image_of_values == image


def _times(image: bytes) -> Times | None:
    inserted, processed = (search(image) for search in _time_of)
    if inserted is None or processed is None:
        return None
    return inserted[1].decode("ascii"), processed[1].decode("ascii")
