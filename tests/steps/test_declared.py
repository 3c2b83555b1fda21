"""Declared rules in the owner: a function of its messages, asked by the watermark, in the order of time."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.declared.policy import MaxAge, Threshold, UserBudget
from detectors.rules import Rule
from schemas.observation import Flag, ObservationBatch, Row, TraceRow
from schemas.signal import Recovery, Severity, Signal, SignalName
from streams.steps.owner import OwnerPolicy
from tests.steps.logs import MINUTE, POLICY, T0, Concluded, Log, Message, absorbed, change, score, trace
from tests.steps.test_determinism import by_segment, interleaved, interrupted, wild

ASKED = Flag.SCORE_REQUESTED.value
FIVE = 5 * MINUTE


def rule(name: str, signal: SignalName, declared: Threshold | MaxAge | UserBudget | None) -> Rule:
    return Rule(name, signal, Severity.P2, declared=declared)


RULES = (
    rule("spend", SignalName.SPEND, Threshold(1.0, False, FIVE)),
    rule("errors", SignalName.ERROR, Threshold(0.2, False, 2 * FIVE, 2)),
    rule("score", SignalName.FAITHFULNESS, Threshold(0.6, True, 2 * FIVE, 1)),
    rule("ground", SignalName.GROUNDED, Threshold(0.9, True, FIVE, 1)),
    rule("judge", SignalName.UNSCORED, Threshold(0.1, False, FIVE, 1)),
    rule("few", SignalName.VOLUME, Threshold(2.0, True, 2 * FIVE)),
    rule("traffic", SignalName.VOLUME, None),
    rule("index", SignalName.INDEX_AGE, MaxAge(20 * MINUTE)),
    rule("tokens", SignalName.USER_BUDGET, UserBudget(200, dollars=False)),
)
DECLARED: OwnerPolicy = POLICY._replace(rules=RULES)


def rich(row: Row) -> Row:
    """A trace with a user and tokens, and ingest's verdict on its own score."""
    if not isinstance(row, TraceRow):
        return row
    low = Flag.LOW_SCORE.value if row.faithfulness is not None else 0
    user = f"u{row.trace_id[-1]}"
    return row._replace(user_id=user, input_tokens=100, output_tokens=20, flags=row.flags | low)


def enriched(messages: Iterable[Message], versions: bool = True) -> list[Message]:
    """The same traffic with users, tokens and index versions (which differ from batch to batch)."""
    found: list[Message] = []
    for message in messages:
        if isinstance(message, ObservationBatch):
            version = f"i{message.rows[0].offset // 9}" if versions else None
            profiles = [profile._replace(index_version=version) for profile in message.profiles]
            rows = [rich(row) for row in message.rows]
            message = message._replace(rows=rows, profiles=profiles)
        found.append(message)
    return found


def fired(done: Concluded) -> set[str]:
    return {signal.rule for signal in done.signals if isinstance(signal, Signal)}


def told(done: Concluded) -> dict[str, Signal | Recovery]:
    return {one.id: one for one in done.signals if isinstance(one, Signal | Recovery)}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 70), st.integers(0, 2**32))
def test_crashes_change_nothing(seed: int, length: int, crashes: int) -> None:
    messages = enriched(wild(seed, length))
    policy = DECLARED._replace(score_wait_ms=5 * MINUTE, join_horizon_ms=30 * MINUTE)
    assert by_segment(interrupted(messages, crashes, policy)) == by_segment(absorbed(messages, policy))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(0, 2**32), st.integers(0, 2**32))
def test_when_the_watermark_moves_does_not_matter(seed: int, length: int, one: int, two: int) -> None:
    """Nothing is late here, so each order of partitions moves the watermark by other steps to one end."""
    orders = [enriched(interleaved(seed, length, order), versions=False) for order in (one, two)]
    first, second = (absorbed(messages, DECLARED) for messages in orders)
    assert told(first) == told(second)


def test_every_rule_fires_on_such_traffic() -> None:
    rules = set[str]()
    for seed in range(12):
        rules |= fired(absorbed(enriched(wild(seed, 60)), DECLARED))
    assert rules == {one.name for one in RULES} - {"traffic"}


