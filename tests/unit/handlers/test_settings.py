"""Settings of the functions: unusable and missing values are named."""

from __future__ import annotations

import pytest

from handlers.settings import Settings, SettingsError


@pytest.mark.parametrize(("name", "value"), [("ROWS_PER_MESSAGE", "many"), ("RETRY_DELAY_SECONDS", "-1")])
def test_settings_when_a_value_is_unusable_name_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: value})


def test_settings_when_a_needed_one_is_missing_name_it() -> None:
    with pytest.raises(SettingsError, match="TABLE_NAME"):
        Settings.from_environment({}).require("table_name")
