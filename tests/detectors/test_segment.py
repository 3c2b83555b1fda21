"""A whole segment: the alarms that come, what they say, and the ones that don't."""

from __future__ import annotations

from random import Random

import pytest

from detectors.acceptance import Accepted
from detectors.rules import DEFAULT_RULES, Rule
from detectors.segment import SegmentMonitors
from schemas.observation import PriceStatus
from schemas.signal import Cause, Severity, SignalName
from tests.detectors.streams import DAY_MS, HEALTHY, badness, dollars, feed, on_score, on_trace

SPACING = 50_000


def segment() -> SegmentMonitors:
    return SegmentMonitors("shop", "prod", "chat")


def test_a_healthy_stream_brings_nothing() -> None:
    assert feed(segment(), Random(1), 9_000) == []


def test_healthy_streams_keep_the_budget() -> None:
    """8 streams of 5.8 days: one false page per rule in 28 days allows 8 * 3 * 5.8 / 28 = 5."""
    assert sum(len(feed(segment(), Random(100 + seed), 10_000)) for seed in range(8)) <= 5


def test_the_silent_model_update() -> None:
    shop, random = segment(), Random(4)
    assert feed(shop, random, 6_000) == []
    start = 6_000 * SPACING
    updated = HEALTHY._replace(served_model="gpt-2")
    signals = feed(shop, random, 150, start, profile=updated, mean=0.35, escalated=0.1, name="n")
    note, drop = signals[0], next(s for s in signals if s.rule == "faithfulness_drop")
    assert (note.rule, note.severity, note.pages, note.onset) == (
        "served_model_change",
        Severity.INFO,
        False,
        start,
    )
    assert note.cause == Cause(dimension="served_model", previous="gpt-1", current="gpt-2")
    assert "requests for gpt are now answered by gpt-2, before by gpt-1" in note.reason

    assert (drop.app, drop.environment, drop.route) == ("shop", "prod", "chat")
    assert (drop.severity, drop.pages, drop.direction) == (Severity.P2, True, "down")
    assert drop.detected_at - start <= 60 * SPACING, "within 60 scored conversations"
    assert abs(drop.onset - start) <= 15 * SPACING
    assert drop.baseline == pytest.approx(0.88, abs=0.01)
    assert drop.value == pytest.approx(0.65, abs=0.2)
    assert drop.baseline_note == "pinned, 5,185 units over 3 days"
    assert drop.baseline_n == 5_185
    assert drop.evidence is not None
    assert drop.threshold is not None
    assert drop.evidence >= drop.threshold
    assert drop.budget == "at most 1 false page per 4 weeks"
    assert drop.cause is not None
    assert (drop.cause.dimension, drop.cause.previous, drop.cause.current) == (
        "served_model",
        "gpt-1",
        "gpt-2",
    )
    assert drop.ruled_out == ("prompt_version, index_version, model unchanged",)
    assert len(set(drop.examples)) == 3
    assert all(trace_id.startswith("n") for trace_id in drop.examples)
    assert "answers is less than half supported by its sources; the mean score fell from 0.87" in drop.reason
    assert {s.rule for s in signals} >= {"served_model_change", "faithfulness_drop", "escalation_spike"}


def test_an_escalation_spike() -> None:
    shop, random = segment(), Random(31)
    assert feed(shop, random, 6_000) == []
    signals = feed(shop, random, 300, 6_000 * SPACING, escalated=0.15)
    assert signals[0].signal is SignalName.ESCALATION
    assert "conversations is handed to a person, normally 1 in" in signals[0].reason
    assert signals[0].cause is None


def test_one_user_drives_spend() -> None:
    shop, random = segment(), Random(4)
    assert feed(shop, random, 6_000) == []
    signals = feed(shop, random, 400, 6_000 * SPACING, factor=lambda user: 15.0 if user == "u7" else 1.0)
    assert [s.rule for s in signals][:1] == ["cost_per_success_rise"]
    assert signals[0].cause is not None
    assert (signals[0].cause.dimension, signals[0].cause.current) == ("user_id", "u7")
    assert signals[0].baseline == pytest.approx(0.0051, rel=0.1)
    assert signals[0].value is not None
    assert signals[0].value > 0.006
    assert "a request costs $0.0" in signals[0].reason


def test_a_lasting_shift_fires_again_with_new_ids() -> None:
    shop, random = segment(), Random(5)
    feed(shop, random, 1_000)
    signals = feed(shop, random, 800, 1_000 * SPACING, mean=0.45, name="n")
    drops = [s for s in signals if s.rule == "faithfulness_drop"]
    assert len(drops) > 3
    assert len({s.id for s in drops}) == len(drops)


