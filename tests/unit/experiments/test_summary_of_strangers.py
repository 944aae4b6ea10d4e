"""What the summary says of dead-letter messages that are no rows."""

from __future__ import annotations

import io
from collections import Counter

from rich.console import Console

from harness.audit import AuditReport
from harness.experiments.result_lines import print_audit, print_unattributed


def printed(report: AuditReport) -> str:
    text = io.StringIO()
    print_unattributed(Console(file=text, width=200), report)
    return text.getvalue()


def test_summary_when_messages_name_no_row_names_stage_kind_and_command() -> None:
    report = AuditReport(unattributed={"clean": Counter({"an Amazon S3 test event": 2, "[/odd] markup": 1})})
    assert "clean DLQ, messages that name no row: 1 [/odd] markup, 2 an Amazon S3 test event" in printed(report)
    assert "harness dlq show clean" in printed(report)


def test_summary_when_messages_are_of_other_objects_counts_them() -> None:
    assert printed(AuditReport(other_objects=3)).strip() == "3 dead-letter messages are of other objects"


def test_summary_when_every_message_is_a_row_says_nothing() -> None:
    assert printed(AuditReport()) == ""


def test_print_audit_when_messages_name_no_row_says_so_beside_the_verdict() -> None:
    text = io.StringIO()
    print_audit(Console(file=text, width=200), AuditReport(unattributed={"insert": Counter({"no JSON": 1})}))
    assert "1 dead-letter message names no row" in text.getvalue()
    assert "insert DLQ, messages that name no row: 1 no JSON" in text.getvalue()
