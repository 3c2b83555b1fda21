"""Which alarms are one incident, and what the incident says."""

from __future__ import annotations

from detectors.incident import Board, Policy, Verdict, group
from schemas.command import Command, Verb
from schemas.effect import EffectKind, NotifyReason
from schemas.identity import derive
from schemas.incident import IncidentState
from schemas.signal import Cause, Severity, SignalName
from tests.incident.signals import HOUR, MINUTE, MODEL, T0, alarm, note, preview

QUIET = Policy().quiet_ms
AT_ONCE = Policy(group_wait_ms=0)


def test_an_alarm_opens_an_incident_with_a_derived_id() -> None:
    board = Board()
    step = board.absorb(alarm("s1"))
    assert step.verdict is Verdict.OPENED
    (incident,) = step.incidents
    assert incident.id == derive("incident", "support-bot", "production", "faithfulness_drop", "s1")
    assert (incident.revision, incident.value, incident.peak) == (1, 0.80, 0.80)
    assert (incident.state, step.effects) == (IncidentState.PENDING, ()), "it waits for its fellows"
    posted = board.due(incident.detected_at + Policy().group_wait_ms)
    assert [(one.kind, one.reason) for one in posted.effects] == [(EffectKind.POST, NotifyReason.FIRST)]
    assert posted.incidents[0].state is IncidentState.FIRING
    assert board.due(incident.detected_at + Policy().group_wait_ms).effects == ()


def test_the_same_signal_twice_changes_nothing() -> None:
    board = Board()
    board.absorb(alarm("s1"))
    before = dict(board.incidents)
    assert board.absorb(alarm("s1")).verdict is Verdict.DUPLICATE
    assert board.incidents == before


def test_a_refire_counts_and_never_opens() -> None:
    board = Board(AT_ONCE)
    board.absorb(alarm("s1"))
    late = alarm("s2", onset=T0 + 5 * HOUR, value=0.70, n=40)
    step = board.absorb(late)
    later = board.absorb(alarm("s3", onset=T0 + 6 * HOUR, value=0.75, n=41))
    assert step.verdict is later.verdict is Verdict.REFIRED
    (incident,) = board.incidents.values()
    (member,) = incident.members
    assert (member.alarms, member.value, member.n, member.peak) == (3, 0.75, 41, 0.70)
    assert (incident.onset, incident.value, incident.peak) == (T0, 0.75, 0.70)
    assert [effect.kind for effect in later.effects] == [EffectKind.EDIT]
    assert not later.effects[0].urgent


def test_an_unexplained_alarm_joins_the_open_incident_of_its_route_and_no_other() -> None:
    board = Board()
    board.absorb(alarm("s1"))
    step = board.absorb(alarm("s2", SignalName.ESCALATION, onset=T0 + 13 * HOUR, cause=None))
    assert step.verdict is Verdict.JOINED_BY_ROUTE
    explained = Board()
    explained.absorb(alarm("e1", SignalName.ESCALATION, onset=T0 + 13 * HOUR, cause=None))
    (joined,) = explained.absorb(alarm("e2", onset=T0, detected_at=T0 + HOUR, cause=MODEL)).incidents
    assert (joined.signal, joined.onset, joined.cause) == (SignalName.FAITHFULNESS, T0, MODEL)
    elsewhere = alarm("s3", SignalName.COST, onset=T0 + 13 * HOUR, cause=None, route="/email")
    assert board.absorb(elsewhere).verdict is Verdict.OPENED


def test_an_onset_within_the_window_joins_and_one_outside_does_not() -> None:
    near = alarm("s2", SignalName.COST, onset=T0 + 30 * MINUTE)
    other = Cause(dimension="index_version", previous="a", current="b")
    far = alarm("s3", SignalName.ESCALATION, onset=T0 + 31 * MINUTE, cause=other)
    incidents = group([alarm("s1", cause=MODEL), near, far])
    assert [[member.signal_id for member in incident.members] for incident in incidents] == [
        ["s1", "s2"],
        ["s3"],
    ]


def test_the_same_cause_joins_whatever_the_onset() -> None:
    first = alarm("s1", cause=MODEL)
    slow = alarm(
        "s2", SignalName.ESCALATION, onset=T0 + 3 * HOUR, cause=MODEL.model_copy(update={"share": 0.4})
    )
    other = alarm(
        "s3", SignalName.COST, onset=T0 + 3 * HOUR + MINUTE, cause=Cause(dimension="release", current="9")
    )
    incidents = group([first, slow, other])
    assert [len(incident.members) for incident in incidents] == [2, 1]


def test_another_route_is_another_member_and_another_app_another_incident() -> None:
    incidents = group(
        [alarm("s1"), alarm("s2", route="/mail"), alarm("s3", app="b"), alarm("s4", environment="e")]
    )
    assert sorted(len(incident.members) for incident in incidents) == [1, 1, 2]


def test_a_quiet_incident_is_not_extended() -> None:
    first = alarm("s1")
    just = alarm("s2", onset=T0 + 10 * HOUR, detected_at=first.detected_at + QUIET)
    late = alarm("s3", onset=T0, detected_at=just.detected_at + QUIET + 1)
    assert [len(group([first, just, late][:count])) for count in (1, 2, 3)] == [1, 1, 2]


