"""Synthetic traffic: traces as a middling RAG application publishes them, the same at every run.

About 1.36 KB each, three passages, a price that can be looked up, and the application's own
faithfulness, so that nothing goes to the judge. One in a hundred fails and becomes a case; the rest is
what most traffic is: unremarkable.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import orjson

APPS = ("checkout-assistant", "support-bot", "docs-search", "hr-helper")
ROUTES = ("chat", "search")
MODELS = (("gpt-4o", "gpt-4o-2024-08-06"), ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"))
WORDS = [
    "the",
    "order",
    "return",
    "window",
    "refund",
    "policy",
    "customer",
    "account",
    "invoice",
    "shipping",
    "address",
    "item",
    "days",
    "request",
    "support",
    "agent",
    "within",
    "after",
    "before",
    "please",
    "contact",
    "payment",
    "method",
    "card",
    "receipt",
    "region",
    "warehouse",
    "delivery",
    "standard",
    "express",
    "fee",
    "applies",
    "unless",
    "damaged",
    "original",
    "packaging",
    "label",
    "credit",
]

FAILING = 0.01
IN_CONVERSATION = 0.35
"""Share of traces with a conversation id; each of the others is a conversation of its own."""
NEW_CONVERSATION = 0.33
"""Share of those that begin a conversation: three turns on average."""
OPEN_CONVERSATIONS = 50
TEXTS = 400


class Traffic:
    """An endless stream of traces whose event time goes on from call to call."""

    def __init__(self, start_ms: int, seed: int = 1) -> None:
        self.now = float(start_ms)
        self._random = random.Random(seed)
        self._questions, self._answers, self._passages = (
            [self._text(length) for _ in range(TEXTS)] for length in (85, 195, 145)
        )
        self._talks = ["conv-0"]

    def events(self, count: int, span_ms: float) -> Iterator[dict[str, Any]]:
        """The next ``count`` traces, spread evenly over ``span_ms`` of event time."""
        step = span_ms / count
        for _ in range(count):
            self.now += step
            yield self._event(int(self.now))

    def messages(self, count: int, span_ms: float, per_message: int) -> list[bytes]:
        """The next traces as Kafka messages: one object each, or arrays of ``per_message``."""
        events = self.events(count, span_ms)
        if per_message == 1:
            return [orjson.dumps(event) for event in events]
        whole = list(events)
        return [orjson.dumps(whole[at : at + per_message]) for at in range(0, count, per_message)]

    def _event(self, time: int) -> dict[str, Any]:
        rng = self._random
        model, served = MODELS[rng.random() < 0.3]
        failing = rng.random() < FAILING
        faithfulness = rng.uniform(0.3, 0.7) if failing else rng.uniform(0.8, 1.0)
        event: dict[str, Any] = {
            "trace_id": f"{rng.getrandbits(128):032x}",
            "timestamp": time,
            "app": APPS[int(rng.random() ** 1.5 * len(APPS))],
            "environment": "prod",
            "route": ROUTES[rng.random() < 0.25],
            "user_id": f"u{rng.randrange(5000)}",
            "release": "2026.03.1",
            "provider": "openai",
            "model": model,
            "served_model": served,
            "prompt_version": "v12",
            "index_version": "2026-03-01",
            "question": rng.choice(self._questions),
            "answer": rng.choice(self._answers),
            "contexts": [
                {
                    "id": f"doc-{rng.randrange(900)}",
                    "text": rng.choice(self._passages),
                    "score": round(rng.random(), 4),
                }
                for _ in range(3)
            ],
            "finish_reason": "stop",
            "input_tokens": rng.randrange(400, 1600),
            "output_tokens": rng.randrange(40, 240),
            "latency_ms": round(rng.lognormvariate(6.8, 0.4), 1),
            "success": not failing,
            "scores": {"faithfulness": round(faithfulness, 3)},
            "tags": {"tenant": f"t{rng.randrange(40)}", "channel": "web"},
        }
        if rng.random() < IN_CONVERSATION:
            event["conversation_id"] = self._conversation()
        return event

    def _conversation(self) -> str:
        rng = self._random
        if rng.random() < NEW_CONVERSATION:
            self._talks.append(f"conv-{rng.getrandbits(48):012x}")
            del self._talks[:-OPEN_CONVERSATIONS]
            return self._talks[-1]
        return rng.choice(self._talks)

    def _text(self, length: int) -> str:
        text = ""
        while len(text) < length:
            text += self._random.choice(WORDS) + " "
        return text[:length].strip()
