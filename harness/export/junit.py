"""Conservation as JUnit XML: a test case a check, so that CI systems show which one failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from harness.export.checks import checks_of
from harness.report.page import iso_moment
from harness.results import DeployedResult, Result

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold; a finding may quote any byte of a file."""


def junit(runs: Sequence[Result]) -> str:
    """Return the XML of one or more runs or loads, a test suite each."""
    root = ElementTree.Element("testsuites", name="conservation")
    total = failed = 0
    for run in runs:
        checks = checks_of(run)
        wrong = sum(bool(check.failure) for check in checks)
        total, failed = total + len(checks), failed + wrong
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=f"conservation of {run.kind} {_clean(run.run)}".strip(),
            tests=str(len(checks)),
            failures=str(wrong),
            errors="0",
            skipped="0",
            time=f"{run.audit.seconds:.3f}",
        )
        if when := iso_moment(run.began if isinstance(run, DeployedResult) else None):
            suite.set("timestamp", when)
        for check in checks:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"conservation.{run.kind}", name=_clean(check.name), time="0"
            )
            if check.failure:
                failure = ElementTree.SubElement(case, "failure", message=_clean(check.failure), type="NotConserved")
                failure.text = _clean("\n".join(check.details))
    root.set("tests", str(total))
    root.set("failures", str(failed))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
