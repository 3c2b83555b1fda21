"""The weeks after the demo's: what support-bot's users met under the next two releases.

A healthy week's conversations go on as they were, and a known number of failures is put among them: new ones
under the release that follows, and frozen ones that come back under the release after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from schemas.base import parse_time, rfc3339
from streams.simulate.generate import simulate
from streams.simulate.scenarios import DAY_MS, HOUR_MS, MONDAY_MS, SCENARIOS
from streams.simulate.shape import Event
from streams.simulate.support import APP

WEEK_MS = 7 * DAY_MS
EACH_MS = 7 * 60_000
"""Between two planted failures."""

NEW_FAILURES = (
    (
        "How do I pause my bean subscription?",
        "Subscriptions are paused on the page Deliveries, up to two days before the next parcel.",
        "Please cancel it and sign up again when you are back.",
    ),
    (
        "Which roast is in the discovery box?",
        "The discovery box holds three light roasts of 250 grams, chosen each month.",
        "It holds one kilogram of our dark house blend.",
    ),
    (
        "May I change the delivery day of my beans?",
        "The delivery day of a subscription may be any weekday, until noon of the day before.",
        "Parcels leave on Mondays only, that is fixed for every customer.",
    ),
    (
        "Does the gift card expire?",
        "Gift cards are valid for three years from the day of purchase.",
        "Yes, after six months, and what is left on it is lost.",
    ),
    (
        "Can two people share one account?",
        "An account may have up to five members, invited by e-mail under Household.",
        "No, sharing is against our terms and leads to closure.",
    ),
    (
        "What happens if my parcel of beans arrives torn?",
        "Damaged parcels are replaced free of charge if a photograph is sent within 14 days.",
        "The carrier is responsible, please turn to their hotline.",
    ),
    (
        "Where do I see how many loyalty points I have?",
        "Points are shown in the app under Profile, and on every invoice.",
        "We have no loyalty programme at the moment.",
    ),
    (
        "Is the decaffeinated espresso water-processed?",
        "The decaffeinated espresso is made with the Swiss water process, without solvents.",
        "It is treated with dichloromethane like most of them.",
    ),
    (
        "How early is the winter blend back?",
        "The winter blend is sold from the last week of October until it runs out.",
        "It was discontinued two years ago.",
    ),
    (
        "Will you grind my subscription for a moka pot?",
        "All subscriptions may be ground, for filter, moka pot, espresso or French press.",
        "Subscriptions are whole beans, you need a grinder of your own.",
    ),
)
"""(question, passage, answer): what the release after the demo's gets wrong, none of it said before."""


def background() -> list[Event]:
    """support-bot's events of a healthy week, in which single conversations still fail."""
    return [event for event in simulate(SCENARIOS["healthy"]) if event.get("app") == APP]


def without(events: Iterable[Event], failing: Collection[str]) -> list[Event]:
    """The events but for the conversations in which one of these traces is."""
    events = list(events)
    conversation = {event["trace_id"]: event.get("conversation_id") for event in events if "model" in event}
    gone = {conversation[trace] or trace for trace in failing}
    return [
        event for event in events if (conversation.get(event["trace_id"]) or event["trace_id"]) not in gone
    ]


def week(number: int, release: str, healthy: Iterable[Event], planted: Sequence[Event]) -> list[Event]:
    """The ``number``-th week after the demo's under ``release``, in the order of event time.

    ``planted`` traces fail: each is followed by an escalation. They lie in the middle of the week, so that
    the windows behind them close.
    """
    shift = number * WEEK_MS
    events = []
    for event in healthy:
        moved = event | {
            "trace_id": f"{event['trace_id']}-{number}",
            "timestamp": rfc3339(parse_time(event["timestamp"]) + shift),
        }
        for name in ("conversation_id", "feedback_id"):
            if name in event:
                moved[name] = f"{event[name]}-{number}"
        events.append(moved | {"release": release} if event["event"] == "trace" else moved)
    begin = MONDAY_MS + shift + 2 * DAY_MS + 10 * HOUR_MS
    for place, trace in enumerate(planted):
        time = begin + place * EACH_MS
        made = trace | {"event": "trace", "timestamp": rfc3339(time), "release": release}
        made["trace_id"] = f"planted-{number}-{place:02d}"
        made["conversation_id"] = f"conv-planted-{number}-{place:02d}"
        events += [made, _escalation(made, time + 45_000)]
    return sorted(events, key=lambda event: (parse_time(event["timestamp"]), event["event"] != "trace"))


def new_failures(like: Mapping[str, Any]) -> list[Event]:
    """Traces of ``NEW_FAILURES``; everything but the texts as in the trace ``like``."""
    return [
        {
            **like,
            "question": question,
            "contexts": [{"id": f"shop-{place:02d}", "text": passage, "score": 0.9}],
            "answer": answer,
        }
        for place, (question, passage, answer) in enumerate(NEW_FAILURES)
    ]


def _escalation(trace: Event, time: int) -> Event:
    return {
        "event": "feedback",
        "feedback_id": f"fb-{trace['trace_id']}",
        "trace_id": trace["trace_id"],
        "timestamp": rfc3339(time),
        "app": trace["app"],
        "kind": "escalation",
        "reason": "wrong answer",
    }
