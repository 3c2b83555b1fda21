"""How far event time has come, from what ingest reports of its source partitions.

The watermark is the minimum, over the source partitions, of the largest event time that ingest has
read there, less the lateness. A partition is left out while ingest reports it at its log's end (for
two seconds): mere silence never leaves one out, because an unowned partition is silent, too. Nothing
closes before every known partition has reported once. The watermark never falls.

One application whose clock is ahead must not make everybody else late. So the watermark never passes the
reporting clock, and an event that has come before its own time tells little of how far time is (``tells``).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from schemas.observation import Progress, Source

LIVE_MS = 900_000
"""Traffic whose newest event is at most this far behind the reporting clock is live."""
QUIET_MS = 60_000
"""How far behind the reporting clock event time goes on where all is quiet. A trace may have the time at
which its request began, or wait for others of its batch: a minute of that makes none late."""
SKEW_MS = 1_000
"""Clocks that are kept synchronised differ by less."""


def tells(time: int, came: int) -> int:
    """How far event time has come at least, by an event of ``time`` that had come at ``came`` (epoch ms).

    An event that is ahead by more than clocks differ has been stamped by a wrong one. Like silence, it shows
    that time goes on, a minute behind: taken at its word it would hold the watermark at the clock for as long
    as it is ahead, and whatever is seconds old when it is published would be late.

    >>> tells(5_000, came=65_000), tells(65_900, came=65_000), tells(365_000, came=65_000)
    (5000, 65000, 5000)
    """
    return min(time, came) if time <= came + SKEW_MS else came - QUIET_MS


class Watermark:
    """State: per source partition the largest event time and whether it stands at its end.

    With every partition at its end the watermark drains to the largest event time seen. Traffic that has
    been live once stays so: there it goes on with the reporting clock (less a minute and the lateness), so
    that the last conversation before a quiet night is decided that night and not the next morning, and that
    a silence of everybody is seen for as long as it lasts.
    """

    def __init__(self, lateness_ms: int) -> None:
        self.lateness_ms = lateness_ms
        self.value: int | None = None
        self.clock = 0
        self._partitions: dict[str, int] = {}
        self._sources: dict[Source, tuple[int | None, bool]] = {}
        self._streams: dict[str, str] = {}
        """The present life of each topic."""
        self._ended: set[tuple[str, str]] = set()
        """Stream and topic of the lives that are over: what is still reported of them is of the past."""
        self._live = False
        """Whether the newest event has ever been live: not so in a replay of old traffic."""

    def report(self, progress: Progress) -> bool:
        """Take in a report; True when the watermark has moved."""
        self.clock = max(self.clock, progress.at)
        present = [entry for entry in progress.sources if entry.source[:2] not in self._ended]
        for entry in present:
            self._retire(entry.source)
            old = self._sources.get(entry.source, (None, False))[0]
            newest = entry.max_time if old is None else max(old, entry.max_time or old)
            self._sources[entry.source] = (newest, entry.at_end)
        reading = {entry.source.topic for entry in present}
        for topic, count in progress.partitions.items():
            known = self._partitions.setdefault(topic, count)
            # A worker that started before a topic grew, or was made again, goes on saying its old number.
            if topic in reading and count > known:
                self._partitions[topic] = count
        new = self._compute()
        if new is None or (self.value is not None and new <= self.value):
            return False
        self.value = new
        return True

    def _retire(self, source: Source) -> None:
        """A new life of a topic ends the old one: none of its partitions is waited for any longer, however
        many they were. Within a life a topic only grows."""
        if self._streams.get(source.topic) == source.stream:
            return
        self._streams[source.topic] = source.stream
        self._partitions.pop(source.topic, None)
        for known in [k for k in self._sources if k.topic == source.topic and k.stream != source.stream]:
            del self._sources[known]
            self._ended.add(known[:2])

    def _compute(self) -> int | None:
        if len(self._sources) < sum(self._partitions.values()):
            return None
        holding = [newest for newest, at_end in self._sources.values() if not at_end]
        if None in holding:
            return None
        present = self.clock - self.lateness_ms
        if holding:
            return min(min(time for time in holding if time is not None) - self.lateness_ms, present)
        seen = [newest for newest, _ in self._sources.values() if newest is not None]
        if not seen:
            return None
        newest = max(seen)
        self._live = self._live or self.clock - newest <= LIVE_MS
        if self._live:
            newest = max(newest, present - QUIET_MS)
        return min(newest, present)

    def drain(self, newest: int) -> None:
        """The input has ended (a file): everything up to ``newest`` is complete."""
        self.value = newest if self.value is None else max(self.value, newest)

    def snapshot(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "clock": self.clock,
            "partitions": self._partitions,
            "live": self._live,
            "ended": [list(life) for life in sorted(self._ended)],
            "sources": [[list(source), *state] for source, state in self._sources.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.value, self.clock = state["value"], state["clock"]
        self._partitions = dict(state["partitions"])
        self._live = state["live"]
        self._ended = {(stream, topic) for stream, topic in state.get("ended", ())}
        self._sources = {Source(*source): (newest, at_end) for source, newest, at_end in state["sources"]}
        # Older states may hold two lives of a topic: the next report says which is the present one.
        lives = {source[:2] for source in self._sources}
        topics = Counter(topic for _, topic in lives)
        self._streams = {topic: stream for stream, topic in lives if topics[topic] == 1}