def busy() -> Log:
    """Two hours of a dear trace a minute, from the thirtieth on; then other traffic moves time on."""
    log = Log()
    for at in range(120):
        log.rows(trace(at * MINUTE, f"t{at}", cost=1.0 if at >= 30 else 0.01))
        log.progress()
    return log


def test_silence_is_seen_by_the_watermark_and_fires_no_quality_rule() -> None:
    log = busy()
    log.rows(trace(600 * MINUTE, "elsewhere"), app="other").ended()
    done = absorbed(log.messages, DECLARED)
    alarms = [signal for signal in done.alarms() if signal.app == "app"]
    assert [(signal.rule, (signal.detected_at - T0) // MINUTE) for signal in alarms] == [
        ("spend", 35),
        ("few", 130),
    ]
    assert "volume of the last 10 min is 0 requests, below the declared 2 requests" in alarms[1].reason


def test_what_ends_comes_after_what_happens_at_that_instant() -> None:
    log = Log()
    for at in range(10):
        log.rows(trace(at * MINUTE, f"t{at}", cost=1.0))
    log.rows(trace(10 * MINUTE, "last", cost=1.0)).ended()
    budget = UserBudget(120, dollars=False, levels=((1.0, Severity.P2),))
    tokens = rule("tokens", SignalName.USER_BUDGET, budget)
    once = rule("spend", SignalName.SPEND, Threshold(9.0, False, 2 * FIVE))
    done = absorbed(enriched(log.messages), POLICY._replace(rules=(once, tokens)))
    assert [(signal.rule, signal.detected_at - T0) for signal in done.alarms()][-2:] == [
        ("tokens", 10 * MINUTE),
        ("spend", 10 * MINUTE),
    ]


def test_an_index_is_watched_by_the_watermark_and_an_update_ends_the_alarm() -> None:
    log = Log()
    log.rows(trace(0, "a")).rows(change(0, "index_version", "v1"))
    log.rows(trace(1, "b")).rows(change(2 * MINUTE, "index_version", "v2"))
    log.rows(trace(30 * MINUTE, "c")).rows(change(40 * MINUTE, "index_updated", "v3"))
    log.rows(trace(50 * MINUTE, "d")).ended()
    done = absorbed(log.messages, POLICY._replace(rules=RULES[7:8]))
    found = [one for one in done.signals if isinstance(one, Signal | Recovery)]
    assert [(one.type, (one.detected_at - T0) // MINUTE) for one in found] == [
        ("alarm", 22),
        ("recovery", 40),
    ]
    assert isinstance(found[1], Recovery)
    assert found[1].alarm_id == found[0].id


def test_scores_are_asked_when_none_is_awaited() -> None:
    """The bucket waits for the score of its last trace, and no other score can come before it."""
    log = Log()
    for at in range(5):
        log.rows(trace(at * MINUTE, f"t{at}", flags=ASKED))
    log.rows(trace(6 * MINUTE, "next", flags=ASKED)).ended()
    for at in (0, 1, 3, 4):
        log.rows(score(f"t{at}", 0.3, low=True)).progress(at_end=True)
    assert fired(absorbed(log.messages, DECLARED)) & {"score", "ground"} == set()
    log.rows(score("t2", 0.3, low=True)).progress(at_end=True)
    done = absorbed(log.messages, DECLARED)
    assert {"score", "ground"} <= fired(done)
    drop = next(signal for signal in done.alarms() if signal.rule == "ground")
    assert (drop.value, drop.n, drop.detected_at - T0) == (0.0, 5, FIVE)
    assert drop.direction == "down"


def test_a_random_day_gives_the_same_alarms_at_every_run() -> None:
    messages = enriched(wild(Random(5).randrange(2**32), 70))
    assert told(absorbed(messages, DECLARED)) == told(absorbed(messages, DECLARED))


def test_on_live_traffic_the_silence_of_everybody_is_seen() -> None:
    log = Log().rows(trace(0, "a")).ended(at=T0 + MINUTE)
    log.rows(change(2 * MINUTE, "index_version", "v1")).ended(at=T0 + 3 * MINUTE)
    for later in (10, 25, 600):
        log.ended(at=T0 + later * MINUTE)
    done = absorbed(log.messages, POLICY._replace(rules=RULES[5:8]))
    assert [(alarm.rule, (alarm.detected_at - T0) // MINUTE) for alarm in done.alarms()] == [
        ("few", 10),
        ("index", 22),
    ]
