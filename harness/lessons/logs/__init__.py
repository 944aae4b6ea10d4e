"""The lesson on logs: a function that prints every event."""