def test_the_same_stream_gives_the_same_signals() -> None:
    def run() -> list[object]:
        shop, random = segment(), Random(6)
        feed(shop, random, 500)
        return list(feed(shop, random, 300, 500 * SPACING, mean=0.4, escalated=0.2, factor=4.0))

    first = run()
    assert first
    assert first == run()


def test_before_200_units_nothing_can_fire() -> None:
    shop, random = segment(), Random(7)
    feed(shop, random, 100)
    assert feed(shop, random, 99, 100 * SPACING, mean=0.5, escalated=1.0, factor=50.0) == []


def test_one_scorer_a_segment() -> None:
    shop, random = segment(), Random(8)

    def scores(scorer: str, n: int, mean: float) -> int:
        return sum(
            len(
                on_score(
                    shop, at * SPACING, f"{scorer}{at}", HEALTHY, None, scorer, 1.0 - badness(random, mean), 1
                )
            )
            for at in range(n)
        )

    assert scores("offline_groundedness", 150, 0.4) == 0
    assert shop.scorer == "offline_groundedness"
    assert scores("ragas_faithfulness", 10, 0.1) == 0
    assert shop.scorer == "ragas_faithfulness", "a judge takes over while the segment learns"
    assert scores("app", 500, 0.5) == 0
    assert shop.scorer == "ragas_faithfulness"
    assert scores("ragas_faithfulness", 300, 0.1) == 0
    assert scores("other_judge", 500, 0.5) == 0, "another judge is not the segment's, once it is armed"
    assert scores("ragas_faithfulness", 100, 0.5) > 0


def test_a_change_of_price_source_is_no_change_of_price() -> None:
    shop, random = segment(), Random(9)

    def costs(n: int, price: PriceStatus, factor: float, start: int) -> int:
        return sum(
            len(
                on_trace(
                    shop,
                    (start + at) * SPACING,
                    f"t{start + at}",
                    HEALTHY,
                    None,
                    dollars(random, factor),
                    price,
                    1,
                )[0]
            )
            for at in range(n)
        )

    assert costs(1_000, PriceStatus.PRICED, 1.0, 0) == 0
    assert costs(2_000, PriceStatus.REPORTED, 4.0, 1_000) == 0
    assert costs(200, PriceStatus.REPORTED, 16.0, 3_000) > 0, "armed anew on the new source"


def test_an_unpriced_request_is_no_unit() -> None:
    shop = segment()
    for at in range(300):
        verdict = on_trace(shop, at, f"t{at}", HEALTHY, None, None, PriceStatus.UNKNOWN_MODEL, 1)
        assert verdict == ([], False)
    assert shop.snapshot()["monitors"]["cost_per_success"]["detector"]["reference"]["sums"][0] == 0


def test_a_cost_outlier_makes_a_case_and_no_signal() -> None:
    shop, random = segment(), Random(10)
    feed(shop, random, 400)
    verdict = on_trace(shop, 401 * SPACING, "big", HEALTHY, None, 5.0, PriceStatus.PRICED, 1)
    assert verdict == ([], True)


def test_what_is_accepted_is_learned_anew() -> None:
    shop, random = segment(), Random(11)
    feed(shop, random, 1_000)
    assert shop.accept(Accepted(2 * DAY_MS, "a", "dana")) == []
    assert feed(shop, random, 1_000, 2 * DAY_MS, mean=0.4, escalated=0.2) == []
    assert shop.scorer == "ragas_faithfulness"
    assert not shop.accepted


def test_rules_may_be_left_out() -> None:
    only = SegmentMonitors("a", "prod", "r", rules=(DEFAULT_RULES[1],))
    random = Random(12)
    signals = feed(only, random, 400) + feed(
        only, random, 200, 400 * SPACING, mean=0.5, escalated=0.3, factor=9.0
    )
    assert {s.rule for s in signals} == {"escalation_spike"}


def test_a_rule_that_a_snapshot_does_not_know_starts_from_nothing() -> None:
    old = SegmentMonitors("a", "prod", "r", rules=DEFAULT_RULES[:1])
    feed(old, Random(13), 300)
    new = segment()
    new.restore(old.baselines(), old.snapshot(), old.monitors.remembered(), {})
    assert new.snapshot()["monitors"]["faithfulness"] == old.snapshot()["monitors"]["faithfulness"]


def test_rules_are_checked() -> None:
    with pytest.raises(ValueError, match="budget_weeks"):
        Rule("r", SignalName.COST, Severity.P2, budget_weeks=0)


@pytest.mark.parametrize("score", [-0.1, 1.01, 87.0, float("nan")])
def test_a_score_outside_its_scale_is_no_unit(score: float) -> None:
    shop = segment()
    assert on_score(shop, 0, "t", HEALTHY, None, "app", score, 1) == []
    assert shop.scorer is None
