"""Conservation as JUnit XML: a test case a check, so that CI systems show which one failed; objectives likewise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from harness.export.checks import checks_of
from harness.objectives import sentence
from harness.report.page import iso_moment
from harness.results import DeployedResult, ObjectiveFigures, Outcome, Result

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold; a finding may quote any byte of a file."""


def junit(runs: Sequence[Result], objectives: Sequence[ObjectiveFigures] = ()) -> str:
    """Return the XML of one or more runs or loads, a test suite each, and of the objectives that they were to keep."""
    root = ElementTree.Element("testsuites", name="conservation")
    suites = [_conservation(run) for run in runs]
    if objectives:
        suites.append(_objectives(objectives))
    root.extend(suites)
    for count in ("tests", "failures"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _conservation(run: Result) -> ElementTree.Element:
    checks = checks_of(run)
    name = f"conservation of {run.kind} {_clean(run.run)}".strip()
    suite = _suite(name, len(checks), failures=sum(bool(check.failure) for check in checks), seconds=run.audit.seconds)
    if when := iso_moment(run.began if isinstance(run, DeployedResult) else None):
        suite.set("timestamp", when)
    for check in checks:
        case = _case(suite, f"conservation.{run.kind}", check.name)
        if check.failure:
            failure = ElementTree.SubElement(case, "failure", message=_clean(check.failure), type="NotConserved")
            failure.text = _clean("\n".join(check.details))
    return suite


def _objectives(objectives: Sequence[ObjectiveFigures]) -> ElementTree.Element:
    outcomes = [one.outcome for one in objectives]
    missed, unknown = outcomes.count(Outcome.MISSED), outcomes.count(Outcome.NOT_MEASURED)
    suite = _suite("objectives", len(objectives), failures=missed, errors=unknown)
    for one in objectives:
        case = _case(suite, "objectives", f"{one.metric} {one.comparison} {one.limit:g}")
        if one.outcome is not Outcome.KEPT:
            # What was not measured is no failure of the code, and must not pass either.
            tag, kind = ("failure", "Missed") if one.outcome is Outcome.MISSED else ("error", "NotMeasured")
            ElementTree.SubElement(case, tag, message=_clean(sentence(one)), type=kind)
    return suite


def _suite(name: str, tests: int, *, failures: int, errors: int = 0, seconds: float = 0.0) -> ElementTree.Element:
    counts = {"tests": tests, "failures": failures, "errors": errors, "skipped": 0}
    texts = {count: str(number) for count, number in counts.items()}
    return ElementTree.Element("testsuite", {"name": name, **texts, "time": f"{seconds:.3f}"})


def _case(suite: ElementTree.Element, group: str, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=group, name=_clean(name), time="0")


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
