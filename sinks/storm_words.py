"""A storm in words: what a locked phone shows, the worst in full, all others by name. Not yet escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from schemas.effect import NotifyReason
from schemas.incident import Incident, IncidentState
from schemas.signal import Cause
from sinks import words
from sinks.actions import first_action
from sinks.base import Message
from sinks.clean import clean, cut
from sinks.numbers import clock, percent
from sinks.phrases import ORDINARY, SIGNALS, capital, likely
from sinks.storm import Storm

WORST = 8
"""Incidents that are told in a sentence of their own."""
SHORT = 4
"""Those where there is little room."""
NAMES = 4_300
"""Characters for the names of all others."""
SHARED = 0.5
"""A cause that at least this part of the storm shares is said to be the storm's."""


def headline(message: Message) -> str:
    """The line for a locked phone, of an incident or of a storm: at most 150 characters."""
    return words.headline(message.incident) if message.storm is None else storm_headline(message.storm)


def action(message: Message) -> str:
    """The first thing to do, of an incident or of a storm."""
    return first_action(message.incident) if message.storm is None else storm_action(message.storm)


def storm_headline(storm: Storm) -> str:
    """``297 incidents on 297 apps since 09:05 UTC (149 P2, 148 P3): mostly served model lumen-2.``"""
    number, standing = len(storm.incidents), storm.open
    apps = len({one.app for one in storm.incidents})
    where = f"{apps} apps" if apps > 1 else clean(storm.incidents[0].app, 32)
    things = "1 incident" if number == 1 else f"{number:,} incidents"
    since = clock(min(one.onset for one in storm.incidents), storm.since)
    if not standing:
        return cut(f"Storm over · {things} on {where} since {since}, all resolved.", words.LOCK_SCREEN)
    counts = Counter(one.severity.value for one in standing)
    grave = ", ".join(f"{counts[name]:,} {name}" for name in sorted(counts))
    over = f", {number - len(standing):,} over" if len(standing) < number else ""
    cause, part = shared(standing)
    why = likely(cause, 22) if cause is not None and part >= SHARED else "no common cause"
    return cut(f"Storm · {things} on {where} since {since} ({grave}{over}): {why}.", words.LOCK_SCREEN)


def storm_title(storm: Storm) -> str:
    number = len(storm.incidents)
    return f"Storm: {number:,} more incident{'' if number == 1 else 's'} at once"


def standing(storm: Storm) -> str:
    """How many are nobody's, somebody's and over: ``280 nobody's · 12 acknowledged · 5 over``."""
    states = Counter(one.state for one in storm.incidents)
    acked, over = states[IncidentState.ACKED], states[IncidentState.RESOLVED]
    free = len(storm.incidents) - acked - over
    parts = [(free, "nobody's"), (acked, "acknowledged"), (over, "over")]
    return " · ".join(f"{number:,} {name}" for number, name in parts if number)


def shared(incidents: Sequence[Incident]) -> tuple[Cause | None, float]:
    """The cause that most of ``incidents`` have, and its part of them; the earliest of equals."""
    causes = {(one.cause.dimension, one.cause.current): one.cause for one in incidents if one.cause}
    counts = Counter((one.cause.dimension, one.cause.current) for one in incidents if one.cause)
    if not counts:
        return None, 0.0
    (key, number), *_ = counts.most_common(1)
    return causes[key], number / len(incidents)


def why(storm: Storm) -> str:
    """What the storm has in common: a cause, else how its signals and apps are spread."""
    standing = storm.open or list(storm.incidents)
    cause, part = shared(standing)
    signals = Counter(SIGNALS[one.signal] for one in standing).most_common()
    spread = ", ".join(f"{name} {number:,}" for name, number in signals[:3])
    if left := sum(number for _, number in signals[3:]):
        spread += f", {len(signals) - 3} others {left:,}"
    if cause is None or part < SHARED:
        return f"Nothing that Gleaner compares explains most of them. Signals: {spread}."
    return f"{percent(part)} are {likely(cause, 60)}. Signals: {spread}."


def storm_action(storm: Storm) -> str:
    """For the common cause its own first action, else where to look for one."""
    standing = storm.open
    if not standing:
        return "Nothing: all of it is over."
    cause, part = shared(standing)
    if cause is not None and part >= SHARED:
        worst = next(one for one in standing if one.cause and _key(one.cause) == _key(cause))
        return first_action(worst)
    return (
        "Look for what they share before you look at any of them: the provider's status, the gateway, the"
        " retrieval index, the last deploy."
    )


