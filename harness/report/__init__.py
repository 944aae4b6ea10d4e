"""Reports: one self-contained HTML page for a run, a suite, a gate or a comparison.

`write_report(folder)` and `write_comparison(folders, target)` are what others need.
"""

from harness.report.write import write_comparison, write_comparison_of, write_report

__all__ = ["write_comparison", "write_comparison_of", "write_report"]
