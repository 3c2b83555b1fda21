"""What people silence is what they saw: what is new, or graver, is told, and the silence stays."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.incident import Board, Policy, Verdict, group
from schemas.command import Verb
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Resolution
from schemas.signal import Severity, Signal, SignalName
from tests.incident.signals import HOUR, MINUTE, MODEL, T0, alarm, command, recovery
from tests.incident.test_lifecycle import LEVEL, told

AT_ONCE = Policy(group_wait_ms=0)
FIRED = T0 + 20 * MINUTE
LATER = FIRED + 10 * HOUR
FIRST = [("post", "first")]
SILENCES: list[dict[str, Any]] = [
    {"verb": Verb.MUTE},
    {"verb": Verb.SNOOZE, "until_deploy": True},
    {"verb": Verb.SNOOZE, "until": LATER + HOUR},
]


def latency(id: str, at: int, **rest: Any) -> Signal:
    fields: dict[str, Any] = {"onset": at, "detected_at": at, "severity": Severity.P3}
    return alarm(id, SignalName.LATENCY, **fields | rest)


def errors(id: str, at: int, **rest: Any) -> Signal:
    fields: dict[str, Any] = {"onset": at, "detected_at": at, "severity": Severity.P1}
    return alarm(id, SignalName.ERROR, **fields | rest)


@pytest.fixture(params=SILENCES, ids=["mute", "until the next deploy", "for a time"])
def board(request: pytest.FixtureRequest) -> Board:
    """A P3 about latency that somebody has silenced."""
    made = Board(AT_ONCE)
    made.absorb(latency("l1", FIRED, cause=MODEL))
    (incident,) = made.incidents.values()
    made.absorb(command("quiet", incident_id=incident.id, at=FIRED + MINUTE, **request.param))
    return made


def silent(board: Board) -> Incident:
    return next(iter(board.incidents.values()))


@pytest.mark.parametrize(
    "outage",
    [
        errors("e1", LATER),
        errors("e1", LATER, cause=MODEL),
        errors("e1", LATER, onset=FIRED),
        errors("e1", LATER, severity=Severity.P3),
        errors("e1", LATER, route="/mail", cause=MODEL),
        latency("l2", LATER, severity=Severity.P1),
        latency("l2", LATER, route="/mail", cause=MODEL),
    ],
    ids=["route", "cause", "onset", "no graver", "another route", "graver", "the same elsewhere"],
)
def test_what_nobody_had_seen_is_told_on_its_own_and_escalates(board: Board, outage: Signal) -> None:
    before = silent(board)
    step = board.absorb(outage)
    assert (step.verdict, told(step)) == (Verdict.OPENED, FIRST)
    (new,) = step.incidents
    assert [member.signal_id for member in new.members] == [outage.id]
    assert silent(board) == before, "and the silence stays"
    levels = AT_ONCE.escalate_ms.get(outage.severity, ())
    assert [told(board.due(LATER + level)) for level in levels] == [LEVEL for _ in levels]


def test_more_of_what_was_seen_is_an_edit(board: Board) -> None:
    for number, severity in enumerate((Severity.P3, Severity.INFO)):
        step = board.absorb(latency(f"l{number + 2}", LATER, severity=severity))
        assert (step.verdict, told(step)) == (Verdict.REFIRED, [("edit", "refired")])
    assert len(board.incidents) == 1


def test_what_comes_after_it_joins_what_was_told(board: Board) -> None:
    board.absorb(errors("e1", LATER))
    step = board.absorb(alarm("c1", SignalName.COST, onset=LATER, detected_at=LATER + MINUTE))
    assert (step.verdict, told(step)) == (Verdict.JOINED_BY_ONSET, [("edit", "grew"), ("reply", "grew")])
    assert len(board.incidents) == 2


def test_a_graver_tier_goes_on_in_its_own_incident_and_recovers_with_the_other(board: Board) -> None:
    board.absorb(latency("p1", LATER, severity=Severity.P1))
    for number, severity in enumerate((Severity.P1, Severity.P3)):
        step = board.absorb(latency(f"again{number}", LATER + MINUTE, severity=severity))
        assert step.verdict is Verdict.REFIRED
    assert [member.alarms for one in board.incidents.values() for member in one.members] == [1, 3]
    step = board.absorb(recovery("r", LATER + HOUR, SignalName.LATENCY))
    assert told(step) == [("edit", "recovered"), ("edit", "recovered"), ("reply", "recovered")]
    assert {one.state for one in board.incidents.values()} == {IncidentState.RESOLVED}


def test_a_mute_that_outlasts_its_incident_takes_in_nothing_new() -> None:
    board = Board(AT_ONCE)
    board.absorb(latency("l1", FIRED, cause=MODEL))
    board.absorb(command("m", Verb.MUTE, silent(board).id, FIRED + MINUTE))
    board.absorb(recovery("r", FIRED + HOUR, SignalName.LATENCY))
    again = FIRED + 90 * MINUTE
    step = board.absorb(errors("e1", again, cause=MODEL))
    assert (step.verdict, told(step)) == (Verdict.OPENED, FIRST)
    assert board.absorb(latency("l2", again)).verdict is Verdict.REOPENED
    assert [len(one.members) for one in board.incidents.values()] == [1, 1]


def test_after_a_silence_it_takes_new_members_again(board: Board) -> None:
    incident = silent(board)
    if incident.muted_by:
        board.absorb(command("u", Verb.UNMUTE, incident.id, LATER))
    else:
        board.absorb(command("s", Verb.SNOOZE, incident.id, LATER - MINUTE, until=LATER), LATER - MINUTE)
        board.due(LATER)
    step = board.absorb(errors("e1", LATER + MINUTE))
    assert (step.verdict, told(step)) == (
        Verdict.JOINED_BY_ROUTE, [("edit", "grew"), ("reply", "worsened")],
    )  # fmt: skip


def flapping() -> Board:
    """A P3 about latency that has come back three times within two hours."""
    board, at = Board(AT_ONCE), FIRED
    board.absorb(latency("l0", at))
    for turn in range(3):
        board.absorb(recovery(f"r{turn}", at + 10 * MINUTE, SignalName.LATENCY))
        at += 20 * MINUTE
        board.absorb(latency(f"l{turn + 1}", at))
    assert silent(board).flapping
    return board


FLAPPED = FIRED + HOUR
"""When it came back the third time."""


@pytest.mark.parametrize("at", [FLAPPED + MINUTE, FLAPPED + 12 * MINUTE], ids=["open", "resolved"])
@pytest.mark.parametrize(
    ("outage", "reply"),
    [
        (errors("e1", 0), "worsened"),
        (errors("e1", 0, severity=Severity.P3), "grew"),
        (latency("l9", 0, severity=Severity.P1), "worsened"),
    ],
    ids=["another rule", "no graver", "graver"],
)
def test_what_is_new_is_no_flapping(at: int, outage: Signal, reply: str) -> None:
    board = flapping()
    if at > FLAPPED + 10 * MINUTE:
        board.absorb(recovery("r9", FLAPPED + 10 * MINUTE, SignalName.LATENCY))
        reply = "reopened"
    step = board.absorb(outage.model_copy(update={"onset": FIRED, "detected_at": at}))
    (incident,) = board.incidents.values()
    assert told(step)[1] == ("reply", reply)
    assert not incident.flapping
    levels = AT_ONCE.escalate_ms.get(outage.severity, ())
    assert [told(board.due(at + level)) for level in levels] == [LEVEL for _ in levels]


def test_the_third_return_is_no_flapping_where_it_brings_something_new() -> None:
    board, at = Board(AT_ONCE), FIRED
    board.absorb(latency("l0", at))
    for turn in range(2):
        board.absorb(recovery(f"r{turn}", at + 10 * MINUTE, SignalName.LATENCY))
        at += 20 * MINUTE
        board.absorb(latency(f"l{turn + 1}", at))
    board.absorb(recovery("r9", at + 10 * MINUTE, SignalName.LATENCY))
    step = board.absorb(latency("p1", at + 20 * MINUTE, severity=Severity.P1))
    assert told(step) == [("edit", "reopened"), ("reply", "reopened")]
    assert not silent(board).flapping
    board.absorb(recovery("r10", at + 30 * MINUTE, SignalName.LATENCY))
    step = board.absorb(latency("l10", at + 40 * MINUTE))
    assert told(step) == [("edit", "flapping"), ("reply", "flapping")], "the next one brings nothing"


def called_no_problem(severity: Severity) -> Board:
    board = Board(AT_ONCE)
    board.absorb(latency("ticket", FIRED, severity=severity))
    board.absorb(command("no", Verb.NOT_A_PROBLEM, silent(board).id, FIRED + MINUTE))
    return board


def test_no_problem_is_said_of_a_ticket_and_not_of_the_page_of_the_same_rule() -> None:
    board = called_no_problem(Severity.P3)
    assert board.absorb(latency("l2", FIRED + HOUR)).verdict is Verdict.COUNTED
    step = board.absorb(latency("page", LATER, severity=Severity.P1))
    assert (step.verdict, told(step)) == (Verdict.OPENED, FIRST)
    assert board.absorb(latency("page2", LATER + HOUR, severity=Severity.P1)).verdict is Verdict.REFIRED
    assert board.absorb(latency("l3", LATER + HOUR)).verdict is Verdict.COUNTED
    ticket, page = board.incidents.values()
    assert (ticket.severity, ticket.resolution) == (Severity.P3, Resolution.NOT_A_PROBLEM)
    assert (page.severity, page.state) == (Severity.P1, IncidentState.FIRING)


def test_a_person_who_resolves_had_not_seen_what_is_graver_and_comes_late() -> None:
    """Alarms come up to minutes after their event time."""
    for severity, verdict in ((Severity.P3, Verdict.COUNTED), (Severity.P1, Verdict.REOPENED)):
        board = Board(AT_ONCE)
        board.absorb(latency("l1", FIRED))
        board.absorb(command("over", Verb.RESOLVE, silent(board).id, FIRED + MINUTE))
        step = board.absorb(latency("l2", FIRED + 1_000, severity=severity), FIRED + 2 * MINUTE)
        assert step.verdict is verdict
        assert (("reply", "reopened") in told(step)) is (verdict is Verdict.REOPENED)


def test_no_problem_is_said_of_what_is_no_graver() -> None:
    for severity in (Severity.P1, Severity.P2, Severity.P3):
        board = called_no_problem(Severity.P1)
        assert board.absorb(latency("l2", LATER, severity=severity)).verdict is Verdict.COUNTED


def test_of_two_that_were_called_no_problem_the_same_one_counts_whichever_comes_first() -> None:
    board = called_no_problem(Severity.P3)
    board.absorb(latency("page", FIRED + HOUR, severity=Severity.P1))
    board.absorb(command("no2", Verb.NOT_A_PROBLEM, list(board.incidents)[1], FIRED + HOUR + MINUTE))
    for turned in (list(board.incidents.values()), list(board.incidents.values())[::-1]):
        again = Board(AT_ONCE, turned)
        step = again.absorb(latency("l3", FIRED + 2 * HOUR))
        assert (step.verdict, step.incidents[0].members[0].signal_id) == (Verdict.COUNTED, "page")


def test_an_incident_takes_so_many_members_and_the_next_one_the_rest() -> None:
    alarms = [errors(f"e{number}", FIRED + number, route=f"/{number}") for number in range(7)]
    incidents = group(alarms, Policy(members=3))
    assert [len(one.members) for one in incidents] == [3, 3, 1]
    again = [errors(f"f{number}", FIRED + HOUR, route=f"/{number}") for number in range(7)]
    incidents = group([*alarms, *again], Policy(members=3))
    assert [[member.alarms for member in one.members] for one in incidents] == [[2, 2, 2], [2, 2, 2], [2]]
