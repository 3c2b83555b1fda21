"""All monitors of one segment: the composition that the stream's owner, replay and backtest share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from detectors.baseline import ArmingPolicy, Pin
from detectors.bounded import BoundedDetector
from detectors.changes import ServedChange, VersionWatch
from detectors.cost import CostDetector
from detectors.esr import fraction_bets, rate_bets
from detectors.memory import Read, UnitMemory
from detectors.monitor import Alarm, Detector, Monitor
from detectors.price_source import LEAVE, REPORTED, USE, PriceSource
from detectors.recovery import Return
from detectors.rules import DEFAULT_RULES, Rule, rules_of
from detectors.scorers import rank
from detectors.unit import Unit
from detectors.words import reason, returned, served_model
from schemas.catalog import RATES, Measure
from schemas.identity import derive
from schemas.observation import Profile, TraceRow
from schemas.signal import Cause, Recovery, Signal, SignalName


class TraceVerdict(NamedTuple):
    """What traces brought: alarms, each with its trace's index, and the traces whose own cost stands out
    (a case, never a page)."""

    signals: list[tuple[int, Signal | Recovery]]
    outliers: list[int]


Amount = Callable[[TraceRow], float | None]
Decided = tuple[int, int, str, Profile, str | None]
"""A decided conversation: its first trace's time, its bits (``Flag``, ``Outcome``), then as in a unit."""


