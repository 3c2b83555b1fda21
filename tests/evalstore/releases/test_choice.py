"""What a frozen set takes of a failure of several cases, and that it is chosen from what stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from schemas.case import CaseReason
from sinks.evalstore import StoreOwner, open_for_reading
from sinks.evalstore.annotations import Annotate, Kind, change
from sinks.evalstore.asked import perform
from sinks.evalstore.errors import BadRequest
from sinks.evalstore.regroup import Merge
from sinks.evalstore.releases.freezing import Freeze, Wanted, choose_from, release_lines
from sinks.evalstore.releases.gate import GatePolicy, gate
from sinks.evalstore.releases.results import Outcome
from sinks.evalstore.releases.reviews import Review, Verdict
from sinks.evalstore.releases.selection import Candidate, select
from sinks.evalstore.requests import answer, pending, read
from streams.commands.owner import see_what_waits
from tests.evalstore.releases.test_freeze import failure, run
from tests.evalstore.samples import MARCH, as_written

UNSAFE, LOW, DISLIKED = CaseReason.UNSAFE, CaseReason.LOW_SCORE, CaseReason.NEGATIVE_FEEDBACK


def case(number: int) -> str:
    return failure(number).case_id


@pytest.fixture
def owner(tmp_path: Path) -> StoreOwner:
    """Twenty failures of one case each, 0 to 19; what a test writes is like 100."""
    owner = StoreOwner.open(tmp_path / "store.duckdb")
    owner.write([failure(n) for n in range(20)], now=MARCH)
    return owner


def chosen(owner: StoreOwner) -> list[Candidate]:
    return select(choose_from(owner._con, Wanted()).candidates)


def frozen(owner: StoreOwner, name: str = "v1") -> list[dict[str, Any]]:
    owner.freeze(Freeze(name, tuple(one.case_id for one in chosen(owner)), {}), MARCH)
    return [json.loads(line) for line in release_lines(owner._con, name)]


def held_with_only_failing(cases: list[dict[str, Any]], failing: dict[str, Any]) -> bool:
    results = {
        one["case_id"]: Outcome(one["case_id"], one is not failing, False, None, None) for one in cases
    }
    verdict = gate(cases, True, results, None, GatePolicy())
    return not verdict.passed and not next(c for c in verdict.checks if c.name == "critical_failures").passed


def test_the_gravest_case_stands_for_its_failure_and_not_the_one_with_most_reasons(owner: StoreOwner) -> None:
    owner.write([failure(101, LOW, DISLIKED, like=100), failure(102, UNSAFE, like=100)], now=MARCH)
    cases = frozen(owner)
    (unsafe,) = [one for one in cases if one["cluster_size"] == 2]
    assert (unsafe["case_id"], unsafe["severity"], unsafe["critical"]) == (case(102), 10, True)
    with_a_snapshot = owner._con.execute("SELECT representative FROM cluster_list WHERE cases = 2").fetchone()
    assert with_a_snapshot == (case(102),), "and the view shows the same one"
    assert held_with_only_failing(cases, unsafe)
    assert sum(one["critical"] for one in cases) == 1


@pytest.mark.parametrize("by", ["user", "reviewer"])
def test_a_failure_is_as_critical_as_its_gravest_case_whichever_stands_for_it(
    owner: StoreOwner, by: str
) -> None:
    """One with the right answer does, although another one of the same failure was unsafe."""
    milder = (CaseReason.CORRECTION,) if by == "user" else (LOW,)
    corrected = {"expected_answer": "Never."} if by == "user" else {}
    owner.write([failure(101, *milder, like=100, **corrected), failure(102, UNSAFE, like=100)], now=MARCH)
    if by == "reviewer":
        owner.annotate(Annotate(case(101), "ann", (change(Kind.EXPECTED, "Never."),)), as_written, MARCH)
    # Filed under unsafe: a stratum of its own, whose turn comes first.
    assert chosen(owner)[0].case_id == case(101)
    cases = frozen(owner)
    (unsafe,) = [one for one in cases if one["cluster_size"] == 2]
    assert (unsafe["case_id"], unsafe["reasons"]) == (case(101), [milder[0].value])
    assert unsafe["cluster_reasons"] == sorted([milder[0].value, "unsafe"])
    assert (unsafe["severity"], unsafe["critical"]) == (10, True)
    assert held_with_only_failing(cases, unsafe)


def dismiss(owner: StoreOwner) -> None:
    owner.review(Review(case(3), Verdict.DISMISSED, "ann"), MARCH)


def merge(owner: StoreOwner) -> None:
    of = {one.case_id: one.cluster_id for one in chosen(owner)}
    owner.merge(Merge(of[case(3)], of[case(4)], "ann"), MARCH)


@pytest.mark.parametrize(
    ("meanwhile", "why"), [(dismiss, "1 of the chosen failures were dismissed"), (merge, "one with others")]
)
def test_what_changed_since_it_was_chosen_is_not_frozen(
    owner: StoreOwner, meanwhile: Callable[[StoreOwner], None], why: str
) -> None:
    before = tuple(one.case_id for one in chosen(owner))
    meanwhile(owner)
    with pytest.raises(BadRequest, match=f"{why}.*choose again"):
        owner.freeze(Freeze("v1", before, {}), MARCH)
    assert owner._con.execute("SELECT count(*) FROM releases").fetchone() == (0,)
    now = tuple(one.case_id for one in chosen(owner))
    done = owner.freeze(Freeze("v1", now, {}), MARCH)
    assert done.cases == 19
    # What is frozen stays so, and asked for again it is there, whatever is said of it afterwards.
    owner.review(Review(case(7), Verdict.DISMISSED, "ann"), MARCH)
    assert owner.freeze(Freeze("v1", now, {}), MARCH + 9) == done


def served(owner: StoreOwner, ask: Callable[[], Any]) -> Any:
    """What ``ask`` gives, while ``owner`` answers requests as ``gleaner store`` does."""
    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(ask)
        while not asking.done():
            for request in pending(owner.path):
                wanted, at, name = read(request)
                answer(request, perform(owner, wanted, as_written, MARCH, asked=at, name=name)[1])
        return asking.result()


def test_the_command_chooses_from_what_stands(owner: StoreOwner) -> None:
    """Verdicts of the review queue and all that comes by HTTP publish no snapshot of their own."""
    path = str(owner.path)
    owner.publish(MARCH)
    said = {"case_id": case(3), "verdict": "dismissed", "actor": "ann", "note": None, "state": True}
    perform(owner, {"review": said}, as_written, MARCH)
    of = dict(owner._con.execute("SELECT case_id, cluster_id FROM cluster_of").fetchall())
    owner.merge(Merge(of[case(4)], of[case(6)], "ann"), MARCH)
    owner.annotate(Annotate(case(5), "ann", (change(Kind.LABEL, "new"),)), as_written, MARCH)
    with open_for_reading(owner.path, MARCH) as con:
        assert len(choose_from(con, Wanted()).candidates) == 20, "the newest snapshot knows none of this"
    command = ["release", "freeze", "v1", "--store", path, "--json", "--timeout", "60"]
    done = json.loads(served(owner, lambda: run(*command)))
    assert (done["cases"], done["candidates"], done["dismissed"]) == (18, 18, 1)
    command = ["release", "freeze", "v2", "--store", path, "--json", "--timeout", "60", "--label", "new"]
    assert json.loads(served(owner, lambda: run(*command)))["cases"] == 1


def test_a_snapshot_is_asked_for_where_one_is_due_and_somebody_owns_the_store(owner: StoreOwner) -> None:
    path, asked = owner.path, []

    def ask() -> None:
        asked.append(len(list((path.parent / "store.duckdb.snapshots").glob("snap-*"))))
        see_what_waits(path, 60)

    owner.publish(MARCH)
    served(owner, ask)
    dismiss(owner)
    due = [owner.unpublished]
    served(owner, ask)
    due.append(owner.unpublished)
    served(owner, ask)
    assert due == [True, False]
    assert asked == [1, 1, 2], "and none where the newest one has it all"
    dismiss(owner)
    owner.close()
    see_what_waits(path, 1)  # nobody owns it: whoever reads publishes
    with open_for_reading(path, MARCH) as con:
        assert choose_from(con, Wanted()).dismissed == 1
