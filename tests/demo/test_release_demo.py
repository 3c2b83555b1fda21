"""``gleaner demo --release-2`` as it is run: the planted counts come out, or the demo fails."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from streams.commands.fail import Failed
from streams.demo import release
from streams.demo.home import home
from streams.demo.planted import Plan, candidate_results, first_results, found, recurring, second_results
from streams.demo.slack_view import WIDTH
from streams.demo.weeks import NEW_FAILURES, new_failures, week, without

COMMAND = [sys.executable, "-P", "-m", "streams.cli", "demo", "--release-2"]
PLANTED = {
    "failures": 50,
    "harvested_since": 10,
    "fixed": 11,
    "still_failing": 2,
    "regressed": 2,
    "flaky": 0,
    "held": 35,
    "unknown": 0,
    "untested": 0,
    "recurring": 3,
    "before": 10,
    "after": 4,
}


@pytest.mark.slow
def test_the_planted_counts_come_out(tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    done = subprocess.run(
        [*COMMAND, "--json", "--keep", str(keep)], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.pop("seconds") > 0
    assert said == {"planted": PLANTED, "found": PLANTED, "complete": True}
    assert {path.name for path in (keep / "store.duckdb.releases").iterdir()} == {"2026.10", "2026.11"}


def looped(**changes: int) -> dict[str, Any]:
    counts = PLANTED | changes
    return counts | {"groups": {"all": [{"before": counts["before"], "after": counts["after"]}]}}


@pytest.mark.parametrize(("changes", "status"), [({}, 0), ({"fixed": 12}, 1), ({"after": 5}, 1)])
def test_a_count_that_does_not_come_out_fails_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], status: int
) -> None:
    monkeypatch.setattr(release, "_play", lambda tell, plan: looped(**changes))
    console = Console(file=io.StringIO(), width=WIDTH)
    assert release.run_release_demo(False, tmp_path / "kept", console) == status
    assert isinstance(console.file, io.StringIO)
    assert ("✗" in console.file.getvalue()) is (status == 1)


def test_a_command_that_fails_ends_the_demo_in_one_line(tmp_path: Path) -> None:
    with home(tmp_path / "kept") as where:
        tell = release.Teller(Console(file=io.StringIO()), True, where)
        with pytest.raises(Failed, match="`gleaner release list --store none` ended with 2, not 0"):
            tell.run("release", "list", "--store", "none")


def cases(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"case_id": str(n), "answer": None if n % 4 == 0 else "a"} for n in range(first, first + count)]


def test_results_hold_what_the_plan_says() -> None:
    plan = Plan()
    old, both = cases(40), cases(50)
    assert [row["passed"] for row in first_results(old, plan)].count(False) == 3
    assert [row["passed"] for row in candidate_results(both, plan)].count(False) == 9
    before = {row["case_id"]: row["passed"] for row in first_results(old, plan)}
    after = {row["case_id"]: row["passed"] for row in second_results(both, old, plan)}
    assert sum(before[one] and not after[one] for one in before) == plan.regressed
    assert sum(not before[one] and not after[one] for one in before) == plan.still
    back = [str(case["case_id"]) for case in recurring(old, plan)]
    assert len(back) == 4
    assert len(set(back)) == 3
    assert all(before[one] and after[one] for one in back)
    assert plan.expected() == PLANTED == found(looped())


def test_a_week_is_the_healthy_one_and_what_is_planted() -> None:
    trace = {"event": "trace", "trace_id": "t", "timestamp": "2026-03-02T08:00:00Z", "app": "support-bot"}
    trace |= {"conversation_id": "c", "model": "m", "release": "2026.9"}
    said = {"event": "feedback", "feedback_id": "f", "trace_id": "t", "timestamp": "2026-03-02T08:01:00Z"}
    other = trace | {"trace_id": "u", "conversation_id": "d"}
    assert without([trace, said, other], {"u"}) == [trace, said]
    made = week(1, "v2", [trace, said], new_failures(trace)[:2])
    kinds = ["trace", "feedback", "trace", "feedback", "trace", "feedback"]
    assert [event["event"] for event in made] == kinds
    assert made[0]["timestamp"] == "2026-03-09T08:00:00Z"
    assert made[1]["trace_id"] == made[0]["trace_id"] != "t"
    assert [event["question"] for event in made[2::2]] == [row[0] for row in NEW_FAILURES[:2]]
    assert {event["release"] for event in made if event["event"] == "trace"} == {"v2"}
