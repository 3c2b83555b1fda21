"""A frozen case in the words of other tools. Every function is pure: a case and its release's name in.

The expected answer is a reviewer's, else a user's correction; where nobody gave one, there is none, and the
tool's field is empty or left out: the answer in production was a failure, and is never passed off as the
expected one. What an answer must and must not do is in the metadata, unless the tool has a place of its own
for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from schemas.identity import derive
from sinks.evalstore.releases.rubric import rubric

Case = dict[str, Any]
Shape = Callable[[Case, str], dict[str, Any]]

FLAT = (
    *(
        "case_id",
        "cluster_id",
        "cluster_size",
        "app",
        "environment",
        "route",
        "trace_id",
        "ts",
        "reasons",
        "severity",
    ),
    *("critical", "question", "messages", "contexts", "answer", "expected_answer", "provider", "model"),
    *(
        "served_model",
        "prompt_version",
        "index_version",
        "release",
        "score",
        "scorer",
        "cost_usd",
        "content_hash",
        "expected_from",
        "labels",
        "must",
        "must_not",
        "cluster_reasons",
    ),
)
CRITERIA = ("must", "must_not")
ABOUT = (
    "case_id",
    "cluster_id",
    "app",
    "environment",
    "route",
    "reasons",
    "severity",
    "critical",
    "model",
    "prompt_version",
    "expected_from",
    "labels",
    *CRITERIA,
)
"""What travels with a case as metadata: enough to slice results by, and to grade by."""


def flat(case: Case) -> dict[str, Any]:
    """One row of CSV; nested values as JSON text."""
    return {name: _cell(case.get(name)) for name in FLAT}


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def about(case: Case, release: str, *apart: str) -> dict[str, Any]:
    """The metadata, without ``apart`` and what nobody said. An earlier Gleaner froze fewer fields."""
    found = {name: case.get(name) for name in ABOUT if name not in apart}
    return {name: value for name, value in found.items() if value not in (None, [])} | {"release": release}


def texts(case: Case) -> list[str]:
    """The passages that have a text, in the order of retrieval."""
    return [passage["text"] for passage in case["contexts"] or () if passage["text"] is not None]


def messages(case: Case) -> list[dict[str, Any]]:
    """The conversation as it was sent, else the question as the only message.

    Tools that replay a chat give the passages with it; where the application sent no ``messages``, a system
    message holds them.
    """
    if case["messages"]:
        return list(case["messages"])
    passages = (
        [{"role": "system", "content": "Context:\n\n" + "\n\n".join(texts(case))}] if texts(case) else []
    )
    return [*passages, {"role": "user", "content": case["question"] or ""}]


def ragas(case: Case, release: str) -> dict[str, Any]:
    """A single-turn sample of ``EvaluationDataset.from_jsonl`` (ragas 0.4.3), which does not keep the
    ``case_id``: it is there to be put beside the results. It has no metadata, and so no criteria.

    All samples of a file must have the same fields for ragas to print them as a table: a reference that
    nobody gave is null.
    """
    return {
        "case_id": case["case_id"],
        "user_input": case["question"] or "",
        "retrieved_contexts": texts(case),
        "response": case["answer"] or "",
        "reference": case["expected_answer"],
    }


_TEMPLATE = re.compile(r"\{[{%#]|#\}")
"""The end of a comment, too: without a beginning Nunjucks refuses it."""
_QUOTED = '{{ "?" }}'
_FETCHED = ("file://", "package:")


def literal(text: str) -> str:
    """``text`` so that promptfoo, which renders variables as Nunjucks templates, gives back ``text`` itself.

    Without this, what a user typed could read the environment (``{{ env.KEY }}``), and a text that begins
    with ``file://`` would be replaced by the file.

    >>> print(literal("{{ env.KEY }} {% if %}"))
    {{ "{{" }} env.KEY }} {{ "{%" }} if %}
    >>> print(literal("file:///etc/passwd"))
    {{ "file://" }}/etc/passwd
    """
    guarded = _TEMPLATE.sub(lambda found: _QUOTED.replace("?", found[0]), text)
    for prefix in _FETCHED:
        if guarded.startswith(prefix):
            return _QUOTED.replace("?", prefix) + guarded.removeprefix(prefix)
    return guarded


def promptfoo(case: Case, release: str) -> dict[str, Any]:
    """A test case. The expected answer becomes a rubric, and each criterion one of its own; where nobody gave
    any, the failure itself does (see ``rubric``): promptfoo passes a test without an assertion. What an
    answer must not do is said in words, not by ``not-llm-rubric``: promptfoo turns a score around there, so
    that a grader who is in doubt passes the answer.

    Every text is guarded: see ``literal``.
    """
    expected = case["expected_answer"]
    rubrics = [] if expected is None else [f"The answer says the same as: {expected}"]
    rubrics += [f"The answer meets this criterion: {each}" for each in case.get("must") or ()]
    rubrics += [f"The answer does not do this: {each}" for each in case.get("must_not") or ()]
    return {
        "description": f"{case['app']}: {', '.join(case['reasons'])} ({case['case_id'][:8]})",
        "vars": {
            "question": literal(case["question"] or ""),
            "context": literal("\n\n".join(texts(case))),
        },
        "assert": [{"type": "llm-rubric", "value": literal(each)} for each in rubrics or [rubric(case)]],
        "metadata": about(case, release, *CRITERIA),
    }


def deepeval(case: Case, release: str) -> dict[str, Any]:
    """A golden of ``add_goldens_from_json_file``. The failing answer is ``actual_output``."""
    golden = {
        "input": case["question"] or "",
        "actual_output": case["answer"],
        "expected_output": case["expected_answer"],
        "context": texts(case),
        "retrieval_context": texts(case),
        "name": case["case_id"],
        "comments": ", ".join(case["reasons"]),
        "source_file": f"gleaner release {release}",
        "additional_metadata": about(case, release),
    }
    return {name: value for name, value in golden.items() if value is not None}


def langsmith(case: Case, release: str) -> dict[str, Any]:
    """An example; the case's id is a UUID already.

    The outputs are what evaluators get as reference outputs: the expected answer and the criteria; null where
    nobody gave any.
    """
    outputs = {"answer": case["expected_answer"], **{name: case.get(name) for name in CRITERIA}}
    outputs = {name: value for name, value in outputs.items() if value}
    return {
        "id": case["case_id"],
        "inputs": {"question": case["question"] or "", "contexts": texts(case), "messages": messages(case)},
        "outputs": outputs or None,
        "metadata": about(case, release, *CRITERIA),
        "split": "test",
        "source_run_id": None,
    }


def langfuse(case: Case, release: str) -> dict[str, Any]:
    """A dataset item of POST /api/public/dataset-items; its id is unique in the project, not the dataset."""
    item = {
        "datasetName": release,
        "id": derive("langfuse-item", release, case["case_id"]),
        "input": {"question": case["question"] or "", "contexts": texts(case)},
        "expectedOutput": case["expected_answer"],
        "metadata": about(case, release) | {"gleaner_trace_id": case["trace_id"]},
        "status": "ACTIVE",
    }
    return {name: value for name, value in item.items() if value is not None}


def braintrust(case: Case, release: str) -> dict[str, Any]:
    record = {
        "id": case["case_id"],
        "input": {"question": case["question"] or "", "contexts": texts(case)},
        "expected": case["expected_answer"],
        "metadata": about(case, release),
        "tags": [case["app"], *case["reasons"], *(case.get("labels") or ())],
    }
    return {name: value for name, value in record.items() if value is not None}


def openai_evals(case: Case, release: str) -> dict[str, Any]:
    """A sample of the open-source evals: chat messages and the ideal answer; "" where nobody gave one."""
    return {"input": messages(case), "ideal": case["expected_answer"] or "", "metadata": about(case, release)}


def inspect(case: Case, release: str) -> dict[str, Any]:
    """A sample of Inspect's ``json_dataset``; ``target`` is "" where nobody gave an expected answer."""
    metadata = about(case, release) | {"contexts": texts(case)}
    return {
        "input": case["question"] or "",
        "target": case["expected_answer"] or "",
        "id": case["case_id"],
        "metadata": metadata,
    }


def argilla(case: Case, release: str) -> dict[str, Any]:
    """A record for ``dataset.records.log``: fields are text, metadata are terms and numbers.

    Criteria are metadata, too: the fields and the question are those that the dataset's settings name.
    """
    suggested = case["expected_answer"]
    return {
        "id": case["case_id"],
        "fields": {
            "question": case["question"] or "",
            "contexts": "\n\n".join(texts(case)),
            "answer": case["answer"] or "",
        },
        "metadata": {name: value for name, value in about(case, release).items() if name != "critical"},
        "suggestions": []
        if suggested is None
        else [{"question_name": "expected_answer", "value": suggested}],
        "responses": [],
    }
