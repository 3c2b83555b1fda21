"""Frozen cases with texts that a tool may take for something else: templates, files, formulas."""

from __future__ import annotations

from typing import Any

from tests.evalstore.releases.test_export import frozen

SECRET = "GLEANER_EXPORT_SECRET"
HOSTILE = (
    'How long, "exactly", may I keep it?\nSay – é, 文, 😀.',
    "What is {{ 7 * 7 }}, {{question}} and {{ env." + SECRET + " }}?",
    "{% for x in range(9) %}x{% endfor %} {# gone? #} {{{ {{{{ }} %} {% raw %} {% endraw %}",
    "file:///etc/hostname",
    "package:promptfoo",
    "{{%",
    "=cmd|' /C calc'!A0 | two | bars, a, comma; \\n \\\\ ${HOME} $(id) `id`",
    "NUL is \0 and tab is \t, CR LF is \r\n.",
    "CR alone is \r.",
)


def cases() -> list[dict[str, Any]]:
    """One case per text, which is its question, its passage, its failing answer and its correction in one."""
    made = []
    for number, text in enumerate(HOSTILE, 1):
        passages = [f"In short: {text}", text]
        contexts = [{"id": "p", "text": passage, "score": 0.5} for passage in passages]
        right = None if number == 6 else text
        written = {"labels": [f"label-{number}"], "must": [text, "is brief"], "must_not": [text]}
        said = {"expected_answer": right, "expected_from": right and "reviewer"} | written
        made.append(frozen(number, question=text, contexts=contexts, answer=text, **said))
    return made


def expected() -> list[dict[str, Any]]:
    """What every tool must have read."""
    return [
        {
            "case_id": case["case_id"],
            "question": case["question"],
            "contexts": [passage["text"] for passage in case["contexts"]],
            "expected": case["expected_answer"],
            "labels": case["labels"],
            "must": case["must"],
            "must_not": case["must_not"],
        }
        for case in cases()
    ]
