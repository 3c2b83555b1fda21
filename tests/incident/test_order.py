"""Order and repetition: what must not matter to the incidents."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.incident import Board, group
from schemas.incident import Incident
from schemas.signal import Cause, Severity, Signal, SignalName
from tests.incident.signals import HOUR, MINUTE, T0, alarm

CAUSES = (
    None,
    Cause(dimension="prompt_version", current="v7"),
    Cause(dimension="served_model", current="m2"),
)
ALARMING = (SignalName.FAITHFULNESS, SignalName.ESCALATION, SignalName.COST)


@st.composite
def streams(draw: st.DrawFn) -> list[Signal]:
    """Signals of two apps over three days, some of them notes, in the order of detection."""
    count = draw(st.integers(1, 14))
    signals = []
    for number in range(count):
        notes = draw(st.integers(0, 4)) == 0
        onset = T0 + draw(st.integers(0, 72 * 12)) * 5 * MINUTE
        signals.append(
            alarm(
                f"s{number}",
                SignalName.SERVED_MODEL if notes else draw(st.sampled_from(ALARMING)),
                onset=onset,
                detected_at=onset + draw(st.integers(0, 20)) * HOUR // 4,
                app=draw(st.sampled_from(["a", "b"])),
                route=draw(st.sampled_from(["/x", "/y"])),
                severity=draw(st.sampled_from([Severity.P1, Severity.P2, Severity.P3])),
                pages=not notes,
                cause=draw(st.sampled_from(CAUSES)),
                value=draw(st.sampled_from([0.5, 0.6, 0.7])),
            )
        )
    return sorted(signals, key=lambda one: (one.detected_at, one.pages, one.id))


def live(signals: list[Signal]) -> list[Incident]:
    """The boards of both apps, fed one by one as notify feeds them."""
    boards: dict[str, Board] = {}
    for signal in signals:
        board = boards.setdefault(signal.app, Board())
        board.due(signal.detected_at, signal.detected_at)
        board.absorb(signal)
    end = max(signal.detected_at for signal in signals)
    for board in boards.values():
        board.release(end)
        board.due(end, end)
    incidents = [incident for board in boards.values() for incident in board.incidents.values()]
    return sorted(incidents, key=lambda one: (one.detected_at, one.id))


@given(streams(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_any_order_with_duplicates_gives_the_same_incidents(signals: list[Signal], random: object) -> None:
    shuffled = [*signals, *signals[::2]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert group(shuffled) == group(signals)


@given(streams())
@settings(deadline=None)
def test_every_alarm_is_counted_in_exactly_one_incident(signals: list[Signal]) -> None:
    incidents = group(signals)
    alarms = [one for one in signals if one.pages]
    assert sum(member.alarms for incident in incidents for member in incident.members) == len(alarms)
    firsts = [member.signal_id for incident in incidents for member in incident.members]
    assert len(firsts) == len(set(firsts))
    assert len({incident.id for incident in incidents}) == len(incidents)
    for incident in incidents:
        keys = [member.identity for member in incident.members]
        assert len(keys) == len(set(keys))


@given(streams(), st.data())
@settings(deadline=None)
def test_redelivery_and_interleaving_change_nothing_live(signals: list[Signal], data: st.DataObject) -> None:
    """Kafka repeats a suffix from an older offset, and mixes apps freely; within an app the order stands."""
    repeated: list[Signal] = []
    for at, signal in enumerate(signals):
        repeated.append(signal)
        if data.draw(st.booleans()):
            repeated += signals[data.draw(st.integers(0, at)) : at + 1]
    by_app = sorted(repeated, key=lambda one: one.app)
    assert live(repeated) == live(by_app) == live(signals) == group(signals)


@given(streams(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_out_of_order_live_still_loses_and_doubles_nothing(signals: list[Signal], random: object) -> None:
    shuffled = list(signals)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    alarms = [one for one in signals if one.pages]
    assert sum(member.alarms for incident in live(shuffled) for member in incident.members) == len(alarms)
