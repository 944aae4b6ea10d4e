"""The embedded engine: everything on one machine without Docker, in processes that end with the harness."""

from harness.engines.embedded.engine import EmbeddedEngine

__all__ = ["EmbeddedEngine"]
