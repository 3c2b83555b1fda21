"""contract-extractor: reads fields out of contracts. One user may send documents of 200 pages."""

from __future__ import annotations

import json
from random import Random

from streams.simulate.contract_documents import Document, document
from streams.simulate.scenarios import OUTLIERS_MS, Fault, Scenario
from streams.simulate.shape import Event, feedback, spread, tokens, trace

APP = "contract-extractor"
HEAVY_USER = "u-7731"
USERS = range(7702, 7782)
HEAVY = 0.2
"""Share of the requests that come from the heavy user, once they have begun."""
HEAVY_PAGES = (186, 214)
OUTLIER = 0.004
PAGES = 8
TOKENS_A_PAGE = 745
CORRECTED = 0.012
"""Share of extractions that a reviewer corrects, an hour or two later."""
QUESTION = "Extract supplier, customer, begin, term, notice period, yearly fee and governing law as JSON."


def extract(rng: Random, start: int, scenario: Scenario) -> list[Event]:
    """One document, its fields, and now and then a reviewer's correction."""
    user = f"u-{rng.choice(USERS)}"
    pages = min(max(2, round(spread(rng, PAGES, 0.4))), 40)
    heavy, outlier, many = rng.random() < HEAVY, rng.random() < OUTLIER, rng.randint(*HEAVY_PAGES)
    if heavy and scenario.broken(Fault.COST_SPIKE, start):
        user, pages = HEAVY_USER, many
    elif outlier and start >= OUTLIERS_MS:
        pages = many // 2
    read = document(rng, pages)
    event = _trace(
        rng, start, "extract", user, read, QUESTION, read.answer, "gpt-4.1-2025-04-14", pages * TOKENS_A_PAGE
    )
    event |= {
        "prompt_version": "extract@4.2.0",
        "schema_valid": True,
        "scores": {"field_confidence": round(0.99 - 0.06 * rng.random(), 3)},
    }
    if rng.random() >= CORRECTED or "error" in event:
        return [event]
    return [event, _corrected(rng, start, event, read)]


def classify(rng: Random, start: int, scenario: Scenario) -> list[Event]:
    """Which kind of contract a page is, by a small model: nothing ever happens here."""
    read = document(rng, 1)
    user = f"u-{rng.choice(USERS)}"
    event = _trace(
        rng, start, "classify", user, read, "Which kind of contract is this?", read.kind,
        "gpt-4.1-mini-2025-04-14", 300 + rng.randint(0, 260),
    )  # fmt: skip
    return [event | {"prompt_version": "classify@1.1.0"}]


def _trace(
    rng: Random,
    time: int,
    route: str,
    user: str,
    read: Document,
    question: str,
    answer: str,
    model: str,
    size: int,
) -> Event:
    fields: Event = {
        "route": route,
        "user_id": user,
        "release": "5.3.1",
        "provider": "openai",
        "model": model,
        "served_model": model,
        "question": question,
        "messages": [{"role": "user", "content": read.excerpt}],
        "answer": answer,
        "parameters": {"temperature": 0, "max_tokens": 800},
        "tags": {"document": read.name, "pages": read.pages},
        "input_tokens": 410 + size + rng.randint(0, 60),
        "output_tokens": tokens(answer) + rng.randint(10, 24),
    }
    # A reader of long documents is slow: the latency hardly tells them apart, the bill does.
    return trace(rng, APP, time, 2100 + 6 * min(read.pages, 40), fields)


def _corrected(rng: Random, time: int, event: Event, read: Document) -> Event:
    """The notice period was read wrongly: a reviewer says what stands in the contract."""
    fields = json.loads(read.answer)
    event["answer"] = json.dumps(fields | {"notice_days": fields["notice_days"] + 30})
    return feedback(
        rng, event, time + round(spread(rng, 4_500_000, 0.4)), "correction",
        corrected_answer=read.answer, reason="notice period", user_id=f"reviewer-{rng.randint(1, 3)}",
        review_seconds=round(spread(rng, 70, 0.4)),
    )  # fmt: skip
