"""The judge role: score requests become scores. The only process that may import ragas.

Decode, score, send, commit. An answer that can't be scored is a result with a reason; it never stops
the others. A request that is repeated after a crash is scored again, under the same identity.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from aiokafka import AIOKafkaProducer, ConsumerRecord

from schemas.codec import encode
from schemas.score import Score, ScoreRequest, ScoreResult, UnscoredReason
from schemas.topics import SCORE_REQUESTS, SCORES
from streams.batches import BatchLoop, consumer, producer
from streams.judges.base import NotScored, Scorer, Verdict, assess, result
from streams.judges.factory import scorer_for
from streams.settings import Settings

log = logging.getLogger(__name__)

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between the tries while the judge is down: a minute, well within ``score_wait_ms``."""
WAVES = 4
"""A batch of a remote judge holds this many answers per slot: few enough to commit often."""
OFFLINE_RECORDS = 200
STOP_SECONDS = 10.0
"""A batch that is not done this long after the stop is left to the next start, uncommitted."""

Send = Callable[[Sequence[ScoreResult]], Awaitable[None]]


class Judge:
    """Handles batches of score requests with one scorer.

    ``counters`` counts results by what became of them: ``scored``, ``low``, the reasons of the
    unscored, and ``undecodable`` for records that are no request.
    """

    def __init__(self, scorer: Scorer, send: Send, pauses: Sequence[float]) -> None:
        self.scorer, self.send, self.pauses = scorer, send, pauses
        self.counters: Counter[str] = Counter()

    async def handle(self, records: Sequence[ConsumerRecord]) -> None:
        requests = [request for record in records if (request := self._decode(record)) is not None]
        verdicts = await self._verdicts(requests)
        results = [
            result(request, self.scorer.name, self.scorer.version, verdict)
            for request, verdict in zip(requests, verdicts, strict=True)
        ]
        await self.send(results)
        for scored in results:
            self.counters["scored" if isinstance(scored, Score) else scored.reason.value] += 1
            self.counters["low"] += isinstance(scored, Score) and scored.low

    def _decode(self, record: ConsumerRecord) -> ScoreRequest | None:
        try:
            return ScoreRequest.model_validate_json(record.value or b"")
        except ValueError as error:
            # Only Gleaner writes this topic: a bug or a stranger, and no answer waits for it.
            self.counters["undecodable"] += 1
            where = (record.topic, record.partition, record.offset)
            log.error("judge: %s is no score request (%s); skipped", where, type(error).__name__)
            return None

    async def _verdicts(self, requests: Sequence[ScoreRequest]) -> list[Verdict]:
        """One verdict a request; those that the judge was unavailable for are tried again for a while."""
        verdicts = list(await asyncio.gather(*(self._assess(request) for request in requests)))
        for pause in self.pauses:
            down = [place for place, verdict in enumerate(verdicts) if _unavailable(verdict)]
            if not down:
                break
            log.warning(
                "judge: %s unavailable for %d of %d answers (%s), next try in %g s",
                *(self.scorer.version, len(down), len(requests), _detail(verdicts[down[0]]), pause),
            )
            await asyncio.sleep(pause)
            # One answer finds out whether it is worth asking for the others.
            for places in (down[:1], down[1:]):
                again = await asyncio.gather(*(self._assess(requests[place]) for place in places))
                for place, verdict in zip(places, again, strict=True):
                    verdicts[place] = _paid(verdict, verdicts[place])
                if _unavailable(verdicts[down[0]]):
                    break
        return verdicts

    async def _assess(self, request: ScoreRequest) -> Verdict:
        return await assess(self.scorer, request.question, request.answer, request.contexts)


def _unavailable(verdict: Verdict) -> bool:
    return isinstance(verdict, NotScored) and verdict.reason is UnscoredReason.UNAVAILABLE


def _detail(verdict: Verdict) -> str:
    return verdict.detail if isinstance(verdict, NotScored) else ""


def _paid(verdict: Verdict, before: Verdict) -> Verdict:
    """The later verdict, with the tokens of both tries."""
    return verdict._replace(
        input_tokens=verdict.input_tokens + before.input_tokens,
        output_tokens=verdict.output_tokens + before.output_tokens,
    )


def sender(settings: Settings, out: AIOKafkaProducer) -> Send:
    """Sends results to ``scores`` by trace, and returns when the broker has all of them."""
    topic = settings.topic(SCORES)

    async def send(results: Sequence[ScoreResult]) -> None:
        acks = [await out.send(topic, encode(item), item.trace_id.encode()) for item in results]
        await asyncio.gather(*acks)

    return send


def batch_size(settings: Settings) -> int:
    """Records that are judged between two commits."""
    return WAVES * settings.judge_concurrency if settings.judge_url else OFFLINE_RECORDS


def longest_batch(settings: Settings) -> float:
    """Seconds that a batch may take with every answer at its deadline and the judge down in between.

    The group would take the partitions of a member that polls less often than its poll interval.
    """
    rounds = 2 * WAVES + len(PAUSES)
    return rounds * settings.judge_seconds + sum(PAUSES) + 60


async def run(settings: Settings, stop: asyncio.Event | None = None) -> None:
    """Judge until ``stop``. Raises ``JudgeMissing`` where the configured judge can't be made."""
    stop = stop or asyncio.Event()
    scorer = scorer_for(settings)
    log.info("judge: scoring with %s %s", scorer.name, scorer.version)
    out = producer(settings)
    await out.start()
    judge = Judge(scorer, sender(settings, out), PAUSES)
    poll_ms = int(longest_batch(settings) * 1000)
    reader = consumer(settings, "judge", SCORE_REQUESTS, max_poll_interval_ms=poll_ms)
    loop = BatchLoop("judge", settings, reader, judge.handle, max_records=batch_size(settings))
    working = asyncio.create_task(loop.run())
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        loop.stop()
        await asyncio.wait({working}, timeout=STOP_SECONDS)
    finally:
        # A batch that is cut off was not committed: the next start judges it again.
        stopped.cancel()
        working.cancel()
        ended = await asyncio.gather(working, return_exceptions=True)
        await out.stop()
        await scorer.close()
        log.info("judge: %s", dict(judge.counters))
    if isinstance(ended[0], Exception):
        raise ended[0]
