"""Paths of the tables' service that no AWS API has."""

from __future__ import annotations

USAGE_PATH = "/_tables/usage"
"""GET it for what the tables have consumed."""
UNMETERED_PATH = "/_tables/unmetered"
"""Both APIs for who only looks on: what is asked for there is neither counted nor throttled."""
