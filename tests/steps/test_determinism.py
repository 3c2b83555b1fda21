"""The owner is a function of its messages: not of crashes, nor of how partitions interleave."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.harvest import feedback_outcome
from detectors.rules import DEFAULT_RULES
from schemas.catalog import RATES
from schemas.observation import (
    FeedbackRow,
    Flag,
    ObservationBatch,
    Outcome,
    Profile,
    Source,
    SourceProgress,
    TraceRow,
)
from schemas.observation import Progress as ProgressMessage
from schemas.signal import RollingReport, SignalName, SignalRecord, WindowStat
from streams.steps.ingest import IngestPolicy, Record, ingest
from streams.steps.ledger import Ledger, MemoryLedger, Rebuild
from streams.steps.owner import Owner, OwnerPolicy
from streams.steps.pack import decode, encode_progress
from streams.steps.prices import Prices
from tests.delivery.events import Event, traffic
from tests.steps.logs import (
    COUNTS,
    MINUTE,
    POLICY,
    SOURCES,
    T0,
    Concluded,
    Log,
    Message,
    absorbed,
    acceptance,
    added_up,
    change,
    feedback,
    score,
    trace,
)

KINDS = (
    *("trace",) * 3, *("feedback",) * 2, "score", "progress", "ended", "again", "change", "accept",
)  # fmt: skip
FEEDBACK = (("escalation", 1.0), ("escalation", 1.0), ("thumbs", -1.0), ("correction", 1.0))


def wild(seed: int, length: int) -> list[Message]:
    """Anything goes: late rows, duplicates, redeliveries, feedback and scores before their trace.

    It ends with a trace so late that nothing before it is pending any more.
    """
    rng, log, now = Random(seed), Log(), 0
    for _ in range(length):
        now += rng.randrange(3 * MINUTE)
        time = max(0, now - rng.choice((0, 0, 0, rng.randrange(20 * MINUTE))))
        name, app, partition = f"t{rng.randrange(12)}", rng.choice(("app", "app", "b")), rng.randrange(2)
        match rng.choice(KINDS):
            case "trace":
                rows = [
                    trace(
                        time + n,
                        f"t{rng.randrange(12)}",
                        conversation=rng.choice((None, "c1", "c2", "c3")),
                        flags=rng.choice(
                            (0, Flag.ERROR.value, Flag.SUCCEEDED.value, *[Flag.SCORE_REQUESTED.value] * 3)
                        ),
                        cost=rng.choice((None, 0.25, 1.5)),
                        faithfulness=rng.choice((None, None, 0.5)),
                        tokens=rng.choice((None, 0, 400)),
                        latency=rng.choice((None, 812.5, 3_000.0)),
                        first_token=rng.choice((None, 93.75)),
                    )
                    for n in range(rng.randrange(1, 4))
                ]
                profile = Profile(route=rng.choice(("r1", "r2")), model=rng.choice((None, "m")))
                log.rows(*rows, profile=profile, partition=partition, app=app)
            case "feedback":
                kind, value = rng.choice(FEEDBACK)
                log.rows(feedback(time, name, kind, value), partition=partition, app=app)
            case "score":
                given_score = rng.choice((None, 0.25, 0.875))
                scorer = rng.choice(("judge", "offline"))
                log.rows(
                    score(name, given_score, scorer=scorer, low=given_score == 0.25),
                    partition=partition,
                    app=app,
                )
            case "change":
                log.rows(change(time, "release", f"r{rng.randrange(3)}"), app=app)
            case "accept":
                signal = rng.choice((None, "faithfulness", "cost_per_success"))
                log.rows(acceptance(time, route=rng.choice((None, "r1")), signal=signal), app=app)
            case "again" if log.messages:
                log.messages.append(rng.choice(log.messages))
            case "ended":
                log.ended(at=T0 + now + rng.randrange(MINUTE))
            case _:
                log.progress(at=T0 + now + rng.randrange(MINUTE))
    return log.rows(trace(now + 24 * 60 * MINUTE, "end")).ended().messages


class Machine:
    """An owner whose state is written down, lost and read back like the rolling stage's."""

    def __init__(self, policy: OwnerPolicy, messages: Sequence[Message]) -> None:
        self.policy, self.messages = policy, messages
        self.entries: dict[str, bytes] = {}
        self.committed = self.position = 0
        self.store = MemoryLedger()
        self.owner = Owner(0, policy, Ledger(self.store, policy.join_horizon_ms))
        self.done = Concluded([], [], {})

    def absorb(self) -> None:
        self.owner.absorb(self.messages[self.position])
        self.position += 1

    def commit(self, *, flush: bool = True) -> None:
        self.owner.report(self.position)
        outputs = self.owner.take_outputs()
        self.done.signals.extend(outputs.signals)
        self.done.cases.extend(outputs.cases)
        for key, value in self.owner.changes().items():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value
        self.committed = self.position
        if flush:
            self.owner.flush_ledger(self.position)

    def send(self) -> None:
        """The first half of a commit that is not one transaction: what it sends is out, and the state is
        not written. Only a crash may follow."""
        outputs = self.owner.take_outputs()
        self.done.signals.extend(outputs.signals)
        self.done.cases.extend(outputs.cases)

    def crash(self, *, new_machine: bool = False) -> None:
        if new_machine:
            self.store = MemoryLedger()
        ledger = Ledger(self.store, self.policy.join_horizon_ms)
        self.owner = Owner(0, self.policy, ledger)
        rebuild = Rebuild(ledger, self.policy.lateness_ms)
        for message in self.messages[ledger.position : self.committed]:
            rebuild.absorb(message)
        rebuild.flush(self.committed)
        # A store hands back no order that means anything.
        self.owner.restore(dict(sorted(self.entries.items(), reverse=True)))
        self.position = self.committed

    def finish(self) -> Concluded:
        self.commit()
        counters = {app.name: dict(app.counters) for app in self.owner.apps.values()}
        return self.done._replace(counters=counters)


