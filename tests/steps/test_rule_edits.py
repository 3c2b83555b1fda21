"""A rules file that is edited over a restart: alarms of rules that are not there any more end, once."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from detectors.incident import Board
from detectors.rulebook import parse
from schemas.incident import IncidentState
from schemas.observation import Flag, Profile
from schemas.signal import Recovery, Signal
from streams.steps.owner import Owner
from tests.steps.logs import MINUTE, POLICY, T0, Log, acceptance, fresh, trace

LEARNED = {"name": "e", "signal": "error_rate"}
LINE = LEARNED | {"threshold": {"above": 0.1, "over": "30m", "min_units": 20}}
Said = list[Signal | Recovery]


def owner(*rules: dict[str, Any]) -> Owner:
    return fresh(POLICY._replace(rules=parse({"defaults": False, "rules": list(rules)})))


def feed(one: Owner, log: Log, random: Random, first: int, last: int) -> None:
    """Ticks of five minutes with 30 traces; errors rise from 1 to 40 % in ticks 100 to 129."""
    for tick in range(first, last):
        share = 0.4 if 100 <= tick < 130 else 0.01
        log.rows(
            *[
                trace(
                    tick * 5 * MINUTE + at * 9_000,
                    f"t{tick}-{at}",
                    flags=Flag.ERROR.value if random.random() < share else 0,
                )
                for at in range(30)
            ]
        )
        log.progress(at=T0 + (tick + 1) * 5 * MINUTE)
    while log.messages:
        one.absorb(log.messages.pop(0))


def said(one: Owner) -> Said:
    return [record for record in one.take_outputs().signals if isinstance(record, Signal | Recovery)]


def restored(before: dict[str, bytes], *rules: dict[str, Any]) -> Owner:
    one = owner(*rules)
    one.restore(before)
    return one


@pytest.mark.parametrize(
    ("before", "after", "ends"),
    [
        (LEARNED, LEARNED, False),
        (LEARNED, LEARNED | {"name": "errors"}, True),
        (LEARNED, LEARNED | {"budget": "1 per year", "min_units": 9, "severity": "P1"}, False),
        (LEARNED, LEARNED | {"bound": 0.5}, True),
        (LEARNED, LINE | {"threshold": {"above": 0.9}}, True),
        (LEARNED, None, True),
        (LINE, LINE, False),
        (LINE, LINE | {"owner": "search"}, False),
        (LINE, LINE | {"threshold": {"above": 0.5, "over": "30m", "min_units": 20}}, True),
        (LINE, LINE | {"name": "line"}, True),
        (LINE, None, True),
    ],
)
def test_the_incident_ends_though_its_rule_was_edited(
    before: dict[str, Any], after: dict[str, Any] | None, ends: bool
) -> None:
    log, random, board = Log(), Random(1), Board()
    old = owner(before)
    feed(old, log, random, 0, 121)
    told = said(old)
    assert told
    state = {key: data for key, data in old.changes().items() if data is not None}
    rules = [] if after is None else [after]
    new = restored(state, *rules)
    first = said(restored(state, *rules))
    assert [(type(one), one.rule, one.alarm_id) for one in first if isinstance(one, Recovery)] == (
        [(Recovery, "e", told[0].id)] if ends else []
    ), "before anything else is read, so with the first commit"
    written = {key: data for key, data in new.changes().items() if data is not None}
    twice = said(restored(state | written, *rules))
    feed(new, log, random, 121, 200)
    rest = said(new)
    assert rest[: len(first)] == first, "a crash before the first commit tells the same again"
    assert twice == [], "a restart after it tells it once"
    for one in [*told, *rest]:
        board.absorb(one)
        board.due(one.detected_at + 10_000)
    assert {incident.state for incident in board.incidents.values()} == {IncidentState.RESOLVED}


def test_what_an_acceptance_ended_is_not_ended_again_by_an_edit() -> None:
    log, random = Log(), Random(1)
    old = owner(LEARNED)
    feed(old, log, random, 0, 118)
    log.rows(acceptance(118 * 5 * MINUTE))
    feed(old, log, random, 118, 124)
    for message in log.ended(at=T0 + 124 * 5 * MINUTE).messages:
        old.absorb(message)
    (ended,) = [one for one in said(old) if isinstance(one, Recovery)]
    assert ended.accepted_by == "dana"
    state = {key: data for key, data in old.changes().items() if data is not None}
    assert said(restored(state, LEARNED | {"name": "errors"})) == []


def test_the_pool_of_little_routes_ends_its_alarm_too() -> None:
    log, random = Log(), Random(3)
    old = owner(LEARNED)
    for day in range(4):
        for hour in range(24):
            for route in range(6):
                bad = 0.5 if (day, hour) >= (3, 8) else 0.02
                start = (day * 24 + hour) * 60 * MINUTE
                log.rows(
                    *[
                        trace(
                            start + at * 7 * MINUTE,
                            f"t{day}-{hour}-{route}-{at}",
                            flags=Flag.ERROR.value if random.random() < bad else 0,
                        )
                        for at in range(8)
                    ],
                    profile=Profile(route=f"r{route}"),
                )
            log.progress(at=T0 + (day * 24 + hour + 1) * 60 * MINUTE)
    for message in log.messages:
        old.absorb(message)
    alarms = [one for one in said(old) if one.route == "*"]
    assert alarms
    state = {key: data for key, data in old.changes().items() if data is not None}
    new = restored(state, LEARNED | {"name": "errors"})
    assert [(one.rule, one.route, one.alarm_id) for one in said(new) if isinstance(one, Recovery)].count(
        ("e", "*", alarms[0].id)
    ) == 1
    written = {key: data for key, data in new.changes().items() if data is not None}
    assert [
        one for one in said(restored(state | written, LEARNED | {"name": "errors"})) if one.route == "*"
    ] == []
