"""Stored results side by side: what may be compared, and how they differ."""

from harness.compare.model import Cell, Comparison, MetricRow, compare
from harness.compare.subject import Measured, Subject, subject_of

__all__ = ["Cell", "Comparison", "Measured", "MetricRow", "Subject", "compare", "subject_of"]
