"""A simulated week in the order of event time: from one seed, the same bytes on every machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from random import Random

import orjson

from schemas.base import parse_time
from streams.lines import Line, Timed
from streams.simulate.contracts import classify, extract
from streams.simulate.policies import ask, swapped
from streams.simulate.scenarios import Fault, Scenario
from streams.simulate.shape import Event
from streams.simulate.support import chat, email
from streams.simulate.traffic import begin

EVENTS = 12_000
"""Events of a simulated week, unless told otherwise; about one in fifteen is feedback."""
SEED = 7

Conversation = Callable[[Random, int, Scenario], list[Event]]
ROUTES: tuple[Conversation, ...] = (chat, email, ask, extract, classify)
SHARES = (34, 8, 32, 20, 6)
"""Of a hundred conversations, so many are of each route."""
ORDER = {"change": 0, "trace": 1, "feedback": 2}


def simulate(scenario: Scenario, events: int = EVENTS, seed: int = SEED) -> list[Event]:
    """Exactly so many events, in the order of their times.

    Each conversation is drawn by itself, from the seed and its number, and takes a time anywhere in the
    week. So fewer events are a thinner week, not a shorter one; and two scenarios of one seed differ in
    what went wrong and, but for the last few conversations drawn, in nothing else. Below a few thousand
    events the faults are there all the same, but no detector can be sure of them.
    """
    made = [swapped(at) for fault, at in scenario.onsets.items() if fault is Fault.STALE_INDEX][:events]
    for number in count():
        room = events - len(made)
        if room <= 0:
            break
        rng = Random(f"{seed}/{number}")
        (route,) = rng.choices(ROUTES, SHARES)
        made += route(rng, begin(rng), scenario)[:room]
    return sorted(made, key=_order)


def _order(event: Event) -> tuple[int, int, str]:
    return parse_time(event["timestamp"]), ORDER[event["event"]], str(event.get("trace_id", ""))


def lines(events: list[Event]) -> Iterator[bytes]:
    """The events as JSON, one a line."""
    for event in events:
        yield orjson.dumps(event) + b"\n"


def timed(events: list[Event]) -> Iterator[Timed]:
    """The events as ``streams.publish`` takes them, as if read from a file."""
    offset = 0
    for number, (event, data) in enumerate(zip(events, lines(events), strict=True), 1):
        yield Timed(parse_time(event["timestamp"]), Line(0, number, offset, data.rstrip(b"\n")), event)
        offset += len(data)
