"""What an app's owner makes of its observations: identity, join, order, lateness, scores, conversations."""

from __future__ import annotations

import pytest

from schemas.observation import Flag
from schemas.signal import SignalName, WindowStat
from streams.steps.owner import OwnerPolicy
from streams.steps.segment_state import SegmentState
from streams.steps.waiting import MAX_WAITING
from tests.steps.logs import (
    MINUTE,
    POLICY,
    T0,
    Log,
    absorbed,
    added_up,
    change,
    feedback,
    fresh,
    score,
    trace,
)

ASKED = Flag.SCORE_REQUESTED.value
END = 60 * MINUTE
"""A trace so late that everything before it is decided and its windows are closed."""


def last(log: Log) -> Log:
    """End the log: a trace without a cost an hour later lets the watermark pass everything before."""
    return log.rows(trace(END, "last")).ended()


def scored_units(segment: SegmentState) -> list[str]:
    monitor = segment.monitors.monitor(SignalName.FAITHFULNESS)
    assert monitor is not None
    return [unit[2] for unit in monitor.track.window(0).after]


# -- identity ------------------------------------------------------------------------------------------


def test_other_coordinates_of_a_known_identity_are_duplicates() -> None:
    log = Log()
    log.rows(trace(0, "t", cost=1.0), trace(0, "t", cost=1.0), feedback(9, "t"), feedback(9, "t"))
    log.rows(trace(0, "t", cost=1.0), partition=1)
    log.rows(change(5, "release", "r2"), change(5, "release", "r2"))
    done = absorbed(last(log).messages)
    assert done.counters["app"] == {"traces": 2, "feedback": 1, "changes": 1, "duplicates": 4}
    assert done.windows()["app", "cost_per_request", 0] == (1, 1.0, 0, 0)


def test_a_redelivery_changes_nothing_at_all() -> None:
    log = Log()
    log.rows(trace(0, "a", cost=1.0), trace(1, "b", flags=Flag.ERROR.value)).rows(feedback(3, "a"))
    log.progress()
    again = [*log.messages, *log.messages[:2], *log.messages]
    last(log)
    assert absorbed([*again, *log.messages[3:]]) == absorbed(log.messages)


def test_the_same_names_in_two_apps_are_two_things() -> None:
    log = Log()
    log.rows(trace(0, "t", conversation="c", cost=1.0)).rows(feedback(9, "t"))
    log.rows(trace(0, "t", conversation="c", cost=1.0), app="other", partition=1)
    done = absorbed(last(log).messages)
    assert done.counters["other"] == {"traces": 1}
    assert done.reasons() == {("app", "t", "escalation")}
    assert done.windows()["app", "escalation_rate", 0] == (1, 1.0, 0, 0)
    assert done.windows()["other", "escalation_rate", 0] == (1, 0.0, 0, 0)


# -- join ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [-5 * MINUTE, 0, 5 * MINUTE, 10 * MINUTE])
def test_feedback_joins_its_trace_whichever_comes_first(after: int) -> None:
    log = Log()
    if after < 0:
        log.rows(feedback(after, "t")).progress()
        log.rows(trace(0, "t")).progress()
    else:
        log.rows(trace(0, "t")).progress()
        log.rows(feedback(after, "t")).progress()
    done = absorbed(last(log).messages)
    assert done.reasons() == {("app", "t", "escalation")}
    assert done.windows()["app", "escalation_rate", 0] == (1, 1.0, 0, 0)
    assert done.cases[0].trace_at is not None
    assert done.cases[0].event_at is not None
    assert (done.cases[0].trace_at.topic, done.cases[0].event_at.topic) == ("traces", "feedback")


def test_feedback_after_the_decision_makes_a_case_and_no_unit() -> None:
    log = Log().rows(trace(0, "t")).rows(feedback(10 * MINUTE + 1, "t"))
    done = absorbed(last(log).messages)
    assert done.reasons() == {("app", "t", "escalation")}
    assert done.windows()["app", "escalation_rate", 0] == (1, 0.0, 0, 0)


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("escalation", 1.0, "escalation"),
        ("escalation", 0.0, None),
        ("correction", 1.0, "correction"),
        ("abandoned", 1.0, "abandoned"),
        ("thumbs", -1.0, "negative_feedback"),
        ("thumbs", 1.0, None),
        ("follow_up", 0.0, None),
    ],
)
def test_which_feedback_makes_a_case(kind: str, value: float, reason: str | None) -> None:
    log = Log().rows(trace(0, "t")).rows(feedback(1, "t", kind, value))
    done = absorbed(last(log).messages)
    assert done.reasons() == ({("app", "t", reason)} if reason else set())
    escalated = 1.0 if reason == "escalation" else 0.0
    assert done.windows()["app", "escalation_rate", 0] == (1, escalated, 0, 0)


