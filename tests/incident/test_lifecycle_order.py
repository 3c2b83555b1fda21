"""Any order, any repetition, a restart between any two events: what always holds of the incidents.

The board is thrown away before every event and built anew from the outbox's file, as after a crash; what it
tells is compared with a board that never restarts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.incident import Board, Deploy, Event, Policy, Step, Verdict, group
from detectors.incident.board import time_of
from detectors.incident.timers import timers
from schemas.command import Command, Verb
from schemas.effect import Effect, EffectKind
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Resolution
from schemas.signal import Recovery, Severity, Signal, SignalName, WindowStat
from sinks.outbox import Outbox
from streams.notify.boards import batch_of, board_of, units
from tests.incident.signals import HOUR, MINUTE, T0, alarm, command, over_budget, recovery, window

SEGMENT = ("support-bot", "production")
POLICY = Policy(group_wait_ms=10 * MINUTE)
SIGNALS = (
    SignalName.FAITHFULNESS, SignalName.COST, SignalName.BROKEN_OUTPUT, SignalName.ERROR,
    SignalName.USER_BUDGET,
)  # fmt: skip
USERS = ("ann", "bob")
ROUTES = ("/chat", "/mail")


KINDS = ("alarm",) * 4 + ("recovery",) * 3 + ("window", "deploy", "command")
SILENCING = (Verb.MUTE, Verb.SNOOZE, Verb.NOT_A_PROBLEM)
TWO = (SignalName.ERROR, SignalName.USER_BUDGET)


@st.composite
def stories(
    draw: st.DrawFn,
    *,
    people: bool = True,
    commands_on: Sequence[Verb] = tuple(Verb),
    kinds: Sequence[str] = KINDS,
    signals: Sequence[SignalName] = SIGNALS,
) -> list[Event]:
    """Alarms, recoveries, windows, deploys and commands over two days, in the order of their times."""
    events: list[Event] = []
    ids: list[str] = []
    at = T0
    for number in range(draw(st.integers(1, 16))):
        at += draw(st.sampled_from([0, 1, 20, 60, 150, 400])) * MINUTE
        what = draw(st.sampled_from(kinds))
        signal, route = draw(st.sampled_from(signals)), draw(st.sampled_from(ROUTES))
        if what == "alarm":
            severity = draw(st.sampled_from([Severity.P1, Severity.P2, Severity.P3]))
            onset = at - draw(st.sampled_from([0, 10, 90])) * MINUTE
            more: dict[str, Any] = {"onset": onset, "route": route, "severity": severity}
            if signal is SignalName.USER_BUDGET:
                events.append(over_budget(f"s{number}", draw(st.sampled_from(USERS)), at, **more))
            else:
                events.append(alarm(f"s{number}", signal, detected_at=at, **more))
            opened = group([events[-1]])  # type: ignore[list-item]
            ids.append(opened[0].id)
        elif what == "recovery":
            events.append(recovery(f"r{number}", at, signal, route=route))
        elif what == "window":
            events.append(window(at, signal, draw(st.sampled_from([0, 40])), route=route))
        elif what == "deploy":
            events.append(Deploy(f"d{number}", SEGMENT[0], None, "release", str(number), at))
        elif people and ids:
            late = draw(st.sampled_from([0, 30, 300])) * MINUTE
            events.append(
                command(
                    f"c{number}", draw(st.sampled_from(list(commands_on))), draw(st.sampled_from(ids)),
                    at - late, until=at + 2 * HOUR, until_deploy=draw(st.booleans()), assignee="kim",
                )
            )  # fmt: skip
    return events


AT_ONCE = replace(POLICY, group_wait_ms=0)
(UNKNOWN,) = group([alarm("nothing")])
UNKNOWN = UNKNOWN.model_copy(update={"members": ()})


class Life:
    """A board that is fed, and all that it has told."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.board = Board(policy)
        self.effects: list[Effect] = []
        self.at = T0

    def feed(self, events: Sequence[Event]) -> None:
        for event in events:
            self.at = max(self.at, time_of(event))
            self._keep(self.board.due(self.at, self.at))
            self._keep(self.board.absorb(event, self.at))
        self._keep(self.board.due(self.at, self.at))

    def _keep(self, step: Step) -> None:
        self.effects += step.effects

    @property
    def incidents(self) -> dict[str, Incident]:
        return self.board.incidents


