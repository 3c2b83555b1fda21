"""``gleaner cases`` and ``gleaner sql`` as their users meet them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.case import CaseReason
from sinks.evalstore import StoreOwner
from streams.cli import app
from streams.commands.cases import parse_since
from streams.commands.fail import Failed
from streams.commands.printable import json_line, printable
from tests.evalstore.samples import MARCH, make_case

ROOT = Path(__file__).parents[2]
EVIL = "red \x1b[31m \x9b2J \x07 \u202e [bold]not markup[/bold]"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("commands") / "store.duckdb"
    claims = [{"statement": "For ever", "supported": False, "reason": "30 days"}]
    score = {"scorer": "offline", "scorer_version": "1", "value": 0.25, "claims": claims}
    feedback = {"kind": "correction", "comment": EVIL, "timestamp": "2026-03-02T10:00:00Z"}
    with StoreOwner.open(path) as owner:
        owner.write(
            [
                make_case(1, score=score, cost=0.0123, price_status="priced"),
                make_case(1, CaseReason.CORRECTION, event="2", feedback=feedback, expected_answer="30 days"),
                make_case(2, trace={"question": EVIL, "answer": EVIL, "contexts": [EVIL]}),
                make_case(3, trace=None, trace_at=None, replayable=False, missing=("trace: gone",)),
            ],
            now=MARCH,
        )
    return str(path)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str) -> Failed:
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, Failed), result.exception
    return result.exception


def test_list_as_json_is_the_contract(store: str) -> None:
    cases = [json.loads(line) for line in run("cases", "list", "--store", store, "--json").splitlines()]
    assert [case["trace_id"] for case in cases] == ["trace-3", "trace-2", "trace-1"]
    first = cases[-1]
    contract = {"case_id", "trace_id", "app", "reasons", "cluster_id", "cluster_size", "replayable"}
    assert contract | {"environment", "route", "ts", "score", "cost_usd"} <= first.keys()
    assert first["reasons"] == ["low_score", "correction"]
    assert first["ts"] == "2026-03-01T00:01:00Z"
    assert (first["score"], first["cost_usd"]) == (0.25, 0.0123)
    assert [case["replayable"] for case in cases] == [False, True, True]


def test_list_for_people(store: str) -> None:
    shown = run("cases", "list", "--store", store)
    assert "the store holds 3 cases, 3 distinct" in shown
    assert "How long may I keep order 1?" in shown
    assert "shop · production · chat" in shown
    assert "more: --limit" in run("cases", "list", "--store", store, "--limit", "1")
    assert "no case matches; the store holds 3" in run("cases", "list", "--store", store, "--app", "other")


def test_search(store: str) -> None:
    found = run("cases", "search", "order 1?", "--store", store, "--json").splitlines()
    assert [json.loads(line)["trace_id"] for line in found] == ["trace-1"]


def test_show(store: str) -> None:
    shown = run("cases", "show", "trace-1", "--store", store)
    for expected in (
        "How long may I keep order 1?",
        "[1] policy  0.500",
        "For ever.",
        "30 days",
        "2026-03-02T10:00:00Z  correction",
        "✗ For ever  (30 days)",
        "score 0.25 by offline 1",
        "model m-1, served_model m-1-0301, prompt_version p7",
        "$0.012300 (priced)",
        "traces[1] at offset 1",
    ):
        assert expected in shown, expected
    assert "no, it lacks trace: gone" in run("cases", "show", "trace-3", "--store", store)
    whole = json.loads(run("cases", "show", "trace-1", "--store", store, "--json"))
    assert whole["trace"]["answer"] == "For ever."
    assert len(whole["events"]) == 2


def test_foreign_text_cannot_steer_the_terminal(store: str) -> None:
    for arguments in (
        ["cases", "list"],
        ["cases", "show", "trace-2"],
        ["sql", "SELECT question FROM case_list"],
    ):
        for form in ([], ["--json"]):
            shown = run(*arguments, "--store", store, *form)
            assert not set(shown) & {"\x1b", "\x9b", "\x07", "\u202e"}
            assert "[bold]not" in shown or arguments == ["cases", "list"], "the list cuts long questions"
    assert json.loads(json_line(EVIL)) == EVIL
    assert printable("é\n\t😀") == "é\n\t😀"


def test_sql(store: str) -> None:
    query = "SELECT app, count(*) AS n, min(ts) AS first, sum(1.5) AS sum FROM case_list GROUP BY app"
    answer = json.loads(run("sql", query, "--store", store, "--json"))
    assert answer == {"app": "shop", "n": 3, "first": "2026-03-01T00:01:00Z", "sum": 4.5}
    assert "case_list" in run("sql", "SHOW TABLES", "--store", store)
    cut = CliRunner().invoke(
        app, ["sql", "SELECT * FROM range(5)", "--store", store, "--limit", "2", "--json"]
    )
    assert cut.stdout.splitlines() == ['{"range": 0}', '{"range": 1}']
    assert "there are more" in cut.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["cases", "show", "zzz"], 1, "no such case: zzz"),
        (["cases", "list", "--reason", "bad"], 2, "--reason bad: is one of low_score,"),
        (["cases", "list", "--since", "yesterday"], 2, "--since yesterday: "),
        (["sql", "DROP TABLE cases"], 2, "read-only"),
        (["sql", "SELECT * FROM nowhere"], 2, "nowhere"),
    ],
)
def test_one_line_says_what_is_wrong(store: str, arguments: list[str], status: int, said: str) -> None:
    failure = refused(*arguments, "--store", store)
    assert failure.status == status
    assert said in str(failure)
    assert "\n" not in str(failure)


def test_no_store_is_one_line_and_status_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streams.cli", "cases", "list", "--store", str(tmp_path / "none.duckdb")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("gleaner: no eval store at ")
    assert done.stderr.count("\n") == 1


def test_since() -> None:
    assert parse_since("7d", MARCH) == MARCH - 7 * 86_400_000
    assert parse_since("2026-03-01", 0) == MARCH == parse_since("2026-03-01T01:00:00+01:00", 0)
    with pytest.raises(Failed, match="--since"):
        parse_since("2026-03-01T00:00:00", 0)
