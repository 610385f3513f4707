"""Thresholds as test cases of a JUnit XML file, which CI servers show."""

from __future__ import annotations

from locust.env import Environment

from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree

from protouser._options import Option, option
from protouser._results import writable, write_file
from protouser.thresholds._verdict import Verdict

__all__ = ["JUNIT", "write_junit"]

JUNIT: Final = Option(
    "junit", "Write the thresholds as test cases to FILE, as JUnit XML.", "FILE", writable
)


def write_junit(environment: Environment, verdicts: Sequence[Verdict]) -> None:
    """Write the file, if one was asked for."""
    file = option(environment, JUNIT)
    if not file:
        return
    crossed = [verdict for verdict in verdicts if not verdict.passed]
    counts = {"tests": str(len(verdicts)), "failures": str(len(crossed))}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "thresholds", **counts})
    for verdict in verdicts:
        name = {"classname": verdict.row or "thresholds", "name": verdict.threshold.text}
        case = ElementTree.SubElement(suite, "testcase", name)
        if not verdict.passed:
            ElementTree.SubElement(case, "failure", {"message": verdict.sentence()})
    ElementTree.indent(suites)
    write_file(file, ElementTree.tostring(suites, "unicode", xml_declaration=True) + "\n")