def interrupted(messages: Sequence[Message], seed: int, policy: OwnerPolicy = POLICY) -> Concluded:
    """The same messages through a machine that commits and crashes at arbitrary points."""
    rng, machine, crashes = Random(seed), Machine(policy, messages), 0
    while machine.position < len(messages):
        machine.absorb()
        fate = rng.random()
        if fate < 0.3:
            machine.commit()
        elif fate < 0.5 and crashes < 30:
            crashes += 1
            if fate < 0.4:
                machine.commit(flush=fate < 0.35)  # between the commit and the ledger's write
            machine.crash(new_machine=rng.random() < 0.3)
    return machine.finish()


def by_segment(done: Concluded) -> object:
    """Everything, in its order within each segment; the order of segments means nothing. How many parts
    a window has depends on the commits: what they add up to does not."""
    segments: dict[tuple[str, str, str], list[SignalRecord]] = {}
    for signal in done.signals:
        assert not isinstance(signal, RollingReport)
        if not isinstance(signal, WindowStat) or not signal.part:
            segments.setdefault((signal.app, signal.environment, signal.route), []).append(signal)
    return segments, added_up(done.signals), done.cases, done.counters


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 70), st.integers(0, 2**32))
def test_crashes_change_nothing(seed: int, length: int, crashes: int) -> None:
    messages = wild(seed, length)
    policy = POLICY._replace(score_wait_ms=5 * MINUTE, join_horizon_ms=30 * MINUTE)
    assert by_segment(interrupted(messages, crashes, policy)) == by_segment(absorbed(messages, policy))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 70), st.integers(0, 2**32))
def test_what_was_sent_by_a_commit_that_was_not_written_is_said_again_not_added(
    seed: int, length: int, crashes: int
) -> None:
    """The embedded way: outputs are sent, the process dies, the state is that of the commit before."""
    messages, rng, left = wild(seed, length), Random(crashes), 30
    machine = Machine(POLICY, messages)
    while machine.position < len(messages):
        machine.absorb()
        fate = rng.random()
        if fate < 0.3:
            machine.commit()
        elif fate < 0.6 and left:
            left -= 1
            machine.send()
            machine.crash(new_machine=rng.random() < 0.3)
    done, whole = machine.finish(), absorbed(messages)
    assert added_up(done.signals) == added_up(whole.signals)
    assert {alarm.id: alarm for alarm in done.alarms()} == {alarm.id: alarm for alarm in whole.alarms()}
    assert {case.event_id: case for case in done.cases} == {case.event_id: case for case in whole.cases}
    assert done.counters == whole.counters


