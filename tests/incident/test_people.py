"""What people ask of an incident, and what becomes of a command that comes twice or too late."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.incident import Board, Policy, Verdict, labels
from schemas.command import Verb
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Happening, Resolution
from schemas.signal import Severity, SignalName
from tests.incident.signals import HOUR, MINUTE, T0, alarm, command, recovery

POLICY = Policy(group_wait_ms=0)
FIRED = T0 + 20 * MINUTE


@pytest.fixture
def board() -> Board:
    made = Board(POLICY)
    made.absorb(alarm("s1"))
    return made


def only(board: Board) -> Incident:
    (incident,) = board.incidents.values()
    return incident


def ask(board: Board, verb: Verb, at: int = FIRED + MINUTE, **rest: Any) -> Verdict:
    number = len(board.seen)
    return board.absorb(command(f"c{number}", verb, only(board).id, at, **rest)).verdict


def test_each_verb_does_its_work_and_is_in_the_history(board: Board) -> None:
    said: list[tuple[Verb, dict[str, Any]]] = [
        (Verb.ACK, {}), (Verb.UNACK, {}), (Verb.ASSIGN, {"assignee": "kim"}), (Verb.MUTE, {}),
        (Verb.UNMUTE, {}), (Verb.SNOOZE, {"until": FIRED + HOUR}), (Verb.RESOLVE, {"note": "rolled back"}),
    ]  # fmt: skip
    verdicts = [ask(board, verb, **rest) for verb, rest in said]
    assert verdicts == [
        Verdict.ACKED, Verdict.UNACKED, Verdict.ASSIGNED, Verdict.MUTED, Verdict.UNMUTED, Verdict.SNOOZED,
        Verdict.RESOLVED,
    ]  # fmt: skip
    incident = only(board)
    people = [(entry.what, entry.detail) for entry in incident.history if entry.actor == "dana"]
    assert people[0] == (Happening.ACKED, "")
    assert people[2] == (Happening.ASSIGNED, "to kim")
    assert people[-1] == (Happening.RESOLVED, "rolled back")
    assert len(people) == len(said)
    assert (incident.resolution, incident.resolved_by) == (Resolution.BY_PERSON, "dana")


def test_an_end_comes_before_an_acknowledgement_that_was_asked_for_earlier(board: Board) -> None:
    board.absorb(recovery("r1", FIRED + HOUR))
    before = only(board)
    for verb in (Verb.ACK, Verb.RESOLVE, Verb.ASSIGN, Verb.MUTE, Verb.SNOOZE, Verb.UNACK):
        assert ask(board, verb, until=FIRED + 9 * HOUR, assignee="kim") is Verdict.IS_RESOLVED
    assert only(board) == before


def test_what_was_asked_before_it_came_back_does_nothing(board: Board) -> None:
    board.absorb(recovery("r1", FIRED + HOUR))
    board.absorb(alarm("s2", onset=FIRED + 2 * HOUR, detected_at=FIRED + 2 * HOUR))
    for verb in (Verb.ACK, Verb.RESOLVE, Verb.NOT_A_PROBLEM):
        assert ask(board, verb, FIRED + 90 * MINUTE) is Verdict.REOPENED_SINCE
    assert only(board).state is IncidentState.FIRING
    assert ask(board, Verb.RESOLVE, FIRED + 3 * HOUR) is Verdict.RESOLVED


@pytest.mark.parametrize(
    ("verb", "rest", "verdict"),
    [
        (Verb.UNACK, {}, Verdict.NOTHING_TO_DO),
        (Verb.UNMUTE, {}, Verdict.NOTHING_TO_DO),
        (Verb.ASSIGN, {}, Verdict.NOTHING_TO_DO),
        (Verb.SNOOZE, {}, Verdict.NO_END),
        (Verb.SNOOZE, {"until": FIRED}, Verdict.TOO_LATE),
    ],
)
def test_what_does_nothing_says_why(board: Board, verb: Verb, rest: dict[str, Any], verdict: Verdict) -> None:
    before = only(board)
    assert ask(board, verb, **rest) is verdict
    assert only(board) == before


def test_a_person_resolves_and_the_next_alarm_reopens(board: Board) -> None:
    ask(board, Verb.RESOLVE, FIRED + MINUTE)
    assert board.absorb(alarm("s2", detected_at=FIRED + 30_000)).verdict is Verdict.COUNTED
    assert only(board).state is IncidentState.RESOLVED
    assert board.absorb(alarm("s3", detected_at=FIRED + HOUR)).verdict is Verdict.REOPENED


def test_no_problem_is_a_label_and_its_alarms_are_counted_on(board: Board) -> None:
    board.absorb(alarm("s2", SignalName.COST))
    assert ask(board, Verb.NOT_A_PROBLEM, note="a load test") is Verdict.NOT_A_PROBLEM
    for number in range(5):
        at = FIRED + (number + 1) * 5 * HOUR
        assert board.absorb(alarm(f"a{number}", onset=at, detected_at=at)).verdict is Verdict.COUNTED
    incident = only(board)
    assert incident.state is IncidentState.RESOLVED
    faithfulness, cost = labels(incident)
    assert (faithfulness.rule, faithfulness.alarms, faithfulness.last_at) == (
        "faithfulness_drop", 6, FIRED + 25 * HOUR,
    )  # fmt: skip
    assert (cost.rule, cost.actor, cost.note) == ("cost_spike", "dana", "a load test")
    assert ask(board, Verb.NOT_A_PROBLEM) is Verdict.NOTHING_TO_DO


def test_after_a_recovery_what_was_no_problem_may_be_one(board: Board) -> None:
    ask(board, Verb.NOT_A_PROBLEM)
    board.absorb(recovery("r1", FIRED + HOUR))
    at = FIRED + 2 * HOUR
    assert board.absorb(alarm("s2", onset=at, detected_at=at)).verdict is Verdict.OPENED
    assert len(board.incidents) == 2


def test_what_recovered_by_itself_can_still_be_called_no_problem(board: Board) -> None:
    board.absorb(recovery("r1", FIRED + HOUR))
    assert ask(board, Verb.NOT_A_PROBLEM, FIRED + 2 * HOUR) is Verdict.NOT_A_PROBLEM
    assert only(board).resolved_at == FIRED + HOUR
    assert len(labels(only(board))) == 1


def test_a_person_s_doing_is_an_edit_and_no_message(board: Board) -> None:
    for number, verb in enumerate((Verb.ACK, Verb.MUTE, Verb.UNMUTE, Verb.RESOLVE)):
        step = board.absorb(command(f"x{number}", verb, only(board).id, FIRED + MINUTE))
        assert [effect.kind.value for effect in step.effects] == ["edit"]


def test_the_history_is_bounded() -> None:
    board = Board(Policy(group_wait_ms=0, history=8))
    board.absorb(alarm("s1"))
    for number in range(40):
        verb = Verb.MUTE if number % 2 == 0 else Verb.UNMUTE
        board.absorb(command(f"m{number}", verb, only(board).id, FIRED + number))
    assert len(only(board).history) == 8
    assert only(board).history[-1].at == FIRED + 39


def test_an_incident_says_when_it_escalates() -> None:
    made, (first, second) = Board(POLICY), POLICY.escalate_ms[Severity.P2]
    made.absorb(alarm("s1"), T0)
    told = only(made).unattended_since
    assert told is not None
    assert only(made).escalates_at == told + first
    made.due(told + first)
    assert (only(made).escalation_level, only(made).escalates_at) == (1, told + second)
    ask(made, Verb.ACK, told + first + MINUTE)
    assert only(made).escalates_at is None
    ask(made, Verb.UNACK, told + first + 2 * MINUTE)
    assert only(made).escalates_at is not None
    ask(made, Verb.MUTE, told + first + 3 * MINUTE)
    assert only(made).escalates_at is None
