"""Message sequences of ``observations`` as ingest could have written them, and owners that absorb them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from schemas.case import CaseRequest
from schemas.histogram import merged
from schemas.observation import (
    BaselineRow,
    ChangeRow,
    FeedbackRow,
    Kind,
    ObservationBatch,
    Profile,
    Progress,
    ScoreRow,
    Source,
    SourceProgress,
    TraceRow,
)
from schemas.signal import Signal, SignalName, SignalRecord, WindowStat
from streams.steps.ledger import Ledger, MemoryLedger
from streams.steps.owner import Owner, OwnerPolicy

Message = ObservationBatch | Progress
T0 = 1_772_438_400_000
"""2026-03-02T08:00:00Z, the beginning of a window."""
MINUTE = 60_000
POLICY = OwnerPolicy(window_ms=10 * MINUTE)
"""Conversations are decided after ten minutes, as long as a window; scores are awaited for as long."""
COUNTS = {"traces": 2, "feedback": 2, "changes": 1}
SOURCES = {topic: [Source("s", topic, n) for n in range(count)] for topic, count in COUNTS.items()}
TRACES, FEEDBACK, CHANGES = SOURCES["traces"], SOURCES["feedback"], SOURCES["changes"]
SCORES = [Source("s", "scores", 0), Source("s", "scores", 1)]


def trace(
    time: int,
    trace_id: str,
    *,
    conversation: str | None = None,
    flags: int = 0,
    cost: float | None = None,
    faithfulness: float | None = None,
    tokens: int | None = None,
    latency: float | None = None,
    first_token: float | None = None,
    profile: int = 0,
    offset: int = 0,
    source: int = 0,
) -> TraceRow:
    """``time`` in milliseconds since T0."""
    return TraceRow(
        T0 + time,
        trace_id,
        Kind.TRACE.value,
        source,
        offset,
        0,
        profile,
        conversation,
        None,
        flags,
        cost,
        0 if cost is not None else 3,
        tokens,
        tokens,
        latency,
        faithfulness,
        first_token,
    )


def feedback(
    time: int,
    trace_id: str,
    kind: str = "escalation",
    value: float = 1.0,
    *,
    offset: int = 0,
    source: int = 0,
) -> FeedbackRow:
    negative = value < 0 if kind == "thumbs" else value == 1
    name = f"{kind}-{trace_id}-{time}"
    return FeedbackRow(
        T0 + time, trace_id, Kind.FEEDBACK.value, source, offset, 0, name, kind, value, negative
    )


def score(
    trace_id: str,
    value: float | None,
    *,
    scorer: str = "judge",
    low: bool = False,
    offset: int = 0,
    source: int = 0,
) -> ScoreRow:
    reason = "" if value is not None else "timeout"
    name = f"{scorer}-{trace_id}"
    return ScoreRow(0, trace_id, Kind.SCORE.value, source, offset, 0, name, scorer, value, low, reason)


def change(time: int, dimension: str, current: str, *, offset: int = 0, source: int = 0) -> ChangeRow:
    name = f"{dimension}-{current}"
    return ChangeRow(
        T0 + time, "", Kind.CHANGE.value, source, offset, 0, name, None, dimension, None, current, None
    )


def acceptance(
    time: int,
    *,
    environment: str | None = None,
    route: str | None = None,
    signal: str | None = None,
    rule: str | None = None,
) -> BaselineRow:
    """``time`` in milliseconds since T0."""
    name = f"acceptance-{time}-{environment}-{route}-{signal}-{rule}"
    return BaselineRow(
        T0 + time, "", Kind.BASELINE.value, 0, 0, 0, name, environment, route, signal, rule, "dana"
    )


class Log:
    """Builds a message sequence, handing out offsets; what has been said can be said again."""

    def __init__(self, app: str = "app") -> None:
        self.app = app
        self.messages: list[Message] = []
        self._offsets: dict[Source, int] = {}
        self._newest: dict[Source, int] = {}

    def rows(
        self,
        *rows: TraceRow | FeedbackRow | ScoreRow | ChangeRow | BaselineRow,
        profile: Profile | None = None,
        partition: int = 0,
        app: str | None = None,
    ) -> Log:
        """One batch: the rows in this order, each from ``partition`` of its topic."""
        sources: dict[Source, int] = {}
        placed = []
        for row in rows:
            source = self._source(row, partition)
            offset = self._offsets.get(source, 0)
            self._offsets[source] = offset + 1
            if row.kind != Kind.SCORE:
                self._newest[source] = max(self._newest.get(source, row.time), row.time)
            placed.append(row._replace(source=sources.setdefault(source, len(sources)), offset=offset))
        profiles = [profile or Profile()]
        self.messages.append(ObservationBatch(app or self.app, list(sources), profiles, list(placed)))
        return self

    @staticmethod
    def _source(row: TraceRow | FeedbackRow | ScoreRow | ChangeRow | BaselineRow, partition: int) -> Source:
        if row.kind in (Kind.CHANGE, Kind.BASELINE):
            return CHANGES[0]
        return {Kind.TRACE: TRACES, Kind.FEEDBACK: FEEDBACK, Kind.SCORE: SCORES}[Kind(row.kind)][partition]

    def progress(self, *, at_end: bool | Sequence[Source] = False, at: int = T0 + 10**9) -> Log:
        """A report on every source partition; ``at_end`` which have ended besides those without a row."""
        entries = []
        for source in (s for group in SOURCES.values() for s in group):
            ended = at_end if isinstance(at_end, bool) else source in at_end
            ended = ended or source not in self._newest
            offset = self._offsets.get(source, 0)
            entries.append(SourceProgress(source, offset, self._newest.get(source), ended))
        self.messages.append(Progress(at, dict(COUNTS), entries))
        return self

    def ended(self, at: int = T0 + 10**9) -> Log:
        """Every partition stands at its end: the watermark is the largest event time."""
        return self.progress(at_end=True, at=at)


class WindowSums(NamedTuple):
    n: int
    total: float
    unmeasured: int
    late: int
    low: int
    histogram: tuple[int, ...]


WindowKey = tuple[str, str, str, SignalName, int]
"""App, environment, route, signal, start."""


class Concluded(NamedTuple):
    """Everything that an owner has put out, in order, and its counters."""

    signals: list[SignalRecord]
    cases: list[CaseRequest]
    counters: dict[str, dict[str, int]]

    def windows(self) -> dict[tuple[str, str, int], tuple[int, float, int, int]]:
        """(app, signal, minutes since T0) to (n, total, unmeasured, late)."""
        return {
            (app, str(signal), (start - T0) // MINUTE): (s.n, s.total, s.unmeasured, s.late)
            for (app, _, _, signal, start), s in added_up(self.signals).items()
        }

    def alarms(self) -> list[Signal]:
        return [signal for signal in self.signals if isinstance(signal, Signal)]

    def reasons(self) -> set[tuple[str, str, str]]:
        """(app, trace_id, reason) of every case request."""
        return {(case.app, case.trace_id, str(reason)) for case in self.cases for reason in case.reasons}


def added_up(records: Iterable[object]) -> dict[WindowKey, WindowSums]:
    """Each window as a reader of all these records has it: the last of each part, added up.

    The numbers of parts leave no gap: 0, 1, 2, …, or 1, 2, … where nothing had come when it closed.
    """
    parts: dict[WindowKey, dict[int, WindowStat]] = {}
    for stat in records:
        if isinstance(stat, WindowStat):
            key = (stat.app, stat.environment, stat.route, stat.signal, stat.start)
            parts.setdefault(key, {})[stat.part] = stat
    windows = {}
    for key, by_number in parts.items():
        numbers = sorted(by_number)
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert numbers[0] <= 1
        every = [by_number[number] for number in numbers]
        windows[key] = WindowSums(
            sum(part.n for part in every),
            sum(part.total for part in every),
            sum(part.unmeasured for part in every),
            sum(part.late for part in every),
            sum(part.low for part in every),
            tuple(merged(part.histogram for part in every)),
        )
    return windows


def fresh(policy: OwnerPolicy = POLICY) -> Owner:
    return Owner(0, policy, Ledger(MemoryLedger(), policy.join_horizon_ms))


def concluded(owner: Owner) -> Concluded:
    outputs = owner.take_outputs()
    counters = {app.name: dict(app.counters) for app in owner.apps.values()}
    return Concluded(outputs.signals, outputs.cases, counters)


def absorbed(messages: Iterable[Message], policy: OwnerPolicy = POLICY) -> Concluded:
    """What an owner that nobody interrupts concludes from these messages."""
    owner = fresh(policy)
    for message in messages:
        owner.absorb(message)
    return concluded(owner)
