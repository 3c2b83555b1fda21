"""The states of an incident: what resolves it, what reopens it, and what never does."""

from __future__ import annotations

from detectors.incident import Board, Deploy, Policy, Step, Verdict
from schemas.command import Verb
from schemas.effect import EffectKind, NotifyReason
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Happening, Resolution, StaleKind
from schemas.signal import Cause, Severity, SignalName
from sinks import words
from tests.incident.signals import HOUR, MINUTE, MODEL, T0, alarm, command, note, recovery, window

AT_ONCE = Policy(group_wait_ms=0)
FIRED = T0 + 20 * MINUTE
"""When ``alarm("s1")`` is detected."""


def only(board: Board) -> Incident:
    (incident,) = board.incidents.values()
    return incident


def told(step: Step) -> list[tuple[str, str]]:
    return [(effect.kind.value, effect.reason.value) for effect in step.effects]


def fired(policy: Policy = AT_ONCE, **rest: object) -> Board:
    board = Board(policy)
    board.absorb(alarm("s1", **rest))  # type: ignore[arg-type]
    return board


def test_a_recovery_resolves_and_says_so_in_the_thread() -> None:
    board = fired()
    step = board.absorb(recovery("r1", FIRED + HOUR, since=T0 + 42 * MINUTE))
    incident = only(board)
    assert step.verdict is Verdict.RECOVERED
    assert (incident.state, incident.resolution) == (IncidentState.RESOLVED, Resolution.RECOVERED)
    assert incident.resolved_at == FIRED + HOUR
    assert (incident.value, incident.peak, incident.baseline) == (0.80, 0.80, 0.92), "what it was stays"
    assert told(step) == [("edit", "recovered"), ("reply", "recovered")]
    assert board.absorb(recovery("r1", FIRED + HOUR)).verdict is Verdict.DUPLICATE


def test_every_member_must_recover() -> None:
    board = fired()
    board.absorb(alarm("s2", SignalName.COST))
    step = board.absorb(recovery("r1", FIRED + HOUR))
    assert (step.verdict, told(step)) == (Verdict.MEMBER_RECOVERED, [("edit", "member_recovered")])
    assert only(board).state is IncidentState.FIRING
    assert board.absorb(recovery("r2", FIRED + HOUR, SignalName.COST)).verdict is Verdict.RECOVERED
    assert only(board).state is IncidentState.RESOLVED


def test_an_alarm_after_its_recovery_undoes_it_and_one_from_before_does_not() -> None:
    board = fired()
    board.absorb(alarm("s2", SignalName.COST))
    board.absorb(recovery("r1", FIRED + HOUR))
    board.absorb(alarm("s3", onset=T0, detected_at=FIRED + 30 * MINUTE))
    assert only(board).members[0].recovered
    board.absorb(alarm("s4", onset=T0, detected_at=FIRED + 2 * HOUR))
    assert not only(board).members[0].recovered
    assert board.absorb(recovery("r0", FIRED + 90 * MINUTE)).verdict is Verdict.OVERTAKEN
    board.absorb(recovery("r2", FIRED + 3 * HOUR, SignalName.COST))
    assert only(board).state is IncidentState.FIRING


def test_a_recovery_of_another_route_rule_or_nothing_is_unmatched() -> None:
    board = fired()
    assert board.absorb(recovery("r1", FIRED + HOUR, route="/mail")).verdict is Verdict.UNMATCHED
    assert board.absorb(recovery("r2", FIRED + HOUR, SignalName.COST)).verdict is Verdict.UNMATCHED
    assert Board().absorb(recovery("r3", FIRED)).verdict is Verdict.UNMATCHED
    assert only(board).state is IncidentState.FIRING


def test_what_recovers_within_the_group_wait_is_kept_and_never_told() -> None:
    board = fired(Policy())
    step = board.absorb(recovery("r1", FIRED + 1))
    assert (step.effects, only(board).state, only(board).posted) == ((), IncidentState.RESOLVED, False)
    assert board.due(FIRED + HOUR).effects == ()


def test_an_alarm_soon_after_the_end_reopens_in_the_same_thread() -> None:
    board = fired()
    board.absorb(recovery("r1", FIRED + HOUR))
    step = board.absorb(alarm("s2", onset=FIRED + 2 * HOUR, detected_at=FIRED + 3 * HOUR))
    assert step.verdict is Verdict.REOPENED
    assert told(step) == [("edit", "reopened"), ("reply", "reopened")]
    incident = only(board)
    assert (incident.state, incident.resolved_at, incident.resolution) == (IncidentState.FIRING, None, None)
    assert incident.reopened_at == (FIRED + 3 * HOUR,)
    assert incident.members[0].alarms == 2


