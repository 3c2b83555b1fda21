"""Every way in which a judge can fail, through the real ragas against a fake judge over HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
import time

import pytest

from schemas.score import UnscoredReason
from streams.judges.base import NotScored, Scored, assess
from streams.judges.fake_endpoint import FAULTS, FakeJudge
from streams.judges.ragas import JudgeMissing, RagasScorer, ratio, reason_of
from tests.judge.conftest import Judged

ANSWER = "It is in Paris. It is in Rome."
PASSAGES = ["It lies in Paris."]

TABLE: dict[str, tuple[float | UnscoredReason, int, bool]] = {
    # fault: result, HTTP calls, whether tokens were used
    "good": (0.5, 2, True),
    "no-statements": (UnscoredReason.NO_STATEMENTS, 1, True),
    "fewer": (UnscoredReason.COUNT_MISMATCH, 2, True),
    "minus-one": (UnscoredReason.BAD_VERDICT, 2, True),
    "prose": (UnscoredReason.MALFORMED, 2, True),
    "prose-once": (0.5, 3, True),
    "length": (UnscoredReason.TRUNCATED, 1, True),
    "429": (UnscoredReason.UNAVAILABLE, 3, False),
    "429-once": (0.5, 3, True),
    "500": (UnscoredReason.UNAVAILABLE, 3, False),
    "500-first-6": (UnscoredReason.UNAVAILABLE, 3, False),
    "401": (UnscoredReason.UNAVAILABLE, 1, False),
    "400": (UnscoredReason.REJECTED, 1, False),
    "sleep": (UnscoredReason.TIMEOUT, 1, False),
}


def test_the_table_knows_every_fault() -> None:
    assert TABLE.keys() == FAULTS.keys()


@pytest.mark.parametrize("fault", TABLE)
async def test_condition_and_result(fault: str, endpoint: FakeJudge, ragas_scorer: Judged) -> None:
    expected, calls, paid = TABLE[fault]
    endpoint.calls.clear()
    scorer = ragas_scorer(fault, seconds=0.5 if fault == "sleep" else 20.0)
    verdict = await assess(scorer, "Where?", ANSWER, PASSAGES)
    await scorer.close()
    if isinstance(expected, UnscoredReason):
        assert isinstance(verdict, NotScored)
        assert verdict.reason is expected
    else:
        assert isinstance(verdict, Scored)
        assert verdict.value == expected
        assert verdict.low
        assert [claim.supported for claim in verdict.claims] == [True, False]
    assert endpoint.calls[fault] == calls
    assert (verdict.input_tokens > 0 and verdict.output_tokens > 0) is paid


async def test_the_deadline_holds_whatever_the_retries_do(ragas_scorer: Judged) -> None:
    scorer = ragas_scorer("sleep", seconds=0.3)
    begun = time.monotonic()
    verdict = await assess(scorer, "Where?", ANSWER, PASSAGES)
    await scorer.close()
    assert time.monotonic() - begun < 30, "the endpoint would have answered after a minute"
    assert isinstance(verdict, NotScored)
    assert verdict.reason is UnscoredReason.TIMEOUT


async def test_nobody_listening_is_an_outage(ragas_scorer: Judged) -> None:
    scorer = ragas_scorer("good", url="http://127.0.0.1:9/v1")
    verdict = await assess(scorer, "Where?", ANSWER, PASSAGES)
    await scorer.close()
    assert isinstance(verdict, NotScored)
    assert verdict.reason is UnscoredReason.UNAVAILABLE


async def test_concurrency_is_bounded_and_each_answer_pays_its_own(ragas_scorer: Judged) -> None:
    with FakeJudge(delay=0.03) as slow:
        scorer = ragas_scorer("good", concurrency=4, url=slow.url)
        answers = ["It is in Paris. " + "It is old. " * count for count in range(20)]
        verdicts = await asyncio.gather(*(assess(scorer, "Where?", a, PASSAGES) for a in answers))
        await scorer.close()
        assert slow.most_in_flight == 4
        assert slow.calls["good"] == 40
    paid = [verdict.input_tokens for verdict in verdicts]
    assert paid == sorted(paid)
    assert len(set(paid)) == len(paid)


async def test_failures_are_quiet_and_ragas_reports_to_nobody(
    ragas_scorer: Judged, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scorer = ragas_scorer("prose")
    await assess(scorer, "Where?", "The secret is 4711.", PASSAGES)
    await scorer.close()
    assert "4711" not in caplog.text
    assert os.environ["RAGAS_DO_NOT_TRACK"] == "true"


async def test_the_version_names_release_model_and_our_own_rules(ragas_scorer: Judged) -> None:
    scorer = ragas_scorer("good")
    assert scorer.version == "ragas-0.4.3/good/1"
    await scorer.close()


def test_a_judge_without_a_model_is_refused() -> None:
    with pytest.raises(JudgeMissing, match="judge_model is empty"):
        RagasScorer("http://127.0.0.1:9/v1", "", "")


def test_without_ragas_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ragas", None)
    with pytest.raises(JudgeMissing, match=r"gleaner\[judge\]"):
        RagasScorer("http://127.0.0.1:9/v1", "", "model")


@pytest.mark.parametrize(
    ("verdicts", "statements", "expected"),
    [
        ([1, 1, 1, 0], 4, 0.75),
        ([0], 1, 0.0),
        ([1, 1, 1], 4, UnscoredReason.COUNT_MISMATCH),
        ([1, 1, 1], 2, UnscoredReason.COUNT_MISMATCH),
        ([1, 2], 2, UnscoredReason.BAD_VERDICT),
        ([-1, 0], 2, UnscoredReason.BAD_VERDICT),
    ],
)
def test_the_ratio_is_ours(verdicts: list[int], statements: int, expected: float | UnscoredReason) -> None:
    verdict = ratio([("s", value, "") for value in verdicts], statements)
    assert (verdict.value if isinstance(verdict, Scored) else verdict.reason) == expected


def test_just_at_the_floor_is_not_low() -> None:
    at, below = ratio([("s", v, "") for v in (1, 1, 1, 0)], 4), ratio([("s", v, "") for v in (1, 1, 0)], 3)
    assert isinstance(at, Scored)
    assert isinstance(below, Scored)
    assert (at.low, below.low) == (False, True)


def test_an_unforeseen_exception_is_told_by_its_type_alone() -> None:
    assert reason_of(RuntimeError("the answer in full")) == (UnscoredReason.FAILED, "RuntimeError")
