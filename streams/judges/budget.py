"""A hard cap on what a judge may spend: a scorer around a scorer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from schemas.score import UnscoredReason
from streams.judges.base import NotScored, Scorer, Verdict

HOUR = 3600.0


class Budgeted:
    """Asks ``scorer`` until its answers have cost ``tokens`` (input and output) within an hour.

    The hour begins with its first answer. Once it is spent, answers are unscored with the reason
    ``budget`` until the hour is over; nothing waits. What is under way when the budget runs out is
    still paid, so the cap is exceeded by at most the answers that are judged at the same time. It is
    kept in memory, of this process: two processes may spend twice as much, a restart begins anew.
    """

    def __init__(self, scorer: Scorer, tokens: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.scorer, self.tokens, self.clock = scorer, tokens, clock
        self.spent = 0
        self.since = clock()

    @property
    def name(self) -> str:
        return self.scorer.name

    @property
    def version(self) -> str:
        return self.scorer.version

    async def score(self, question: str, answer: str, contexts: Sequence[str]) -> Verdict:
        now = self.clock()
        if now - self.since >= HOUR:
            self.since, self.spent = now, 0
        if self.spent >= self.tokens:
            return NotScored(UnscoredReason.BUDGET, f"{self.tokens} tokens an hour are spent")
        verdict = await self.scorer.score(question, answer, contexts)
        self.spent += verdict.input_tokens + verdict.output_tokens
        return verdict

    async def close(self) -> None:
        await self.scorer.close()