def worst(storm: Storm) -> list[str]:
    """The worst that are open, a sentence each and the beginning of an id, which every command takes."""
    return [f"{words.headline(one)} ({one.id[:8]})" for one in told(storm)]


def told(storm: Storm) -> list[Incident]:
    """Those that the digest tells in full: open, and not told in full by a message of their own."""
    return [one for one in storm.open if one.id not in storm.alone][:WORST]


def names(storm: Storm, measure: Callable[[str], int] = len) -> tuple[list[tuple[str, str]], int]:
    """All others by name, in groups of state, severity and signal; and how many found no room.

    ``measure`` is how long a text is for the receiver, once it is escaped.
    """
    full = {one.id for one in told(storm)}
    plain = len({(one.environment, one.route) for one in storm.incidents}) == 1
    groups: dict[str, list[str]] = {}
    for one in storm.incidents:
        if one.id not in full:
            groups.setdefault(_group(one, storm), []).append(_place(one, plain=plain))
    found, room, left = [], NAMES, 0
    for group, places in groups.items():
        label = f"{group} ({len(places):,})"
        room -= measure(label) + 12
        kept: list[str] = []
        for number, place in enumerate(places):
            if room < measure(place) + 2:
                left += len(places) - number
                break
            room -= measure(place) + 2
            kept.append(place)
        if kept:
            found.append((label, ", ".join(kept)))
    return found, left


def footer(storm: Storm, left: int) -> str:
    """Where the rest is, and when one of them gets a message of its own."""
    parts = [f"storm {storm.id[:8]}"]
    if left:
        parts.append(f"{left:,} found no room here")
    parts.append(f"yours, all of it: gleaner incidents ack {storm.id[:8]}")
    parts.append(
        f"the rest: gleaner incidents list --storm {storm.id[:8]}; one: gleaner incidents show|ack ID"
    )
    parts.append("what becomes P1, or has news after the storm, gets its own message")
    return " · ".join(parts)


def news(message: Message, storm: Storm) -> str:
    """What a reply in the digest's thread says."""
    match message.reason:
        case NotifyReason.ESCALATED:
            free = len([one for one in storm.open if one.state is not IncidentState.ACKED])
            start = f"Nobody has acknowledged {free:,} of them (level {storm.level})"
        case NotifyReason.RECOVERED:
            return f"All {len(storm.incidents):,} are over."
        case NotifyReason.FELL_BACK:
            return f"While this could not be posted here, it was told elsewhere: {message.detail}."
        case _:
            start = "It grew"
    return f"{start}: {storm_headline(storm)}"


def lines(storm: Storm) -> list[str]:
    """The whole digest as plain lines, for receivers without blocks."""
    named, left = names(storm)
    return [
        storm_headline(storm), standing(storm), why(storm), *worst(storm),
        *(f"{label}: {places}" for label, places in named),
        f"Do first: {storm_action(storm)}", footer(storm, left),
    ]  # fmt: skip


def short_lines(storm: Storm) -> list[str]:
    """The digest where a receiver refuses its blocks: the worst, what to do, and how many it leaves out."""
    shown = told(storm)[:SHORT]
    return [
        storm_headline(storm), standing(storm), why(storm), *(words.headline(one) for one in shown),
        f"Do first: {storm_action(storm)}", footer(storm, len(storm.incidents) - len(shown)),
    ]  # fmt: skip


def _key(cause: Cause) -> tuple[str, str | None]:
    return cause.dimension, cause.current


def _group(one: Incident, storm: Storm) -> str:
    if one.state is IncidentState.RESOLVED:
        return "Over"
    if one.id in storm.alone:
        return "With a message of its own"
    acked = ", acknowledged" if one.state is IncidentState.ACKED else ""
    return f"{one.severity.value} {capital(SIGNALS[one.signal])}{acked}"


def _place(one: Incident, *, plain: bool) -> str:
    """App, environment and route, as far as they don't go without saying; ``plain``: all have the same."""
    place = clean(one.app, 28)
    if plain:
        return place
    if one.environment not in ORDINARY:
        place += f" ({clean(one.environment, 16)})"
    return place if one.route in ORDINARY else f"{place} {clean(one.route, 24)}"
