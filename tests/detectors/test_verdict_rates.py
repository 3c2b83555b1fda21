"""Rates of verdicts and of silence of the judge, learned as other rates are."""

from __future__ import annotations

from random import Random

from detectors.rules import Rule
from detectors.segment import SegmentMonitors
from detectors.unit import Unit
from schemas.signal import Severity, Signal, SignalName
from tests.detectors.streams import HEALTHY, rate

GROUNDED = Rule("ungrounded", SignalName.GROUNDED, Severity.P2, min_effect=0.01)
UNSCORED = Rule("judge", SignalName.UNSCORED, Severity.P3)
MINUTE = 60_000


def verdicts(random: Random, n: int, share: float, start: int = 0) -> list[Unit]:
    return [((start + at) * MINUTE, rate(random, share), f"t{start + at}", HEALTHY, None) for at in range(n)]


def feed(segment: SegmentMonitors, units: list[Unit], scorer: str | None) -> list[Signal]:
    said = segment.on_verdicts(units, scorer, 1)
    return [signal for signal in said if isinstance(signal, Signal)]


def test_fewer_grounded_answers_are_told_as_a_fall() -> None:
    segment, random = SegmentMonitors("shop", "prod", "chat", (GROUNDED,)), Random(1)
    assert feed(segment, verdicts(random, 6_000, 0.05), "judge") == []
    first = feed(segment, verdicts(random, 200, 0.3, 6_000), "judge")[0]
    assert 10 <= first.detected_at // MINUTE - 6_000 <= 40
    assert (first.direction, first.signal) == ("down", SignalName.GROUNDED)
    assert first.baseline is not None
    assert first.value is not None
    assert first.value < 0.8 < 0.94 < first.baseline < 0.96
    assert first.unit == "share of scored answers"
    assert first.scorer == "judge"
    assert "scored answers is not grounded in their sources, normally 1 in " in first.reason


def test_a_judge_that_falls_silent_is_told() -> None:
    segment, random = SegmentMonitors("shop", "prod", "chat", (UNSCORED,)), Random(2)
    assert feed(segment, verdicts(random, 6_000, 0.01), None) == []
    first = feed(segment, verdicts(random, 100, 1.0, 6_000), None)[0]
    assert first.detected_at // MINUTE - 6_000 <= 12
    assert first.scorer == "", "it is of traces, not of scores"
    assert first.reason.startswith(
        "nearly all judged answers are without a score, because the judge gave none"
    )


def test_verdicts_of_another_scorer_are_no_units() -> None:
    segment, random = SegmentMonitors("shop", "prod", "chat", (GROUNDED,)), Random(3)
    feed(segment, verdicts(random, 1_000, 0.05), "judge")
    assert feed(segment, verdicts(random, 300, 0.9, 1_000), "app") == []
    assert segment.scorer == "judge"
    assert feed(segment, verdicts(random, 300, 0.9, 2_000), "judge")
