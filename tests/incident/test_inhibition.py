"""What another incident explains is held back, kept, and told if it outlasts it."""

from __future__ import annotations

from detectors.incident import Board, Policy, Step, Verdict, group
from detectors.incident.inhibition import TABLE
from schemas.command import Verb
from schemas.effect import EffectKind
from schemas.incident import Incident, IncidentState
from schemas.signal import SignalName
from tests.incident.signals import HOUR, MINUTE, T0, alarm, command, recovery

POLICY = Policy(group_wait_ms=0)
FIRED = T0 + 20 * MINUTE
BROKEN = alarm("b1", SignalName.BROKEN_OUTPUT)


def by_signal(board: Board) -> dict[str, Incident]:
    return {incident.signal.value: incident for incident in board.incidents.values()}


def held() -> Board:
    board = Board(POLICY)
    board.absorb(BROKEN)
    board.absorb(alarm("s1", onset=T0 + 5 * MINUTE))
    return board


def posts(step: Step) -> list[str]:
    return [one.incident_id for one in step.effects if one.kind is EffectKind.POST]


def test_the_table_has_no_circle() -> None:
    def reached(signal: str, above: frozenset[str]) -> None:
        assert signal not in above, f"{signal} explains itself"
        for other in TABLE[signal].signals if signal in TABLE else ():
            reached(other, above | {signal})

    for signal in TABLE:
        reached(signal, frozenset())


def test_a_schema_break_explains_a_drop_of_faithfulness() -> None:
    board = held()
    broken, drop = by_signal(board)["broken_output_rate"], by_signal(board)["faithfulness"]
    assert (broken.posted, drop.posted, drop.state) == (True, False, IncidentState.FIRING)
    assert drop.inhibited is not None
    assert drop.inhibited.incident_id == broken.id
    assert [one.incident_id for one in broken.explains] == [drop.id]


def test_the_explaining_alarm_may_come_second_and_the_first_falls_silent() -> None:
    board = Board(POLICY)
    board.absorb(alarm("s1"))
    step = board.absorb(BROKEN)
    assert [
        (one.kind.value, one.reason.value) for one in step.effects if one.kind is not EffectKind.EDIT
    ] == [("post", "first")]
    drop = by_signal(board)["faithfulness"]
    assert drop.inhibited is not None
    again = board.absorb(alarm("s2", onset=T0, detected_at=FIRED + HOUR))
    assert {one.kind for one in again.effects} == {EffectKind.EDIT}


def test_what_does_not_follow_is_not_held_back() -> None:
    for other in (
        alarm("s1", route="/mail"),
        alarm("s1", SignalName.COST),
        alarm("s1", onset=T0 - 31 * MINUTE),
    ):
        board = Board(POLICY)
        board.absorb(BROKEN)
        board.absorb(other)
        assert all(one.inhibited is None for one in board.incidents.values())


def test_one_member_that_stands_for_itself_is_enough() -> None:
    board = held()
    board.absorb(alarm("s2", SignalName.COST, onset=T0 + 6 * MINUTE))
    drop = by_signal(board)["faithfulness"]
    assert len(drop.members) == 1, "what is not explained joins what explains, not what is held back"
    assert drop.inhibited is not None
    assert len(by_signal(board)["broken_output_rate"].members) == 2


def test_what_outlasts_its_explanation_is_told_after_a_while() -> None:
    board = held()
    over = FIRED + 2 * HOUR
    assert all(
        one.kind is not EffectKind.POST
        for one in board.absorb(recovery("r", over, SignalName.BROKEN_OUTPUT)).effects
    )
    assert board.due(over, over + POLICY.unexplained_ms - 1).effects == ()
    step = board.due(over, over + POLICY.unexplained_ms)
    assert [one.kind for one in step.effects] == [EffectKind.POST]
    drop = by_signal(board)["faithfulness"]
    assert (drop.posted, drop.inhibited) == (True, None)
    assert by_signal(board)["broken_output_rate"].explains == ()


def test_what_recovers_with_its_explanation_is_never_told_and_never_lost() -> None:
    board = held()
    board.absorb(recovery("r1", FIRED + HOUR, SignalName.BROKEN_OUTPUT))
    board.absorb(recovery("r2", FIRED + HOUR + MINUTE))
    assert board.due(FIRED + 9 * HOUR, FIRED + 9 * HOUR).effects == ()
    drop = by_signal(board)["faithfulness"]
    assert (drop.state, drop.posted) == (IncidentState.RESOLVED, False)


