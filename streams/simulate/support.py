"""support-bot: answers customers from passages. Its provider may update the model in silence."""

from __future__ import annotations

from random import Random

from streams.simulate.facts import Fact, Retrieved, retrieve
from streams.simulate.invention import VAGUE, embellished
from streams.simulate.scenarios import Fault, Scenario
from streams.simulate.shape import Event, feedback, new_id, spread, thumbs, tokens, trace
from streams.simulate.support_facts import PRODUCT_FACTS, SHOP_FACTS

APP = "support-bot"
MODEL = "gpt-4o"
"""An alias that the provider moves as it likes: that is how a model changes and nobody has changed it."""
SERVED_BEFORE, SERVED_AFTER = "gpt-4o-2024-08-06", "gpt-4o-2024-11-20"
EMBELLISHES = 0.45
"""Share of conversations in which the new model makes things up."""
MAKES_UP = 0.02
"""Share of conversations in which the old one does: no model is without it."""
WEAK = 0.1
"""Share of a healthy model's answers with a phrase that no passage holds."""
ESCALATES = 0.02

FOLLOW_UPS = ("Thanks! ", "Good to know. ", "One more question: ", "And another thing: ")
COMMENTS = ("that did not help", "too long", "wrong product?", "I already tried that")
HANDED_OVER = ("customer asks for a person", "wants to speak to the shop", "complaint about a delivery")


def chat(rng: Random, start: int, scenario: Scenario) -> list[Event]:
    """A conversation of one to three turns about one product, and what the customer said of it."""
    facts = rng.choice(PRODUCT_FACTS)
    asked = rng.sample(facts, rng.choices((1, 2, 3), (60, 28, 12))[0])
    conversation, user = new_id(rng, "conv-"), f"u-{rng.randint(1, 2400):04d}"
    embellishes = rng.random()
    turns: list[tuple[int, Event]] = []
    time = start
    history = 0
    for turn, fact in enumerate(asked):
        updated = scenario.broken(Fault.SILENT_UPDATE, time)
        question = rng.choice(fact.questions)
        found = retrieve(question, fact, facts)
        if turn:
            question = rng.choice(FOLLOW_UPS) + question
        good, bad = _answer(rng, fact), embellished(rng, rng.choice(fact.answers), fact.about)
        answer = bad if embellishes < (EMBELLISHES if updated else MAKES_UP) else good
        event = _trace(rng, "chat", time, found, question, answer, history)
        if answer is bad and "output_tokens" in event:
            # As many tokens as the truth would have taken: nothing but the content gives the update away.
            event["output_tokens"] += tokens(good) - tokens(bad)
        event |= {"conversation_id": conversation, "user_id": user}
        if event.get("served_model"):
            event["served_model"] = SERVED_AFTER if updated else SERVED_BEFORE
        turns.append((time, event))
        history += tokens(question, good)
        time += round(spread(rng, 40_000, 0.4))
    said = thumbs(rng, turns, COMMENTS)
    if rng.random() < ESCALATES:
        at, last = turns[-1]
        said.append(feedback(rng, last, at + 45_000, "escalation", reason=rng.choice(HANDED_OVER)))
    return [event for _, event in turns] + said


def email(rng: Random, start: int, scenario: Scenario) -> list[Event]:
    """One letter and its answer, by a smaller model that stays as it is: nothing ever happens here."""
    fact = rng.choice(SHOP_FACTS)
    question = rng.choice(fact.questions)
    found = retrieve(question, fact, SHOP_FACTS)
    question = f"Dear shop, {question[0].lower()}{question[1:]} Kind regards"
    event = _trace(rng, "email", start, found, question, _answer(rng, fact), 0)
    event |= {"model": "gpt-4o-mini-2024-07-18", "prompt_version": "letters@2.0.3"}
    if event.get("served_model"):
        event["served_model"] = "gpt-4o-mini-2024-07-18"
    return [event, *thumbs(rng, [(start, event)], COMMENTS)]


def _answer(rng: Random, fact: Fact) -> str:
    said = rng.choice(fact.answers)
    return f"{said} {rng.choice(VAGUE)}" if rng.random() < WEAK else said


def _trace(
    rng: Random, route: str, time: int, found: Retrieved, question: str, answer: str, history: int
) -> Event:
    passages = [str(context["text"]) for context in found.contexts]
    fields: Event = {
        "route": route,
        "release": "2026.9",
        "provider": "openai",
        "model": MODEL,
        "served_model": SERVED_BEFORE,
        "prompt_version": "support@3.4.0",
        "index_version": "manuals-2026-02-20",
        "question": question,
        "contexts": found.contexts,
        "answer": answer,
        "parameters": {"temperature": 0.2, "max_tokens": 400},
        "input_tokens": 620 + history + tokens(question, *passages) + rng.randint(0, 40),
        "output_tokens": tokens(answer) + rng.randint(6, 14),
    }
    return trace(rng, APP, time, 1450, fields)
