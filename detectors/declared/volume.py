"""Traffic itself: too much or too little of it, and none at all."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from math import log10, sqrt
from typing import Any

from detectors.acceptance import Accepted, read, written
from detectors.baseline import ArmingPolicy
from detectors.declared.count_esr import CountESR
from detectors.declared.count_law import chance, standing
from detectors.declared.finding import Finding, Returned, Said
from detectors.declared.latch import Latch, Turn
from detectors.declared.policy import BUCKET_MS, DAY_MS, HOUR_MS
from detectors.declared.say import length
from detectors.declared.volume_baseline import HOURS, VolumeBaseline, VolumePin

RECENT = DAY_MS // BUCKET_MS
"""Buckets remembered one by one."""
LOOK = HOUR_MS // BUCKET_MS
"""Buckets by which an alarm is judged to be over, at least."""
ASLEEP_MS = 7 * DAY_MS
"""After so long a silence the segment is learned anew when it wakes up."""


class Volume:
    """Requests per bucket of five minutes, against what is normal at that hour of the day; zeros count.

    The caller says up to when all traffic has been seen; a bucket in which nothing came is a count of 0, so
    silence is seen by the passing of event time. The randomisation of a count's standing in its law is a
    hash of the segment and the bucket's start: the same at every run.

    A rise or fall of less than ``min_effect`` of what is expected since the estimated change is not told,
    and the detector starts again. An alarm is told once; it clears when the last hour lies within half of
    ``min_effect`` of what is expected (or two standard deviations, if that is more), and nearer to it than to
    where the alarm was at its worst. Where so few are expected in an hour that two standard deviations are
    half of the alarm's move, the look back is as long as it must be: at most 24 h, and never to before the
    alarm. It is told again after 24 h of not clearing. Until it clears nothing is learned, and what was
    learned since the onset is taken back. After seven silent days the segment is asleep: nothing is said, and
    normal is learned anew when requests come again. They end an alarm that was open, too; silence ends none.
    What a person accepts as normal is learned anew from the first bucket that begins then or later.

    Guarantee and limits are those of :class:`~detectors.declared.count_esr.CountESR` and
    :class:`~detectors.declared.volume_baseline.VolumeBaseline`. The budget is exact in weeks: buckets come at
    one rate whatever the traffic. It cannot tell an app without users from an exporter that has stopped.
    """

    __slots__ = (
        "_accepted",
        "_baseline",
        "_esr",
        "_latch",
        "_least",
        "_level",
        "_next",
        "_of",
        "_open",
        "_recent",
        "_seen",
    )

    def __init__(
        self,
        of: tuple[str, str, str],
        weeks: float,
        min_effect: float = 0.25,
        policy: ArmingPolicy | None = None,
    ) -> None:
        """``of`` is the segment: app, environment, route."""
        self._of = of
        self._least = min_effect
        self._baseline = VolumeBaseline(weeks, policy)
        self._latch = Latch()
        self._accepted: list[Accepted] = []
        """Those whose bucket has not closed, the earliest first."""
        self._level = 1.0
        """Requests at the worst of the latest alarm, as a part of what was expected; 2 at most."""
        self._open: Counter[int] = Counter()
        """Start to requests, of buckets that have not closed."""
        self._recent: deque[tuple[int, int, float]] = deque(maxlen=RECENT)
        """(start, requests, expected) of closed buckets; expected is 0 before there is a baseline."""
        self._next: int | None = None
        """Start of the first bucket that has not closed."""
        self._seen = 0
        """End of the last bucket with a request."""
        self._build()

    def _build(self) -> None:
        pin = self._baseline.pin
        self._esr = None if pin is None else CountESR(pin.threshold)

    @property
    def pin(self) -> VolumePin | None:
        return self._baseline.pin

    def add(self, times: Iterable[int]) -> None:
        """Requests at these event times, ms; none in a bucket that has closed."""
        self._open.update([time - time % BUCKET_MS for time in times])
        if self._next is None and self._open:
            # The first bucket is known in part only.
            first = min(self._open)
            del self._open[first]
            self._next = first + BUCKET_MS
            self._seen = self._next
        elif self._next is not None:
            self._open.pop(self._next - BUCKET_MS, None)  # of that first one

    def accept(self, accepted: Accepted) -> None:
        """Requests from its time on are normal: to be called before the bucket that holds it closes."""
        self._accepted.append(accepted)

    def close(self, upto: int, segments_at: Callable[[int], int]) -> list[Said]:
        """All traffic before ``upto`` has been seen: what the buckets that end there bring.

        ``segments_at`` is how many segments share the rule's budget at a time.
        """
        found: list[Said] = []
        while self._next is not None and self._next + BUCKET_MS <= upto:
            start = self._next
            while self._accepted and self._accepted[0].time <= start:
                found += self._renew(start, self._accepted.pop(0))
            count = self._open.pop(start, 0)
            if count:
                self._seen = start + BUCKET_MS
            elif start >= self._seen + ASLEEP_MS:
                self._sleep()
                continue
            self._next = start + BUCKET_MS
            found += self._absorb(start, count, segments_at)
        return found

    def _renew(self, start: int, accepted: Accepted) -> list[Said]:
        """Learn anew from the bucket that starts at ``start``; the end of what was open."""
        pin, last = self._baseline.pin, list(self._recent)[-LOOK:]
        found: list[Said] = []
        if self._latch.told is not None and pin is not None:
            counted = sum([one[1] for one in last])
            look_ms = max(len(last), 1) * BUCKET_MS
            found = [
                Returned(
                    time=start,
                    since=start,
                    opened=self._latch.opened,
                    value=counted * HOUR_MS / look_ms,
                    baseline=pin.mean[start // HOUR_MS % HOURS] * LOOK,
                    bound=None,
                    n=counted,
                    reason="accepted as normal by a person, and learned anew; before that"
                    f" {counted:,} requests in {length(look_ms)}",
                    accepted_by=accepted.by,
                )
            ]
        self._latch.told = None
        self._baseline.restart()
        self._build()
        return found

    def _sleep(self) -> None:
        """Until traffic comes again. Of an open alarm what was normal is kept until then, to tell its end."""
        waiting = sorted(self._open)
        if self._latch.told is None:
            self._baseline.restart()
            self._build()
        self._recent.clear()
        self._next = None
        if waiting:
            times = [start for start in waiting for _ in range(self._open[start])]
            self._open = Counter()
            self.add(times)

    def _absorb(self, start: int, count: int, segments_at: Callable[[int], int]) -> list[Said]:
        pin, esr = self._baseline.pin, self._esr
        if pin is None or esr is None:
            self._recent.append((start, count, 0.0))
            self._learn(start, count, segments_at)
            return []
        hour = start // HOUR_MS % HOURS
        end = start + BUCKET_MS
        if self._latch.told is not None and not self._recent:
            # Only sleep forgets the buckets since an alarm.
            return [self._woken(start, count, pin, segments_at)] if count else []
        self._recent.append((start, count, pin.mean[hour]))
        if self._latch.told is not None:
            return self._held(end, pin)
        hash_of = chance(*self._of, start)
        u = standing(count, pin.most[hour], pin.dispersion, hash_of)
        v = standing(count, pin.least[hour], pin.dispersion, hash_of)
        if not esr.update(u, v):
            self._learn(start, count, segments_at)
            return []
        found = self._fire(end, esr, pin)
        esr.reset()
        return found

    def _learn(self, start: int, count: int, segments_at: Callable[[int], int]) -> None:
        if self._baseline.learn(start, count, segments_at(start)):
            self._build()

    def _fire(self, end: int, esr: CountESR, pin: VolumePin) -> list[Said]:
        since = list(self._recent)[-min(max(esr.n - esr.change_point(), 1), RECENT) :]
        counted, expected = sum([one[1] for one in since]), sum([one[2] for one in since])
        rises = counted > expected
        if abs(counted - expected) < self._least * expected or rises is not esr.rises:
            return []
        self._latch.ask(end, True, False)
        self._level = min(counted / expected, 2.0) if expected else 2.0
        self._baseline.forget([one[:2] for one in since[:-1]])  # this bucket has not been learned
        return [self._tell(end, since, pin, esr.evidence())]

    def _held(self, end: int, pin: VolumePin) -> list[Said]:
        last = self._look(pin)
        if not last:
            return []
        counted, expected = sum([one[1] for one in last]), sum([one[2] for one in last])
        if expected:
            # The units that an alarm rests on may reach back to before the change.
            now = min(counted / expected, 2.0)
            self._level = min(self._level, now) if self._level < 1.0 else max(self._level, now)
        halfway = 0.5 * (1.0 + self._level) * expected
        nearer = counted > halfway if self._level < 1.0 else counted <= halfway
        margin = max(0.5 * self._least * expected, 2.0 * sqrt(_variance(last, pin)))
        back = nearer and abs(counted - expected) <= margin
        turn = self._latch.ask(end, not back, back)
        if turn is Turn.CLEARED:
            return [self._returned(end, counted, expected, len(last) * BUCKET_MS)]
        return [self._tell(end, last, pin, None)] if turn is Turn.REFIRED else []

    def _look(self, pin: VolumePin) -> list[tuple[int, int, float]]:
        """The latest buckets since the alarm that tell its level from the normal one: none, as long as they
        are too few for that. A day of them is enough."""
        rows = list(self._recent)
        move = abs(1.0 - self._level)
        expected = variance = 0.0
        for at, row in enumerate(reversed(rows), 1):
            if row[0] < self._latch.opened:
                return []
            expected += row[2]
            variance += _variance((row,), pin)
            if at >= LOOK and 2.0 * sqrt(variance) < 0.5 * move * expected:
                return rows[-at:]
        return rows if len(rows) == RECENT else []

    def _returned(self, end: int, counted: int, expected: float, look_ms: int) -> Returned:
        return Returned(
            time=end,
            since=end - look_ms,
            opened=self._latch.opened,
            value=counted * HOUR_MS / look_ms,
            baseline=expected * HOUR_MS / look_ms,
            bound=None,
            n=counted,
            reason=f"{counted:,} requests in the last {length(look_ms)}, normally {expected:,.0f} at this"
            " time of day",
        )

    def _woken(self, start: int, count: int, pin: VolumePin, segments_at: Callable[[int], int]) -> Returned:
        self._latch.told = None
        self._baseline.restart()
        self._build()
        self._recent.append((start, count, 0.0))
        self._learn(start, count, segments_at)
        many = "1 request" if count == 1 else f"{count:,} requests"
        return Returned(
            time=start + BUCKET_MS,
            since=start,
            opened=self._latch.opened,
            value=float(count * LOOK),
            baseline=pin.mean[start // HOUR_MS % HOURS] * LOOK,
            bound=None,
            n=count,
            reason=f"{many} in 5 minutes, after more than {length(ASLEEP_MS)} without any: what is"
            " normal is learned anew",
        )

    def _tell(
        self, end: int, since: list[tuple[int, int, float]], pin: VolumePin, evidence: float | None
    ) -> Finding:
        counted = sum([one[1] for one in since])
        now = counted * LOOK / len(since)
        normal = sum([one[2] for one in since]) * LOOK / len(since)
        what = f"{now:,.0f} requests an hour" if counted else "no request at all"
        return Finding(
            time=end,
            onset=since[0][0],
            value=now,
            baseline=normal,
            note=pin.note(),
            n=counted,
            reason=f"{what} over {len(since) * BUCKET_MS // 60_000} minutes, normally {normal:,.0f} an hour"
            " at this time of day",
            rises=now > normal,
            evidence=evidence,
            threshold=None if evidence is None else log10(pin.threshold),
        )

    def snapshot(self) -> dict[str, Any]:
        first = self._recent[0][0] if self._recent else 0
        return {
            "baseline": self._baseline.snapshot(),
            "esr": self._esr and self._esr.snapshot(),
            "told": self._latch.snapshot(),
            "level": self._level,
            "open": sorted(self._open.items()),
            "next": self._next,
            "seen": self._seen,
            "recent": [first, [one[1] for one in self._recent], [one[2] for one in self._recent]],
            **({"accepted": written(self._accepted)} if self._accepted else {}),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._baseline.restore(state["baseline"])
        self._build()
        if self._esr is not None:
            self._esr.restore(state["esr"])
        self._latch.restore(state["told"])
        self._level = state.get("level", 0.0)  # of an alarm from before it was kept: silence, most often
        self._open = Counter(dict(state["open"]))
        self._next, self._seen = state["next"], state["seen"]
        self._accepted = read(state.get("accepted", ()))
        first, counts, expected = state["recent"]
        rows = zip(counts, expected, strict=True)
        self._recent = deque(
            [(first + at * BUCKET_MS, count, mean) for at, (count, mean) in enumerate(rows)], maxlen=RECENT
        )


def _variance(rows: Iterable[tuple[int, int, float]], pin: VolumePin) -> float:
    """Of the number of requests in buckets together, when all is well."""
    return sum([mean + pin.dispersion * mean**2 for _, _, mean in rows])
