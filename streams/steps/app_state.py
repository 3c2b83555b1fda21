"""What the owner keeps of one app: marks, segments, conversations, the queue of scores, counters."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import orjson

from detectors.acceptance import Accepted, Stream
from detectors.baseline import DAY_MS
from detectors.monitors import Monitors
from detectors.rules import DEFAULT_RULES, Rule
from schemas.identity import Coordinates
from schemas.observation import (
    EVERY_ROUTE,
    BaselineRow,
    ChangeRow,
    FeedbackRow,
    Profile,
    Source,
    TraceRow,
)
from schemas.signal import Recovery, Signal, SignalName, WindowStat
from streams.steps.chunks import ChunkLog
from streams.steps.conversations import Conversations
from streams.steps.inflight import Pending, Result
from streams.steps.pool import SMALL, Pool, Smalls, Units, since_then
from streams.steps.score_queue import ScoreQueue
from streams.steps.segment_state import Flushed, SegmentState
from streams.steps.segment_windows import Horizons
from streams.steps.waiting import WaitingFeedback


class AppState:
    """One app of an owner; ``least`` is the least number of segments that share a budget."""

    def __init__(
        self,
        name: str,
        chunks: ChunkLog,
        window_ms: int,
        decided_ms: int,
        least: int,
        rules: tuple[Rule, ...] = DEFAULT_RULES,
        watermark: int | None = None,
    ) -> None:
        self.name, self._window_ms, self._decided_ms, self._least = name, window_ms, decided_ms, least
        self._rules = rules
        self._horizons = Horizons.at(watermark, decided_ms)
        self._restored_at = watermark or 0
        self.ended: list[Recovery] = []
        """Ends of alarms of rules that had been edited when the state was restored."""
        self.marks: dict[Source, int] = {}
        self.counters: dict[str, int] = {}
        self.conversations = Conversations(name, chunks)
        self.scores = ScoreQueue(name)
        self.waiting = WaitingFeedback()
        self.pending: dict[str, Pending] = {}
        """By trace_id: the traces above the watermark."""
        self.segments: dict[tuple[str, str], SegmentState] = {}
        self._declaring: list[SegmentState] = []
        """Those with a rule that is asked as event time passes."""
        self._accepting: list[SegmentState | Pool] = []
        """Those where what was accepted waits for conversations or scores."""
        self._since: list[int] = []
        self._young: list[tuple[int, str, SegmentState]] = []
        """When it will be known whether a segment is small, its environment, and it: those still open."""
        self._newest = -1
        """Time of the newest trace that was fed."""
        self._smalls: dict[str, Smalls] = {}
        self._pools: dict[str, Pool] = {}
        """By environment, where it has two small segments."""
        self._ends: tuple[int, int] | None = None
        """Windows that the watermark, and what is decided, had passed when last asked."""
        self.flushed = Flushed([], [])
        """What the segments have said since the owner last asked."""

    def count(self, what: str, many: int = 1) -> None:
        if many:
            self.counters[what] = self.counters.get(what, 0) + many

    # -- segments ----------------------------------------------------------------------------------

    def segment(self, environment: str, route: str, time: int) -> SegmentState:
        """A segment's state; whoever asks is about to change it. ``time`` is that of its first event, if
        it is new."""
        segment = self.segments.get((environment, route))
        if segment is None:
            self.flush()
            segment = self._new(environment, route)
            segment.since = time
            self._add(segment, environment, route)
        segment.touched = True
        return segment

    def _new(self, environment: str, route: str) -> SegmentState:
        return SegmentState(self.name, environment, route, self._horizons, self._window_ms, self._rules)

    def _add(self, segment: SegmentState, environment: str, route: str) -> None:
        self.segments[environment, route] = segment
        insort(self._since, segment.since)
        self._young.append((segment.since + DAY_MS, environment, segment))
        if segment.declares:
            self._declaring.append(segment)

    def shared_by(self, time: int | None = None) -> int:
        """Segments that share a rule's false-page budget (by this time), as far as an owner can know."""
        known = len(self._since) if time is None else bisect_right(self._since, time)
        return known if known > self._least else self._least

    def watching(self) -> Iterator[tuple[str, str, Monitors]]:
        """Environment, route and monitors of every segment, and of those that are watched together."""
        for (environment, route), segment in self.segments.items():
            yield environment, route, segment.monitors.monitors
        for environment, pool in self._pools.items():
            yield environment, EVERY_ROUTE, pool.monitors.monitors

    def flush(self) -> None:
        """Feed the detectors what has been applied."""
        segments = self.shared_by()
        fed: dict[str, list[tuple[int, Units]]] = {}
        for (environment, _), segment in self.segments.items():
            if segment.traces or segment.decided:
                if segment.traces:
                    self._newest = max(self._newest, segment.traces[-1][0])
                signals, cases = segment.flush(segments, self._decided_ms)
                self.flushed.signals.extend(signals)
                self.flushed.cases.extend(cases)
                if segment.fed is not None:
                    fed.setdefault(environment, []).append((segment.since + DAY_MS, segment.fed))
                    segment.fed = None
        if self._young:
            self._grow_up()
        for environment, several in fed.items():
            self._pool(environment, several, segments)

    def _grow_up(self) -> None:
        """A day after its first trace it is known whether a segment is small."""
        ready = [young for young in self._young if young[0] <= self._newest]
        if not ready:
            return
        self._young = [young for young in self._young if young[0] > self._newest]
        for _, environment, segment in ready:
            if segment.first_day >= SMALL:
                continue
            smalls = self._smalls.setdefault(environment, Smalls())
            smalls.add(segment.since)
            if smalls.begins is not None and environment not in self._pools:
                self._pools[environment] = Pool(self.name, environment, self._rules)

    def _pool(self, environment: str, several: list[tuple[int, Units]], segments: int) -> None:
        """Small segments' units once more, together."""
        pool = self._pools.get(environment)
        if pool is None:
            return
        begins = self._smalls[environment].begins
        assert begins is not None
        units = [since_then(units, max(small, begins)) for small, units in several]
        if any(any(one) for one in units):
            self.flushed.signals.extend(pool.feed(units, segments + 1, self._decided_ms))

    def pool_score(self, row: TraceRow, profile: Profile, result: Result | None) -> list[Signal | Recovery]:
        """A judge's score of a small segment's trace, once more."""
        segment, pool = self.segments[profile[0], profile[1]], self._pools.get(profile[0])
        if pool is None or segment.first_day >= SMALL or result is None or result.value is None:
            return []
        begins = self._smalls[profile[0]].begins
        assert begins is not None
        if row[0] < max(segment.since + DAY_MS, begins):
            return []
        unit = (row[0], result.value, row[1], profile, row[8])
        return pool.score(unit, result.scorer, self.shared_by(row[0]) + 1)

    def on_change(self, row: ChangeRow) -> None:
        """A change explains what follows in every segment of its environment (of all, without one)."""
        self.flush()
        for (environment, _), segment in self.segments.items():
            if row.environment is None or row.environment == environment:
                segment.on_change(row)
                segment.touched = True
        for environment, pool in self._pools.items():
            if row.environment is None or row.environment == environment:
                pool.on_change(row)

    def accept(self, row: BaselineRow) -> None:
        """What the row names is normal from its time on; everything before that has been applied."""
        self.flush()
        signal = row.signal and SignalName(row.signal)
        accepted = Accepted(row.time, row.change_id, row.author or "", signal or None, row.rule)
        of: list[tuple[tuple[str, str], SegmentState | Pool]] = [
            *self.segments.items(),
            *[((environment, EVERY_ROUTE), pool) for environment, pool in self._pools.items()],
        ]
        for (environment, route), one in of:
            if row.environment in (None, environment) and row.route in (None, route):
                self.flushed.signals.extend(one.accept(accepted))
                if one.monitors.accepted and one not in self._accepting:
                    self._accepting.append(one)

    def close_accepted(self, watermark: int) -> None:
        """Every conversation is decided that began ``decided_ms`` before ``watermark``: what that ends."""
        if not self._accepting:
            return
        later = self._decided_ms
        for one in self._reached(Stream.CONVERSATIONS, watermark - later):
            ended = one.monitors.pass_conversations(watermark - later, later)
            told = [((signal.detected_at + later, 1), signal) for signal in ended] + one.monitors.settle()
            one.alarms.note([signal for _, signal in told])
            self.flushed.signals.extend(told)

    def _reached(self, stream: Stream, upto: int) -> list[SegmentState | Pool]:
        """Where what was accepted has waited for ``stream`` to come to ``upto``; they are about to change."""
        self._accepting = [one for one in self._accepting if one.monitors.accepted]
        reached = [
            one
            for one in self._accepting
            if (time := one.monitors.accepted.next(stream)) is not None and time <= upto
        ]
        for one in reached:
            one.touched = True
        return reached

    def close_declared(self, watermark: int) -> None:
        """Ask the declared rules about what has ended; everything up to ``watermark`` has been flushed."""
        for segment in self._declaring:
            self.flushed.signals.extend(segment.close_declared(watermark, self._decided_ms, self.shared_by))

    def close_scores(self, watermark: int) -> list[Signal | Recovery]:
        """Ask the declared rules about the scores of what has ended, as far as none is awaited; and what was
        accepted."""
        if not self._declaring and not self._accepting:
            return []
        upto = min(watermark, self.scores.waiting_since(watermark))
        found = [told for segment in self._declaring for told in segment.close_scores(upto)]
        for one in self._reached(Stream.SCORES, upto) if self._accepting else ():
            ended = one.monitors.pass_scores(upto)
            one.alarms.note(ended)
            found += [((signal.detected_at, 0), signal) for signal in ended]
        return [signal for _, signal in sorted(found, key=itemgetter(0))]

    def close_windows(self, watermark: int) -> list[WindowStat]:
        """The windows that close when the watermark is here."""
        closed: list[WindowStat] = []
        ends = (watermark // self._window_ms, (watermark - self._decided_ms) // self._window_ms)
        passed, self._ends = ends != self._ends, ends
        for segment in self.segments.values() if passed else ():
            stats = segment.close_windows(watermark, self._decided_ms)
            if stats:
                segment.touched = True
                closed += stats
        self._horizons.move(watermark, self._decided_ms)
        return closed

    def collect_windows(self) -> list[WindowStat]:
        """What has come for closed windows since the last commit; only a touched segment has any."""
        segments = self.segments.values()
        return [stat for segment in segments if segment.touched for stat in segment.windows.collect()]

    # -- conversations and feedback ------------------------------------------------------------------

    def decide(self, upto: int) -> None:
        """Decide the conversations that began at ``upto`` or before, in the order of their first traces."""
        due = self.conversations.due
        if not due or due[0][2] > upto:
            return
        self.conversations.hand_over(upto, self.segments)

    def wait(self, row: FeedbackRow, at: Coordinates) -> None:
        """Keep feedback that came before its trace."""
        self.count("unjoined", self.waiting.add(row, at))

    def expire_waiting(self, before: int) -> None:
        """Feedback whose trace has not come within the join horizon joins nothing, and is counted."""
        if self.waiting:
            self.count("unjoined", self.waiting.expire(before))

    # -- state -------------------------------------------------------------------------------------

    def meta(self) -> dict[str, Any]:
        return {
            "marks": [[*source, mark] for source, mark in self.marks.items()],
            "counters": self.counters,
            "head": self.scores.head,
            "tail": self.scores.tail,
            "waited": self.waiting.count,
            "newest": self._newest,
        }

    def changes(self) -> dict[str, bytes | None]:
        """Entries of the segments that have been touched, and of the feedback that waits."""
        entries: dict[str, bytes | None] = {}
        for key, segment in sorted(self.segments.items(), key=itemgetter(0)):
            if segment.touched:
                for part, data in segment.changes().items():
                    entries["segment:" + orjson.dumps([self.name, *key, part]).decode()] = data
        for environment, pool in sorted(self._pools.items()):
            if pool.touched:
                for part, data in pool.changes().items():
                    entries["pool:" + orjson.dumps([self.name, environment, part]).decode()] = data
        for number, item in self.waiting.changes().items():
            entries["waiting:" + orjson.dumps([self.name, number]).decode()] = item
        return entries

    def restore(self, state: dict[str, Any], waiting: dict[int, bytes]) -> None:
        self.marks = {Source(*source): mark for *source, mark in state["marks"]}
        self.counters = dict(state["counters"])
        self.scores.head, self.scores.tail = state["head"], state["tail"]
        self.waiting.restore(waiting, state["waited"])
        self._newest = state["newest"]

    def restore_segment(self, environment: str, route: str, parts: dict[str, bytes]) -> None:
        segment = self._new(environment, route)
        self.ended += segment.load(parts, self._restored_at)
        self._add(segment, environment, route)
        if segment.monitors.accepted:
            self._accepting.append(segment)

    def restore_pools(self, pools: dict[str, dict[str, bytes]]) -> None:
        """Once all segments are there."""
        self._grow_up()
        for environment, parts in pools.items():
            self.ended += self._pools[environment].load(parts, self._restored_at)
            if self._pools[environment].monitors.accepted:
                self._accepting.append(self._pools[environment])
