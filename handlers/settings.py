"""The functions' environment, typed; read once per execution environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from handlers.dialect import AUTO, STRICT, DialectError, parse_delimiter, parse_quotes

T = TypeVar("T")


class SettingsError(ValueError):
    """An environment variable is missing or cannot be used."""


@dataclass(frozen=True)
class Settings:
    """What the template gives a function. Fields that a function does not need are empty.

    `delimiter` is the one that every object has, or empty to take each object's from its header; `strict_quotes`
    says how quotes are read (see `handlers.dialect.Dialect`).
    `rows_per_message` and `max_message_bytes` bound the packing of rows; `clean_workers` of 0 means as many as
    the memory's CPU share; `retry_delay` is seconds until a message that failed alone is received again.
    """

    insert_queue_url: str = ""
    process_queue_url: str = ""
    finished_queue_url: str = ""
    table_name: str = ""
    quarantine_bucket: str = ""
    quarantine_prefix: str = "quarantine/"
    rows_per_message: int = 250
    max_message_bytes: int = 262_144
    max_field_bytes: int = 262_144
    clean_workers: int = 0
    retry_delay: int = 5
    delimiter: str = ""
    strict_quotes: bool = True

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings; raises SettingsError naming the variable that cannot be used."""
        return Settings(
            insert_queue_url=environment.get("INSERT_QUEUE_URL", ""),
            process_queue_url=environment.get("PROCESS_QUEUE_URL", ""),
            finished_queue_url=environment.get("FINISHED_QUEUE_URL", ""),
            table_name=environment.get("TABLE_NAME", ""),
            quarantine_bucket=environment.get("QUARANTINE_BUCKET", ""),
            quarantine_prefix=environment.get("QUARANTINE_PREFIX", "quarantine/"),
            rows_per_message=_number(environment, "ROWS_PER_MESSAGE", 250, 1, 10_000),
            max_message_bytes=_number(environment, "MAX_MESSAGE_BYTES", 262_144, 1_024, 1_048_576),
            max_field_bytes=_number(environment, "MAX_FIELD_BYTES", 262_144, 1, 1_000_000),
            clean_workers=_number(environment, "CLEAN_WORKERS", 0, 0, 256),
            retry_delay=_number(environment, "RETRY_DELAY_SECONDS", 5, 0, 43_200),
            delimiter=_dialect(parse_delimiter, environment, "DELIMITER", AUTO),
            strict_quotes=_dialect(parse_quotes, environment, "QUOTES", STRICT),
        )

    def require(self, *names: str) -> None:
        """Raise SettingsError where one of the named fields is empty."""
        for name in names:
            if not getattr(self, name):
                raise SettingsError(f"environment variable {name.upper()} is not set")


def _dialect(parse: Callable[[str], T], environment: Mapping[str, str], name: str, default: str) -> T:
    try:
        return parse(environment.get(name, default))
    except DialectError as error:
        raise SettingsError(f"environment variable {name}: {error}") from error


def _number(environment: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environment.get(name, str(default))
    try:
        value = int(text)
    except ValueError:
        raise SettingsError(f"environment variable {name} is {text!r}, a whole number is needed") from None
    if not low <= value <= high:
        raise SettingsError(f"environment variable {name} is {value}, allowed are {low} to {high}")
    return value
