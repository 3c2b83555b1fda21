"""Faithfulness by an LLM judge: ragas writes the prompts, the counting is our own.

The only file that imports ragas, and only when a judge is made: it takes seconds and 250 MB. ragas is
asked for its statements and verdicts, never for its number: it divides by the verdicts that came back,
so that a judge which drops one raises the score, and it takes every verdict but 0 for "supported".
"""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from schemas.score import UnscoredReason
from streams.judges.base import MAX_CLAIMS, NotScored, Scored, Verdict, claim

NAME = "ragas_faithfulness"
RULES = "1"
"""Version of our own part: how verdicts become a number, and the floor."""
FLOOR = 0.75
"""An answer below this is ``low``: more than one in four of its statements has no support."""
MAX_TOKENS = 4096
"""Of one reply. ragas' 1024 cuts the verdicts on a long answer off."""
TRANSPORT_RETRIES = 2
"""Of the client: 429, 5xx and lost connections, with its own pauses; the deadline bounds them all."""
REASKS = 1
"""How often a reply that is not the JSON asked for is asked for again."""

Usage = list[tuple[int, int]]
_usage: ContextVar[Usage | None] = ContextVar("usage", default=None)


class JudgeMissing(RuntimeError):
    """The judge can't be made on this machine, or as it is configured; the message says what to do."""


def _count_usage(response: Any, *_: object, **__: object) -> None:
    """Called for every completed call, those with a useless reply included: they cost as much."""
    seen, used = _usage.get(), getattr(response, "usage", None)
    if seen is not None and used is not None:
        seen.append((used.prompt_tokens or 0, used.completion_tokens or 0))


class RagasScorer:
    """Scores with the OpenAI-compatible endpoint at ``url``.

    At most ``concurrency`` answers are under way; one that takes longer than ``seconds``, all retries
    included, is unscored. The version names ragas' release and the judging model, because another one
    of either gives other numbers; a provider that changes the model behind its name goes unnoticed.
    """

    name = NAME

    def __init__(
        self, url: str, key: str, model: str, *, concurrency: int = 8, seconds: float = 60.0
    ) -> None:
        if not model:
            raise JudgeMissing("judge_model is empty: name the model that judges")
        # Before the first import: ragas reports its use from inside the event loop otherwise.
        os.environ["RAGAS_DO_NOT_TRACK"] = "true"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its dependencies deprecate each other
                import ragas
                from openai import AsyncOpenAI
                from ragas.llms import llm_factory
                from ragas.metrics.collections import Faithfulness
        except ImportError as error:
            raise JudgeMissing(
                f"ragas can't be imported ({error.name} is missing): install gleaner[judge]"
            ) from error
        # instructor prints failed replies, which quote users.
        for chatty in ("instructor", "openai", "httpx", "ragas"):
            logging.getLogger(chatty).setLevel(logging.CRITICAL)
        self.version = f"ragas-{ragas.__version__}/{model}/{RULES}"
        self.seconds = seconds
        self.slots = asyncio.Semaphore(concurrency)
        self.client = AsyncOpenAI(
            base_url=url, api_key=key or "none", timeout=seconds, max_retries=TRANSPORT_RETRIES
        )
        llm = llm_factory(model, client=self.client, max_tokens=MAX_TOKENS, max_retries=REASKS)
        llm.client.on("completion:response", _count_usage)
        self.metric = Faithfulness(llm=llm)

    async def score(self, question: str, answer: str, contexts: Sequence[str]) -> Verdict:
        async with self.slots:
            seen: Usage = []
            _usage.set(seen)
            try:
                verdict = await asyncio.wait_for(self._judge(question, answer, contexts), self.seconds)
            except TimeoutError:
                verdict = NotScored(UnscoredReason.TIMEOUT, f"no verdict within {self.seconds:g} s")
            except Exception as error:
                verdict = NotScored(*reason_of(error))
        return verdict._replace(
            input_tokens=sum(used[0] for used in seen), output_tokens=sum(used[1] for used in seen)
        )

    async def _judge(self, question: str, answer: str, contexts: Sequence[str]) -> Verdict:
        # Private methods: the pinned release has them, and the tests over the fake judge notice if not.
        statements = await self.metric._create_statements(question, answer)
        if not statements:
            return NotScored(UnscoredReason.NO_STATEMENTS, "the judge found no statements in the answer")
        verdicts = (await self.metric._create_verdicts(statements, "\n".join(contexts))).statements
        return ratio([(v.statement, v.verdict, v.reason) for v in verdicts], len(statements))

    async def close(self) -> None:
        await self.client.close()


def ratio(verdicts: Sequence[tuple[str, int, str]], statements: int) -> Verdict:
    """Share of supported statements, if there is exactly one verdict of 0 or 1 on each.

    >>> ratio([("It is old.", 1, ""), ("It is red.", 0, "")], 2).value
    0.5
    >>> ratio([("It is old.", 1, "")], 2).reason
    <UnscoredReason.COUNT_MISMATCH: 'count_mismatch'>
    """
    if len(verdicts) != statements:
        detail = f"{len(verdicts)} verdicts on {statements} statements"
        return NotScored(UnscoredReason.COUNT_MISMATCH, detail)
    if strange := sorted({value for _, value, _ in verdicts} - {0, 1}):
        return NotScored(UnscoredReason.BAD_VERDICT, f"verdicts are 0 or 1, not {strange[:5]}")
    supported = sum(value for _, value, _ in verdicts)
    value = supported / statements
    claims = tuple(claim(text, bool(value), why) for text, value, why in verdicts[:MAX_CLAIMS])
    return Scored(value, value < FLOOR, f"{supported} of {statements} statements are supported", claims)


REASONS: dict[str, UnscoredReason] = {
    "IncompleteOutputException": UnscoredReason.TRUNCATED,
    "LengthFinishReasonError": UnscoredReason.TRUNCATED,
    "APITimeoutError": UnscoredReason.TIMEOUT,
    "APIConnectionError": UnscoredReason.UNAVAILABLE,
    "RateLimitError": UnscoredReason.UNAVAILABLE,
    "InternalServerError": UnscoredReason.UNAVAILABLE,
    "AuthenticationError": UnscoredReason.UNAVAILABLE,
    "PermissionDeniedError": UnscoredReason.UNAVAILABLE,
    "NotFoundError": UnscoredReason.UNAVAILABLE,
    "ContentFilterFinishReasonError": UnscoredReason.REJECTED,
    "APIStatusError": UnscoredReason.REJECTED,
    "APIError": UnscoredReason.UNAVAILABLE,
    "ValidationError": UnscoredReason.MALFORMED,
    "JSONDecodeError": UnscoredReason.MALFORMED,
}
"""Exception, or the base class of one, by name, so that nothing is imported for it."""


def reason_of(error: BaseException) -> tuple[UnscoredReason, str]:
    """Why a judge's exception left an answer unscored; the detail names types, never messages."""
    chain = list(_chain(error))
    for link in chain:
        for kind in type(link).__mro__:
            if (reason := REASONS.get(kind.__name__)) is not None:
                return reason, type(link).__name__
    if any(type(link).__name__ == "InstructorRetryException" for link in chain):
        return UnscoredReason.MALFORMED, type(chain[-1]).__name__
    return UnscoredReason.FAILED, type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes; instructor wraps the one that says what happened."""
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
