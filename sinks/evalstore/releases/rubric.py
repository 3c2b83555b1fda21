"""What an answer is judged by where nobody wrote one that is right: why the one in production failed."""

from __future__ import annotations

from typing import Any

FAILED = {
    "low_score": "it says what its passages do not support",
    "escalation": "the user asked for a person after it",
    "correction": "a person corrected it",
    "negative_feedback": "the user said that it did not help",
    "abandoned": "the user gave up after it",
    "bad_citation": "it cites what does not support it",
    "unsafe": "it was unsafe",
    "high_cost": "it cost far more than usual",
    "schema_break": "it was not in the form that was asked for",
    "empty_answer": "there was no answer",
    "error": "the request failed",
    "failed_task": "the task was not done",
}
"""By the reasons of a case (a test compares them)."""


def rubric(case: dict[str, Any]) -> str:
    """A criterion that an answer can fail, from the question, the passages, and the failing answer.

    It is a judge's opinion, as good as the judge: a correction, or a person's criterion, says more.
    Misleads where the passages are wrong or missing themselves, and where an answer failed for a reason that
    cannot be seen in it, such as its cost.

    >>> case = {"question": "Why?", "contexts": None, "answer": "No.", "reasons": ["escalation"]}
    >>> print(rubric(case))
    The answer is right, and does what the user asks for.
    The user asks: Why?
    In production this answer failed, because the user asked for a person after it; one with the same fault \
fails: No.
    """
    lines = ["The answer is right, and does what the user asks for."]
    if case["question"]:
        lines.append(f"The user asks: {case['question']}")
    passages = [one["text"] for one in case["contexts"] or () if one["text"]]
    if passages:
        lines.append("It says nothing that these passages do not support: " + "\n\n".join(passages))
    why = ", ".join(FAILED.get(reason, reason) for reason in case["reasons"]) or "it is a harvested failure"
    if case["answer"]:
        before = f"In production this answer failed, because {why}; one with the same fault fails:"
        lines.append(f"{before} {case['answer']}")
    else:
        lines.append(f"In production the answer failed, because {why}.")
    return "\n".join(lines)
