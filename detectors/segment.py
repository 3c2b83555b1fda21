"""All monitors of one segment: the composition that the stream's owner, replay and backtest share."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from detectors.acceptance import Accepted, Awaiting, Stream
from detectors.alarm import Alarm
from detectors.baseline import ArmingPolicy
from detectors.blocks import Scale
from detectors.changes import VersionWatch
from detectors.cost_per_success import COST, FAILURES, CostPerSuccess
from detectors.memory import UnitMemory
from detectors.monitor import Monitor
from detectors.monitors import Monitors
from detectors.price_source import LEAVE, REPORTED, USE, PriceSource
from detectors.readings import AMOUNTS, Amount, detector_of, one_of
from detectors.recovery import Return
from detectors.rule_edits import Under
from detectors.rules import DEFAULT_RULES, Rule, rules_of
from detectors.said import Where, alarm_signal, recovery_record, served_signal, success_signal
from detectors.scorers import rank
from detectors.unit import NO_PROFILE, Unit
from schemas.catalog import RATES
from schemas.observation import Profile, TraceRow
from schemas.signal import Recovery, Signal, SignalName


class TraceVerdict(NamedTuple):
    """What traces brought: alarms, each with its trace's index, and the traces whose own cost stands out
    (a case, never a page)."""

    signals: list[tuple[int, Signal | Recovery]]
    outliers: list[int]


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
        "_conversations",
        "_costs",
        "_faithfulness",
        "_rates",
        "_served_rule",
        "_source",
        "_success",
        "_watch",
        "accepted",
        "monitors",
        "scorer",
        "where",
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
        self.where = Where(app, environment, route)
        self.scorer: str | None = None
        """Whose scores the segment uses: the best seen until it arms, then always the same."""
        self.accepted = Awaiting()
        """What has been accepted, and waits for a stream that has not come as far."""
        self._watch = VersionWatch()
        self._source = PriceSource()
        self._served_rule = by_signal.get(SignalName.SERVED_MODEL)

        self._conversations = UnitMemory(Scale.BITS)
        self._success: CostPerSuccess | None = None
        self._costs: list[Monitor] = []
        self._rates: list[tuple[int, Monitor]] = []
        self._amounts: list[tuple[Amount, Monitor]] = []
        self.monitors = Monitors()
        for signal, rule in by_signal.items():
            self._add(signal, rule, policy)
        self._faithfulness = self.monitors.get(SignalName.FAITHFULNESS.value)

    def _add(self, signal: SignalName, rule: Rule, policy: ArmingPolicy) -> None:
        if signal is SignalName.COST_PER_SUCCESS:
            bits = RATES[SignalName.TASK_FAILURE]
            success = self._success = CostPerSuccess(rule, policy, self._conversations, one_of(bits))
            self._costs.append(success.cost)
            self._rates.append((bits, success.failures))
            self.monitors.add(signal.value, success.cost)
            self.monitors.add(f"{signal.value}:failures", success.failures)
        elif signal in RATES:
            monitor = Monitor(rule, detector_of(rule, policy), self._conversations, one_of(RATES[signal]))
            self._rates.append((RATES[signal], monitor))
            self.monitors.add(signal.value, monitor)
        elif rule.direction != "changed":
            monitor = Monitor(rule, detector_of(rule, policy))
            if signal in AMOUNTS:
                self._amounts.append((AMOUNTS[signal], monitor))
            elif signal is SignalName.COST:
                self._costs.append(monitor)
            self.monitors.add(signal.value, monitor)

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
                    said = served_signal(self.where, self._served_rule, time, trace_id, served)
                    verdict.signals.append((at, said))
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
        if not self._costs:
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
                armed = any(monitor.pin is not None for monitor in self._costs)
                admission = self._source.admit(rows[places[done]][11], armed)
                if admission is LEAVE:
                    done += 1
                    continue
                if admission is not USE:
                    self._renew_costs(places[done], units[done], verdict)
                used = 1
            chosen, where = units[done : done + used], places[done : done + used]
            for monitor in self._costs:
                self._on_cost(monitor, chosen, where, segments, verdict)
            verdict.outliers.extend([where[at] for at in self._costs[0].detector.outliers])
            done += used

    def _renew_costs(self, place: int, unit: Unit, verdict: TraceVerdict) -> None:
        """Most costs come from another source from this unit on: what was open is over, and says so."""
        for monitor in self._costs:
            ended = monitor.renew(unit[0])
            if ended is not None:
                self._tell_cost(monitor, place, unit, ended, verdict)

    def _tell_cost(
        self, monitor: Monitor, place: int, unit: Unit, event: Alarm | Return, verdict: TraceVerdict
    ) -> None:
        success = self._success
        if success is not None and monitor is success.cost:
            success.tell(unit[0], COST, place, unit, event)
        else:
            verdict.signals.append((place, self._said(monitor.rule, unit, event)))

    def _on_cost(
        self,
        monitor: Monitor,
        units: Sequence[Unit],
        places: Sequence[int],
        segments: int,
        verdict: TraceVerdict,
    ) -> None:
        monitor.detector.outliers.clear()
        for at, event in monitor.run(units, segments, self._watch.recent):
            self._tell_cost(monitor, places[at], units[at], event, verdict)

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
        ended = self._reached(units)
        if monitor is None or not bad or not self._adopt(scorer):
            return ended
        return ended + self._run(monitor, bad, segments)

    def on_verdicts(
        self, units: Sequence[Unit], scorer: str | None, segments: int
    ) -> list[Signal | Recovery]:
        """Verdicts on the units of :meth:`on_scores`, after it: y is 1 where the answer is not grounded.

        Without a scorer they say of all traces that the judge was asked about whether it gave none (1).
        """
        monitor = self.monitor(SignalName.UNSCORED if scorer is None else SignalName.GROUNDED)
        ended = self._reached(units)
        if monitor is None or (scorer is not None and not self._adopt(scorer)):
            return ended
        return ended + self._run(monitor, units, segments)

    def _reached(self, units: Sequence[Unit]) -> list[Signal | Recovery]:
        """What scores of these times end; of several all come before what is accepted, or none."""
        time = self.accepted.next(Stream.SCORES) if self.accepted and units else None
        return [] if time is None or units[0][0] < time else self.pass_scores(units[0][0])

    def _run(self, monitor: Monitor, units: Sequence[Unit], segments: int) -> list[Signal | Recovery]:
        alarms = monitor.run(units, segments, self._watch.recent)
        return [self._said(monitor.rule, units[at], alarm) for at, alarm in alarms]

    def _adopt(self, scorer: str) -> bool:
        """Whether this scorer's scores count; a better kind takes over until something has armed."""
        if scorer == self.scorer:
            return True
        watching = [self.monitor(name) for name in (SignalName.FAITHFULNESS, SignalName.GROUNDED)]
        learning = [monitor for monitor in watching if monitor is not None]
        if self.scorer is not None:
            if rank(scorer) >= rank(self.scorer) or any(monitor.pin is not None for monitor in learning):
                return False
            for monitor in learning:
                monitor.repin()
        self.scorer = scorer
        return True

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
        """Tokens and times: a trace that does not state them is no unit. Their outliers make no case."""
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
        while self.accepted and decided:
            time = self.accepted.next(Stream.CONVERSATIONS)
            if time is None or decided[-1][0] < time:
                break
            at = bisect_left(decided, time, key=itemgetter(0))
            signals += self._on_conversations(decided[:at], decided_ms, segments)
            signals += self.pass_conversations(time, decided_ms)
            decided = decided[at:]
        return signals + self._on_conversations(decided, decided_ms, segments)

    def _on_conversations(
        self, decided: Sequence[Decided], decided_ms: int, segments: int
    ) -> list[Signal | Recovery]:
        signals: list[Signal | Recovery] = []
        if not self._rates or not decided:
            return signals
        none: list[Unit] = [
            (time, 0.0, trace_id, profile, user) for time, _, trace_id, profile, user in decided
        ]
        flagged = [(at, bits) for at, (_, bits, *_) in enumerate(decided) if bits]
        success = self._success
        self._conversations.extend(decided)
        for mask, monitor in self._rates:
            units = none
            hits = [at for at, bits in flagged if bits & mask]
            if hits:
                units = none.copy()
                for at in hits:
                    units[at] = (none[at][0], 1.0, *none[at][2:])
            for at, event in monitor.run(units, segments, self._watch.recent, decided_ms):
                if success is not None and monitor is success.failures:
                    success.tell(units[at][0] + decided_ms, FAILURES, at, units[at], event)
                else:
                    signals.append(self._said(monitor.rule, units[at], event))
        self._conversations.trim()
        return signals

    def settle(self) -> list[tuple[tuple[int, int], Signal | Recovery]]:
        """What requests and conversations have said together since the last call, with when: event time, and
        0 for requests, 1 for conversations. To be called when both have come as far."""
        success = self._success
        if success is None or not success.waiting:
            return []
        said: list[tuple[tuple[int, int], Signal | Recovery]] = []
        for told, dollars in success.settle():
            record: Signal | Recovery
            if isinstance(told.event, Return):
                opened = success.ended()
                record = recovery_record(self.where, success.rule, told.unit, told.event, opened)
            else:
                assert dollars is not None
                record = success_signal(self.where, success.rule, told, told.event, dollars)
                success.first(record.id)
            said.append(((told.time, told.side), record))
        return said

    def _said(self, rule: Rule, unit: Unit, event: Alarm | Return) -> Signal | Recovery:
        if isinstance(event, Return):
            return recovery_record(self.where, rule, unit, event)
        return alarm_signal(self.where, rule, unit, event, self.scorer)

    def on_change(self, time: int, dimension: str, previous: str | None, current: str) -> None:
        """A change that somebody announced: evidence for attribution, never a signal by itself."""
        self._watch.note(time, dimension, previous, current)

    # -- what a person has accepted as normal --------------------------------------------------------

    def accept(self, accepted: Accepted) -> list[Signal | Recovery]:
        """Learn anew what is normal from the units of ``accepted.time`` on; the ends of what was open.

        To be called when every trace before that time has been handed over, and none from it on. What scores
        and conversations end is told when they have come as far, by :meth:`pass_scores` and
        :meth:`pass_conversations` at the latest. Of what a success costs the end is :meth:`settle`'s to tell.
        """
        if self._named(accepted, [monitor for _, monitor in self._rates]):
            self.accepted.add(Stream.CONVERSATIONS, accepted)
        if self._named(accepted, self._scored()):
            self.accepted.add(Stream.SCORES, accepted)
        ended: list[Signal | Recovery] = []
        for monitor in self._named(accepted, [*self._costs, *[other for _, other in self._amounts]]):
            ended += self._accept(monitor, accepted, accepted.time)
        if self._costs and self._named(accepted, self._costs) == self._costs:
            self._source = PriceSource()
        return ended

    def pass_conversations(self, upto: int, decided_ms: int) -> list[Signal | Recovery]:
        """Every conversation that began before ``upto`` has been handed over."""
        ended: list[Signal | Recovery] = []
        for accepted in self.accepted.take(Stream.CONVERSATIONS, upto):
            for monitor in self._named(accepted, [monitor for _, monitor in self._rates]):
                ended += self._accept(monitor, accepted, accepted.time + decided_ms)
        return ended

    def pass_scores(self, upto: int) -> list[Signal | Recovery]:
        """No score of a trace before ``upto`` is to come."""
        ended: list[Signal | Recovery] = []
        for accepted in self.accepted.take(Stream.SCORES, upto):
            scored = self._scored()
            named = self._named(accepted, scored)
            for monitor in named:
                ended += self._accept(monitor, accepted, accepted.time)
            measuring = [one for one in scored if one.rule.signal is not SignalName.UNSCORED]
            if measuring and all(one in named for one in measuring):
                self.scorer = None
        return ended

    def _scored(self) -> list[Monitor]:
        found = [
            self.monitor(name) for name in (SignalName.FAITHFULNESS, SignalName.GROUNDED, SignalName.UNSCORED)
        ]
        return [monitor for monitor in found if monitor is not None]

    def _named(self, accepted: Accepted, monitors: Sequence[Monitor]) -> list[Monitor]:
        """Those of ``monitors`` that are accepted, in their order."""
        named = {
            id(monitor)
            for name, monitor in self.monitors.items()
            if accepted.names(SignalName(name.partition(":")[0]), monitor.rule)
        }
        return [monitor for monitor in monitors if id(monitor) in named]

    def _accept(self, monitor: Monitor, accepted: Accepted, at: int) -> list[Signal | Recovery]:
        """``at``: event time at which its stream has come to the acceptance."""
        ended = monitor.accept(accepted.time, accepted.by)
        if ended is None:
            return []
        unit: Unit = (accepted.time, 0.0, accepted.id, NO_PROFILE, None)
        success = self._success
        if success is not None and monitor in (success.cost, success.failures):
            side = COST if monitor is success.cost else FAILURES
            success.tell(at, side, 0, unit, ended)
            return []
        return [self._said(monitor.rule, unit, ended)]

    def watches(self, signal: SignalName) -> bool:
        """Whether a rule rests on this signal."""
        if signal is SignalName.TASK_FAILURE and self._success is not None:
            return True
        return self.monitors.get(signal.value) is not None

    def monitor(self, signal: SignalName) -> Monitor | None:
        """The monitor of a signal that a rule watches; of what a success costs, that of requests."""
        return self.monitors.get(signal.value)

    def baselines(self) -> dict[str, Any]:
        """See :class:`~detectors.monitors.Monitors`."""
        return self.monitors.baselines()

    def snapshot(self) -> dict[str, Any]:
        """What changes with every unit, but for what :attr:`monitors` write apart."""
        return {
            "scorer": self.scorer,
            "watch": self._watch.snapshot(),
            "source": self._source.snapshot(),
            "success": self._success and self._success.snapshot(),
            **({"accepted": self.accepted.snapshot()} if self.accepted else {}),
            **self.monitors.snapshot(),
        }

    def restore(
        self,
        baselines: dict[str, Any],
        state: dict[str, Any],
        remembered: dict[str, Any],
        apart: dict[str, Any],
    ) -> None:
        """Take over a snapshot and all that was written beside it; a rule that it does not know starts
        from nothing."""
        self.scorer = state["scorer"]
        self._watch.restore(state["watch"])
        self.accepted.restore(state.get("accepted", {}))
        self._source.restore(state["source"])
        success = self._success
        if success is not None and state["success"] is not None:
            written = baselines.get(SignalName.COST_PER_SUCCESS.value, {}).get("rule")
            if written is None or Under(*written).name == success.rule.name:
                success.restore(state["success"])
        self.monitors.restore(baselines, state, remembered, apart)
