"""Results in the formats of other tools: github-action-benchmark, Bencher, JUnit, Markdown, Apache Otava."""

from harness.export.benchmarks import bencher, github_action_benchmark
from harness.export.checks import Check, checks_of
from harness.export.gate import gate_markdown
from harness.export.junit import junit
from harness.export.markdown import markdown
from harness.export.otava import otava_config, otava_csv

__all__ = [
    "Check",
    "bencher",
    "checks_of",
    "gate_markdown",
    "github_action_benchmark",
    "junit",
    "markdown",
    "otava_config",
    "otava_csv",
]