def test_a_commit_that_is_repeated_in_smaller_ones_says_every_part_anew() -> None:
    """What was sent for a closed window is replaced by less, and the rest comes in the next part."""
    log = Log().rows(trace(0, "a", cost=1.0), trace(24 * 60 * MINUTE - 1, "z")).ended()
    log.rows(trace(1, "late 1", cost=2.0)).rows(trace(2, "late 2", cost=4.0))
    machine = Machine(POLICY, log.messages)
    for _ in range(2):
        machine.absorb()
    machine.commit()
    for _ in range(2):
        machine.absorb()
    machine.send()
    machine.crash()
    for _ in range(2):
        machine.absorb()
        machine.commit()
    parts = [
        (stat.part, stat.n, stat.total)
        for stat in machine.done.signals
        if isinstance(stat, WindowStat) and stat.signal == "cost_per_request" and stat.start == T0
    ]
    assert parts == [(0, 1, 1.0), (1, 2, 6.0), (1, 1, 2.0), (2, 1, 4.0)]
    assert machine.finish().windows()["app", "cost_per_request", 0] == (3, 7.0, 0, 2)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 70), st.integers(0, 2**32))
def test_redeliveries_change_nothing(seed: int, length: int, where: int) -> None:
    """A source's rows come again from any earlier place on, as after a crash of ingest."""
    messages, rng = wild(seed, length), Random(where)
    repeated: list[Message] = []
    for place, message in enumerate(messages):
        repeated.append(message)
        if rng.random() < 0.3:
            earlier = messages[rng.randrange(place + 1) : place + 1]
            repeated += [m for m in earlier if isinstance(m, ObservationBatch)]
    assert absorbed(repeated) == absorbed(messages)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 70), st.sampled_from([20 * MINUTE, 14 * 24 * 60 * MINUTE]))
def test_a_rebuilt_ledger_is_the_ledger(seed: int, length: int, horizon_ms: int) -> None:
    """Folding the topic again gives what was written on the way: after the last row nothing is pending."""
    messages = wild(seed, length)
    store = MemoryLedger()
    owner = Owner(0, POLICY, Ledger(store, horizon_ms))
    folded = MemoryLedger()
    ledger = Ledger(folded, horizon_ms)
    rebuild = Rebuild(ledger, POLICY.lateness_ms)
    for message in messages:
        owner.absorb(message)
        rebuild.absorb(message)
    owner.flush_ledger(len(messages))
    rebuild.flush(len(messages))
    assert [b for b, _ in store.lookups()] == [b for b, _ in folded.lookups()]
    for (_, kept), (_, again) in zip(store.lookups(), folded.lookups(), strict=True):
        assert {key: kept(key) for key in store} == {key: again(key) for key in folded}


# -- order independence --------------------------------------------------------------------------------


def rows_by_source(seed: int, length: int) -> dict[tuple[str, int], list[tuple[str, object]]]:
    """Per source partition its rows in event-time order, as (app, row)."""
    rng = Random(seed)
    sources: dict[tuple[str, int], list[tuple[str, object]]] = {}
    for number in range(length):
        time = number * rng.randrange(1, 3 * MINUTE)
        app = rng.choice(("app", "app", "b"))
        row = trace(
            time,
            f"t{number}",
            conversation=rng.choice((None, "c1", "c2", f"c{number // 5}")),
            flags=rng.choice((0, 0, Flag.ERROR.value, Flag.SUCCEEDED.value, Flag.FAILED.value)),
            cost=rng.choice((None, 0.25, 1.5)),
            faithfulness=rng.choice((None, 0.5, 0.75)),
            tokens=rng.choice((None, 300)),
            latency=rng.choice((None, 0.5, 2_000.0)),
            first_token=rng.choice((None, None, 62.5)),
        )
        sources.setdefault(("traces", rng.randrange(2)), []).append((app, row))
        for kind, value in rng.sample(FEEDBACK, rng.randrange(3)):
            after = rng.randrange(-5 * MINUTE, 15 * MINUTE)
            said = feedback(time + after, row.trace_id, kind, value)
            sources.setdefault(("feedback", rng.randrange(2)), []).append((app, said))
    sources["changes", 0] = [("app", change(length * MINUTE, "release", "r2"))]
    for rows in sources.values():
        rows.sort(key=lambda item: item[1][0])  # type: ignore[index]
    return sources


