"""One rule in one segment: a detector, its recent past, and what to say when it fires."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log10
from typing import Any

from detectors.alarm import Alarm, worst
from detectors.attribution import attribute
from detectors.baseline import Pin
from detectors.blocks import Read, Scale
from detectors.changes import Change
from detectors.detector import Detector
from detectors.memory import UnitMemory
from detectors.onset import onset_range, since_a_change
from detectors.recovery import DEFAULT as RECOVERY
from detectors.recovery import RecoveryWatch, Return
from detectors.rule_edits import Under, under
from detectors.rules import Rule
from detectors.track import Track
from detectors.unit import Unit
from schemas.catalog import Measure
from schemas.observation import Profile

QUIET_UNITS = 10_000
"""Units without a further alarm after which an alarm closes, if their mean is back to normal."""


def as_it_is(value: float) -> float:
    return value


class Monitor:
    """Feeds a detector unit by unit; at an alarm looks back, explains, and starts the detector again.

    While a shift lasts the detector fires again every few dozen units: that is expected, and grouping the
    alarms is the incident's business. ``open`` is true from the first alarm until :meth:`close`,
    :meth:`repin`, :meth:`accept`, or the :class:`~detectors.recovery.Return` of the signal: shown by a
    mirrored detector, or, for small moves that it cannot settle, by 10,000 units without a further alarm
    whose mean is back within ``min_effect`` (or a tenth) of the baseline (heuristic). Meanwhile nothing is
    learned, so the second pin cannot learn an incident, and what had been learned since the estimated onset
    is taken back (of the last 256 units).

    An alarm on fewer than ``min_units`` waits for more; one whose mean moved less than ``min_effect`` is
    dropped, and the detector starts again.
    """

    __slots__ = (
        "_held",
        "_level",
        "_opened",
        "_recovery",
        "_side",
        "detector",
        "dropped",
        "open",
        "pin",
        "pins",
        "rule",
        "shares",
        "track",
    )

    def __init__(
        self, rule: Rule, detector: Detector, memory: UnitMemory | None = None, read: Read = as_it_is
    ) -> None:
        """``memory`` is shared with monitors that ``read`` other things of the same units; None: its own."""
        self.rule = rule
        self.detector = detector
        self.shares = memory is not None
        amount = rule.measure not in (Measure.SCORE, Measure.RATE)
        if memory is None:
            memory = UnitMemory(Scale.AMOUNT if amount else Scale.FRACTION)
        self.track = Track(memory, read)
        self.pin: Pin | None = None
        """The baseline in force; None until the monitor arms."""
        self.pins: list[tuple[int, Pin | None]] = []
        """Since when, in event time, which baseline was in force: the last few."""
        self._held = 0
        self.open = False
        self._recovery: RecoveryWatch | None = None
        self._side = 0
        self._level = (0.0, 0)
        """Sum and number of the views since the change, over the alarms of what is open."""
        self._opened = ("", 0)
        self.dropped: tuple[int, int, float] = (0, 0, 0.0)
        """Alarms that moved the mean too little to count: how many, the latest one's time and mean of y."""

    def update(
        self,
        time: int,
        trace_id: str,
        y: float,
        profile: Profile,
        user_id: str | None,
        segments: int,
        changes: Iterable[Change],
    ) -> Alarm | Return | None:
        """Absorb one unit; what to tell of it."""
        alarms = self.run(((time, y, trace_id, profile, user_id),), segments, changes)
        return alarms[0][1] if alarms else None

    def run(
        self, units: Sequence[Unit], segments: int, changes: Iterable[Change], hindsight_ms: int = 0
    ) -> list[tuple[int, Alarm | Return]]:
        """Absorb units in their order; what to tell, with the index of the unit that decided.

        How units are split over calls changes nothing. An alarm knows the ``changes`` up to its unit's
        time plus ``hindsight_ms``, whatever else has become known by the time of the call. A memory that
        is shared has been extended by the caller, who trims it when all have run.
        """
        detector, track = self.detector, self.track
        if not self.shares:
            track.memory.extend(units)
        told: list[tuple[int, Alarm | Return]] = []
        at, end = 0, len(units)
        while at < end:
            stop, back = end, False
            recovery, views, mark = self._recovery, [], None
            if self.open:
                quiet = QUIET_UNITS - track.n
                stop = min(end, at + max(quiet, 1))
                if quiet <= 0 and self._back_to_normal():
                    told.append((at, self._returned(None)))
                    recovery, stop = None, end
            if recovery is not None:
                # First, so that what comes after a return is learned from: an alarm before it starts it anew.
                views, mark = detector.views(units[at:stop], self._side), recovery.mark()
                shown = at + recovery.run(views)
                if shown < stop:
                    stop, back = shown + 1, True
            reached, fired = detector.run(units, at, stop, segments, not self.open)
            track.extend(units[at:reached] if at or reached < end else units)
            if fired:
                if reached - at > 1:
                    self._held = 0
                time, _, trace_id, _, _ = units[reached - 1]
                known = time + hindsight_ms
                alarm = self._fire(
                    tuple([change for change in changes if change.time <= known]), (trace_id, time)
                )
                if alarm is not None:
                    told.append((reached - 1, alarm))
                    back = False
                elif mark is not None and recovery is not None and reached < stop:
                    recovery.back(mark)
                    recovery.run(views[: reached - at])
                    back = False
            else:
                self._held = 0
                if detector.pin is not self.pin:
                    self.pin = detector.pin
                    self.pins = [*self.pins[-63:], (units[reached - 1][0], self.pin)]
                    track.reset()
            if back and reached == stop and recovery is not None:
                told.append((reached - 1, self._returned(recovery)))
            at = reached
        if not self.shares:
            track.memory.trim()
        return told

    def _fire(self, changes: tuple[Change, ...], unit: tuple[str, int]) -> Alarm | None:
        rule, detector, track, pin = self.rule, self.detector, self.track, self.pin
        assert pin is not None
        self._held += 1
        units, change_point = detector.since_reset()
        if units - change_point < rule.min_units:
            return None
        window = track.window(change_point)
        if not self.open:
            window = since_a_change(track, window, changes, pin.mean)
        alarm = None
        if window.value - pin.mean >= rule.least_effect(pin.mean) or rule.min_effect == 0.0:
            normal, level = detector.level()
            known = track.series(rule.measure in (Measure.RATE, Measure.SCORE), level)
            alarm = Alarm(
                onset=window.onset,
                n=window.n,
                baseline=pin.mean,
                baseline_n=pin.n,
                baseline_note=detector.note(),
                value=window.value,
                evidence=detector.evidence(),
                threshold=log10(pin.threshold),
                verdict=attribute(known, normal, changes, window.onset, self.open),
                examples=worst(window.after, pin.mean),
                after=window.after,
                before=window.before,
                between=None if self.open else onset_range(known, normal, window.onset),
            )
            self._expect(window.after)
            if not self.open:
                self._opened = unit
                detector.forget(window.onset, [unit[:2] for unit in track.ring()[: -self._held]])
                track.open(window.before, window.onset)
                self.open = True
        else:
            self.dropped = (self.dropped[0] + 1, unit[1], window.value)
        detector.reset()
        track.reset()
        self._held = 0
        return alarm

    def _expect(self, after: list[Unit]) -> None:
        """Bet on the return of what has moved, from here on, by how far it is away."""
        detector = self.detector
        if not self.open:
            self._side, self._level = detector.side(), (0.0, 0)
        total, n = self._level
        self._level = total + sum(detector.views(after, self._side)), n + len(after)
        self._recovery = self._watch()

    def _watch(self) -> RecoveryWatch:
        usual, variance = self.detector.usual(self._side)
        total, n = self._level
        return RecoveryWatch(usual, total / n - usual if n else 0.0, variance)

    def _returned(self, shown: RecoveryWatch | None) -> Return:
        """``shown`` None: by nothing but silence of the detector over many units."""
        pin, track = self.pin, self.track
        assert pin is not None
        ring = track.ring()
        since = ring[max(len(ring) - shown.since(), 0) :] if shown is not None else ring
        value = sum([unit[1] for unit in since]) / len(since)
        bound = None
        if shown is not None and self.rule.measure in (Measure.SCORE, Measure.RATE):
            bound = pin.mean + RECOVERY.fraction * shown.shift
        returned = Return(since[0][0], len(since), value, pin.mean, bound, shown is None, self._opened)
        self.close()
        return returned

    def _back_to_normal(self) -> bool:
        pin = self.pin
        return pin is not None and self.track.mean() - pin.mean <= max(
            self.rule.least_effect(pin.mean), 0.1 * pin.mean
        )

    def close(self) -> None:
        """The alarm is over: learn again (if the baseline is provisional), compare with what comes now."""
        if self.open:
            self.open = False
            self.track.close()
            self._recovery = None
            self._level, self._opened = (0.0, 0), ("", 0)

    def renew(self, time: int) -> Return | None:
        """:meth:`repin` at ``time``: the end of what was open, to be told."""
        ended = self._returned(None)._replace(quiet=False, renewed=True) if self.open else None
        self.repin(time)
        return ended

    def accept(self, time: int, by: str) -> Return | None:
        """:meth:`repin`, for ``by`` has said that from ``time`` on it is normal: the end of what was open."""
        ended = self.renew(time)
        self.track.forget()
        return None if ended is None else ended._replace(since=time, accepted_by=by)

    def repin(self, time: int = 0) -> None:
        """Forget what normal was and learn it from the next units: another scorer, or (with their ``time``)
        an acceptance, or a unit on which everything changes."""
        self.close()
        self.detector.repin()
        self.track.reset()
        self.pin = None
        self.pins = [*self.pins, (time, None)] if time else []
        self._held = 0

    def edited(self, before: Under) -> None:
        """Follow the rule, where :meth:`restore` has taken over a state that was written under another one.

        A renamed rule keeps what is normal, and ends what was open (:class:`~detectors.rule_edits.OpenAlarms`
        tells it); another bound is defended at once; another budget moves the threshold.
        """
        now = under(self.rule)
        if (now.name, now.says) != (before.name, before.says):
            self.close()
        if now.says != before.says:
            self.detector.redeclare()
        elif now.weeks != before.weeks:
            self.detector.rescale(now.weeks / before.weeks)
        else:
            return
        self.track.reset()
        self.pin = self.detector.pin
        self.pins = [(0, self.pin)]
        self._held = 0

    @property
    def waiting(self) -> int:
        """Units since the estimated change of an alarm that is held back because they are too few, or 0."""
        units, change_point = self.detector.since_reset()
        return units - change_point if self._held else 0

    def snapshot(self) -> dict[str, Any]:
        """What changes with every unit, but for the memory and what was before an open incident."""
        return {
            "detector": self.detector.snapshot(),
            "track": self.track.snapshot(),
            "open": self.open,
            "held": self._held,
            "opened": self._opened,
            "level": [*self._level, self._side],
            "recovery": self._recovery and self._recovery.snapshot(),
            **({"dropped": self.dropped} if self.dropped[0] else {}),
        }

    def restore(
        self,
        baseline: dict[str, Any],
        state: dict[str, Any],
        good: list[Any] | None = None,
        learned: Mapping[int, Any] | None = None,
    ) -> None:
        self.detector.restore(baseline, state["detector"], learned)
        self.track.restore(state["track"], good)
        self.pin = self.detector.pin
        self.pins = [(0, self.pin)]
        self.open = state["open"]
        self._held = state["held"]
        trace_id, time = state["opened"]
        self._opened = trace_id, time
        total, n, self._side = state["level"]
        self._level = total, n
        many, at, value = state.get("dropped", (0, 0, 0.0))
        self.dropped = many, at, value
        if state["recovery"] is not None:
            self._recovery = self._watch()
            self._recovery.restore(state["recovery"])
