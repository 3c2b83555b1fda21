"""What each signal measures: its name for people, its unit, and which cases show it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.case import CaseReason
from schemas.observation import Flag, Outcome
from schemas.signal import SignalName


class Measure(StrEnum):
    """What a signal's value is, and so how it is watched and written."""

    SCORE = "score"
    """A mean of scores in [0, 1]."""
    RATE = "rate"
    """A share of conversations, 0 to 1."""
    DOLLARS = "dollars"
    TOKENS = "tokens"
    MILLISECONDS = "milliseconds"
    REQUESTS = "requests"
    """A count."""
    HOURS = "hours"
    SHARE = "share"
    """A part of something declared; can exceed 1."""
    EVENT = "event"
    """Something that happened: no value."""


@dataclass(frozen=True, slots=True)
class About:
    """``units`` are what is counted; ``says`` completes "1 in 5 conversations" for a rate; ``bits`` are the
    :class:`~schemas.observation.Flag` and :class:`~schemas.observation.Outcome` bits that a rate counts;
    ``action`` is the first thing to do where nothing explains the move; ``falls`` that it gets worse by
    falling."""

    noun: str
    measure: Measure
    units: str
    cases: frozenset[CaseReason]
    action: str
    says: str = ""
    bits: int = 0
    falls: bool = False


def _rate(noun: str, says: str, bits: int, action: str, *cases: CaseReason) -> About:
    return About(noun, Measure.RATE, "conversations", frozenset(cases), action, says, bits)


def _shares(noun: str, action: str, *cases: CaseReason) -> About:
    return About(noun, Measure.RATE, "requests", frozenset(cases), action, "above the declared limit")