def test_feedback_without_a_trace_is_unjoined_after_the_horizon() -> None:
    policy = POLICY._replace(join_horizon_ms=30 * MINUTE)
    log = Log().rows(feedback(0, "nobody"), feedback(50 * MINUTE, "nobody")).progress()
    owner = fresh(policy)
    for message in last(log).messages:
        owner.absorb(message)
    assert owner.apps["app"].counters["unjoined"] == 1  # the second has ten minutes left
    assert not owner.take_outputs().cases


def test_what_waits_is_bounded_and_so_is_its_state() -> None:
    """An app that names its traces otherwise in its feedback fills the waiting room, and no more."""
    owner, log, size = fresh(), Log(), 0
    total = MAX_WAITING + 500
    for start in range(0, total, 500):
        same = start % 1_000 == 0  # half of it for one trace id that never comes
        log.rows(*(feedback(n, "placeholder" if same else f"t{n}") for n in range(start, start + 500)))
        log.ended()
    for message in log.messages:
        owner.absorb(message)
        size = max([size, *(len(value) for value in owner.changes().values() if value is not None)])
    assert owner.apps["app"].counters == {"feedback": total, "unjoined": 500}
    assert size < 100_000


# -- conversations -------------------------------------------------------------------------------------


def test_a_conversation_is_one_unit_decided_ten_minutes_after_its_first_trace() -> None:
    log = Log()
    log.rows(*(trace(n * MINUTE, f"t{n}", conversation="c") for n in range(14)))
    log.rows(feedback(9 * MINUTE, "t8"), feedback(9 * MINUTE, "t7"))
    done = absorbed(last(log).messages)
    windows = done.windows()
    assert windows["app", "escalation_rate", 0] == (1, 1.0, 0, 0)
    assert ("app", "escalation_rate", 10) not in windows
    assert len(done.cases) == 2


def test_a_conversation_that_goes_on_after_its_decision_is_no_second_unit() -> None:
    log = Log()
    log.rows(trace(0, "a", conversation="c"), trace(15 * MINUTE, "b", conversation="c"))
    log.rows(feedback(16 * MINUTE, "b"))
    done = absorbed(last(log).messages)
    units = {key: value for key, value in done.windows().items() if key[1] == "escalation_rate"}
    assert units == {("app", "escalation_rate", 0): (1, 0.0, 0, 0)}
    assert done.reasons() == {("app", "b", "escalation")}


def test_the_first_scored_turn_is_the_unit_of_faithfulness() -> None:
    owner = fresh()
    log = Log()
    log.rows(
        trace(0, "a", conversation="c"),
        trace(1, "b", conversation="c", faithfulness=0.9),
        trace(2, "d", conversation="c", faithfulness=0.1),
        trace(3, "e", faithfulness=0.8),
    ).ended()
    for message in log.messages:
        owner.absorb(message)
    segment = owner.apps["app"].segment("default", "default", 0)
    assert scored_units(segment) == ["b", "e"]


# -- scores --------------------------------------------------------------------------------------------


def units_of(log: Log, policy: OwnerPolicy = POLICY) -> list[str]:
    """The trace_ids that the faithfulness detector has seen, in its order."""
    owner = fresh(policy)
    for message in log.messages:
        owner.absorb(message)
    return scored_units(owner.apps["app"].segment("default", "default", 0))


def test_scores_reach_the_detector_in_the_order_of_their_traces() -> None:
    log = Log().rows(*(trace(n, f"t{n}", flags=ASKED) for n in range(5))).progress()
    for n in (3, 1, 4):
        log.rows(score(f"t{n}", 0.9))
    assert units_of(log.ended()) == []
    log.rows(score("t0", 0.8))
    assert units_of(log) == ["t0", "t1"]
    log.rows(score("t2", 0.8), partition=1).ended()
    assert units_of(log) == ["t0", "t1", "t2", "t3", "t4"]


def test_a_score_may_come_while_its_trace_is_above_the_watermark() -> None:
    log = Log().rows(trace(0, "a", flags=ASKED), trace(1, "b", flags=ASKED)).rows(score("a", 0.9))
    log.rows(score("b", 0.7)).ended()
    assert units_of(log) == ["a", "b"]


