"""The judge role: every request becomes one result, whatever happens to the others or to the judge."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.codec import encode
from schemas.identity import Coordinates
from schemas.score import SCORE_RESULT, Score, ScoreRequest, ScoreResult, Unscored, UnscoredReason
from schemas.topics import SCORE_REQUESTS, SCORES
from streams import judge as role
from streams.judges.base import NotScored, Scored, Verdict
from streams.judges.factory import judge_for, scorer_for
from streams.judges.fake_endpoint import FakeJudge
from streams.judges.offline import OfflineScorer
from streams.judges.ragas import JudgeMissing
from streams.settings import Settings
from streams.topics import ensure_topics

PASSAGE = "The tower stands in Paris."


class Record(NamedTuple):
    """As much of a consumer's record as the role reads."""

    value: bytes | None
    topic: str = "score-requests"
    partition: int = 0
    offset: int = 0


def request(trace_id: str, answer: str | None = PASSAGE) -> ScoreRequest:
    at = Coordinates("s", "traces", 0, 1)
    return ScoreRequest(
        app="a", trace_id=trace_id, time=1, at=at, question="Where?", answer=answer, contexts=(PASSAGE,)
    )


class Flaky:
    """Unavailable as often as it is told to be, then good; an answer ``raise`` always raises."""

    name, version = "flaky", "1"

    def __init__(self, outages: int) -> None:
        self.outages = outages
        self.asked: Counter[str] = Counter()
        self.was_asked = asyncio.Event()

    async def score(self, question: str, answer: str, contexts: Sequence[str]) -> Verdict:
        self.asked[answer] += 1
        self.was_asked.set()
        if answer == "raise":
            raise RuntimeError(answer)
        if self.outages > 0:
            self.outages -= 1
            return NotScored(UnscoredReason.UNAVAILABLE, "503", 5, 0)
        return Scored(1.0, False, "", (), 10, 2)

    async def close(self) -> None:
        return None


class Sent(list[ScoreResult]):
    async def __call__(self, results: Sequence[ScoreResult]) -> None:
        self.extend(results)


async def handled(
    scorer: Any, values: Sequence[bytes | None], pauses: Sequence[float] = (0, 0, 0)
) -> tuple[Sent, role.Judge]:
    sent = Sent()
    judge = role.Judge(scorer, sent, pauses)
    await judge.handle([Record(value, offset=offset) for offset, value in enumerate(values)])
    return sent, judge


async def test_one_bad_answer_is_unscored_and_the_others_are_scored() -> None:
    answers = [PASSAGE, "raise", None, PASSAGE]
    values = [encode(request(f"t{n}", answer)) for n, answer in enumerate(answers)]
    sent, judge = await handled(Flaky(0), values)
    assert [item.trace_id for item in sent] == ["t0", "t1", "t2", "t3"]
    assert [item.reason if isinstance(item, Unscored) else item.value for item in sent] == [
        1.0,
        UnscoredReason.FAILED,
        UnscoredReason.NO_ANSWER,
        1.0,
    ]
    assert judge.counters == {"scored": 2, "scorer_failed": 1, "no_answer": 1, "low": 0}