def test_an_alarm_after_the_explanation_is_over_is_told_at_once() -> None:
    board = held()
    board.absorb(recovery("r1", FIRED + HOUR, SignalName.BROKEN_OUTPUT))
    step = board.absorb(alarm("s9", onset=T0 + 5 * MINUTE, detected_at=FIRED + HOUR + MINUTE))
    assert [one.kind for one in step.effects] == [EffectKind.POST]


def test_a_person_who_ends_the_explanation_lets_go_at_once() -> None:
    board = held()
    broken = by_signal(board)["broken_output_rate"]
    step = board.absorb(command("c", Verb.NOT_A_PROBLEM, broken.id, FIRED + HOUR))
    assert [one.kind for one in step.effects if one.kind is EffectKind.POST] == [EffectKind.POST]
    assert by_signal(board)["faithfulness"].posted


def test_errors_explain_broken_output_which_explains_faithfulness() -> None:
    board = Board(POLICY)
    for one in (alarm("e", SignalName.ERROR), BROKEN, alarm("s1")):
        board.absorb(one)
    assert {name: one.posted for name, one in by_signal(board).items()} == {
        "error_rate": True, "broken_output_rate": False, "faithfulness": False,
    }  # fmt: skip


def test_what_comes_back_and_is_explained_is_no_news() -> None:
    board = Board(POLICY)
    board.absorb(alarm("s1"))
    board.absorb(recovery("r1", FIRED + MINUTE, since=FIRED))
    broken = alarm("b1", SignalName.BROKEN_OUTPUT, onset=FIRED + HOUR, detected_at=FIRED + HOUR)
    board.absorb(broken)
    step = board.absorb(alarm("s2", onset=FIRED + HOUR, detected_at=FIRED + HOUR + MINUTE))
    assert step.verdict is Verdict.REOPENED
    assert {one.kind for one in step.effects} == {EffectKind.EDIT}
    drop = by_signal(board)["faithfulness"]
    assert (drop.state, drop.posted) == (IncidentState.FIRING, True)
    assert drop.inhibited is not None


def test_a_rule_that_is_silent_for_two_days_explains_nothing() -> None:
    """It is gone from the rules, say: nothing would ever end its incident."""
    for later, explains in ((POLICY.silent_ms - 1, True), (POLICY.silent_ms, False)):
        board = Board(POLICY)
        board.absorb(BROKEN)
        board.absorb(alarm("s1", onset=FIRED + later - MINUTE, detected_at=FIRED + later))
        drop = by_signal(board)["faithfulness"]
        assert (drop.inhibited is not None, drop.posted) == (explains, not explains)


def test_what_is_held_back_is_told_when_what_explains_it_falls_silent() -> None:
    board = held()
    silent = FIRED + POLICY.silent_ms
    told = silent + POLICY.unexplained_ms
    assert [posts(board.due(at, at)) for at in (silent, told - 1)] == [[], []]
    assert posts(board.due(told, told)) == [by_signal(board)["faithfulness"].id]
    assert by_signal(board)["broken_output_rate"].state is IncidentState.FIRING


def test_what_is_told_again_every_day_explains_on() -> None:
    board = held()
    for day in range(1, 10):
        at = FIRED + day * 24 * HOUR
        board.absorb(alarm(f"b{day}", SignalName.BROKEN_OUTPUT, detected_at=at))
        board.due(at, at)
    drop = by_signal(board)["faithfulness"]
    assert drop.inhibited is not None
    assert (drop.inhibited.until, drop.posted) == (None, False)
    last = FIRED + 9 * 24 * HOUR + POLICY.silent_ms + POLICY.unexplained_ms
    assert posts(board.due(last - 1, last - 1)) == []
    assert posts(board.due(last, last)) == [drop.id]


def test_a_person_s_clock_makes_nobody_silent() -> None:
    """Commands come by the wall clock, alarms of last month by their own."""
    board = held()
    board.absorb(alarm("c1", SignalName.COST, route="/mail", onset=T0 + 2 * HOUR))
    cost = by_signal(board)["cost_per_request"]
    board.absorb(command("c", Verb.RESOLVE, cost.id, FIRED + 60 * 24 * HOUR))
    drop = by_signal(board)["faithfulness"]
    assert drop.inhibited is not None
    assert (drop.inhibited.until, drop.posted) == (None, False)


def test_a_replay_lists_what_was_held_back() -> None:
    incidents = group([BROKEN, alarm("s1")])
    assert [one.posted for one in incidents] == [True, False]