def interleaved(seed: int, length: int, order: int) -> list[Message]:
    """What an honest ingest writes of these source partitions, in one of many possible orders."""
    rng, left = Random(order), rows_by_source(seed, length)
    log = Log()
    log.progress(
        at_end=[source for group in SOURCES.values() for source in group if not left.get(source[1:])]
    )
    log.messages.clear()  # nothing is known before everything has reported: see ``honest`` below
    reached: dict[Source, int] = {}
    messages: list[Message] = [honest(left, reached)]
    while any(left.values()):
        topic, partition = rng.choice([place for place, rows in left.items() if rows])
        rows = left[topic, partition]
        count = rng.randrange(1, 6)
        taken, left[topic, partition] = rows[:count], rows[count:]
        for app, row in taken:
            log.rows(row, partition=partition, app=app)  # type: ignore[arg-type]
            messages.append(log.messages[-1])
        source = Source("s", topic, partition)
        reached[source] = taken[-1][1][0]  # type: ignore[index]
        if rng.random() < 0.7:
            messages.append(honest(left, reached))
    messages.append(honest(left, reached))
    return messages


def honest(
    left: dict[tuple[str, int], list[tuple[str, object]]], reached: dict[Source, int]
) -> ProgressMessage:
    entries = [
        SourceProgress(source, 0, reached.get(source), not left.get((source.topic, source.partition)))
        for group in SOURCES.values()
        for source in group
    ]
    return ProgressMessage(T0 + 10**9, dict(COUNTS), entries)


def final(done: Concluded) -> object:
    """What does not depend on when it was published."""
    cases = sorted((case.app, case.trace_id, case.reasons, case.time) for case in done.cases)
    return done.windows(), cases, done.counters, {alarm.id: alarm for alarm in done.alarms()}


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(0, 2**32), st.integers(0, 2**32))
def test_the_order_of_partitions_does_not_matter(seed: int, length: int, one: int, two: int) -> None:
    first, second = (absorbed(interleaved(seed, length, order)) for order in (one, two))
    assert not any("late" in counters for counters in first.counters.values())
    assert final(first) == final(second)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(0, 2**32))
def test_it_is_what_the_definitions_say(seed: int, length: int, order: int) -> None:
    """Against an oracle that knows no watermark, no ledger and no state: sums over the whole of the rows."""
    done = absorbed(interleaved(seed, length, order))
    rows = [item for group in rows_by_source(seed, length).values() for item in group]
    newest = max(row[0] for _, row in rows)  # type: ignore[index]
    assert done.windows() == oracle(rows, newest)