def test_the_reopen_window_ends_to_the_millisecond() -> None:
    for late, incidents in ((0, 1), (1, 2)):
        board = fired()
        board.absorb(recovery("r1", FIRED + HOUR))
        at = FIRED + HOUR + AT_ONCE.reopen_ms + late
        board.absorb(alarm("s2", onset=at, detected_at=at))
        assert len(board.incidents) == incidents


def test_a_late_companion_reopens_by_onset_and_an_unexplained_one_of_the_route_does_not() -> None:
    board = fired()
    board.absorb(recovery("r1", FIRED + HOUR))
    late = alarm("s2", SignalName.ESCALATION, onset=T0 + 10 * MINUTE, detected_at=FIRED + 2 * HOUR)
    assert board.absorb(late).verdict is Verdict.REOPENED
    board = fired()
    board.absorb(recovery("r1", FIRED + HOUR))
    far = alarm("s2", SignalName.ESCALATION, onset=T0 + 2 * HOUR, detected_at=FIRED + 2 * HOUR)
    assert board.absorb(far).verdict is Verdict.OPENED


def test_no_data_never_resolves_and_is_said() -> None:
    board = fired()
    board.absorb(window(FIRED))
    step = board.due(FIRED, FIRED + AT_ONCE.stale_ms)
    stale = only(board).stale
    assert told(step) == [("edit", "stale")]
    assert stale is not None
    assert (stale.kind, stale.since) == (StaleKind.NO_DATA, FIRED)
    for days in range(1, 400):
        board.due(FIRED, FIRED + days * 24 * HOUR)
    assert only(board).state is IncidentState.FIRING
    assert board.retire(FIRED + 400 * 24 * HOUR) == [], "and it is never forgotten"
    back = board.absorb(window(FIRED + 10 * HOUR))
    assert (told(back), only(board).stale) == ([("edit", "data_back")], None)


def test_an_empty_window_is_no_data_and_a_signal_without_windows_is_never_without() -> None:
    board = fired()
    board.absorb(window(FIRED + HOUR, n=0))
    assert board.due(FIRED, FIRED + 20 * HOUR).effects == ()


def test_data_without_alarm_or_recovery_is_said_after_the_quiet_time() -> None:
    board = fired()
    for hour in range(1, 40):
        board.absorb(window(FIRED + hour * HOUR))
        board.due(FIRED + hour * HOUR, FIRED + hour * HOUR)
    stale = only(board).stale
    assert stale is not None
    assert (stale.kind, stale.since) == (StaleKind.NO_ALARM, FIRED)
    assert [one.what for one in only(board).history].count(Happening.STALE) == 1
    assert board.absorb(recovery("r1", FIRED + 50 * HOUR)).verdict is Verdict.RECOVERED


def test_flapping_is_said_once_and_then_only_edited_until_it_holds_still() -> None:
    board, at = fired(), FIRED
    seen = []
    for turn in range(4):
        step = board.absorb(recovery(f"r{turn}", at + 20 * MINUTE))
        seen.append([reason for kind, reason in told(step) if kind == "reply"])
        at += 40 * MINUTE
        step = board.absorb(alarm(f"a{turn}", onset=at, detected_at=at))
        seen.append([reason for kind, reason in told(step) if kind == "reply"])
    assert seen == [
        ["recovered"], ["reopened"], ["recovered"], ["reopened"], ["recovered"], ["flapping"], [], [],
    ]  # fmt: skip
    assert board.due(at, at + AT_ONCE.steady_ms - 1).effects == ()
    steady = board.due(at, at + AT_ONCE.steady_ms)
    assert ("reply", "steady") in told(steady)
    assert not only(board).flapping


def test_three_reopenings_far_apart_are_no_flapping() -> None:
    board, at = fired(), FIRED
    for turn in range(6):
        board.absorb(recovery(f"r{turn}", at + HOUR))
        at += 3 * HOUR
        board.absorb(alarm(f"a{turn}", onset=at, detected_at=at))
    assert (len(board.incidents), only(board).flapping) == (1, False)


def test_a_snooze_holds_replies_back_and_ends_by_its_time() -> None:
    board = fired()
    incident = only(board)
    board.absorb(command("c1", Verb.SNOOZE, incident.id, FIRED, until=FIRED + HOUR))
    known = board.absorb(alarm("s2", detected_at=FIRED + MINUTE, cause=MODEL), FIRED + MINUTE)
    assert told(known) == [("edit", "cause_found")]
    assert board.due(FIRED + HOUR - 1).effects == ()
    assert told(board.due(FIRED + HOUR))[:2] == [("edit", "snooze_over"), ("reply", "snooze_over")]
    assert only(board).snooze is None


