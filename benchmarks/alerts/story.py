"""What happens to incidents in a seeded run: alarms, recoveries, people; and what goes wrong meanwhile."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Literal

from schemas.catalog import CATALOG
from schemas.command import Command, Verb
from schemas.identity import derive
from schemas.incident import CasePreview
from schemas.signal import Cause, Recovery, Severity, Signal, SignalName

BEGIN = 1_772_355_900_000
"""2026-03-01T09:05:00Z"""
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
ENVIRONMENT, ROUTE = "production", "/chat"
Direction = Literal["up", "down"]
RULES: dict[SignalName, tuple[str, float, float, Direction]] = {
    SignalName.FAITHFULNESS: ("faithfulness_drop", 0.92, 0.80, "down"),
    SignalName.ESCALATION: ("escalation_spike", 0.039, 0.091, "up"),
    SignalName.COST: ("cost_spike", 0.0053, 0.0079, "up"),
    SignalName.BROKEN_OUTPUT: ("broken_output", 0.01, 0.2, "up"),
    SignalName.ERROR: ("errors", 0.01, 0.3, "up"),
}
SEVERITIES = (Severity.P1, Severity.P2, Severity.P2, Severity.P3)
FAULTS = (
    "drop-accepted", "drop-accepted", "500-accepted", "500", "drop", "429:2", "429:17", "429:60", "slow:4",
    "slow:9", "error:fatal_error", "error:internal_error", "error:service_unavailable",
)  # fmt: skip
READ_FAULTS = ("500", "drop", "error:internal_error", "error:ratelimited")

Event = Signal | Recovery | Command | CasePreview


def alarm(
    app: str, number: int, signal: SignalName, at: int, severity: Severity, cause: Cause | None = None
) -> Signal:
    """An alarm of ``signal`` on ``app``, detected at ``at`` (epoch ms)."""
    rule, baseline, value, direction = RULES[signal]
    return Signal(
        id=derive("alerts", app, signal.value, number),
        app=app,
        environment=ENVIRONMENT,
        route=ROUTE,
        signal=signal,
        rule=rule,
        severity=severity,
        pages=True,
        direction=direction,
        onset=at - 5 * MINUTE,
        detected_at=at,
        baseline=baseline,
        baseline_n=5_000,
        value=value,
        n=188,
        budget="at most 1 false page per 4 weeks",
        reason=f"{CATALOG[signal].noun} moved",
        cause=cause,
    )


def recovery(app: str, number: int, signal: SignalName, at: int) -> Recovery:
    rule, baseline, _, _ = RULES[signal]
    return Recovery(
        id=derive("alerts", app, signal.value, number, "recovery"),
        alarm_id=derive("alerts", app, signal.value, 0),
        app=app,
        environment=ENVIRONMENT,
        route=ROUTE,
        signal=signal,
        rule=rule,
        since=at - MINUTE,
        detected_at=at,
        baseline=baseline,
        bound=baseline * 0.97,
        value=baseline * 0.98,
        n=120,
        reason="back",
    )


@dataclass
class Story:
    """``events`` by the time at which they reach notify (epoch ms), in the order of the log.

    The rest is what goes wrong: ``faults`` of one write each, ``read_faults`` of one look each, ``crashes``
    (after so many points of a life, and seconds until the next), a token ``revoked`` from when to when, a
    history that ``shows`` a message after so many seconds and, unless ``readable``, not at all. ``mixed``: a
    batch has what has come, whichever topic it is of, so that after a pause a command may come after an alarm
    that was later; otherwise topics are read in the order of what was written.
    """

    seed: int
    events: list[tuple[int, Event]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    read_faults: list[str] = field(default_factory=list)
    crashes: list[tuple[int, int]] = field(default_factory=list)
    revoked: tuple[int, int] | None = None
    shows: float = 0.0
    readable: bool = True
    mixed: bool = False
    end: int = 0


def story(seed: int) -> Story:
    """The run of ``seed``: the same at every time and on every machine."""
    rng = random.Random(seed)
    told = Story(seed)
    stormy = rng.random() < 0.15
    apps = [
        f"app-{seed % 97}-{number}" for number in range(rng.randint(7, 40) if stormy else rng.randint(1, 4))
    ]
    burst = BEGIN + rng.randrange(0, 10 * MINUTE)
    for app in apps:
        first = burst + rng.randrange(0, 20 * SECOND) if stormy else BEGIN + rng.randrange(0, 20 * MINUTE)
        told.events += _life(rng, app, first, short=stormy and rng.random() < 0.7)
    told.events.sort(key=lambda each: each[0])
    last = told.events[-1][0]
    rate = rng.choice((0.0, 0.1, 0.3, 0.6))
    told.faults = [rng.choice(FAULTS) if rng.random() < rate else "ok" for _ in range(rng.randint(5, 80))]
    told.read_faults = [rng.choice(READ_FAULTS) if rng.random() < rate else "ok" for _ in range(20)]
    told.crashes = [
        (rng.randint(0, 120), rng.choice((0, 1, 5, 40, 200))) for _ in range(rng.choice((0, 1, 2, 5)))
    ]
    if rng.random() < 0.4:
        begin = BEGIN + rng.randrange(0, 25 * MINUTE)
        told.revoked = (begin, begin + rng.randrange(MINUTE, 25 * MINUTE))
    told.shows = rng.choice((0.0, 0.5, 1.9, 2.9))
    told.readable = rng.random() > 0.1
    told.mixed = rng.random() < 0.3
    told.end = max(last, told.revoked[1] if told.revoked else 0)
    return told


def _life(rng: random.Random, app: str, at: int, *, short: bool) -> list[tuple[int, Event]]:
    """Alarms, recoveries and commands of one app; ``short`` is the alarm, and perhaps its end."""
    events: list[tuple[int, Event]] = []
    names = rng.sample(list(RULES), 1 if short else rng.randint(1, 3))
    first = alarm(app, 0, names[0], at, rng.choice(SEVERITIES), _cause(rng))
    incident = derive("incident", first.app, first.environment, first.rule, first.id)
    events.append((at, first))
    firing = {names[0]}
    for number in range(1, 1 + (rng.randint(0, 1) if short else rng.randint(1, 9))):
        at += rng.choice((2 * SECOND, 20 * SECOND, 90 * SECOND, 4 * MINUTE, 11 * MINUTE))
        name = rng.choice(names)
        chance = rng.random()
        if chance < 0.35:
            events.append((at, alarm(app, number, name, at, rng.choice(SEVERITIES), _cause(rng))))
            firing.add(name)
        elif chance < 0.65 and firing:
            name = rng.choice(sorted(firing))
            events.append((at, recovery(app, number, name, at)))
            firing.discard(name)
        else:
            events.append((at, _command(rng, incident, number, at)))
        if rng.random() < 0.1:
            # Kafka delivers again what was delivered.
            events.append((at + SECOND, rng.choice(events)[1]))
    return events


def _cause(rng: random.Random) -> Cause | None:
    if rng.random() < 0.5:
        return None
    return Cause(dimension="served_model", previous="lumen-1", current="lumen-2")


def _command(rng: random.Random, incident: str, number: int, at: int) -> Command:
    verb = rng.choice(
        (Verb.ACK, Verb.ACK, Verb.UNACK, Verb.ASSIGN, Verb.SNOOZE, Verb.RESOLVE, Verb.MUTE, Verb.UNMUTE)
    )
    more: dict[str, Any] = {}
    if verb is Verb.ASSIGN:
        more["assignee"] = "dana"
    if verb is Verb.SNOOZE:
        more["until"] = at + 10 * MINUTE
    return Command(
        id=f"c-{incident[:8]}-{number}", incident_id=incident, verb=verb, actor="dana", time=at, **more
    )
