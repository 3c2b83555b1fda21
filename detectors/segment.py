"""All monitors of one segment: the composition that the stream's owner, replay and backtest share."""

from __future__ import annotations

from typing import Any, NamedTuple

from detectors.baseline import ArmingPolicy
from detectors.bounded import BoundedDetector
from detectors.changes import ServedChange, VersionWatch
from detectors.cost import CostDetector
from detectors.esr import fraction_bets, rate_bets
from detectors.monitor import Alarm, Detector, Monitor
from detectors.price_source import LEAVE, USE, PriceSource
from detectors.rules import DEFAULT_RULES, Rule
from detectors.scorers import rank
from detectors.words import REASONS, served_model
from schemas.identity import derive
from schemas.observation import Profile
from schemas.signal import Cause, Signal, SignalName


class TraceVerdict(NamedTuple):
    """What one trace brought: alarms, and whether its own cost stands out (a case, never a page)."""

    signals: tuple[Signal, ...]
    cost_outlier: bool


NOTHING = TraceVerdict((), False)
OUTLIER = TraceVerdict((), True)


class SegmentMonitors:
    """One segment (app, environment, route) under a set of rules.

    Pure: the same calls in the same order give the same signals, wherever ``snapshot`` and ``restore``
    fall between them. The caller applies observations in event-time order, each once, and leaves out
    those below the watermark; ``segments`` is how many segments share each rule's budget at the moment.
    Not idempotent: the position absorbed is to be kept beside the snapshot.
    """

    __slots__ = (
        "_cost",
        "_escalation",
        "_faithfulness",
        "_served_rule",
        "_source",
        "_watch",
        "app",
        "environment",
        "route",
        "scorer",
    )

    def __init__(
        self,
        app: str,
        environment: str,
        route: str,
        rules: tuple[Rule, ...] = DEFAULT_RULES,
        policy: ArmingPolicy | None = None,
    ) -> None:
        policy = policy or ArmingPolicy()
        by_signal = {rule.signal: rule for rule in rules}
        if len(by_signal) < len(rules):
            raise ValueError("rules: at most one per signal")
        self.app = app
        self.environment = environment
        self.route = route
        self.scorer: str | None = None
        """Whose scores the segment uses: the best seen until it arms, then always the same."""
        self._watch = VersionWatch()
        self._source = PriceSource()
        self._served_rule = by_signal.get(SignalName.SERVED_MODEL)

        def monitor(signal: SignalName) -> Monitor | None:
            rule = by_signal.get(signal)
            return Monitor(rule, _detector(rule, policy)) if rule is not None else None

        self._faithfulness = monitor(SignalName.FAITHFULNESS)
        self._escalation = monitor(SignalName.ESCALATION)
        self._cost = monitor(SignalName.COST)

    def on_trace(
        self,
        time: int,
        trace_id: str,
        profile: Profile,
        user_id: str | None,
        cost: float | None,
        price: int,
        segments: int,
    ) -> TraceVerdict:
        """One trace: its versions, and its cost in US dollars (None: no unit) with its ``PriceStatus``."""
        served = self._watch.observe(time, trace_id, profile)
        signals = () if served is None else self._served(time, trace_id, served)
        monitor = self._cost
        if cost is None or monitor is None:
            return NOTHING if served is None else TraceVerdict(signals, False)
        admission = self._source.admit(price, monitor.pin is not None)
        if admission is not USE:
            if admission is LEAVE:
                return NOTHING if served is None else TraceVerdict(signals, False)
            monitor.repin()
        alarm = monitor.update(time, trace_id, cost, profile, user_id, segments, self._watch.recent)
        if alarm is not None:
            signals = (*signals, self._signal(monitor.rule, time, trace_id, alarm))
        if signals:
            return TraceVerdict(signals, monitor.detector.outlier)
        return OUTLIER if monitor.detector.outlier else NOTHING

    def on_score(
        self,
        time: int,
        trace_id: str,
        profile: Profile,
        user_id: str | None,
        scorer: str,
        score: float,
        segments: int,
    ) -> tuple[Signal, ...]:
        """The first score of a conversation, in [0, 1], higher is better; ``time`` is the trace's.

        A number outside [0, 1] is on another scale, and no unit.

        Scores of another scorer than the segment's own are left out. Until the monitor arms, a better
        kind of scorer takes over, and learning starts again.
        """
        monitor = self._faithfulness
        if monitor is None or not 0.0 <= score <= 1.0:
            return ()
        if scorer != self.scorer:
            if self.scorer is not None and (monitor.pin is not None or rank(scorer) >= rank(self.scorer)):
                return ()
            if self.scorer is not None:
                monitor.repin()
            self.scorer = scorer
        alarm = monitor.update(time, trace_id, 1.0 - score, profile, user_id, segments, self._watch.recent)
        return () if alarm is None else (self._signal(monitor.rule, time, trace_id, alarm),)

    def on_conversation(
        self,
        time: int,
        trace_id: str,
        profile: Profile,
        user_id: str | None,
        escalated: bool,
        segments: int,
    ) -> tuple[Signal, ...]:
        """One decided conversation, under its first trace's id, profile and user; ``time`` likewise."""
        monitor = self._escalation
        if monitor is None:
            return ()
        y = 1.0 if escalated else 0.0
        alarm = monitor.update(time, trace_id, y, profile, user_id, segments, self._watch.recent)
        return () if alarm is None else (self._signal(monitor.rule, time, trace_id, alarm),)

    def on_change(self, time: int, dimension: str, previous: str | None, current: str) -> None:
        """A change that somebody announced: evidence for attribution, never a signal by itself."""
        self._watch.note(time, dimension, previous, current)

    def repin(self, signal: SignalName | None = None) -> None:
        """A release or an acknowledgement: learn anew what is normal, for one signal or all."""
        for monitor in self._monitors(signal):
            monitor.repin()
        if signal in (None, SignalName.FAITHFULNESS):
            self.scorer = None
        if signal in (None, SignalName.COST):
            self._source = PriceSource()

    def close(self, signal: SignalName | None = None) -> None:
        """An incident is over: provisional baselines go on learning."""
        for monitor in self._monitors(signal):
            monitor.close()

    def _monitors(self, signal: SignalName | None = None) -> list[Monitor]:
        monitors = (self._faithfulness, self._escalation, self._cost)
        return [m for m in monitors if m is not None and signal in (None, m.rule.signal)]

    def _signal(self, rule: Rule, time: int, trace_id: str, alarm: Alarm) -> Signal:
        falls = rule.direction == "down"
        return Signal(
            id=derive("signal", self.app, self.environment, self.route, rule.name, trace_id, time),
            app=self.app,
            environment=self.environment,
            route=self.route,
            signal=rule.signal,
            rule=rule.name,
            severity=rule.severity,
            pages=rule.pages,
            direction=rule.direction,
            onset=alarm.onset,
            detected_at=time,
            baseline=1.0 - alarm.baseline if falls else alarm.baseline,
            baseline_n=alarm.baseline_n,
            baseline_note=alarm.baseline_note,
            value=1.0 - alarm.value if falls else alarm.value,
            n=alarm.n,
            unit=rule.unit,
            evidence=round(alarm.evidence, 3),
            threshold=round(alarm.threshold, 3),
            budget=rule.budget,
            cause=alarm.verdict.cause,
            ruled_out=alarm.verdict.ruled_out,
            examples=alarm.examples,
            reason=REASONS[rule.signal](alarm),
        )

    def _served(self, time: int, trace_id: str, change: ServedChange) -> tuple[Signal, ...]:
        rule = self._served_rule
        if rule is None:
            return ()
        signal = Signal(
            id=derive("signal", self.app, self.environment, self.route, rule.name, trace_id, time),
            app=self.app,
            environment=self.environment,
            route=self.route,
            signal=rule.signal,
            rule=rule.name,
            severity=rule.severity,
            pages=rule.pages,
            direction=rule.direction,
            onset=time,
            detected_at=time,
            baseline=None,
            value=None,
            n=1,
            unit=rule.unit,
            budget=rule.budget,
            cause=Cause(dimension="served_model", previous=change.previous, current=change.current),
            examples=(trace_id,),
            reason=served_model(change.model, change.previous, change.current),
        )
        return (signal,)

    def snapshot(self) -> dict[str, Any]:
        return {
            "scorer": self.scorer,
            "watch": self._watch.snapshot(),
            "source": self._source.snapshot(),
            "monitors": {m.rule.signal.value: m.snapshot() for m in self._monitors()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a snapshot; a rule that it does not know starts from nothing."""
        self.scorer = state["scorer"]
        self._watch.restore(state["watch"])
        self._source.restore(state["source"])
        for monitor in self._monitors():
            if (known := state["monitors"].get(monitor.rule.signal.value)) is not None:
                monitor.restore(known)


def _detector(rule: Rule, policy: ArmingPolicy) -> Detector:
    if rule.signal is SignalName.COST:
        return CostDetector(rule.budget_weeks, policy)
    bets = fraction_bets if rule.signal is SignalName.FAITHFULNESS else rate_bets
    return BoundedDetector(bets, rule.budget_weeks, policy, rule.min_effect)
