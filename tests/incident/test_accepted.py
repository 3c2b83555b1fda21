"""A level that a person accepts as normal: what is asked of the rules, and what it does to incidents."""

from __future__ import annotations

from detectors.incident import Board, Policy, Verdict, accepted
from schemas.acceptance import BASELINE
from schemas.command import Verb
from schemas.effect import EffectKind
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Happening, Resolution
from schemas.signal import SignalName
from tests.incident.signals import HOUR, MINUTE, T0, alarm, command, recovery

FIRED = T0 + 20 * MINUTE


def only(board: Board) -> Incident:
    (incident,) = board.incidents.values()
    return incident


def board(*signals: SignalName) -> Board:
    made = Board(Policy(group_wait_ms=0))
    for number, signal in enumerate(signals):
        made.absorb(alarm(f"s{number}", signal))
    return made


def test_members_whose_alarm_stands_are_accepted() -> None:
    made = board(SignalName.ERROR, SignalName.COST, SignalName.SERVED_MODEL)
    made.absorb(recovery("r1", FIRED + MINUTE, SignalName.COST))
    asked = command("c1", Verb.NOT_A_PROBLEM, only(made).id, FIRED + HOUR)
    assert made.absorb(asked).verdict is Verdict.NOT_A_PROBLEM
    (one,) = accepted(only(made), asked, FIRED + HOUR)
    assert (one.dimension, one.current) == (BASELINE, "accepted")
    assert (one.app, one.environment, one.route) == ("support-bot", "production", "/chat")
    assert (one.signal, one.rule) == (SignalName.ERROR, "errors")
    assert (one.author, one.timestamp) == ("dana", FIRED + HOUR)


def test_after_it_the_same_rule_opens_an_incident_of_its_own() -> None:
    """As long as the old level stands, alarms are counted; those against the new one are news."""
    made = board(SignalName.ERROR)
    first = only(made).id
    made.absorb(command("c1", Verb.NOT_A_PROBLEM, first, FIRED + MINUTE))
    assert (
        made.absorb(alarm("s8", SignalName.ERROR, detected_at=FIRED + 2 * MINUTE)).verdict is Verdict.COUNTED
    )
    end = recovery("r1", FIRED + 3 * MINUTE, SignalName.ERROR, accepted_by="dana")
    assert made.absorb(end).verdict is Verdict.MEMBER_RECOVERED
    incident = only(made)
    assert incident.resolution is Resolution.NOT_A_PROBLEM
    entry = incident.history[-1]
    assert (entry.what, entry.actor, entry.at) == (Happening.ACCEPTED, "dana", FIRED + 3 * MINUTE)
    assert entry.detail == "rule errors, learned anew"
    again = alarm("s9", SignalName.ERROR, onset=FIRED + 4 * HOUR)
    assert made.absorb(again).verdict is Verdict.OPENED


def test_without_an_incident_command_it_ends_as_that_persons_doing() -> None:
    made = board(SignalName.ERROR, SignalName.COST)
    one = made.absorb(recovery("r1", FIRED + MINUTE, SignalName.ERROR, accepted_by="dana"))
    assert one.verdict is Verdict.MEMBER_RECOVERED
    assert only(made).state is not IncidentState.RESOLVED
    step = made.absorb(recovery("r2", FIRED + 2 * MINUTE, SignalName.COST, accepted_by="dana"))
    assert step.verdict is Verdict.RECOVERED
    assert {effect.kind for effect in step.effects} == {EffectKind.EDIT}, (
        "nobody is told that something is back"
    )
    incident = only(made)
    assert (incident.resolution, incident.resolved_by) == (Resolution.BY_PERSON, "dana")
    assert [entry.what for entry in incident.history[-3:]] == [
        Happening.ACCEPTED,
        Happening.ACCEPTED,
        Happening.RESOLVED,
    ]
    assert incident.members[0].recovered_value is None, "nothing came back"


def test_nobody_need_be_named() -> None:
    made = board(SignalName.ERROR)
    made.absorb(recovery("r1", FIRED + MINUTE, SignalName.ERROR, accepted_by=""))
    assert (only(made).resolution, only(made).resolved_by) == (Resolution.BY_PERSON, None)


def test_what_recovers_by_itself_after_others_were_accepted_is_a_recovery() -> None:
    made = board(SignalName.ERROR, SignalName.COST)
    made.absorb(recovery("r1", FIRED + MINUTE, SignalName.ERROR, accepted_by="dana"))
    step = made.absorb(recovery("r2", FIRED + 2 * MINUTE, SignalName.COST))
    assert only(made).resolution is Resolution.RECOVERED
    assert EffectKind.REPLY in {effect.kind for effect in step.effects}
