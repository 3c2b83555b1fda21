"""How far event time has come, from what ingest reports of its source partitions.

The watermark is the minimum, over the source partitions, of the largest event time that ingest has
read there, less the lateness. A partition is left out while ingest reports it at its log's end (for
two seconds): mere silence never leaves one out, because an unowned partition is silent, too. Nothing
closes before every known partition has reported once. The watermark never falls, and it never passes
the reporting clock, or one application whose clock is ahead would make everybody else late.
"""

from __future__ import annotations

from typing import Any

from schemas.observation import Progress, Source

LIVE_MS = 900_000
"""Traffic whose newest event is at most this far behind the reporting clock is live."""
QUIET_MS = 60_000
"""How far behind the reporting clock event time goes on where all is quiet. A trace may have the time at
which its request began, or wait for others of its batch: a minute of that makes none late."""


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
        self._live = False
        """Whether the newest event has ever been live: not so in a replay of old traffic."""

    def report(self, progress: Progress) -> bool:
        """Take in a report; True when the watermark has moved."""
        self.clock = max(self.clock, progress.at)
        self._partitions.update(progress.partitions)
        for entry in progress.sources:
            self._retire(entry.source)
            old = self._sources.get(entry.source, (None, False))[0]
            newest = entry.max_time if old is None else max(old, entry.max_time or old)
            self._sources[entry.source] = (newest, entry.at_end)
        new = self._compute()
        if new is None or (self.value is not None and new <= self.value):
            return False
        self.value = new
        return True

    def _retire(self, source: Source) -> None:
        """A new life of a topic ends the old one: its partitions are waited for no longer."""
        if source in self._sources:
            return
        for known in [k for k in self._sources if k[1:] == source[1:] and k.stream != source.stream]:
            del self._sources[known]

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
            "sources": [[list(source), *state] for source, state in self._sources.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.value, self.clock = state["value"], state["clock"]
        self._partitions = dict(state["partitions"])
        self._live = state["live"]
        self._sources = {Source(*source): (newest, at_end) for source, newest, at_end in state["sources"]}
