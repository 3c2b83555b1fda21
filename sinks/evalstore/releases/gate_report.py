"""A verdict of the gate as JUnit XML for a build server, as Markdown for a pull request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from sinks.evalstore.releases.gate import Check, Verdict

SHOWN = 20
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~@:])")


def junit(
    release: str, verdict: Verdict, cases: Sequence[Mapping[str, Any]], compared: str | None = None
) -> str:
    """One test suite of the checks, one of the cases; a case without a result is an error, not a failure.

    ``compared``: with what, a property of the first suite.
    """
    root = ElementTree.Element("testsuites", name=f"gleaner gate {release}")
    checks = _suite(root, "checks", len(verdict.checks), sum(not check.passed for check in verdict.checks), 0)
    if compared is not None:
        properties = ElementTree.SubElement(checks, "properties")
        ElementTree.SubElement(properties, "property", name="compared_with", value=_xml(compared))
    for check in verdict.checks:
        test = ElementTree.SubElement(checks, "testcase", classname="gate", name=_xml(check.name))
        if not check.passed:
            ElementTree.SubElement(test, "failure", message=_xml(f"{_against(check)}: {check.reason}"))
    suite = _suite(root, "cases", len(cases), len(verdict.failing), len(verdict.missing))
    failing = set(verdict.failing)
    for case in cases:
        name = f"{case['app']}.{case['reasons'][0] if case['reasons'] else 'case'}"
        test = ElementTree.SubElement(suite, "testcase", classname=_xml(name), name=case["case_id"])
        if case["case_id"] in failing:
            ElementTree.SubElement(test, "failure", message=_xml(case["question"] or "(no question)"))
        elif (why := verdict.missing.get(case["case_id"])) is not None:
            ElementTree.SubElement(test, "error", message=f"no result: {why.value}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(
    root: ElementTree.Element, name: str, tests: int, failures: int, errors: int
) -> ElementTree.Element:
    counts = {"tests": str(tests), "failures": str(failures), "errors": str(errors)}
    return ElementTree.SubElement(root, "testsuite", {"name": name} | counts)


def markdown(
    release: str, verdict: Verdict, cases: Sequence[Mapping[str, Any]], compared: str | None = None
) -> str:
    """A table of the checks and the cases that did not pass; foreign text cannot leave its cell, or ping."""
    word = "passed" if verdict.passed else "**held**"
    lines = [
        f"### Release {_cell(release)}: {word}",
        "",
        "| check | | value | bound | |",
        "|---|---|---|---|---|",
    ]
    for check in verdict.checks:
        mark = "✓" if check.passed else "✗"
        lines.append(
            f"| {_cell(check.name)} | {mark} | {number(check.value)} | {number(check.bound)} "
            f"| {_cell(check.reason)} |"
        )
    if compared is not None:
        lines += ["", f"Compared with {_cell(compared)}."]
    by_id = {case["case_id"]: case for case in cases}
    if verdict.failing:
        lines += ["", "| did not pass | app | reasons | question |", "|---|---|---|---|"]
    for case_id in verdict.failing[:SHOWN]:
        case = by_id[case_id]
        critical = " (critical)" if case["critical"] else ""
        question = " ".join((case["question"] or "").split())[:100]
        lines.append(
            f"| `{case_id[:8]}`{critical} | {_cell(case['app'])} | {_cell(', '.join(case['reasons']))} "
            f"| {_cell(question)} |"
        )
    if len(verdict.failing) > SHOWN:
        lines += ["", f"… and {len(verdict.failing) - SHOWN} more."]
    if verdict.missing:
        lines += ["", f"{len(verdict.missing)} cases have no result."]
    return "\n".join(lines) + "\n"


def number(value: float | None) -> str:
    """As people read it.

    >>> number(0.9), number(3.0), number(None), number(0.000123)
    ('0.9', '3', '–', '0.000123')
    """
    return "–" if value is None else f"{value:.4g}"


def _against(check: Check) -> str:
    return f"{number(check.value)} against {number(check.bound)}"


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _cell(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", _xml(" ".join(text.split()))).replace("\\@", "@\u200b")
