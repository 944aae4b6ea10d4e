"""LocalStack in Docker: its own Lambda service, its own event source mappings."""

from harness.engines.localstack.engine import LocalStackEngine

__all__ = ["LocalStackEngine"]