class SegmentMonitors:
    """One segment (app, environment, route) under a set of rules.

    Pure: the same calls in the same order give the same signals, wherever ``snapshot`` and ``restore``
    fall between them. The caller applies observations in event-time order, each once, and leaves out
    those below the watermark; ``segments`` is how many segments share each rule's budget at the moment.
    Not idempotent: the position absorbed is to be kept beside the snapshot.
    """

    __slots__ = (
        "_amounts",
        "_by_signal",
        "_conversations",
        "_cost",
        "_faithfulness",
        "_rates",
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
        by_signal = rules_of(rules, app, environment, route)
        self.app = app
        self.environment = environment
        self.route = route
        self.scorer: str | None = None
        """Whose scores the segment uses: the best seen until it arms, then always the same."""
        self._watch = VersionWatch()
        self._source = PriceSource()
        self._served_rule = by_signal.get(SignalName.SERVED_MODEL)

        self._conversations = UnitMemory()
        self._by_signal: dict[SignalName, Monitor] = {}
        for signal, rule in by_signal.items():
            if signal in RATES:
                read = one_of(RATES[signal])
                self._by_signal[signal] = Monitor(rule, _detector(rule, policy), self._conversations, read)
            elif rule.direction != "changed":
                self._by_signal[signal] = Monitor(rule, _detector(rule, policy))
        self._faithfulness = self._by_signal.get(SignalName.FAITHFULNESS)
        self._cost = self._by_signal.get(SignalName.COST)
        self._amounts = [(read, self._by_signal[name]) for name, read in AMOUNTS if name in self._by_signal]
        self._rates = [(RATES[name], monitor) for name, monitor in self._by_signal.items() if name in RATES]

    def on_traces(self, rows: Sequence[TraceRow], profiles: Sequence[Profile], segments: int) -> TraceVerdict:
        """Traces in their order, each with its profile: its versions, and its cost in US dollars (None: no
        unit). How traces are split over calls changes nothing."""
        verdict = TraceVerdict([], [])
        done = 0
        if not self._watch.all_known(profiles):
            for at, profile in enumerate(profiles):
                if self._watch.known(profile):
                    continue
                # An alarm knows the changes before its unit, so what comes before this one goes first.
                self._on_costs(rows, profiles, range(done, at), segments, verdict)
                done = at
                time, trace_id = rows[at][:2]
                served = self._watch.meet(time, trace_id, profile)
                if served is not None and self._served_rule is not None:
                    verdict.signals.append((at, self._served(self._served_rule, time, trace_id, served)))
        self._on_costs(rows, profiles, range(done, len(rows)), segments, verdict)
        return verdict

    def _on_costs(
        self,
        rows: Sequence[TraceRow],
        profiles: Sequence[Profile],
        part: range,
        segments: int,
        verdict: TraceVerdict,
    ) -> None:
        for read, other in self._amounts:
            self._on_amounts(other, read, rows, profiles, part, segments, verdict)
        monitor = self._cost
        if monitor is None:
            return
        start, stop = part.start, part.stop
        units: list[Unit] = [
            (row[0], cost, row[1], profile, row[8])
            for row, profile in zip(rows[start:stop], profiles[start:stop], strict=True)
            if (cost := row[10]) is not None
        ]
        places = part if len(units) == len(part) else [at for at in part if rows[at][10] is not None]
        sources = [rows[at][11] == REPORTED for at in places]
        done = 0
        while done < len(units):
            alike = len(units) - done if sources.count(sources[done]) == len(sources) else 1
            used = self._source.admit_run(sources[done], alike)
            if not used:
                admission = self._source.admit(rows[places[done]][11], monitor.pin is not None)
                if admission is LEAVE:
                    done += 1
                    continue
                if admission is not USE:
                    monitor.repin()
                used = 1
            monitor.detector.outliers.clear()
            chosen = units[done : done + used]
            for at, alarm in monitor.run(chosen, segments, self._watch.recent):
                verdict.signals.append((places[done + at], self._said(monitor.rule, chosen[at], alarm)))
            verdict.outliers.extend([places[done + at] for at in monitor.detector.outliers])
            done += used

    def on_scores(self, units: Sequence[Unit], scorer: str, segments: int) -> list[Signal | Recovery]:
        """Scores of one scorer, each the first of its conversation: y in [0, 1], higher is better; times
        and ids are the traces'. A number outside [0, 1] is on another scale, and no unit.

        Scores of another scorer than the segment's own are left out. Until the monitor arms, a better
        kind of scorer takes over, and learning starts again.
        """
        monitor = self._faithfulness
        bad: list[Unit] = [
            (time, 1.0 - score, trace_id, profile, user)
            for time, score, trace_id, profile, user in units
            if 0.0 <= score <= 1.0
        ]
        if monitor is None or not bad:
            return []
        if scorer != self.scorer:
            if self.scorer is not None and (monitor.pin is not None or rank(scorer) >= rank(self.scorer)):
                return []
            if self.scorer is not None:
                monitor.repin()
            self.scorer = scorer
        alarms = monitor.run(bad, segments, self._watch.recent)
        return [self._said(monitor.rule, bad[at], alarm) for at, alarm in alarms]

    def _on_amounts(
        self,
        monitor: Monitor,
        read: Amount,
        rows: Sequence[TraceRow],
        profiles: Sequence[Profile],
        part: range,
        segments: int,
        verdict: TraceVerdict,
    ) -> None:
        """Tokens and latency: a trace that does not state them is no unit. Their outliers make no case."""
        read_all = [(at, amount) for at in part if (amount := read(rows[at])) is not None]
        units: list[Unit] = [
            (rows[at][0], amount, rows[at][1], profiles[at], rows[at][8]) for at, amount in read_all
        ]
        if units:
            for at, alarm in monitor.run(units, segments, self._watch.recent):
                verdict.signals.append((read_all[at][0], self._said(monitor.rule, units[at], alarm)))
            monitor.detector.outliers.clear()

    def on_conversations(
        self, decided: Sequence[Decided], decided_ms: int, segments: int
    ) -> list[Signal | Recovery]:
        """Conversations decided ``decided_ms`` after their first trace, whose time, id, profile and user
        they have, in their order: each rate counts those that have one of its bits."""
        signals: list[Signal | Recovery] = []
        if not self._rates or not decided:
            return signals
        none: list[Unit] = [
            (time, 0.0, trace_id, profile, user) for time, _, trace_id, profile, user in decided
        ]
        flagged = [(at, bits) for at, (_, bits, *_) in enumerate(decided) if bits]
        self._conversations.extend(decided)
        for mask, monitor in self._rates:
            units = none
            hits = [at for at, bits in flagged if bits & mask]
            if hits:
                units = none.copy()
                for at in hits:
                    units[at] = (none[at][0], 1.0, *none[at][2:])
            for at, alarm in monitor.run(units, segments, self._watch.recent, decided_ms):
                signals.append(self._said(monitor.rule, units[at], alarm))
        self._conversations.trim()
        return signals

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

    def monitor(self, signal: SignalName) -> Monitor | None:
        """The monitor of a signal that a rule watches."""
        return self._by_signal.get(signal)

    def _monitors(self, signal: SignalName | None = None) -> list[Monitor]:
        return [m for name, m in self._by_signal.items() if signal in (None, name)]

    def _said(self, rule: Rule, unit: Unit, event: Alarm | Return) -> Signal | Recovery:
        if isinstance(event, Return):
            return self._recovery(rule, unit, event)
        return self._signal(rule, unit, event)

    def _recovery(self, rule: Rule, unit: Unit, back: Return) -> Recovery:
        time, _, trace_id, _, _ = unit
        where = self.app, self.environment, self.route
        falls = rule.direction == "down"
        bound = back.bound
        return Recovery(
            id=derive("recovery", *where, rule.name, trace_id, time),
            alarm_id=derive("signal", *where, rule.name, *back.opened),
            app=self.app,
            environment=self.environment,
            route=self.route,
            signal=rule.signal,
            rule=rule.name,
            since=back.since,
            detected_at=time,
            baseline=1.0 - back.baseline if falls else back.baseline,
            bound=1.0 - bound if falls and bound is not None else bound,
            value=1.0 - back.value if falls else back.value,
            n=back.n,
            unit=rule.unit,
            reason=returned(rule.signal, back),
        )

    def _signal(self, rule: Rule, unit: Unit, alarm: Alarm) -> Signal:
        time, _, trace_id, _, _ = unit
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
            reason=reason(rule.signal, alarm),
            owner=rule.owner,
            runbook=rule.runbook,
        )

    def _served(self, rule: Rule, time: int, trace_id: str, change: ServedChange) -> Signal:
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
            owner=rule.owner,
            runbook=rule.runbook,
        )

    @property
    def pins(self) -> tuple[Pin | None, ...]:
        """The baselines in force: while they are the same objects, :meth:`baselines` has not changed."""
        return tuple([monitor.detector.pin for monitor in self._monitors()])

    def baselines(self) -> dict[str, Any]:
        """What normal is, by signal: changes when a monitor pins, or learns anew."""
        return {m.rule.signal.value: m.detector.baseline() for m in self._monitors()}

    def _memories(self) -> dict[str, tuple[UnitMemory, list[Read]]]:
        """Each memory of units, and how its monitors read it."""
        memories: dict[str, tuple[UnitMemory, list[Read]]] = {}
        for name, monitor in self._by_signal.items():
            key = "conversations" if name in RATES else name.value
            memories.setdefault(key, (monitor.track.memory, []))[1].append(monitor.track.read)
        return memories

    def remembered(self) -> dict[str, Any]:
        """Parts of the memories of units that have changed since the last call, as JSON data."""
        return {
            f"{name}:{part}": data
            for name, (memory, reads) in self._memories().items()
            for part, data in memory.write(reads).items()
        }

    @property
    def goods(self) -> dict[str, list[Unit] | None]:
        """What was before an open incident, by signal; the same objects while nothing changes."""
        return {m.rule.signal.value: m.track.good for m in self._monitors()}

    def good(self, signal: str) -> list[Any]:
        """One of :attr:`goods` as JSON data."""
        return self._by_signal[SignalName(signal)].track.written_good()

    def snapshot(self) -> dict[str, Any]:
        """What changes with every unit, but for :meth:`remembered` and :attr:`goods`."""
        return {
            "scorer": self.scorer,
            "watch": self._watch.snapshot(),
            "source": self._source.snapshot(),
            "monitors": {m.rule.signal.value: m.snapshot() for m in self._monitors()},
            "memories": {name: [m.count, m.users()] for name, (m, _) in self._memories().items()},
        }

    def restore(
        self,
        baselines: dict[str, Any],
        state: dict[str, Any],
        remembered: dict[str, Any],
        goods: dict[str, list[Any]],
    ) -> None:
        """Take over a snapshot and all that was written beside it; a rule that it does not know starts
        from nothing."""
        self.scorer = state["scorer"]
        self._watch.restore(state["watch"])
        self._source.restore(state["source"])
        for name, (memory, _) in self._memories().items():
            if name in state["memories"]:
                parts = {part: data for part, data in remembered.items() if part.startswith(f"{name}:")}
                count, users = state["memories"][name]
                memory.restore(count, users, parts)
        for monitor in self._monitors():
            name = monitor.rule.signal.value
            if name in state["monitors"] and name in baselines:
                monitor.restore(baselines[name], state["monitors"][name], goods.get(name))
            else:
                monitor.track.begin()


def one_of(bits: int) -> Read:
    """Reads 1 from a conversation that has one of these bits, else 0."""
    return lambda value: 1.0 if int(value) & bits else 0.0


def _detector(rule: Rule, policy: ArmingPolicy) -> Detector:
    if rule.measure not in (Measure.SCORE, Measure.RATE):
        return CostDetector(rule.budget_weeks, policy)
    score = rule.measure is Measure.SCORE
    bound = None if rule.bound is None else 1.0 - rule.bound if score else rule.bound
    bets = fraction_bets if score else rate_bets
    return BoundedDetector(bets, rule.budget_weeks, policy, rule.min_effect, bound)


def _tokens(row: TraceRow) -> float | None:
    return None if row[12] is None or row[13] is None else float(row[12] + row[13])


def _latency(row: TraceRow) -> float | None:
    return row[14]


AMOUNTS: tuple[tuple[SignalName, Amount], ...] = (
    (SignalName.TOKENS, _tokens),
    (SignalName.LATENCY, _latency),
)
"""Signals of single requests beside their cost, and how a trace states them."""
