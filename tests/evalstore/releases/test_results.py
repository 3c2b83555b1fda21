"""Results as runners write them: what is a pass, what is a failure, and what is neither."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.case import CaseReason
from sinks.evalstore.errors import BadResults
from sinks.evalstore.releases.gate import NO_RESULT, GatePolicy, gate
from sinks.evalstore.releases.result import NoResult
from sinks.evalstore.releases.results import Matched, match, read_results
from sinks.evalstore.releases.rubric import FAILED, rubric
from sinks.evalstore.releases.shapes import promptfoo
from tests.evalstore.releases.test_export import CASES, frozen

PUBLISHED = Path(__file__).parent / "published"


def cases(*questions: str) -> list[dict[str, Any]]:
    return [{"case_id": f"case-{n}", "question": text} for n, text in enumerate(questions)]


def read(path: Path, text: str, *questions: str) -> Matched:
    path.write_bytes(text.encode())
    return match(read_results(path), cases(*questions))


def passed(found: Matched) -> dict[str, bool]:
    return {case_id: one.passed for case_id, one in found.outcomes.items()}


def test_what_promptfoo_wrote() -> None:
    """An evaluation with its echo provider, and a judge that answers with an error (2026-11-21)."""
    ids = [{"case_id": name, "question": None} for name in ("a", "a2", *"bcdefgh")]
    found = match(read_results(PUBLISHED / "promptfoo-0.121.20.json"), ids)
    # context-faithfulness (h) hides its judge's error: it cannot be told from a failure.
    assert passed(found) == {"b": True, "c": False, "h": False}
    unasserted = dict.fromkeys(("a", "a2", "g"), NoResult.NO_ASSERTION)
    assert found.why == unasserted | dict.fromkeys("def", NoResult.JUDGE_FAILED)


def test_a_test_without_an_assertion_passes_nothing_and_the_gate_says_what_to_add() -> None:
    ids = [{"case_id": name, "question": "Why?"} for name in ("a", "a2", *"bcdefgh")]
    records = [
        {
            "app": "shop",
            "reasons": ["error"],
            "severity": 4,
            "critical": False,
            "messages": None,
            "model": "m",
        }
        | one
        for one in ids
    ]
    found = match(read_results(PUBLISHED / "promptfoo-0.121.20.json"), ids)
    verdict = gate(records, True, found.outcomes, None, GatePolicy(0.1), found.why)
    check = next(check for check in verdict.checks if check.name == "results_complete")
    assert not verdict.passed
    assert check.reason == (
        "6 of 9 cases have no result; 3 had nothing asserted: give each an assertion that can fail; "
        "the judge failed on 3: run them again"
    )
    assert set(verdict.missing) == {"a", "a2", "g", *"def"}
    assert set(NO_RESULT) == set(NoResult)


@pytest.mark.parametrize("answer", ["For ever.", None])
@pytest.mark.parametrize("expected", ["30 days.", None])
def test_every_exported_test_of_promptfoo_has_an_assertion(answer: str | None, expected: str | None) -> None:
    for contexts in (CASES[0]["contexts"], None):
        case = frozen(1, expected_answer=expected, answer=answer, contexts=contexts)
        case |= {"must": None, "must_not": None}
        (assertion,) = promptfoo(case, "r1")["assert"]
        assert assertion["type"] == "llm-rubric"
        assert (expected or "In production") in assertion["value"]


def test_a_rubric_says_why_every_kind_of_case_failed() -> None:
    assert set(FAILED) == set(CaseReason)
    said = rubric(frozen(1, reasons=["low_score", "escalation"]))
    for part in (
        "it says what its passages do not support",
        "asked for a person",
        "For ever.",
        "Returns within",
    ):
        assert part in said


def test_other_runners_assert_nothing_or_have_judges_that_fail(tmp_path: Path) -> None:
    deepeval = {
        "testCases": [
            {"name": "case-0", "success": True, "metricsData": []},
            {"name": "case-1", "success": False, "metricsData": [{"name": "m", "error": "judge"}]},
            {"name": "case-2", "success": True, "metricsData": [{"name": "m", "score": 1.0}]},
            {"name": "case-3", "success": False, "metricsData": [{"name": "m", "score": 0.1}]},
        ]
    }
    found = read(tmp_path / "d.json", json.dumps(deepeval), *"wxyz")
    assert passed(found) == {"case-2": True, "case-3": False}
    assert found.why == {"case-0": NoResult.NO_ASSERTION, "case-1": NoResult.JUDGE_FAILED}
    inspect = {
        "eval": {},
        "samples": [{"id": "case-0", "scores": {}}, {"id": "case-1", "error": {"message": "x"}}],
    }
    found = read(tmp_path / "i.json", json.dumps(inspect), *"wx")
    assert found.why == {"case-0": NoResult.NO_ASSERTION, "case-1": NoResult.RUNNER_FAILED}


def test_what_inspect_looked_for_in_vain_is_not_asserted(tmp_path: Path) -> None:
    """As Inspect 0.3.285 scored the answer "some answer" (2026-11-21)."""
    scored = [
        ("case-0", "", {"match": {"value": "C"}, "includes": {"value": "C"}}),
        ("case-1", "", {"match": {"value": "C"}, "exact": {"value": "I"}}),
        ("case-2", "right", {"match": {"value": "I"}, "includes": {"value": "I"}}),
        ("case-3", "some", {"includes": {"value": "C"}}),
        ("case-4", "", {"includes": {"value": "C"}, "model_graded_qa": {"value": "C"}}),
    ]
    samples = [{"id": name, "target": target, "scores": scores} for name, target, scores in scored]
    found = read(tmp_path / "i.json", json.dumps({"eval": {}, "samples": samples}), *"uvxyz")
    assert passed(found) == {"case-1": False, "case-2": False, "case-3": True, "case-4": True}
    assert found.why == {"case-0": NoResult.NO_ASSERTION}


def test_the_index_of_pandas_is_no_metric(tmp_path: Path) -> None:
    for header in ("", "index", "Unnamed: 0", "level_0"):
        table = f"{header},user_input,response,faithfulness\n0,How?,So.,0.9\n1,Why?,So.,0.2\n"
        found = read(tmp_path / "t.csv", table, "How?", "Why?")
        assert passed(found) == {"case-0": True, "case-1": False}, header
        assert [one.score for one in found.outcomes.values()] == [0.9, 0.2]


def test_a_column_of_text_is_no_metric_even_where_it_is_empty(tmp_path: Path) -> None:
    table = "user_input,note,faithfulness\nHow?,fine,0.9\nWhy?,,0.9\nWhen?,,nan\n"
    found = read(tmp_path / "t.csv", table, "How?", "Why?", "When?")
    assert passed(found) == {"case-0": True, "case-1": True}
    assert found.why == {"case-2": NoResult.JUDGE_FAILED}
    found = read(tmp_path / "t.csv", "user_input,response\nHow?,So.\n", "How?")
    assert found.why == {"case-0": NoResult.NO_ASSERTION}


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_field_of_csv_ends_where_csv_says(separator: str, tmp_path: Path) -> None:
    question = f"How{separator}long?"
    found = read(tmp_path / "t.csv", f"user_input,faithfulness\n{question},0.9\n", question)
    assert passed(found) == {"case-0": True}


def test_a_long_passage_is_read(tmp_path: Path) -> None:
    passage = "word " * 40_000
    found = read(
        tmp_path / "t.csv", f"user_input,retrieved_contexts,faithfulness\nHow?,{passage},0.9\n", "How?"
    )
    assert passed(found) == {"case-0": True}


def test_a_table_by_columns_is_read(tmp_path: Path) -> None:
    table = {"user_input": {"0": "How?", "1": "Why?"}, "faithfulness": {"0": 0.9, "1": None}}
    found = read(tmp_path / "t.json", json.dumps(table), "How?", "Why?")
    assert passed(found) == {"case-0": True}
    assert found.why == {"case-1": NoResult.JUDGE_FAILED}


def test_cases_with_one_question_are_told_apart_by_case_id_only(tmp_path: Path) -> None:
    rows = [{"user_input": "How?", "faithfulness": score} for score in (0.9, 0.1)]
    found = read(tmp_path / "t.json", json.dumps(rows), "How?", "How?", "Why?")
    assert found.outcomes == {}
    assert found.why == dict.fromkeys(("case-0", "case-1"), NoResult.SHARED_QUESTION)
    named = [row | {"case_id": f"case-{n}"} for n, row in enumerate(rows)]
    found = read(tmp_path / "t.json", json.dumps(named), "How?", "How?", "Why?")
    assert passed(found) == {"case-0": True, "case-1": False}
    assert found.why == {}
    found = read(tmp_path / "t.csv", "case_id,user_input,f\ncase-1,How?,0.9\nelse,Who?,0.9\n", "How?", "How?")
    assert passed(found) == {"case-1": True, "else": True}
    assert found.strangers == 1


def promptfoo_file(row: str) -> str:
    return f'{{"results": {{"results": [{row}]}}}}'


HOSTILE = {
    "a deep file": "[" * 100_000,
    "a deep line": '{"case_id": "a"}\n' + "[" * 100_000,
    "an id that is a list": '{"case_id": ["a"], "user_input": "q", "f": 1}',
    "a question that is a list": '{"user_input": ["q"], "f": 1}',
    "promptfoo, an id that is a list": promptfoo_file(
        '{"success": true, "testCase": {"metadata": {"case_id": []}}}'
    ),
    "promptfoo, metadata that is a list": promptfoo_file('{"success": true, "testCase": {"metadata": [1]}}'),
    "promptfoo, rows that are none": promptfoo_file("null, 1"),
    "promptfoo, parts that are none": promptfoo_file(
        '{"success": true, "gradingResult": {"componentResults": 5}}'
    ),
    "DeepEval, metrics that are none": '{"testCases": [{"success": true, "metricsData": [3]}]}',
    "DeepEval, a name that is a number": '{"testCases": [{"success": true, "name": 3}]}',
    "Inspect, scores that are none": '{"eval": {}, "samples": [{"id": 1, "scores": [1]}]}',
    "pandas, split": '{"columns": ["user_input"], "index": [0], "data": [["q"]]}',
    "pandas, by index": '{"0": {"user_input": "q", "f": 1}}',
    "null": "null",
    "a number of 5,000 digits": "9" * 5_000,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_result_is_refused_in_one_line(what: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(HOSTILE[what])
    with pytest.raises(BadResults) as error:
        read_results(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_cost_beyond_every_number_is_no_cost(tmp_path: Path) -> None:
    found = read(
        tmp_path / "r.json", f'{{"case_id": "case-0", "passed": true, "cost_usd": 1{"0" * 400}}}', "q"
    )
    assert found.outcomes["case-0"].cost_usd is None


def test_a_binary_file_of_csv_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadResults, match="is no text"):
        read_results(path)