@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe", b"[]", b"3", b'{"trace_id": "t"}'])
async def test_what_is_no_request_is_skipped_and_told(
    value: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    sent, judge = await handled(Flaky(0), [value, encode(request("t"))])
    assert [item.trace_id for item in sent] == ["t"]
    assert judge.counters["undecodable"] == 1
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "('score-requests', 0, 0)" in told.getMessage()


async def test_an_outage_is_waited_out_by_asking_for_one_answer_at_a_time() -> None:
    scorer = Flaky(outages=3 + 2)
    answers = ["first", "second", "third"]
    sent, _ = await handled(scorer, [encode(request(answer, answer)) for answer in answers])
    assert all(isinstance(item, Score) for item in sent)
    assert scorer.asked == {"first": 4, "second": 2, "third": 2}
    assert [item.input_tokens for item in sent] == [25, 15, 15]


async def test_after_the_last_pause_an_outage_is_a_reason() -> None:
    sent, judge = await handled(Flaky(1000), [encode(request("t1")), encode(request("t2"))])
    assert [item.reason for item in sent if isinstance(item, Unscored)] == [UnscoredReason.UNAVAILABLE] * 2
    assert judge.counters["judge_unavailable"] == 2


async def test_a_send_that_fails_fails_the_batch_so_that_it_is_repeated() -> None:
    async def refuse(results: Sequence[ScoreResult]) -> None:
        raise ConnectionError

    judge = role.Judge(Flaky(0), refuse, ())
    with pytest.raises(ConnectionError):
        await judge.handle([Record(encode(request("t")))])
    assert not judge.counters


def test_offline_without_a_judge_and_never_in_place_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(scorer_for(Settings(judge_url="")), OfflineScorer)
    with pytest.raises(JudgeMissing):
        scorer_for(Settings(judge_url="http://127.0.0.1:9/v1", judge_model=""))
    with pytest.raises(JudgeMissing, match="GLEANER_JUDGE_URL"):
        judge_for(Settings(judge_url=""))


def test_the_poll_interval_holds_the_longest_batch() -> None:
    settings = Settings(judge_url="http://127.0.0.1:9/v1", judge_seconds=60, judge_concurrency=8)
    assert role.batch_size(settings) == 32
    assert role.longest_batch(settings) > role.WAVES * 60 + sum(role.PAUSES)
    assert sum(role.PAUSES) * 1000 < settings.score_wait_ms


@pytest.fixture
def settings(kafka: str) -> Settings:
    return Settings(
        brokers=kafka, topic_prefix=f"judge-{uuid.uuid4().hex[:8]}-", partitions=2, session_timeout_ms=6000
    )


async def publish(settings: Settings, values: Sequence[tuple[str, bytes]]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.brokers, acks="all") as out:
        for key, value in values:
            await out.send(settings.topic(SCORE_REQUESTS), value, key.encode())
        await out.flush()


async def scores(settings: Settings, count: int) -> list[tuple[str, ScoreResult]]:
    """The first ``count`` results, and whatever else comes until half a second is quiet."""
    reader = AIOKafkaConsumer(
        settings.topic(SCORES), bootstrap_servers=settings.brokers, auto_offset_reset="earliest"
    )
    found: list[tuple[str, ScoreResult]] = []
    async with reader, asyncio.timeout(60):
        while True:
            batches = await reader.getmany(timeout_ms=500)
            records = [record for batch in batches.values() for record in batch]
            if not records and len(found) >= count:
                return found
            found += [(r.key.decode(), SCORE_RESULT.validate_json(r.value)) for r in records]


@asynccontextmanager
async def judging(settings: Settings) -> AsyncIterator[None]:
    """The role, running; stopped at the end as a signal would stop it."""
    stop = asyncio.Event()
    running = asyncio.create_task(role.run(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)


@pytest.mark.kafka
async def test_requests_become_scores_on_kafka_and_a_restart_goes_on(settings: Settings) -> None:
    await ensure_topics(settings, [SCORE_REQUESTS, SCORES])
    asked = [(f"t{n}", encode(request(f"t{n}", None if n % 10 == 0 else PASSAGE))) for n in range(50)]
    await publish(settings, [*asked, ("bad", b"no request")])
    async with judging(settings):
        first = await scores(settings, 50)
    assert all(key == result.trace_id for key, result in first)
    assert {key for key, _ in first} == {key for key, _ in asked}
    assert sum(isinstance(result, Score) for _, result in first) == 45
    unscored = [result for _, result in first if isinstance(result, Unscored)]
    assert {result.reason for result in unscored} == {UnscoredReason.NO_ANSWER}

    # What was committed is not scored again; what comes after is.
    await publish(settings, [("later", encode(request("later")))])
    async with judging(settings):
        second = await scores(settings, 51)
    assert Counter(key for key, _ in second) == Counter([*(key for key, _ in asked), "later"])


@pytest.mark.kafka
async def test_a_batch_cut_off_by_a_stop_is_judged_again_by_the_next_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role, "STOP_SECONDS", 0.2)
    down = Flaky(outages=10_000)
    monkeypatch.setattr(role, "scorer_for", lambda _: down)
    await ensure_topics(settings, [SCORE_REQUESTS, SCORES])
    await publish(settings, [("t", encode(request("t")))])
    async with judging(settings):
        await asyncio.wait_for(down.was_asked.wait(), 60)
    monkeypatch.setattr(role, "scorer_for", lambda _: Flaky(outages=0))
    async with judging(settings):
        ((key, found),) = await scores(settings, 1)
    assert key == "t"
    assert isinstance(found, Score)


@pytest.mark.kafka
async def test_a_judge_that_is_down_is_asked_again_through_the_real_stack(
    settings: Settings, ragas_installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role, "PAUSES", (0.1, 0.1, 0.1))
    await ensure_topics(settings, [SCORE_REQUESTS, SCORES])
    await publish(settings, [("t", encode(request("t")))])
    with FakeJudge() as endpoint:
        judged = settings.model_copy(update={"judge_url": endpoint.url, "judge_model": "500-first-6"})
        async with judging(judged):
            ((_, found),) = await scores(judged, 1)
        assert endpoint.calls["500-first-6"] == 6 + 2
    assert isinstance(found, Score)
    assert found.scorer == "ragas_faithfulness"
    assert found.value == 1.0