def lived(events: Sequence[Event]) -> Life:
    life = Life()
    life.feed(events)
    return life


@given(stories())
@settings(deadline=None, max_examples=150)
def test_what_always_holds(events: list[Event]) -> None:
    life = lived(events)
    alarms = [one for one in events if isinstance(one, Signal)]
    incidents = list(life.incidents.values())
    # Every alarm is in exactly one incident.
    assert sum(member.alarms for one in incidents for member in one.members) == len(alarms)
    firsts = [member.signal_id for one in incidents for member in one.members]
    assert len(firsts) == len(set(firsts))
    assert set(firsts) <= {one.id for one in alarms}
    posts = Counter(one.incident_id for one in life.effects if one.kind is EffectKind.POST)
    for incident in incidents:
        # One first message at most, and no other message before it.
        assert posts[incident.id] == int(incident.posted)
        mine = [one for one in life.effects if one.incident_id == incident.id]
        assert not mine or mine[0].kind is EffectKind.POST
        # Only recoveries or a person end it.
        if incident.state is IncidentState.RESOLVED:
            assert incident.resolution is not None
            if incident.resolution is Resolution.RECOVERED:
                assert all(member.recovered for member in incident.members)
            else:
                assert incident.resolved_by == "dana"
        else:
            assert not all(member.recovered for member in incident.members)
        # What is not told has a reason to be silent, and time or an event ends it.
        if not incident.posted and incident.state in (IncidentState.FIRING, IncidentState.ACKED):
            assert incident.inhibited or incident.snooze or incident.muted_by
        if incident.inhibited is not None and incident.inhibited.until is None:
            by = life.incidents[incident.inhibited.incident_id]
            assert by.state is not IncidentState.RESOLVED
            assert incident.id in [one.incident_id for one in by.explains]
        if incident.state is IncidentState.PENDING:
            assert timers(incident, life.board.data, POLICY)


@given(stories(commands_on=SILENCING, kinds=("alarm", "alarm", "recovery", "command"), signals=TWO))
@settings(deadline=None, max_examples=150)
def test_what_nobody_could_know_of_is_never_swallowed(events: list[Event]) -> None:
    """An alarm of a rule, a route or a user that an incident does not have, or graver than there, is told by
    a message of its own or in the thread: whatever was silenced before, or called no problem. Only what
    explains it holds it back."""
    board, at = Board(AT_ONCE), T0
    for event in events:
        at = max(at, time_of(event))
        board.due(at, at)
        before = dict(board.incidents)
        step = board.absorb(event, at)
        if not isinstance(event, Signal) or step.verdict is Verdict.DUPLICATE:
            continue
        (after,) = [one for one in step.incidents if one.members != before.get(one.id, UNKNOWN).members]
        known = {member.identity: member.severity.rank for member in before.get(after.id, UNKNOWN).members}
        if known.get(event.identity, 99) <= event.severity.rank:
            continue
        if after.resolution is Resolution.RECOVERED:
            # Its own recovery is no earlier than this alarm.
            continue
        assert step.verdict is not Verdict.COUNTED
        assert (after.snooze, after.muted_by, after.flapping) == (None, None, False)
        assert after.inhibited or after.state in (IncidentState.FIRING, IncidentState.ACKED)
        graver = after.id not in before or after.severity.rank < before[after.id].severity.rank
        if not after.inhibited and (graver or event.identity not in known):
            loud = {one.kind for one in step.effects if one.incident_id == after.id} - {EffectKind.EDIT}
            assert loud