CATALOG: dict[SignalName, About] = {
    SignalName.FAITHFULNESS: About(
        "faithfulness",
        Measure.SCORE,
        "conversations",
        frozenset({CaseReason.LOW_SCORE, CaseReason.BAD_CITATION}),
        "Read the cases: do the retrieved passages hold the answer? If they don't, look at the index and the"
        " ranking; if they do, at the prompt and the model.",
        falls=True,
    ),
    SignalName.GROUNDED: About(
        "grounded rate",
        Measure.RATE,
        "scored answers",
        frozenset({CaseReason.LOW_SCORE, CaseReason.BAD_CITATION}),
        "Read the cases: do the retrieved passages hold the answer? If they don't, look at the index and the"
        " ranking; if they do, at the prompt and the model.",
        "not grounded in their sources",
        falls=True,
    ),
    SignalName.UNSCORED: About(
        "unscored rate",
        Measure.RATE,
        "judged answers",
        frozenset(),
        "Look at the judge: its endpoint, its limits, its budget. Until it answers, faithfulness is watched"
        " on fewer answers than it seems.",
        "without a score, because the judge gave none",
    ),
    SignalName.ESCALATION: _rate(
        "escalation rate",
        "handed to a person",
        Outcome.ESCALATED,
        "Read the cases: an intent not seen before, or a policy that the answers can't settle? Add worked"
        " examples, or move the hand-over threshold.",
        CaseReason.ESCALATION,
        CaseReason.NEGATIVE_FEEDBACK,
        CaseReason.ABANDONED,
        CaseReason.FAILED_TASK,
    ),
    SignalName.COST: About(
        "cost per request",
        Measure.DOLLARS,
        "requests",
        frozenset({CaseReason.HIGH_COST}),
        "Compare tokens in, tokens out, retries and route with yesterday's: a longer context, a loop of"
        " tools, or a costlier route?",
    ),
    SignalName.COST_PER_SUCCESS: About(
        "cost per successful task",
        Measure.DOLLARS,
        "requests",
        frozenset(
            {
                CaseReason.HIGH_COST,
                CaseReason.FAILED_TASK,
                CaseReason.ERROR,
                CaseReason.SCHEMA_BREAK,
                CaseReason.ESCALATION,
            }
        ),
        "Take it apart: price, tokens in and out, retries, failures. A longer context, a loop of tools, a"
        " costlier route, or tasks that fail and are tried again?",
    ),
    SignalName.SERVED_MODEL: About(
        "served model",
        Measure.EVENT,
        "requests",
        frozenset(CaseReason),
        "Ask the provider which model answers now, and pin the one you tested.",
    ),
    SignalName.BROKEN_OUTPUT: _rate(
        "broken output rate",
        "answered by nothing, or by output that breaks its schema",
        Flag.SCHEMA_INVALID | Flag.EMPTY_ANSWER,
        "Look at one broken output beside one from before: a changed prompt or model? Validate and retry"
        " until it is rolled back.",
        CaseReason.SCHEMA_BREAK,
        CaseReason.EMPTY_ANSWER,
    ),
    SignalName.ERROR: _rate(
        "error rate",
        "ended by an error",
        Flag.ERROR,
        "Look at the errors by provider and model: an outage, a rate limit, or a timeout of ours?",
        CaseReason.ERROR,
    ),
    SignalName.TASK_FAILURE: _rate(
        "task failure rate",
        "unsuccessful",
        Outcome.UNSUCCESSFUL,
        "Read the cases: what did the application expect, and what did it get?",
        CaseReason.FAILED_TASK,
        CaseReason.ERROR,
        CaseReason.SCHEMA_BREAK,
        CaseReason.ESCALATION,
    ),
    SignalName.EMPTY_RETRIEVAL: _rate(
        "empty retrieval rate",
        "answered without a single passage",
        Flag.EMPTY_RETRIEVAL,
        "Search for some of these questions by hand: is the index empty or filtered, or is nobody's document"
        " about them?",
    ),
    SignalName.POLICY_BLOCK: _rate(
        "policy block rate",
        "stopped by a policy",
        Flag.POLICY_BLOCKED,
        "Review some in both directions: an attack, or a policy that blocks too much?",
        CaseReason.UNSAFE,
    ),
    SignalName.REFUSAL: _rate(
        "refusal rate",
        "refused",
        Flag.REFUSED,
        "Read some refusals: rightly refused, or a prompt or model that has become too shy?",
    ),
    SignalName.TRUNCATION: _rate(
        "truncation rate",
        "cut off by a token limit",
        Flag.TRUNCATED,
        "Compare the lengths of context and answer with yesterday's: a longer prompt, or a lower limit?",
    ),
    SignalName.FALLBACK: _rate(
        "fallback rate",
        "answered by a fallback",
        Flag.FALLBACK,
        "Ask why the first choice did not answer: its provider's status, its limits, its timeouts.",
    ),
    SignalName.NEGATIVE_FEEDBACK: _rate(
        "negative feedback rate",
        "rated badly by their user",
        Outcome.DISLIKED | Flag.LOW_RATING,
        "Read the cases and their comments: one complaint, or many?",
        CaseReason.NEGATIVE_FEEDBACK,
    ),
    SignalName.CORRECTION: _rate(
        "correction rate",
        "corrected by a user or reviewer",
        Outcome.CORRECTED,
        "Read the corrections: a fact that changed, or an instruction that is too weak?",
        CaseReason.CORRECTION,
    ),
    SignalName.ABANDONMENT: _rate(
        "abandonment rate",
        "left by their user",
        Outcome.ABANDONED,
        "Look at latency and at the last answers before users left.",
        CaseReason.ABANDONED,
    ),
    SignalName.UNPRICED: _rate(
        "unpriced rate",
        "of unknown cost",
        Outcome.UNPRICED,
        "Look at which models have no price, and give them one: until then their cost is watched by nobody.",
    ),
    SignalName.TOKENS: About(
        "tokens per request",
        Measure.TOKENS,
        "requests",
        frozenset({CaseReason.HIGH_COST}),
        "Compare the lengths of prompts, passages and answers with yesterday's.",
    ),
    SignalName.LATENCY: About(
        "latency",
        Measure.MILLISECONDS,
        "requests",
        frozenset(),
        "Look at the provider's latency and at the length of what is generated.",
    ),
    SignalName.TIME_TO_FIRST_TOKEN: About(
        "time to first token",
        Measure.MILLISECONDS,
        "requests",
        frozenset(),
        "Look at the provider's queue, at the length of the prompt, and at what runs before the first token.",
    ),
    SignalName.SPEND: About(
        "spend",
        Measure.DOLLARS,
        "requests",
        frozenset({CaseReason.HIGH_COST}),
        "Compare requests and cost per request with yesterday's: more traffic, or dearer requests? Then by"
        " model, route and user.",
    ),
    SignalName.VOLUME: About(
        "volume",
        Measure.REQUESTS,
        "requests",
        frozenset(),
        "Look at the app and its callers first, then at the exporter of its traces: it may be that alone.",
    ),
    SignalName.INDEX_AGE: About(
        "index age",
        Measure.HOURS,
        "index updates",
        frozenset(),
        "Look at the last run of ingestion, and start it again; until then answers lean on old documents.",
    ),
    SignalName.USER_BUDGET: About(
        "use of a user's budget",
        Measure.SHARE,
        "requests",
        frozenset({CaseReason.HIGH_COST}),
        "Read what the user asks: a loop, an outsized input, or honest work that needs a larger budget?",
    ),
    SignalName.SLOW: _shares("slow request rate", "Look at the provider's latency and at lengths."),
    SignalName.SLOW_START: _shares(
        "slow first token rate", "Look at the provider's queue and at the length of the prompts."
    ),
    SignalName.COSTLY: _shares(
        "costly request rate",
        "Compare tokens in, tokens out, retries and route of the requests above the limit with the others.",
        CaseReason.HIGH_COST,
    ),
    SignalName.LONG: _shares(
        "long request rate",
        "Compare the lengths of prompts, passages and answers with yesterday's.",
        CaseReason.HIGH_COST,
    ),
}
"""Every signal. Sources: the field's own lists of what to log for LLM applications; see docs/detectors.md."""

SCORED = frozenset({SignalName.FAITHFULNESS, SignalName.GROUNDED})
"""Signals of scores: as good as whoever scores."""
ABOVE: dict[SignalName, SignalName] = {
    SignalName.LATENCY: SignalName.SLOW,
    SignalName.TIME_TO_FIRST_TOKEN: SignalName.SLOW_START,
    SignalName.COST: SignalName.COSTLY,
    SignalName.TOKENS: SignalName.LONG,
}
"""Amounts of a request, and the share of requests above a limit that an objective for each is about."""
RATES: dict[SignalName, int] = {name: int(about.bits) for name, about in CATALOG.items() if about.bits}
"""The rates, and the bits of a conversation that each counts."""
RATE_BITS = int(Flag.FAILED)
for _bits in RATES.values():
    RATE_BITS |= _bits