def test_a_snooze_until_the_next_deploy_ends_with_it_and_not_with_one_before() -> None:
    board = fired()
    incident_id = only(board).id
    board.absorb(command("c1", Verb.SNOOZE, incident_id, FIRED, until_deploy=True))
    board.absorb(note("n1", onset=FIRED + HOUR))
    board.absorb(Deploy("d0", "support-bot", None, "release", "8", FIRED))
    assert only(board).snooze is not None, "a swapped model is no deploy, and a deploy before is not the next"
    step = board.absorb(Deploy("d1", "support-bot", None, "release", "9", FIRED + HOUR))
    assert told(step) == [("edit", "snooze_over"), ("reply", "snooze_over")]
    board.absorb(command("c2", Verb.SNOOZE, incident_id, FIRED, until_deploy=True))
    prompt = Cause(dimension="prompt_version", previous="v6", current="v7")
    board.absorb(note("n2", onset=FIRED + 2 * HOUR, cause=prompt))
    assert only(board).snooze is None


def test_a_new_incident_that_is_snoozed_in_its_wait_is_told_when_the_snooze_is_over() -> None:
    board = fired(Policy())
    board.absorb(command("c1", Verb.SNOOZE, only(board).id, FIRED, until=FIRED + HOUR))
    assert board.due(FIRED + 30 * MINUTE).effects == ()
    assert told(board.due(FIRED + HOUR)) == [("post", "first")]


def test_nobody_acknowledges() -> None:
    board = fired(severity=Severity.P2)
    levels = AT_ONCE.escalate_ms[Severity.P2]
    assert board.due(FIRED + levels[0] - 1).effects == ()
    assert told(board.due(FIRED + levels[0])) == [("edit", "escalated"), ("reply", "escalated")]
    board.absorb(command("c1", Verb.ACK, only(board).id, FIRED + 20 * MINUTE))
    assert board.due(FIRED + HOUR).effects == ()
    board.absorb(command("c2", Verb.UNACK, only(board).id, FIRED + HOUR))
    assert told(board.due(FIRED + HOUR + levels[0])) == [("edit", "escalated"), ("reply", "escalated")]
    quiet = fired(severity=Severity.P3)
    assert quiet.due(FIRED + 100 * HOUR).effects == ()


P1 = AT_ONCE.escalate_ms[Severity.P1]
LEVEL = [("edit", "escalated"), ("reply", "escalated")]


def counts_from(board: Board, over: int) -> None:
    """That a P1's levels count from the end of a silence at ``over``, and come one by one."""
    assert only(board).escalates_at == over + P1[0]
    assert told(board.due(over + P1[0] - 1)) == []
    assert told(board.due(over + P1[0])) == LEVEL
    assert told(board.due(over + P1[1] - 1)) == []
    assert told(board.due(over + P1[1])) == LEVEL
    assert told(board.due(over + 100 * HOUR)) == []


def test_the_end_of_a_mute_starts_the_levels_anew() -> None:
    for muted in (FIRED + MINUTE, FIRED + P1[0] + MINUTE):
        board = fired(severity=Severity.P1)
        board.due(muted)
        board.absorb(command("c1", Verb.MUTE, only(board).id, muted))
        over = FIRED + 2 * HOUR
        assert told(board.due(over)) == []
        board.absorb(command("c2", Verb.UNMUTE, only(board).id, over))
        counts_from(board, over)


def test_the_end_of_a_snooze_starts_the_levels_anew() -> None:
    board, over = fired(severity=Severity.P1), FIRED + 2 * HOUR
    board.absorb(command("c1", Verb.SNOOZE, only(board).id, FIRED, until=over))
    assert told(board.due(over)) == [("edit", "snooze_over"), ("reply", "snooze_over")]
    counts_from(board, over)


def test_the_end_of_flapping_starts_the_levels_anew() -> None:
    board, at = fired(severity=Severity.P1), FIRED
    for turn in range(3):
        board.absorb(recovery(f"r{turn}", at + 20 * MINUTE))
        at += 40 * MINUTE
        board.absorb(alarm(f"a{turn}", onset=at, detected_at=at, severity=Severity.P1))
    over = at + AT_ONCE.steady_ms
    assert only(board).flapping
    assert told(board.due(over, over)) == [("edit", "steady"), ("reply", "steady")]
    counts_from(board, over)


