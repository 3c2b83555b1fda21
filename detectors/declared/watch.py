"""The declared rules of one segment, and volume: what they are fed, and when they are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from detectors.acceptance import Accepted
from detectors.baseline import ArmingPolicy
from detectors.declared.buckets import Measured
from detectors.declared.finding import Said
from detectors.declared.index_age import IndexAge
from detectors.declared.meters import Meter, meter_of
from detectors.declared.policy import BUCKET_MS, MaxAge, UserBudget
from detectors.declared.tell import Segment, tell
from detectors.declared.user_budget import UserBudgets
from detectors.declared.volume import Volume
from detectors.rule_edits import says
from detectors.rules import Kind, Rule, declared_of
from detectors.scorers import rank
from schemas.catalog import RATES
from schemas.observation import Profile, TraceRow
from schemas.signal import Recovery, Signal, SignalName

Order = tuple[int, int]
ASKED = 2
"""At one instant what closes comes after traces (0) and decided conversations (1)."""
Told = tuple[Order, Signal | Recovery]
Read = Callable[[TraceRow], float | None]
SegmentsAt = Callable[[int], int]


class Watched(NamedTuple):
    rule: Rule
    meter: Meter


class DeclaredWatch:
    """Fed what the segment's monitors are fed; asked by the passing of event time.

    Pure, and indifferent to how what it is fed is split over calls: nothing is decided before
    :meth:`close` (of scores :meth:`close_scores`) says that everything of a bucket has come. A user's budget
    alone is told on the trace that reaches a level. Without a rule of these kinds it is false.
    """

    __slots__ = ("_ages", "_budgets", "_of", "_rates", "_reads", "_scores", "_volumes", "asked", "scorer")

    def __init__(
        self,
        app: str,
        environment: str,
        route: str,
        rules: tuple[Rule, ...],
        policy: ArmingPolicy | None = None,
    ) -> None:
        self._of = Segment(app, environment, route)
        self.scorer: str | None = None
        """Whose scores are measured: the best kind seen so far."""
        self.asked = (-1, -1, -1)
        """The buckets of traces, conversations and scores that were asked about last: while it is the same,
        nothing has closed. No state: what has closed has closed."""
        self._reads: list[tuple[Read, Watched]] = []
        self._rates: list[tuple[int, Watched]] = []
        self._scores: dict[str, Watched] = {}
        self._volumes: list[tuple[Rule, Volume]] = []
        self._ages: list[tuple[Rule, IndexAge]] = []
        self._budgets: list[tuple[Rule, UserBudgets]] = []
        for rule in declared_of(rules, app, environment, route):
            if rule.kind is Kind.VOLUME:
                volume = Volume(self._of, rule.budget_weeks, rule.min_effect, policy)
                self._volumes.append((rule, volume))
            elif isinstance(rule.declared, MaxAge):
                self._ages.append((rule, IndexAge(rule.declared)))
            elif isinstance(rule.declared, UserBudget):
                self._budgets.append((rule, UserBudgets(rule.declared)))
            elif rule.signal in READS:
                self._reads.append((READS[rule.signal], Watched(rule, meter_of(rule))))
            elif rule.signal in RATES:
                self._rates.append((RATES[rule.signal], Watched(rule, meter_of(rule))))
            else:
                self._scores[rule.name] = Watched(rule, meter_of(rule))

    def __bool__(self) -> bool:
        """Whether the segment has any such rule."""
        return bool(
            self._reads or self._rates or self._scores or self._volumes or self._ages or self._budgets
        )

    # -- what it is fed ------------------------------------------------------------------------------

    def on_traces(
        self, rows: Sequence[TraceRow], profiles: Sequence[Profile]
    ) -> list[tuple[int, Signal | Recovery]]:
        """Traces in event-time order, each with its profile: alarms, each with its trace's index."""
        for read, (_, meter) in self._reads:
            meter.add([(row[0], value, row[1]) for row in rows if (value := read(row)) is not None])
        for _, volume in self._volumes:
            volume.add([row[0] for row in rows])
        for _, age in self._ages:
            age.add(rows, profiles)
        return [
            (at, tell(rule, self._of, finding))
            for rule, budgets in self._budgets
            for at, finding in budgets.add(rows)
        ]

    def on_conversations(self, decided: Sequence[tuple[int, int, str]]) -> None:
        """Decided conversations in the order of their first traces: that one's time, bits, trace_id."""
        for mask, (_, meter) in self._rates:
            meter.add([(time, 1.0 if bits & mask else 0.0, trace_id) for time, bits, trace_id in decided])

    def on_score(self, time: int, trace_id: str, scorer: str, score: float, low: bool) -> list[Told]:
        """A conversation's scored turn, in event-time order; ``low`` is the scorer's own verdict.

        Of several scorers the best kind is measured (judge, app, offline). When a better one comes, the
        sums of the other are dropped, for they are on another scale: what they still have to say is told.
        """
        if not self._scores or not 0.0 <= score <= 1.0:
            return []
        last: list[Told] = []
        if scorer != self.scorer:
            if self.scorer is not None and rank(scorer) >= rank(self.scorer):
                return []
            if self.scorer is not None:
                last = self._take_over(time)
            self.scorer = scorer
        self._score(SignalName.FAITHFULNESS, (time, score, trace_id))
        self._score(SignalName.GROUNDED, (time, 0.0 if low else 1.0, trace_id))
        return last

    def _take_over(self, time: int) -> list[Told]:
        told: list[Told] = []
        for name, (rule, meter) in self._scores.items():
            if rule.signal is not SignalName.UNSCORED:
                told += self._told(rule, meter.close(time))
                self._scores[name] = Watched(rule, meter_of(rule))
        return told

    def on_judged(self, time: int, trace_id: str, scored: bool) -> None:
        """A trace that the judge was asked about, in event-time order: whether a score has come of it."""
        self._score(SignalName.UNSCORED, (time, 0.0 if scored else 1.0, trace_id))

    def _score(self, signal: SignalName, unit: Measured) -> None:
        for rule, meter in self._scores.values():
            if rule.signal is signal:
                meter.add((unit,))

    def on_change(self, time: int, dimension: str, current: str) -> None:
        for _, age in self._ages:
            age.changed(time, dimension, current)

    def accept(self, accepted: Accepted) -> None:
        """What volume is normal is learned anew; the other rules have no baseline."""
        for rule, volume in self._volumes:
            if accepted.names(rule.signal, rule):
                volume.accept(accepted)

    # -- when it is asked ----------------------------------------------------------------------------

    def close(self, upto: int, decided_ms: int, segments_at: SegmentsAt) -> list[Told]:
        """Every trace up to ``upto`` has been applied, and every conversation decided that began
        ``decided_ms`` before it."""
        found: list[Told] = []
        for rule, age in self._ages:
            found += self._told(rule, age.close(upto))
        asked = (upto // BUCKET_MS, (upto - decided_ms) // BUCKET_MS, self.asked[2])
        if asked == self.asked:
            return found
        self.asked = asked
        for _, watched in self._reads:
            found += self._told(watched.rule, watched.meter.close(upto))
        for _, watched in self._rates:
            found += self._told(watched.rule, watched.meter.close(upto - decided_ms), decided_ms)
        for rule, volume in self._volumes:
            found += self._told(rule, volume.close(upto, segments_at))
        return found

    def close_scores(self, upto: int) -> list[Told]:
        """No score of a trace before ``upto`` is to come."""
        if upto // BUCKET_MS == self.asked[2]:
            return []
        self.asked = (*self.asked[:2], upto // BUCKET_MS)
        return [
            told
            for watched in self._scores.values()
            for told in self._told(watched.rule, watched.meter.close(upto))
        ]

    def _told(self, rule: Rule, findings: Iterable[Said], later_ms: int = 0) -> list[Told]:
        return [((one.time + later_ms, ASKED), tell(rule, self._of, one, self.scorer)) for one in findings]

    # -- state ---------------------------------------------------------------------------------------

    def _all(self) -> list[tuple[Rule, Meter | Volume | IndexAge | UserBudgets]]:
        return [
            *[watched for _, watched in self._reads],
            *[watched for _, watched in self._rates],
            *self._scores.values(),
            *self._volumes,
            *self._ages,
            *self._budgets,
        ]

    def snapshot(self) -> dict[str, Any]:
        """By rule: what it declares, and its state."""
        return {
            "scorer": self.scorer,
            "rules": {rule.name: [says(rule), state.snapshot()] for rule, state in self._all()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a snapshot; a rule that it does not know, or that says something else now, starts from
        nothing."""
        self.scorer = state["scorer"]
        for rule, watched in self._all():
            said, known = state["rules"].get(rule.name, (None, None))
            if said == says(rule):
                watched.restore(known)


def _tokens(row: TraceRow) -> float | None:
    return None if row[12] is None or row[13] is None else float(row[12] + row[13])


READS: dict[SignalName, Read] = {
    SignalName.COST: lambda row: row[10],
    SignalName.SPEND: lambda row: row[10],
    SignalName.TOKENS: _tokens,
    SignalName.LATENCY: lambda row: row[14],
    SignalName.TIME_TO_FIRST_TOKEN: lambda row: row[16],
    SignalName.VOLUME: lambda row: 1.0,
}
"""Signals of single requests, and how a trace states them; None: it does not."""
