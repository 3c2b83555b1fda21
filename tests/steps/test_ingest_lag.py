"""Traces that come late reach no detector: the volume says so, and holds back what the remnant would page."""

from __future__ import annotations

from detectors.declared.policy import Threshold
from detectors.incident import Board, Policy
from detectors.incident.group import order
from detectors.rules import Rule
from schemas.incident import Incident
from schemas.signal import Severity, Signal, SignalName
from tests.steps.logs import MINUTE, POLICY, Concluded, Log, absorbed, trace

RULES = (
    Rule("traffic", SignalName.VOLUME, Severity.P2, declared=Threshold(40.0, True, 10 * MINUTE)),
    Rule("score", SignalName.FAITHFULNESS, Severity.P2, declared=Threshold(0.6, True, 10 * MINUTE, 1)),
)
LAGS, ENDS = 60, 120
"""Minutes: from when nine of ten traces lag, and until when."""


def lagging(minutes: int) -> Concluded:
    """Ten traces a minute, all of them good but one; from the first hour on the good ones come later by
    ``minutes``, as when one of two producers can't keep up."""
    log = Log()
    for at in range(ENDS):
        lag = minutes if at >= LAGS else 0
        good = at - lag
        if lag == 0 or good >= LAGS:
            # What had not come before the lag began comes within it.
            log.rows(*(trace(good * MINUTE + n, f"g{good}-{n}", faithfulness=0.95) for n in range(9)))
        log.rows(trace(at * MINUTE + 30_000, f"b{at}", faithfulness=0.3))
        log.progress()
    return absorbed(log.ended().messages, POLICY._replace(rules=RULES))


def incidents(done: Concluded) -> dict[str, Incident]:
    board = Board(Policy(group_wait_ms=0))
    for signal in sorted((one for one in done.signals if isinstance(one, Signal)), key=order):
        board.absorb(signal)
    return {incident.rule: incident for incident in board.incidents.values()}


def test_a_lag_is_seen_as_traffic_that_fails_to_come_and_explains_the_scores() -> None:
    done = lagging(5)
    assert done.counters["app"]["late"] == 9 * (ENDS - LAGS - 5)
    found = incidents(done)
    assert set(found) == {"traffic", "score"}
    traffic, score = found["traffic"], found["score"]
    assert traffic.posted
    assert not score.posted, "what is left of the traffic is no measurement of all of it"
    assert score.inhibited is not None
    assert (score.inhibited.incident_id, score.inhibited.signal) == (traffic.id, SignalName.VOLUME)
    assert "stopped or lags" in score.inhibited.why
    assert [one.incident_id for one in traffic.explains] == [score.id]


def test_without_a_lag_neither_is_told() -> None:
    assert incidents(lagging(0)) == {}
