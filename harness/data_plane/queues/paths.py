"""Paths of the queues' service that no AWS API has."""

from __future__ import annotations

USAGE_PATH = "/_queues/usage"
"""GET it for the requests that SQS would have billed, by queue."""