def test_the_gravest_member_speaks_quality_before_change() -> None:
    change = alarm("s1", SignalName.SERVED_MODEL, severity=Severity.P1, cause=MODEL)
    cost = alarm("s2", SignalName.COST, severity=Severity.P3, detected_at=T0 + 25 * MINUTE)
    quality = alarm("s3", detected_at=T0 + 30 * MINUTE, examples=("t1",))
    board = Board()
    for one in (change, cost, quality):
        board.absorb(one)
    (incident,) = board.incidents.values()
    assert (incident.signal, incident.rule, incident.examples) == (
        SignalName.FAITHFULNESS,
        "faithfulness_drop",
        ("t1",),
    )
    assert incident.severity is Severity.P1
    assert incident.cause == MODEL


def test_a_new_member_is_news_and_a_graver_one_is_worse() -> None:
    board = Board(AT_ONCE)
    board.absorb(alarm("s1", severity=Severity.P3))
    grew = board.absorb(alarm("s2", SignalName.COST, severity=Severity.P3))
    worse = board.absorb(alarm("s3", SignalName.ESCALATION, severity=Severity.P1))
    again = board.absorb(alarm("s4", onset=T0 + HOUR, severity=Severity.P1))
    assert [(one.kind.value, one.reason.value) for one in grew.effects] == [
        ("edit", "grew"),
        ("reply", "grew"),
    ]
    assert [one.reason.value for one in worse.effects] == ["grew", "worsened"]
    assert [one.kind for one in again.effects] == [EffectKind.EDIT]


def test_a_change_is_a_note_before_or_after_its_incident_and_never_one_itself() -> None:
    before, after = note("n1", T0 - 30 * MINUTE), note("n2", T0 + 30 * MINUTE)
    far = note("n3", T0 - 31 * MINUTE)
    board = Board()
    assert board.absorb(before).verdict is Verdict.NOTE_KEPT
    board.absorb(far)
    board.absorb(alarm("s1"))
    assert board.absorb(after).verdict is Verdict.NOTED
    (incident,) = board.incidents.values()
    assert [one.signal_id for one in incident.evidence] == ["n1", "n2"]
    assert incident.cause == MODEL
    assert group([before, after, far]) == []


def test_a_note_is_remembered_for_a_day() -> None:
    change = note("n1")
    within = alarm("s1", onset=T0, detected_at=T0 + 24 * HOUR)
    beyond = alarm("s1", onset=T0, detected_at=T0 + 24 * HOUR + 1)
    assert group([change, within])[0].cause == MODEL
    assert group([change, beyond])[0].cause is None


def test_a_note_explains_only_where_no_member_knows_better() -> None:
    prompt = Cause(dimension="prompt_version", previous="v6", current="v7", share=0.8)
    (incident,) = group([note("n1"), alarm("s1", cause=prompt)])
    assert incident.cause == prompt
    assert incident.notes == ("served_model moved",)


def test_cases_fill_up_to_three_and_stay() -> None:
    board = Board()
    board.absorb(preview("a", score=0.5))
    board.absorb(preview("early", at=T0 - 1))
    board.absorb(preview("costly", reasons=("high_cost",)))
    board.absorb(preview("elsewhere", route="/mail"))
    step = board.absorb(alarm("s1", examples=("trace-ex",)))
    assert [case.case_id for case in step.incidents[0].cases] == ["a"]
    for case_id in ("b", "ex", "d"):
        board.absorb(preview(case_id))
    (incident,) = board.incidents.values()
    assert [case.case_id for case in incident.cases] == ["a", "b", "ex"]


def test_the_best_cases_come_first() -> None:
    board = Board(
        previews=[preview("a", score=0.5), preview("b", score=0.1), preview("ex"), preview("c", score=0.3)]
    )
    step = board.absorb(alarm("s1", examples=("trace-ex",)))
    assert [case.case_id for case in step.incidents[0].cases] == ["ex", "b", "c"]


def test_the_ring_is_bounded_per_route() -> None:
    board = Board(Policy(ring=4))
    for number in range(10):
        board.absorb(preview(f"c{number}", at=T0 + number))
        board.absorb(preview(f"m{number}", at=T0 + number, route="/mail"))
    assert sorted(board.previews) == [f"c{number}" for number in range(6, 10)] + [
        f"m{n}" for n in range(6, 10)
    ]


def test_an_acknowledgement_stands_once() -> None:
    board = Board()
    (incident,) = board.absorb(alarm("s1")).incidents
    ack = Command(id="c1", incident_id=incident.id, verb=Verb.ACK, actor="dana", time=T0 + HOUR)
    assert board.absorb(ack).incidents[0].state is IncidentState.ACKED
    assert board.absorb(ack).verdict is Verdict.DUPLICATE
    assert board.absorb(ack.model_copy(update={"id": "c2"})).verdict is Verdict.NOTHING_TO_DO
    assert (
        board.absorb(ack.model_copy(update={"id": "c3", "incident_id": "?"})).verdict
        is Verdict.UNKNOWN_INCIDENT
    )
