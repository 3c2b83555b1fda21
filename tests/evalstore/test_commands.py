"""``gleaner cases`` and ``gleaner sql`` as their users meet them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from schemas.case import CaseReason
from schemas.signal import SignalName
from sinks.evalstore import StoreOwner
from sinks.evalstore.migrations import migrate, migrations
from sinks.evalstore.snapshots import publish
from streams.cli import app
from streams.commands.cases import parse_since
from streams.commands.fail import Failed
from streams.commands.printable import json_line, printable
from tests.evalstore.samples import MARCH, WIDTH_MS, amounts, make_case, make_window

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


def test_clusters(tmp_path: Path) -> None:
    """A failure is one line, the gravest, most frequent and newest first; cases follow in the same order."""
    store = str(tmp_path / "store.duckdb")
    text = "How long may I keep what I have bought in your shop before I must send it back to you"
    with StoreOwner.open(Path(store)) as owner:
        asked = [
            {"question": text.replace("shop", shop), "answer": "For ever"}
            for shop in ("shop", "store", "SHOP!")
        ]
        rare = make_case(9, CaseReason.HIGH_COST)
        owner.write(
            [rare, *(make_case(n, trace=t, content_hash=str(n)) for n, t in enumerate(asked))], now=MARCH
        )
    shown = run("cases", "list", "--store", store, "--clusters")
    assert "4 cases are 2 clusters" in shown
    assert "How long may I keep what" in shown
    lines = run("cases", "list", "--store", store, "--clusters", "--json").splitlines()
    first, second = (json.loads(line) for line in lines)
    assert (first["cases"], second["cases"]) == (3, 1)
    assert first["rank"] > second["rank"]
    assert (first["first_seen"], first["last_seen"]) == ("2026-03-01T00:00:00Z", "2026-03-01T00:02:00Z")
    ranked = [
        json.loads(line)
        for line in run("cases", "list", "--store", store, "--by-rank", "--json").splitlines()
    ]
    assert [case["cluster_size"] for case in ranked] == [3, 3, 3, 1]
    assert ranked[0]["case_id"] == first["representative"]
    only = run(
        "cases", "list", "--store", store, "--clusters", "--json", "--reason", "high_cost"
    ).splitlines()
    assert [json.loads(line)["cluster_id"] for line in only] == [second["cluster_id"]]
    assert "no case matches" in run("cases", "list", "--store", store, "--clusters", "--app", "other")


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


def test_forget(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    trace = {"question": "What is my balance?", "answer": "None", "user_id": "u-1"}
    with StoreOwner.open(path) as owner:
        owner.write([make_case(1, trace=trace), make_case(2)], now=MARCH)
    done = json.loads(run("cases", "forget", "--user", "u-1", "--store", str(path), "--json"))
    assert done == {"cases": 1, "case_events": 1, "dead_letters": 0, "mentions": 0}
    assert "forgotten: 0 cases" in run("cases", "forget", "--user", "u-1", "--store", str(path))
    assert "forgotten: 1 cases" in run("cases", "forget", "--trace", "trace-2", "--store", str(path))
    assert "the store holds no case yet" in run("cases", "list", "--store", str(path))
    for wrong in ([], ["--user", "u", "--trace", "t"], ["--user", ""]):
        assert "--user ID and --trace ID" in str(refused("cases", "forget", *wrong, "--store", str(path)))
    missing = refused("cases", "forget", "--user", "u", "--store", str(tmp_path / "none.duckdb"))
    assert "no eval store at" in str(missing)
    assert list(tmp_path.glob("none*")) == [], "forgetting makes no store"


def test_an_owner_that_does_not_answer_is_said(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    arguments = ("cases", "forget", "--user", "u-1", "--store", str(path), "--timeout", "1")
    with StoreOwner.open(path):
        failure = refused(*arguments)
    assert failure.status == 1
    assert "did not answer within 1 s" in str(failure)
    assert len(list(tmp_path.glob("store.duckdb.requests/*.ask.json"))) == 1, "the request stands"


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
    with pytest.raises(Failed, match="--at 999999999w: is older than time"):
        parse_since("999999999w", MARCH, "--at")


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("windows") / "store.duckdb"
    scores = {"signal": SignalName.FAITHFULNESS, "histogram": ()}
    latencies = {"n": 2, "unmeasured": 0, "histogram": amounts([200.0, 1_000.0])}
    early = {"start": MARCH - 12 * WIDTH_MS, "end": MARCH - 11 * WIDTH_MS}
    with StoreOwner.open(path) as owner:
        owner.write(
            windows=[
                make_window(0, 0.04),
                make_window(0, 0.08, **early),
                make_window(0, 3.5, **scores, low=1, unmeasured=1),
                make_window(0, 1_200.0, **latencies, signal=SignalName.LATENCY),
                make_window(0, 0.4, app="desk", route=EVIL),
            ],
            now=MARCH,
        )
    return str(path)


def test_signals_are_the_rolling_figures_of_each_segment(windows: str) -> None:
    shown = run("signals", "--store", windows, "--app", "shop").splitlines()
    assert shown[0] == "shop · production · chat   until 2026-03-01 00:05 UTC"
    cells = [re.split(r"\s{2,}(?!n )", line.strip()) for line in shown[3:]]
    table: dict[str, list[str]] = {}
    for name, *spans in cells:
        table.setdefault(name, spans)  # the first p95 is that of costs
    assert table["requests"] == ["5", "5", "10", "10"]
    assert table["faithfulness"] == ["0.88  n 4"] * 4
    assert table["grounded answers"] == ["75%"] * 4
    assert table["unscored"] == table["unpriced"] == ["20%"] * 4
    assert table["cost per request"] == ["$0.010  n 4", "$0.010  n 4", "$0.015  n 8", "$0.015  n 8"]
    assert table["spend"] == ["$0.040", "$0.040", "$0.12", "$0.12"]
    assert table["per hour"] == ["$0.48", "$0.040", "$0.0050", "$0.00071"]
    assert table["p95"] == ["$0.0099", "$0.0099", "$0.020", "$0.020"]
    assert table["latency"] == ["600 ms  n 2"] * 4
    assert cells[-3:] == [["p50", *["201 ms"] * 4], ["p95", *["1.0 s"] * 4], ["p99", *["1.0 s"] * 4]]


def test_signals_as_json_at_a_time(windows: str) -> None:
    found = run("signals", "--store", windows, "--app", "shop", "--at", "2026-02-28T23:07:00Z", "--json")
    figures = [json.loads(line) for line in found.splitlines()]
    assert [(f["signal"], f["rolling"], f["n"], f["rolling_end"]) for f in figures] == [
        ("cost_per_request", span, 4, "2026-02-28T23:05:00Z") for span in ("5m", "1h", "24h", "7d")
    ]
    assert figures[0].keys() >= {"app", "environment", "route", "mean", "p95", "per_hour", "unmeasured_share"}


def test_signals_of_foreign_names_and_of_nobody(windows: str) -> None:
    shown = run("signals", "--store", windows)
    assert "desk" in shown
    assert not set(shown) & {"\x1b", "\x9b", "\x07", "\u202e"}
    assert "no window of other" in run("signals", "--store", windows, "--app", "other")
    wrong = refused("signals", "--store", windows, "--at", "noon")
    assert "--at noon" in str(wrong)


def test_signals_of_a_snapshot_of_the_version_before_say_what_to_do(tmp_path: Path) -> None:
    con = duckdb.connect(str(tmp_path / "old.duckdb"))
    migrate(con, migrations()[:2])
    con.close()
    publish(tmp_path / "old.duckdb", tmp_path / "snapshots", MARCH)
    wrong = refused("signals", "--store", str(tmp_path / "snapshots"))
    assert (wrong.status, "gleaner store" in str(wrong)) == (2, True)