@given(stories(people=False))
@settings(deadline=None, max_examples=80)
def test_silence_ends_nothing(events: list[Event]) -> None:
    life = lived(events)
    before = {one.id: one.state for one in life.incidents.values()}
    end = T0 + 5_000 * HOUR
    life.board.due(end, end)
    life.board.retire(end)
    still = {IncidentState.PENDING: IncidentState.FIRING}
    standing = {key: still.get(state, state) for key, state in before.items() if state is not RESOLVED}
    assert {one.id: one.state for one in life.incidents.values()} == standing
    assert all(one.posted or one.inhibited for one in life.incidents.values())


RESOLVED = IncidentState.RESOLVED


@given(stories(), st.data())
@settings(deadline=None, max_examples=80)
def test_twice_is_once_and_looking_oftener_changes_nothing(events: list[Event], data: st.DataObject) -> None:
    """Redelivery of a suffix, and more looks at the timers in between.

    Escalation counts from the moment of telling, which is when somebody looks: it is left out here.
    """
    calm = replace(POLICY, escalate_ms={})
    plain, busy = Life(calm), Life(calm)
    plain.feed(events)
    at = T0
    for number, event in enumerate(events):
        before, at = at, max(at, time_of(event))
        for _ in range(data.draw(st.integers(0, 2))):
            between = data.draw(st.integers(before, at))
            busy._keep(busy.board.due(between, between))
        for again in events[data.draw(st.integers(0, number)) : number] if data.draw(st.booleans()) else ():
            busy._keep(busy.board.absorb(again, before))
        busy.board.due(at, at)
        busy.feed([event])
    same = {"history": (), "unattended_since": None}
    assert [one.model_copy(update=same) for one in busy.incidents.values()] == [
        one.model_copy(update=same) for one in plain.incidents.values()
    ]


@given(stories())
@settings(deadline=None, max_examples=40)
def test_a_restart_between_any_two_events_changes_nothing(events: list[Event]) -> None:
    plain = lived(events)
    outbox = Outbox.open(Path(":memory:"))
    effects: list[Effect] = []
    at = T0
    for event in [*events, None]:
        at = at if event is None else max(at, time_of(event))
        named = [event] if event is not None else []
        board = board_of(outbox, POLICY, SEGMENT, at, named)
        steps = [board.due(at, at)]
        if event is not None:
            steps.append(board.absorb(event, at))
        batch = batch_of({SEGMENT: board}, steps)
        effects += batch.effects
        extra = {
            "absorbed": [one.id for one in named if not isinstance(one, WindowStat)],  # type: ignore[union-attr]
            "data": units(one for one in named if isinstance(one, WindowStat)),
        }
        outbox.commit(type(batch)(**(vars(batch) | extra)), at)
    stored = [
        Incident.model_validate_json(row["body"])
        for row in outbox.db.execute("select body from incidents order by id")
    ]
    outbox.close()
    assert stored == sorted(plain.incidents.values(), key=lambda one: one.id)
    assert effects == plain.effects


@given(stories(people=False), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_a_replay_is_the_same_in_any_order(events: list[Event], random: object) -> None:
    signals = [one for one in events if isinstance(one, Signal | Recovery | WindowStat)]
    shuffled = [*signals, *signals[::3]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert group(shuffled, POLICY) == group(signals, POLICY)


@given(stories())
@settings(deadline=None, max_examples=60)
def test_an_incident_survives_its_json_whole(events: list[Event]) -> None:
    for incident in lived(events).incidents.values():
        text = incident.model_dump_json(by_alias=True, exclude_none=True)
        assert Incident.model_validate_json(text) == incident
        assert json.loads(text)["id"] == incident.id


@given(stories())
@settings(deadline=None, max_examples=60)
def test_commands_without_effect_change_nothing(events: list[Event]) -> None:
    board, at = Board(POLICY), T0
    for event in events:
        at = max(at, time_of(event))
        board.due(at, at)
        before = dict(board.incidents)
        step = board.absorb(event, at)
        if isinstance(event, Command) and not step.incidents:
            assert board.incidents == before
            assert step.effects == ()
