"""Which traces are cases: every flag and every kind of feedback has been decided upon."""

from __future__ import annotations

import pytest

from detectors.harvest import feedback_reason, in_order, score_reason, trace_reasons
from schemas.case import CaseReason
from schemas.feedback import FEEDBACK_KINDS
from schemas.observation import Flag

NO_CASE = {
    Flag.EMPTY_RETRIEVAL: "the index failed, not the answer",
    Flag.REFUSED: "right or wrong, a user or a score must say",
    Flag.TRUNCATED: "a limit, not a failure",
    Flag.FALLBACK: "it worked",
    Flag.SUCCEEDED: "that is good",
    Flag.RATED: "says nothing of the rating",
    Flag.SCORE_REQUESTED: "bookkeeping",
    Flag.TIME_CLAMPED: "bookkeeping",
    Flag.TIME_MISSING: "bookkeeping",
    Flag.TOKEN_CONFLICT: "the meter is wrong, not the answer",
}


@pytest.mark.parametrize("flag", Flag)
def test_each_flag_makes_a_case_or_has_a_reason_not_to(flag: Flag) -> None:
    assert bool(trace_reasons(flag)) is not (flag in NO_CASE), NO_CASE.get(flag, flag.name)


def test_reasons_come_once_and_in_a_fixed_order() -> None:
    everything = trace_reasons(sum(Flag), cost_outlier=True)
    assert list(everything) == [reason for reason in CaseReason if reason in everything]
    assert in_order([CaseReason.ERROR, CaseReason.LOW_SCORE, CaseReason.ERROR]) == (
        CaseReason.LOW_SCORE,
        CaseReason.ERROR,
    )


@pytest.mark.parametrize("kind", sorted(FEEDBACK_KINDS))
def test_feedback_is_a_case_only_where_it_is_negative(kind: str) -> None:
    assert feedback_reason(kind, False) is None
    assert (feedback_reason(kind, True) is None) is (kind == "follow_up")


def test_a_score_is_a_case_by_its_scorers_verdict() -> None:
    assert score_reason(True) is CaseReason.LOW_SCORE
    assert score_reason(False) is None
