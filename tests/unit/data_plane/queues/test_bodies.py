"""Which characters a body may have, and that it is kept as it was sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data_plane.queues.bodies import encoded, literal


def allowed(character: str) -> bool:
    """XML 1.0's set, as SQS documents it."""
    code = ord(character)
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000


TEXTS = st.text(st.one_of(st.characters(), st.sampled_from('\t\n\r"\\ab\ufffd\ufffe\uffff\ud800\x00\x1f\x7f😀é')))


@given(TEXTS)
def test_text_is_allowed_when_all_its_characters_are(text: str) -> None:
    data = encoded(text)
    assert (data is not None) == all(map(allowed, text))
    assert data is None or data == text.encode()


@given(TEXTS, st.sampled_from(["", "a" * 2000, "é" * 2000, "😀" * 500]))
def test_text_is_kept_as_a_json_string_that_means_it(text: str, padding: str) -> None:
    whole = text + padding
    data = encoded(whole)
    if data is not None:
        assert json.loads(literal(whole, data)) == whole


BORDERS = [
    *range(0x20),
    0x7F,
    0x85,
    0xA0,
    0xD7FF,
    0xD800,
    0xDFFF,
    0xE000,
    0xFFC0,
    0xFFFD,
    0xFFFE,
    0xFFFF,
    0x10000,
    0x10FFFF,
]


@pytest.mark.parametrize("code", BORDERS)
def test_every_border_of_the_set(code: int) -> None:
    assert (encoded(chr(code)) is not None) == allowed(chr(code))
    assert (encoded(f"a{chr(code)}😀") is not None) == allowed(chr(code))
