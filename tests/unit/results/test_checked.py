"""Records are checked when they are made, not first when somebody reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from harness.results import KINDS, Document, LoopFigures, TableFigures, json_of
from tests.unit.report.support import gate_of, load_of, run_of, saturation_of


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TableFigures(write_units=-1.0, read_units=0.0, stream_reads=0), "TableFigures.write_units"),
        (
            lambda: TableFigures(write_units=1.0, read_units=0.0, stream_reads=0, throttled_items={"a": -1}),
            "TableFigures.throttled_items",
        ),
        (lambda: run_of(pipeline_seconds="long"), "Expected `float"),
        (lambda: msgspec.structs.replace(load_of(), tracker_cpu_share="x"), "LoadResult.tracker_cpu_share"),
    ],
)
def test_record_when_a_field_is_wrong_is_not_made(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_record_when_made_cannot_be_changed() -> None:
    loop = LoopFigures(
        name="a", clients=1, calls=1, seconds=1.0, items_per_call=1.0, items_per_second=1.0, server_cpu_ms=0.1
    )
    with pytest.raises(AttributeError):
        loop.calls = 2  # type: ignore[misc]


@pytest.mark.parametrize("make", [run_of, load_of, saturation_of, gate_of])
@pytest.mark.parametrize("indent", [0, 2])
def test_json_when_read_again_is_the_same(make: Callable[[], Document], indent: int) -> None:
    text = json_of(make(), indent=indent)
    assert msgspec.json.decode(text, type=type(make())) == make()
    assert ("\n" in text) is bool(indent)


def test_kinds_when_listed_have_each_a_word_of_its_own() -> None:
    words = [kind.__struct_config__.tag for kind in KINDS]
    assert len(set(words)) == len(words)
