"""policy-bot: answers a firm's staff from its rules. Its index may go back to last year's documents."""

from __future__ import annotations

from random import Random

from schemas.base import rfc3339
from streams.simulate.facts import retrieve
from streams.simulate.invention import VAGUE
from streams.simulate.policy_facts import CURRENT, STALE
from streams.simulate.scenarios import Fault, Scenario
from streams.simulate.shape import Event, feedback, new_id, spread, thumbs, tokens, trace

APP = "policy-bot"
INDEX, STALE_INDEX = "policies-2026-02-27", "policies-2025-11-14"
MODEL = "claude-haiku-4-5-20251001"
WEAK = 0.1
ESCALATES, ESCALATES_STALE = 0.02, 0.18
DECIDED_MS = 540_000
"""Whoever gives up does so within nine minutes: later feedback would miss the conversation's decision."""

FOLLOW_UPS = ("Thank you. ", "Okay, and: ", "Also: ")
COMMENTS = ("not what I asked", "too vague", "which form?")
HANDED_OVER = ("wants to talk to HR", "special case, needs HR", "asks for a written confirmation")
OUTDATED = (
    "the amount is last year's",
    "contradicts the letter of January",
    "HR portal shows another figure",
    "quotes the 2025 rules",
)


def ask(rng: Random, start: int, scenario: Scenario) -> list[Event]:
    """A conversation of one or two turns about the rules of one country."""
    place = rng.randrange(len(CURRENT))
    topics = rng.sample(range(len(CURRENT[place])), rng.choices((1, 2), (70, 30))[0])
    conversation, user = new_id(rng, "conv-"), f"e-{rng.randint(1, 1800):04d}"
    turns: list[tuple[int, Event]] = []
    time = start
    for turn, topic in enumerate(topics):
        stale = scenario.broken(Fault.STALE_INDEX, time)
        facts = (STALE if stale else CURRENT)[place]
        question = rng.choice(facts[topic].questions)
        found = retrieve(question, facts[topic], facts)
        if turn:
            question = rng.choice(FOLLOW_UPS) + question
        answer = rng.choice(facts[topic].answers)
        if rng.random() < WEAK:
            answer += " " + rng.choice(VAGUE)
        fields: Event = {
            "route": "policy",
            "conversation_id": conversation,
            "user_id": user,
            "release": "1.22.0",
            "provider": "anthropic",
            "model": MODEL,
            "served_model": MODEL,
            "prompt_version": "policy@1.7.2",
            "index_version": STALE_INDEX if stale else INDEX,
            "question": question,
            "contexts": found.contexts,
            "answer": answer,
            "parameters": {"temperature": 0, "max_tokens": 300},
            "input_tokens": 540
            + turn * 60
            + tokens(*(str(c["text"]) for c in found.contexts))
            + rng.randint(0, 40),
            "output_tokens": tokens(answer) + rng.randint(6, 14),
        }
        turns.append((time, trace(rng, APP, time, 820, fields)))
        time += round(spread(rng, 45_000, 0.4))
    said = thumbs(rng, turns, COMMENTS)
    outdated = scenario.broken(Fault.STALE_INDEX, start)
    if rng.random() < (ESCALATES_STALE if outdated else ESCALATES):
        reason, usual = rng.choice(OUTDATED), rng.choice(HANDED_OVER)
        at = min(turns[-1][0] + round(spread(rng, 60_000, 0.4)), start + DECIDED_MS)
        said.append(feedback(rng, turns[-1][1], at, "escalation", reason=reason if outdated else usual))
    return [event for _, event in turns] + said


def swapped(time: int) -> Event:
    """The index job says that it has moved the alias."""
    return {
        "event": "change",
        "timestamp": rfc3339(time),
        "app": APP,
        "environment": "production",
        "dimension": "index_version",
        "from": INDEX,
        "to": STALE_INDEX,
        "author": "index-job",
    }