def oracle(
    rows: Sequence[tuple[str, object]], newest: int
) -> dict[tuple[str, str, int], tuple[int, float, int, int]]:
    width, decide = POLICY.window_ms, POLICY.conversation_ms
    units: dict[tuple[str, str, int], list[float | None]] = {}

    def unit(app: str, signal: str, time: int, value: float | None, wait: int = decide) -> None:
        start = time - time % width
        if start + width <= newest - wait:
            units.setdefault((app, signal, (start - T0) // MINUTE), []).append(value)

    traces = sorted((row.time, row.trace_id, app, row) for app, row in rows if isinstance(row, TraceRow))
    firsts: dict[tuple[str, str], int] = {}
    turns: dict[tuple[str, str], list[TraceRow]] = {}
    for time, trace_id, app, row in traces:
        unit(app, "cost_per_request", time, row.cost, 0)
        if row.latency_ms is not None:
            unit(app, "latency_ms", time, row.latency_ms, 0)
        if row.time_to_first_token_ms is not None:
            unit(app, "time_to_first_token_ms", time, row.time_to_first_token_ms, 0)
        if row.input_tokens is not None and row.output_tokens is not None:
            unit(app, "tokens_per_request", time, row.input_tokens + row.output_tokens, 0)
        unit(app, "faithfulness", time, row.faithfulness)
        key = (app, row.conversation_id or f"alone {trace_id}")
        firsts.setdefault(key, time)
        turns.setdefault(key, []).append(row)
    for (app, conversation), first in firsts.items():
        bits = 0
        for turn in turns[app, conversation]:
            if turn.time <= first + decide:
                bits |= turn.flags | (Outcome.UNPRICED if turn.cost is None else 0)
            for of_app, said in rows:
                if isinstance(said, FeedbackRow) and (of_app, said.trace_id) == (app, turn.trace_id):
                    in_time = max(said.time, turn.time) <= first + decide
                    bits |= feedback_outcome(said.feedback_kind, said.negative) if in_time else 0
        said_so = bits & Flag.SUCCEEDED
        failing = bits & (Flag.ERROR | Flag.SCHEMA_INVALID | Outcome.ESCALATED)
        bits |= Outcome.UNSUCCESSFUL if bits & Flag.FAILED or (failing and not said_so) else 0
        for signal, counted in RATES.items():
            unit(app, signal, first, 1.0 if bits & counted else 0.0)
    watched = {rule.signal for rule in DEFAULT_RULES} | {SignalName.TASK_FAILURE}
    units = {  # a rate that nobody watches has no window in which it is 0
        key: values
        for key, values in units.items()
        if key[1] not in RATES or key[1] in watched or any(values)
    }
    return {
        key: (
            sum(value is not None for value in values),
            sum(value for value in values if value is not None),
            sum(value is None for value in values),
            0,
        )
        for key, values in units.items()
    }


# -- with detectors that fire --------------------------------------------------------------------------


def production(traces: int, seed: int, *more: Event, judged: bool = True) -> list[Message]:
    """Real traffic through the real step of ingest and the wire, with a judge for half of it."""
    rng, messages = Random(seed), []
    records: dict[tuple[str, int], list[Record]] = {}
    for event in sorted([*traffic(traces), *more], key=lambda event: event.time):
        value = dict(event.value)
        if judged and event.topic == "traces" and int(event.key.rsplit("-", 1)[1]) % 2:
            value["scores"] = {}
        partition = hash_of(event.key) % COUNTS[event.topic]
        log = records.setdefault((event.topic, partition), [])
        data = type(event)(event.topic, event.time, value).data()
        log.append(Record("s", event.topic, partition, len(log), event.time, data))
    left = {place: list(log) for place, log in records.items()}
    newest: dict[Source, int] = {}
    scores: list[Record] = []
    prices, policy = Prices(), IngestPolicy()
    while any(left.values()) or scores:
        batch: list[Record] = []
        # The partitions advance together in event time, each by its own pace.
        limit = min(log[0].timestamp for log in left.values() if log) + 600_000 if any(left.values()) else 0
        for place, log in left.items():
            count = sum(record.timestamp <= limit for record in log[: rng.randrange(60)])
            batch += log[:count]
            left[place] = log[count:]
        taken, scores = scores[:50], scores[50:]
        flushed = ingest([*batch, *taken], policy, prices)
        newest |= flushed.newest
        messages += [decode(message) for _, message in flushed.observations]
        for trace_id, request in flushed.requests:
            answer = f'{{"kind": "score", "v": 1, "trace_id": "{trace_id}", "app": "{trace_id.split("-")[0]}"'
            answer += f', "scorer": "judge", "scorer_version": "1", "value": {rng.random():.3f}}}'
            assert request
            scores.insert(rng.randrange(len(scores) + 1), Record("s", "scores", 0, 0, 0, answer.encode()))
        scores = [record._replace(offset=n + len(messages) * 1000) for n, record in enumerate(scores)]
        entries = [
            SourceProgress(source, 0, newest.get(source), not left.get((source.topic, source.partition)))
            for group in SOURCES.values()
            for source in group
        ]
        report = ProgressMessage(T0 + 10**9, dict(COUNTS), entries)
        messages.append(decode(encode_progress(report)))
    return messages


def hash_of(key: str) -> int:
    return sum(key.encode())


@pytest.mark.slow
def test_crashes_change_no_alarm() -> None:
    policy = OwnerPolicy()
    messages = production(1_200, seed=1)
    done = absorbed(messages, policy)
    assert {alarm.rule for alarm in done.alarms()} >= {
        "cost_per_success_rise",
        "escalation_spike",
        "served_model_change",
    }
    assert done.counters["shop"]["scores"] > 100
    for seed in range(3):
        assert by_segment(interrupted(messages, seed, policy)) == by_segment(done)
