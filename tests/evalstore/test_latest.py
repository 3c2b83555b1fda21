"""A case's score and correction are the latest: of several events of one time those that came last."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.case import CaseReason, EvalCase
from sinks.evalstore import StoreOwner, find_case
from tests.evalstore.samples import MARCH, make_case

SCORERS = ("offline", "judge", "rejudged")


def scored(number: int) -> list[EvalCase]:
    """The scores of a trace all bear its time."""
    return [
        make_case(number, event=scorer, score={"value": place / 10, "scorer": scorer})
        for place, scorer in enumerate(SCORERS, 1)
    ]


@pytest.mark.parametrize("batches", ["one", "many"])
def test_the_latest_score_and_correction_are_those_that_came_last(tmp_path: Path, batches: str) -> None:
    """However they were split over batches, and through a store that was written anew."""
    path = tmp_path / "store.duckdb"
    numbers = range(1, 9)
    events = [scored(number) for number in numbers]
    for number, some in zip(numbers, events, strict=True):
        some += [
            make_case(number, CaseReason.CORRECTION, event=text, expected_answer=text) for text in ("b", "a")
        ]
    with StoreOwner.open(path) as owner:
        if batches == "one":
            owner.write([each for some in events for each in some], now=MARCH)
        else:
            for turn in zip(*events, strict=True):
                owner.write(turn, now=MARCH)
        rows = "SELECT scorer, score, expected_answer FROM {} ORDER BY case_id"
        con = owner._con
        ids = [row[0] for row in con.execute("SELECT case_id FROM cases").fetchall()]
        expected = [("rejudged", 0.3, "a")] * len(numbers)
        assert con.execute(rows.format("case_list")).fetchall() == expected
        assert con.execute(rows.format("case_list_of($ids)"), {"ids": ids}).fetchall() == expected
        shown = [(each["score"] or {}).get("scorer") for each in find_case(con, ids[0])["events"]]
        assert shown == [*SCORERS, None, None]
