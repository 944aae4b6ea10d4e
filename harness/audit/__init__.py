"""The audit: where every single row ended, read from the data itself and compared with what was expected."""

from harness.audit.audit import audit
from harness.audit.model import AuditReport, Finding

__all__ = ["AuditReport", "Finding", "audit"]