def test_a_score_that_does_not_come_holds_the_queue_up_no_longer_than_the_wait() -> None:
    wait = POLICY.score_wait_ms
    now = T0 + 10**9
    log = Log().rows(trace(0, "a", flags=ASKED), trace(1, "b", flags=ASKED)).ended(now)
    log.rows(score("b", 0.9)).ended(now + wait)
    assert units_of(log) == []
    log.ended(now + wait + 1)
    assert units_of(log) == ["b"]
    log.rows(score("a", 0.2))
    done = absorbed(last(log).messages)
    assert units_of(log) == ["b"], "a late score reached the detector"
    assert done.counters["app"]["score_timeouts"] == 1
    assert done.counters["app"]["late_scores"] == 1
    n, total, _, late = done.windows()["app", "faithfulness", 0]
    assert (n, late) == (2, 1)
    assert total == pytest.approx(1.1)


def test_an_unscored_answer_is_in_no_mean_and_holds_nobody_up() -> None:
    log = Log().rows(trace(0, "a", flags=ASKED), trace(1, "b", flags=ASKED))
    log.rows(score("a", None), score("b", 0.5)).ended()
    assert units_of(log) == ["b"]
    done = absorbed(last(log).messages)
    assert done.windows()["app", "faithfulness", 0] == (1, 0.5, 1, 0)
    assert done.counters["app"]["unscored"] == 1


def test_a_low_score_makes_a_case_whenever_it_comes() -> None:
    log = Log().rows(trace(0, "a", flags=ASKED), trace(1, "b", flags=ASKED))
    log.rows(score("a", 0.1, low=True)).ended()
    log.rows(score("b", 0.1, low=True))
    done = absorbed(last(log).messages)
    assert done.reasons() == {("app", "a", "low_score"), ("app", "b", "low_score")}
    assert {case.score for case in done.cases} == {0.1}
    assert {case.scorer for case in done.cases} == {"judge"}


def test_a_score_delivered_twice_counts_once() -> None:
    log = Log().rows(trace(0, "a", flags=ASKED)).rows(score("a", 0.5, low=True), score("a", 0.5, low=True))
    done = absorbed(last(log).messages)
    assert done.counters["app"]["scores"] == 1
    assert done.counters["app"]["duplicate_scores"] == 1
    assert len(done.cases) == 1
    assert done.windows()["app", "faithfulness", 0] == (1, 0.5, 0, 0)


def test_a_score_without_its_trace_is_unjoined() -> None:
    done = absorbed(last(Log().rows(score("nobody", 0.5, low=True))).messages)
    assert done.counters["app"]["unjoined"] == 1
    assert not done.cases


def test_a_trace_that_nobody_scores_is_unmeasured() -> None:
    done = absorbed(last(Log().rows(trace(0, "a"), trace(1, "b", faithfulness=0.9))).messages)
    assert done.windows()["app", "faithfulness", 0] == (1, 0.9, 1, 0)


# -- windows and order ---------------------------------------------------------------------------------


def test_a_window_that_closes_holds_the_scores_of_the_same_advance() -> None:
    """One jump of the watermark applies a trace and closes its window: the score is in at once."""
    log = Log().rows(trace(0, "a", faithfulness=0.9, cost=1.0), trace(END, "z", faithfulness=0.5))
    done = absorbed(log.ended().messages)
    published = [s for s in done.signals if isinstance(s, WindowStat) and s.signal is SignalName.FAITHFULNESS]
    assert [(stat.start - T0, stat.n, stat.total, stat.part) for stat in published] == [(0, 1, 0.9, 0)]


def test_what_came_late_is_published_without_another_event() -> None:
    log = Log().rows(trace(0, "a", cost=1.0), trace(END, "z")).ended()
    log.rows(trace(MINUTE, "late", cost=2.0)).ended()
    done = absorbed(log.messages)
    assert done.windows()["app", "cost_per_request", 0] == (2, 3.0, 0, 1)


def test_late_events_are_in_windows_and_cases_and_in_no_detector() -> None:
    log = Log().rows(trace(0, "a", faithfulness=0.9, cost=1.0), trace(END, "z")).ended()
    log.rows(trace(5, "late", faithfulness=0.1, cost=2.0, flags=Flag.ERROR.value))
    log.rows(trace(6, "late-unscored")).rows(feedback(7, "late"), feedback(8, "a"))
    log.ended()
    assert units_of(log) == ["a"]
    done = absorbed(log.messages)
    assert done.counters["app"] == {"traces": 4, "late": 4, "feedback": 2}
    assert done.windows()["app", "faithfulness", 0] == (2, 1.0, 1, 1)
    assert done.windows()["app", "cost_per_request", 0] == (2, 3.0, 1, 1)
    assert done.windows()["app", "escalation_rate", 0] == (1, 0.0, 0, 0)
    assert done.reasons() == {
        ("app", "late", "error"),
        ("app", "late", "escalation"),
        ("app", "a", "escalation"),
    }


