"""What holds for every scorer: one suite, one factory line each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from schemas.score import UnscoredReason
from streams.judges.base import NotScored, Scored, Scorer, assess
from streams.judges.budget import Budgeted
from streams.judges.offline import OfflineScorer

SCORERS: dict[str, Callable[[pytest.FixtureRequest], Scorer]] = {
    "offline": lambda _: OfflineScorer(),
    "ragas": lambda request: request.getfixturevalue("ragas_scorer")("good"),
    "budgeted": lambda _: Budgeted(OfflineScorer(), 1000),
}
PASSAGES = ["The tower stands in Paris. It was built in 1889."]


@pytest.fixture(params=SCORERS)
def scorer(request: pytest.FixtureRequest) -> Scorer:
    return SCORERS[request.param](request)


async def test_a_supported_answer_is_a_number_near_one(scorer: Scorer) -> None:
    verdict = await assess(scorer, "Where is it?", "The tower stands in Paris.", PASSAGES)
    assert isinstance(verdict, Scored)
    assert 0.9 <= verdict.value <= 1
    assert not verdict.low
    assert [claim.supported for claim in verdict.claims] == [True]
    await scorer.close()


async def test_an_unsupported_answer_is_lower_and_says_which_claim_it_was(scorer: Scorer) -> None:
    answer = "The tower stands in Paris. Zurich hosts 47 Quidditch leagues."
    verdict = await assess(scorer, "Where is it?", answer, PASSAGES)
    assert isinstance(verdict, Scored)
    assert 0 < verdict.value <= 0.5
    assert [(claim.statement[:6], claim.supported) for claim in verdict.claims] == [
        ("The to", True),
        ("Zurich", False),
    ]
    assert verdict.reason
    await scorer.close()


@pytest.mark.parametrize(
    ("question", "answer", "contexts", "reason"),
    [
        (None, "An answer.", PASSAGES, UnscoredReason.NO_QUESTION),
        (" \n", "An answer.", PASSAGES, UnscoredReason.NO_QUESTION),
        ("Where?", None, PASSAGES, UnscoredReason.NO_ANSWER),
        ("Where?", "", PASSAGES, UnscoredReason.NO_ANSWER),
        ("Where?", "\t \n", PASSAGES, UnscoredReason.NO_ANSWER),
        ("Where?", "An answer.", [], UnscoredReason.NO_CONTEXTS),
        ("Where?", "An answer.", ["", " \n"], UnscoredReason.NO_CONTEXTS),
    ],
)
async def test_blank_is_unscored_with_its_reason_never_zero(
    scorer: Scorer, question: str | None, answer: str | None, contexts: list[str], reason: UnscoredReason
) -> None:
    verdict = await assess(scorer, question, answer, contexts)
    assert isinstance(verdict, NotScored)
    assert verdict.reason is reason
    assert verdict.detail
    await scorer.close()


async def test_the_same_answer_gets_the_same_number_alone_and_among_others(scorer: Scorer) -> None:
    answers = [f"The tower stands in Paris. {'It hosts 47 leagues. ' * count}" for count in range(12)]
    alone = [await assess(scorer, "Where?", answer, PASSAGES) for answer in answers]
    together = await asyncio.gather(*(assess(scorer, "Where?", answer, PASSAGES) for answer in answers))
    assert list(together) == alone
    await scorer.close()


async def test_it_names_itself_and_its_version(scorer: Scorer) -> None:
    assert scorer.name
    assert scorer.version
    await scorer.close()


class Raising:
    name, version = "raising", "1"

    async def score(self, question: str, answer: str, contexts: object) -> Scored:
        raise KeyError("the answer in full")

    async def close(self) -> None:
        return None


async def test_what_a_scorer_raises_is_a_reason_without_the_answers_text() -> None:
    verdict = await assess(Raising(), "Where?", "There.", PASSAGES)
    assert verdict == NotScored(UnscoredReason.FAILED, "KeyError")


class Costly(OfflineScorer):
    async def score(self, question: str, answer: str, contexts: object) -> Scored:
        return Scored(1.0, False, "", (), 90, 10)


async def test_a_spent_budget_leaves_answers_unscored_until_the_hour_is_over() -> None:
    now = [0.0]
    scorer = Budgeted(Costly(), 200, clock=lambda: now[0])
    reasons = []
    for second in (0, 1, 2, 3599, 3600):
        now[0] = second
        verdict = await assess(scorer, "Where?", "There.", PASSAGES)
        reasons.append(verdict.reason if isinstance(verdict, NotScored) else None)
    assert reasons == [None, None, UnscoredReason.BUDGET, UnscoredReason.BUDGET, None]
