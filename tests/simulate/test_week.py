"""The simulated week: the same bytes, the promised sizes, and what goes wrong where it should."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from statistics import mean

import orjson
import pytest

from schemas.base import parse_time
from schemas.codec import Refused, classify, validate
from streams.judges.base import Scored
from streams.judges.offline import verdict_of
from streams.simulate.generate import EVENTS, SEED, lines, simulate, timed
from streams.simulate.policy_facts import CURRENT, STALE
from streams.simulate.scenarios import END_MS, ONSETS, SCENARIOS, START_MS, Fault
from streams.simulate.shape import Event
from streams.simulate.support_facts import PRODUCT_FACTS, SHOP_FACTS

FIRST = min(ONSETS.values())
DIMENSIONS = ("model", "served_model", "prompt_version", "index_version", "release", "provider")


@cache
def week(name: str, seed: int = SEED, events: int = EVENTS) -> list[Event]:
    return simulate(SCENARIOS[name], events, seed)


def traces(events: list[Event], app: str | None = None, route: str | None = None) -> list[Event]:
    return [
        event
        for event in events
        if event["event"] == "trace" and app in (None, event["app"]) and route in (None, event["route"])
    ]


def at(event: Event) -> int:
    return parse_time(event["timestamp"])


def split(events: list[Event], onset: int) -> tuple[list[Event], list[Event]]:
    return [e for e in events if at(e) < onset], [e for e in events if at(e) >= onset]


def scores(events: list[Event]) -> list[float]:
    verdicts = [
        verdict_of(event["question"], event["answer"], [context["text"] for context in event["contexts"]])
        for event in events
        if "answer" in event
    ]
    return [verdict.value for verdict in verdicts if isinstance(verdict, Scored)]


def escalated(events: list[Event], app: str) -> float:
    conversations = {event["trace_id"]: event["conversation_id"] for event in traces(events, app)}
    handed = {e["trace_id"] for e in events if e["event"] == "feedback" and e["kind"] == "escalation"}
    lost = {conversations[trace] for trace in handed & conversations.keys()}
    return len(lost) / len(set(conversations.values()))


def test_same_seed_same_bytes_and_another_seed_others() -> None:
    first, again = (b"".join(lines(simulate(SCENARIOS["demo"], 1500, 3))) for _ in range(2))
    assert first == again
    assert b"".join(lines(week("demo", 4, 1500))) != first


@pytest.mark.parametrize("events", [1, 2, 37, 2000])
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_exactly_so_many_events(name: str, events: int) -> None:
    assert len(week(name, SEED, events)) == events


@pytest.mark.parametrize("seed", [1, 2, SEED])
def test_fits_the_embedded_broker(seed: int) -> None:
    sizes = [len(orjson.dumps(event)) for event in traces(week("demo", seed))]
    assert len(sizes) <= 12_000
    assert mean(sizes) <= 1_200
    assert max(sizes) <= 2_048


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_every_event_is_accepted_as_what_it_is(name: str) -> None:
    for event in week(name, SEED, 3000):
        kind = classify(event)
        assert not isinstance(kind, Refused)
        assert kind == event["event"]
        assert not isinstance(validate(kind, event), Refused)


def test_order_and_span() -> None:
    times = [at(event) for event in week("demo")]
    assert times == sorted(times)
    assert times[0] >= START_MS
    assert times[-1] < END_MS + 3 * 3_600_000  # a reviewer's correction may come after hours
    assert max(ONSETS.values()) + 2 * 3_600_000 < END_MS
    late = [event for event in traces(week("demo")) if at(event) >= END_MS - 900_000]
    assert late, "conversations are decided by later traffic"


def test_ids_are_unique_and_feedback_has_its_trace() -> None:
    events = week("demo")
    ids = [event["trace_id"] for event in traces(events)]
    assert len(set(ids)) == len(ids)
    said = [event for event in events if event["event"] == "feedback"]
    assert len({event["feedback_id"] for event in said}) == len(said)
    known = {event["trace_id"]: event for event in traces(events)}
    for event in said:
        assert event["app"] == known[event["trace_id"]]["app"]
        assert at(event) > at(known[event["trace_id"]])


def test_enough_to_read() -> None:
    for facts in (
        [fact for of in PRODUCT_FACTS for fact in of],
        SHOP_FACTS,
        *([f for c in CURRENT for f in c],),
    ):
        assert len({fact.passage for fact in facts}) == len(facts)
    assert sum(map(len, PRODUCT_FACTS)) >= 60
    assert sum(map(len, CURRENT)) >= 60
    assert not {f.passage for c in CURRENT for f in c} & {f.passage for c in STALE for f in c}
    read = {
        event["answer"]
        for event in traces(week("demo"), "contract-extractor", "extract")
        if "answer" in event
    }
    assert len(read) > 1000


def test_conversations_have_one_to_three_turns_and_escalate_in_time() -> None:
    turns: dict[str, list[Event]] = defaultdict(list)
    for event in traces(week("demo")):
        if "conversation_id" in event:
            turns[event["conversation_id"]].append(event)
    assert set(Counter(len(turn) for turn in turns.values())) == {1, 2, 3}
    begun = {event["trace_id"]: at(turn[0]) for turn in turns.values() for event in turn}
    for event in week("demo"):
        if event["event"] == "feedback" and event["kind"] == "escalation":
            assert at(event) - begun[event["trace_id"]] < 600_000


def test_faulty_and_healthy_week_are_the_same_until_the_first_fault() -> None:
    healthy, _ = split(week("healthy"), FIRST)
    faulty, _ = split(week("demo"), FIRST)
    # What is said of the faults takes places of the 12,000: the last conversations drawn find none.
    assert len({orjson.dumps(e) for e in healthy} ^ {orjson.dumps(e) for e in faulty}) < 150


def test_healthy_week_has_no_change_at_all() -> None:
    events = week("healthy")
    assert not [event for event in events if event["event"] == "change"]
    values: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for event in traces(events):
        for dimension in DIMENSIONS:
            if dimension in event:
                values[event["app"], event["route"], dimension].add(event[dimension])
    assert {len(found) for found in values.values()} == {1}
    before, since = split(events, FIRST)
    for app in ("support-bot", "policy-bot"):
        usual, today = (mean(scores(traces(part, app))) for part in (before, since))
        assert abs(usual - today) < 0.03
    assert all(event["tags"]["pages"] <= 110 for event in traces(events, "contract-extractor"))


def test_silent_update_shows_in_the_answers_and_nowhere_else() -> None:
    events = week("silent-update")
    before, since = split(traces(events, "support-bot", "chat"), ONSETS[Fault.SILENT_UPDATE])
    assert {event.get("served_model") for event in before} <= {"gpt-4o-2024-08-06", None}
    assert {event.get("served_model") for event in since} <= {"gpt-4o-2024-11-20", None}
    assert {event["model"] for event in before + since} == {"gpt-4o"}
    usual, now = scores(before), scores(since)
    assert mean(usual) > 0.85
    assert 0.4 < mean(now) < 0.65
    assert sum(score < 0.18 for score in usual) / len(usual) < 0.04
    assert sum(score < 0.18 for score in now) / len(now) > 0.25
    for figure, allowed in (("latency_ms", 0.08), ("output_tokens", 0.05), ("input_tokens", 0.02)):
        old, new = (mean([e[figure] for e in part if figure in e]) for part in (before, since))
        assert abs(new / old - 1) < allowed, figure
    quiet, _ = split(traces(events, "support-bot", "email"), START_MS), None
    assert {event.get("served_model") for part in quiet for event in part} <= {"gpt-4o-mini-2024-07-18", None}


def test_stale_index_shows_in_escalations_and_not_in_faithfulness() -> None:
    events, onset = week("stale-index"), ONSETS[Fault.STALE_INDEX]
    before, since = split(events, onset)
    assert {e["index_version"] for e in traces(before, "policy-bot")} == {"policies-2026-02-27"}
    assert {e["index_version"] for e in traces(since, "policy-bot")} == {"policies-2025-11-14"}
    assert 0.01 < escalated(traces(before) + _said(events, before), "policy-bot") < 0.03
    assert 0.13 < escalated(traces(since) + _said(events, since), "policy-bot") < 0.23
    old, new = (mean(scores(traces(part, "policy-bot"))) for part in (before, since))
    assert abs(old - new) < 0.03
    (change,) = [event for event in events if event["event"] == "change"]
    assert (at(change), change["dimension"], change["author"]) == (onset, "index_version", "index-job")


def _said(events: list[Event], part: list[Event]) -> list[Event]:
    """The feedback on the traces of ``part``, whenever it came."""
    ids = {event["trace_id"] for event in traces(part)}
    return [event for event in events if event["event"] == "feedback" and event["trace_id"] in ids]


def test_cost_spike_is_one_user() -> None:
    before, since = split(
        traces(week("cost-spike"), "contract-extractor", "extract"), ONSETS[Fault.COST_SPIKE]
    )
    heavy = [event for event in since if event["input_tokens"] > 120_000]
    assert {event["user_id"] for event in heavy} == {"u-7731"}
    assert 0.1 < len(heavy) / len(since) < 0.3
    assert not [event for event in before if event["input_tokens"] > 120_000]
    outliers = [event for event in before if event["input_tokens"] > 40_000]
    assert 0 < len(outliers) < 20
    assert len({event["user_id"] for event in outliers}) == len(outliers), "single requests, no single user"
    assert all(event.get("schema_valid", True) for event in before + since)


def test_timed_lines_are_the_lines() -> None:
    events = week("demo", SEED, 50)
    assert b"".join(one.line.data + b"\n" for one in timed(events)) == b"".join(lines(events))
    data = b"".join(lines(events))
    assert all(data[one.line.offset :].startswith(one.line.data) for one in timed(events))
