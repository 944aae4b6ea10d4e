"""Engines: what runs the pipeline. Everything above this package knows only `base` and `registry`."""