def test_the_last_instant_before_the_watermark_is_late_and_the_next_is_not() -> None:
    log = Log().rows(trace(10_000, "a")).progress()  # the watermark: a second before
    log.rows(trace(9_000, "late"), trace(9_001, "not"))
    assert absorbed(log.ended().messages).counters["app"] == {"traces": 3, "late": 1}


def test_a_report_counts_each_app_once_and_only_when_something_has_changed() -> None:
    owner = fresh()
    for message in Log().rows(trace(0, "a")).rows(trace(0, "b"), app="other", partition=1).ended().messages:
        owner.absorb(message)
    report = owner.report(3)
    assert report is not None
    assert report.counters == {"app": {"traces": 1}, "other": {"traces": 1}}
    assert report.position == 3
    assert owner.report(4) is None


# -- amounts and low scores ------------------------------------------------------------------------------


def test_amounts_are_kept_of_the_traces_that_state_them() -> None:
    log = Log().rows(
        trace(0, "a", cost=1.0, tokens=100, latency=500.0, first_token=90.0),
        trace(1, "b", cost=2.0, latency=700.0),
        trace(2, "c"),
        trace(END, "z"),
    )
    done = absorbed(log.ended().messages).windows()
    assert done["app", "cost_per_request", 0] == (2, 3.0, 1, 0)
    assert done["app", "tokens_per_request", 0] == (1, 200.0, 0, 0)
    assert done["app", "latency_ms", 0] == (2, 1_200.0, 0, 0)
    assert done["app", "time_to_first_token_ms", 0] == (1, 90.0, 0, 0)


def test_amounts_close_with_the_watermark_and_scores_when_conversations_are_decided() -> None:
    width, decided = POLICY.window_ms, POLICY.conversation_ms
    log = Log().rows(trace(0, "a", cost=1.0, faithfulness=0.5), trace(width, "b")).ended()
    assert {signal for _, signal, _ in absorbed(log.messages).windows()} == {"cost_per_request"}
    log.rows(trace(width + decided, "c")).ended()
    signals = {signal for _, signal, start in absorbed(log.messages).windows() if start == 0}
    assert signals >= {"cost_per_request", "faithfulness", "escalation_rate"}


def test_low_scores_are_counted_by_their_scorers_own_verdict() -> None:
    low = Flag.LOW_SCORE.value
    asked = Flag.SCORE_REQUESTED.value
    log = Log().rows(
        trace(0, "own", faithfulness=0.7, flags=low),
        trace(1, "own good", faithfulness=0.8),
        trace(2, "judged", flags=asked),
        trace(3, "judged good", flags=asked),
        trace(4, "behind", faithfulness=0.1, flags=low),
        trace(5, "timed out", flags=asked),
    )
    log.rows(score("judged", 0.8, low=True), score("judged good", 0.6), score("timed out", None))
    log.rows(trace(END, "z")).ended()
    log.rows(trace(6, "late", faithfulness=0.2, flags=low), score("own good", 0.3, low=True)).ended()
    sums = added_up(absorbed(log.messages).signals)
    (faithfulness,) = [s for key, s in sums.items() if key[3] == "faithfulness" and key[4] == T0]
    assert (faithfulness.n, faithfulness.low, faithfulness.unmeasured) == (7, 5, 1)
    assert faithfulness.late == 2


# -- standing ------------------------------------------------------------------------------------------


def test_how_detectors_stand_is_told_once_a_window_and_decides_nothing() -> None:
    log = Log()
    for minute in range(40):
        log.rows(trace(minute * MINUTE, f"t{minute}", cost=1.0)).progress()
    asked, never = fresh(POLICY), fresh(POLICY)
    told = []
    for message in log.messages:
        asked.absorb(message)
        never.absorb(message)
        told += asked.standings()
    windows = [one.at // POLICY.window_ms for one in told]
    assert windows == sorted(set(windows)), "once a window at most, and in its order"
    assert len(windows) >= 35 * MINUTE // POLICY.window_ms
    last_told = told[-1]
    assert (last_told.app, last_told.environment, last_told.route) == ("app", "default", "default")
    watched = {one.rule: one for one in last_told.watched}
    assert watched["escalation_spike"].stage == "learning"
    assert 20 <= watched["escalation_spike"].seen <= 40
    assert asked.take_outputs() == never.take_outputs()
    assert asked.changes() == never.changes()
