"""Users over their budgets: each is told, and a word on one is said of no other."""

from __future__ import annotations

from detectors.incident import Board, Policy, Verdict, group, labels
from schemas.command import Verb
from schemas.effect import EffectKind, NotifyReason
from schemas.incident import Incident, IncidentState
from schemas.signal import Cause, Severity, SignalName
from sinks.base import Message
from sinks.news import reply
from sinks.words import also
from tests.incident.signals import HOUR, MINUTE, T0, alarm, command, over_budget, recovery
from tests.incident.test_lifecycle import told

AT_ONCE = Policy(group_wait_ms=0)
GREW = [("edit", "grew"), ("reply", "grew")]


def only(board: Board) -> Incident:
    (incident,) = board.incidents.values()
    return incident


def three() -> Board:
    """ann, bob three hours later, eve three hours after him."""
    board = Board(AT_ONCE)
    for number, user in enumerate(("ann", "bob", "eve")):
        step = board.absorb(over_budget(f"u{number}", user, T0 + 3 * number * HOUR))
        expected = (Verdict.JOINED_BY_RULE, GREW) if number else (Verdict.OPENED, [("post", "first")])
        assert (step.verdict, told(step)) == expected
    return board


def test_every_user_is_a_member_and_news() -> None:
    incident = only(three())
    assert [(one.user, one.alarms, one.cause and one.cause.current) for one in incident.members] == [
        ("ann", 1, "ann"), ("bob", 1, "bob"), ("eve", 1, "eve"),
    ]  # fmt: skip


def test_the_reply_and_the_message_name_the_user_who_is_new() -> None:
    incident = only(three())
    news = Message("m", EffectKind.REPLY, NotifyReason.GREW, incident, "u2")
    assert reply(news) == "It grew: on support-bot user eve has used $6 since midnight UTC (P2)."
    assert [line.partition(" since")[0] for line in also(incident)] == [
        "Use of a user's budget by user bob at 110.0%",
        "Use of a user's budget by user eve at 110.0%",
    ]


def test_a_user_s_next_level_is_the_same_member() -> None:
    board = three()
    step = board.absorb(over_budget("u9", "bob", T0 + 7 * HOUR, severity=Severity.P1))
    assert (step.verdict, told(step)[1]) == (Verdict.REFIRED, ("reply", "worsened"))
    assert [(one.alarms, one.severity.value) for one in only(board).members] == [
        (1, "P2"), (2, "P1"), (1, "P2"),
    ]  # fmt: skip


def test_no_problem_is_said_of_the_users_it_shows() -> None:
    board = Board(AT_ONCE)
    board.absorb(over_budget("u0", "ann", T0))
    first = only(board).id
    board.absorb(command("no", Verb.NOT_A_PROBLEM, first, T0 + MINUTE))
    step = board.absorb(over_budget("u1", "bob", T0 + HOUR))
    assert (step.verdict, told(step)) == (Verdict.OPENED, [("post", "first")])
    assert board.absorb(over_budget("u2", "ann", T0 + 2 * HOUR)).verdict is Verdict.COUNTED
    board.absorb(over_budget("u3", "eve", T0 + 3 * HOUR))
    second = next(one for one in board.incidents.values() if one.id != first)
    board.absorb(command("no2", Verb.NOT_A_PROBLEM, second.id, T0 + 4 * HOUR))
    assert [one.user for one in labels(board.incidents[second.id])] == ["bob", "eve"]


def test_a_user_who_is_muted_mutes_no_other() -> None:
    board = Board(AT_ONCE)
    board.absorb(over_budget("u0", "ann", T0))
    board.absorb(command("m", Verb.MUTE, only(board).id, T0 + MINUTE))
    assert told(board.absorb(over_budget("u1", "bob", T0 + HOUR))) == [("post", "first")]
    assert told(board.absorb(over_budget("u2", "ann", T0 + 2 * HOUR))) == [("edit", "refired")]


def test_a_new_day_ends_it_for_all() -> None:
    board = three()
    step = board.absorb(recovery("r", T0 + 12 * HOUR, SignalName.USER_BUDGET))
    assert (step.verdict, told(step)) == (
        Verdict.RECOVERED, [("edit", "recovered"), ("reply", "recovered")],
    )  # fmt: skip
    assert all(member.recovered for member in only(board).members)
    assert only(board).state is IncidentState.RESOLVED
    step = board.absorb(over_budget("u9", "zoe", T0 + 13 * HOUR))
    assert step.verdict is Verdict.OPENED, "another user's is no return"


def test_the_incident_that_a_user_explains_is_that_user_s() -> None:
    """The same cause goes before the same rule."""
    cost = alarm(
        "c", SignalName.COST, onset=T0 + 4 * HOUR, detected_at=T0 + 5 * HOUR, route="/mail",
        cause=Cause(dimension="user_id", current="bob", share=0.8),
    )  # fmt: skip
    incidents = group([over_budget("u0", "ann", T0), cost, over_budget("u1", "bob", T0 + 6 * HOUR)])
    assert [[member.signal_id for member in one.members] for one in incidents] == [["u0"], ["c", "u1"]]


def test_thousands_of_users_make_no_record_without_bound() -> None:
    alarms = [over_budget(f"u{n:04}", f"user {n}", T0 + n * 1_000) for n in range(450)]
    incidents = group(alarms)
    assert [len(one.members) for one in incidents] == [200, 200, 50]
    assert max(len(one.model_dump_json(exclude_none=True)) for one in incidents) < 500_000
