"""Processes that are never left behind: a guard that outlives whoever started them, children that are watched."""