def test_what_is_no_longer_explained_starts_the_levels_anew() -> None:
    """It was told before the alarm came that explains it."""
    board = fired(severity=Severity.P1)
    board.absorb(alarm("e1", SignalName.BROKEN_OUTPUT, severity=Severity.P3))
    drop = next(one for one in board.incidents.values() if one.signal is SignalName.FAITHFULNESS)
    assert (drop.posted, drop.inhibited is None) == (True, False)
    board.absorb(recovery("r1", FIRED + 2 * HOUR, SignalName.BROKEN_OUTPUT))
    over = FIRED + 2 * HOUR + AT_ONCE.unexplained_ms
    assert told(board.due(over, over)) == [("edit", "unexplained"), ("reply", "unexplained")]
    assert board.incidents[drop.id].escalates_at == over + P1[0]
    assert told(board.due(over + P1[0] - 1)) == []
    assert told(board.due(over + P1[0])) == LEVEL


def test_an_acknowledgement_ends_with_an_alarm_long_after_it() -> None:
    board = fired()
    board.absorb(command("c1", Verb.ACK, only(board).id, FIRED))
    board.absorb(alarm("s2", detected_at=FIRED + AT_ONCE.ack_ms - 1))
    assert only(board).state is IncidentState.ACKED
    step = board.absorb(alarm("s3", detected_at=FIRED + AT_ONCE.ack_ms))
    assert only(board).state is IncidentState.FIRING
    assert ("reply", "ack_expired") in told(step)


def test_a_recurrence_is_counted_by_its_fingerprint() -> None:
    board, at = fired(), FIRED
    prints = {only(board).fingerprint}
    for turn in range(1, 3):
        board.absorb(recovery(f"r{turn}", at + HOUR))
        at += 24 * HOUR
        board.retire(at)
        step = board.absorb(alarm(f"a{turn}", onset=at, detected_at=at, value=0.5 + turn / 10))
        (incident,) = step.incidents
        prints.add(incident.fingerprint)
        assert (incident.recurs, incident.recurred_at) == (turn, at - 24 * HOUR)
    assert len(prints) == 1
    other = board.absorb(alarm("b1", SignalName.COST, onset=at + 9 * HOUR, route="/mail"))
    assert other.incidents[0].recurs == 0


def test_a_recurrence_tells_how_many_like_it_were_no_problem() -> None:
    """Of incidents on the board, and of those that only the past knows."""
    board, day = fired(), 24 * HOUR
    board.absorb(command("no", Verb.NOT_A_PROBLEM, only(board).id, FIRED + 1))
    board.absorb(recovery("r1", FIRED + HOUR))
    at = FIRED + day
    (second,) = board.absorb(alarm("a1", onset=at, detected_at=at)).incidents
    assert (second.recurs, second.recurs_false, len(board.past)) == (1, 1, 0)
    board.absorb(recovery("r2", at + HOUR))
    board.retire(at + 3 * day)
    assert sorted(one.false for one in board.past.values()) == [False, True]
    at += 3 * day
    (third,) = board.absorb(alarm("a2", onset=at, detected_at=at)).incidents
    assert (third.recurs, third.recurs_false) == (2, 1)
    assert "2 like it before, the last on 2 Mar 09:25 UTC, 1 of them called no problem" in words.footer(third)


def test_the_peak_is_the_worst_by_direction() -> None:
    board = fired(value=0.80)
    board.absorb(alarm("s2", value=0.99, detected_at=FIRED + HOUR))
    assert only(board).peak == 0.80, "better than normal is not worse, however far"
    board.absorb(alarm("s3", value=0.60, detected_at=FIRED + 2 * HOUR))
    board.absorb(alarm("s4", value=0.70, detected_at=FIRED + 3 * HOUR))
    assert (only(board).peak, only(board).value) == (0.60, 0.70)


def test_a_stop_tells_what_only_waits() -> None:
    board = fired(Policy())
    step = board.release(FIRED + 1)
    assert [(one.kind, one.reason) for one in step.effects] == [(EffectKind.POST, NotifyReason.FIRST)]
    assert board.release(FIRED + 2).effects == ()


def test_a_cause_that_only_a_further_alarm_tells_is_news_once() -> None:
    board = fired()
    user = Cause(dimension="user_id", previous=None, current="u7")
    found = board.absorb(alarm("s2", detected_at=FIRED + HOUR, cause=user))
    assert only(board).cause == user
    assert told(found) == [("edit", "cause_found"), ("reply", "cause_found")]
    assert found.effects[0].urgent
    again = board.absorb(alarm("s3", detected_at=FIRED + 2 * HOUR, cause=user))
    other = board.absorb(alarm("s4", detected_at=FIRED + 3 * HOUR, cause=MODEL))
    assert told(again) == told(other) == [("edit", "refired")]
    assert only(board).cause == user, "the first that was found stays"
