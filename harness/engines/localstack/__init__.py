"""LocalStack in Docker: with its own Lambda service, or as data services under ours."""

from harness.engines.localstack.data_engine import LocalStackDataEngine
from harness.engines.localstack.engine import LocalStackEngine

__all__ = ["LocalStackDataEngine", "LocalStackEngine"]
