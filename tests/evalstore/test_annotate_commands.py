"""``gleaner cases label|expect|must|must-not|assign``, where it shows, and how it is frozen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sinks.evalstore import StoreOwner
from sinks.evalstore.releases.bundle import read_bundle, releases_of
from streams.cli import app
from streams.commands.fail import Failed
from tests.evalstore.releases.test_freeze import failure
from tests.evalstore.samples import MARCH


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cases 0 and 1 are one failure, of which 1 has a user's correction; 2 is another, of an app that keeps
    ids only.
    """
    monkeypatch.setenv("GLEANER_PRIVACY", '{"desk": "ids_only"}')
    path = tmp_path / "store.duckdb"
    with StoreOwner.open(path) as owner:
        corrected = failure(1, like=0, expected_answer="a user's answer")
        owner.write([failure(0), corrected, failure(2, app="desk")], now=MARCH)
    return path


def run(store: Path, *arguments: str, text: str | None = None) -> str:
    at = ["--store", str(store)]
    result = CliRunner().invoke(app, [*arguments, *at], input=text, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(store: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--store", str(store)])
    assert isinstance(result.exception, Failed), result.output
    assert result.exception.status == 2
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_said_shown_found_and_undone(store: Path, tmp_path: Path) -> None:
    case = failure(0).case_id
    said = run(store, "cases", "label", "trace-0", "Billing", "needs-docs", "--actor", "ann")
    assert said == f"label of {case}, and so its cluster of 2. Undo: gleaner cases undo\n"
    assert "nothing to change" in run(store, "cases", "label", "trace-1", "billing", "--actor", "ben")
    run(store, "cases", "must", "trace-0", "names the\n30 days", "is brief", "--actor", "ann")
    run(store, "cases", "must-not", "trace-0", "promises money", "--actor", "ann")
    run(store, "cases", "assign", "trace-0", "--actor", "ann")
    answer = tmp_path / "answer.txt"
    answer.write_text("Write to ann@example.org\nwithin 30 days.\n")
    said = run(store, "cases", "expect", "trace-0", "--file", str(answer), "--actor", "ann")
    assert "took something out" in said
    assert "cluster" not in said
    whole = json.loads(run(store, "cases", "show", "trace-0", "--json"))
    assert whole["expected_answer"] == "Write to [EMAIL_1]\nwithin 30 days."
    assert (whole["labels"], whole["must"]) == (["billing", "needs-docs"], ["names the 30 days", "is brief"])
    assert (whole["must_not"], whole["assigned"]) == (["promises money"], "ann")
    shown = run(store, "cases", "show", "trace-1")
    for expected in ("billing, needs-docs", "- names the 30 days", "a right answer must not", "assigned"):
        assert expected in shown, expected
    assert "expected answer, by a user's correction" in shown
    assert "expected answer, by a reviewer" in run(store, "cases", "show", "trace-0")
    for wanted, found in (
        (("--label", "BILLING"), 2),
        (("--assigned", "ann"), 2),
        (("--assigned", "none"), 1),
    ):
        lines = run(store, "cases", "list", *wanted, "--json").splitlines()
        assert len(lines) == found, wanted
    (cluster,) = run(store, "cases", "list", "--clusters", "--label", "billing", "--json").splitlines()
    assert json.loads(cluster)["labels"] == ["billing", "needs-docs"]
    assert json.loads(cluster)["assigned"] == "ann"
    assert "undone: expected answer (" in run(store, "cases", "undo", "--actor", "ann")
    run(store, "cases", "label", "trace-1", "billing", "--remove")
    run(store, "cases", "must", "trace-1", "is brief", "--remove")
    run(store, "cases", "assign", "trace-1", "--nobody")
    whole = json.loads(run(store, "cases", "show", "trace-0", "--json"))
    assert (whole["expected_answer"], whole["labels"], whole["assigned"]) == (None, ["needs-docs"], None)
    assert whole["must"] == ["names the 30 days"]
    said = run(store, "cases", "expect", "trace-1", "--file", "-", "--json", text="from standard input")
    assert json.loads(said)["changed"] == 1
    assert json.loads(run(store, "cases", "expect", "trace-1", "--withdraw", "--json"))["changed"] == 1
    assert json.loads(run(store, "cases", "show", "trace-1", "--json"))["expected_from"] == "correction"


def test_what_is_wrong_is_one_line(store: Path) -> None:
    for arguments, why in (
        (("label", "trace-0", "two words"), "a label is one word"),
        (("label", "trace-0", "10.0.0.1"), "names no person or secret"),
        (("must", "trace-0", " "), "not empty"),
        (("expect", "trace-0"), "one of TEXT"),
        (("expect", "trace-0", "a", "--withdraw"), "one of TEXT"),
        (("expect", "trace-0", "--file", "none.txt"), "No such file"),
        (("expect", "trace-2", "30 days"), "keeps ids only"),
        (("review", "trace-2", "--accept", "--note", "why"), "without a note"),
        (("assign", "trace-0", "ben", "--nobody"), "one of REVIEWER"),
        (("assign", "trace-0", "none"), "nobody is called"),
    ):
        assert why in refused(store, "cases", *arguments)
    assert run(store, "cases", "label", "trace-2", "billing"), "a label is no text of a case"


def test_it_is_frozen_with_the_case(store: Path) -> None:
    """The case with a reviewer's answer stands for the failure; what is said later is another set."""
    run(store, "cases", "expect", "trace-0", "Within 30 days.", "--actor", "ann")
    run(store, "cases", "label", "trace-1", "billing", "--actor", "ann")
    run(store, "cases", "must", "trace-1", "is brief", "--actor", "ann")
    run(store, "release", "freeze", "v1", "--tier", "smoke", "--label", "Billing")
    first = read_bundle(releases_of(store) / "v1")
    (case,) = first.cases
    assert (case["trace_id"], case["expected_answer"]) == ("trace-0", "Within 30 days.")
    assert (case["expected_from"], case["labels"], case["must"]) == ("reviewer", ["billing"], ["is brief"])
    assert first.frozen.options["label"] == "Billing"
    assert "ann" not in json.dumps(case), "who said it is not in the set"
    run(store, "cases", "must-not", "trace-0", "promises money", "--actor", "ann")
    assert read_bundle(releases_of(store) / "v1") == first, "frozen is frozen"
    run(store, "release", "freeze", "v2", "--tier", "smoke", "--label", "billing")
    second = read_bundle(releases_of(store) / "v2")
    assert second.frozen.sha256 != first.frozen.sha256
    diff = json.loads(run(store, "release", "diff", "v1", "v2", "--json"))
    assert (diff["edited"], diff["unchanged"]) == ([failure(0).case_id], 0)
    run(store, "cases", "undo", "--actor", "ann")
    run(store, "release", "freeze", "v3", "--tier", "smoke", "--label", "billing")
    assert read_bundle(releases_of(store) / "v3").frozen.sha256 == first.frozen.sha256, (
        "the same set, the same hash"
    )
    result = CliRunner().invoke(
        app, ["release", "freeze", "v4", "--label", "none-has-it", "--store", str(store)]
    )
    assert "no failure to freeze" in str(result.exception)


def test_records_of_an_earlier_gleaner_are_not_edited_by_what_they_lack() -> None:
    from sinks.evalstore.releases.changes import changes

    now = {
        "case_id": "1",
        "cluster_id": "c",
        "question": "?",
        "labels": [],
        "must": [],
        "expected_from": "correction",
    }
    earlier = {"case_id": "1", "cluster_id": "c", "question": "?"}
    assert changes([earlier], [now]).unchanged == 1
    assert changes([earlier], [now | {"must": ["is brief"]}]).edited == ["1"]
