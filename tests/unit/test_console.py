"""Tables are whole where nobody's terminal says how wide they may be."""

from __future__ import annotations

import pytest

from harness.console import LOG_WIDTH, console


def test_console_when_there_is_no_terminal_is_wide_enough_for_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert console().width == console(stderr=True).width == LOG_WIDTH


def test_console_when_columns_are_given_keeps_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert console().width == 70
