"""How fast a channel may be spoken to: one message a second, short bursts, and the pauses it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Pace:
    """A token bucket for one channel; times in epoch ms.

    >>> pace = Pace()
    >>> [pace.take(0) for _ in range(4)]
    [True, True, True, False]
    >>> pace.take(1000)
    True
    """

    per_second: float = 1.0
    burst: int = 3
    tokens: float | None = None
    at: int = 0
    paused_until: int = 0

    def take(self, now: int) -> bool:
        """Whether a message may go now; if so, it is counted."""
        if now < self.paused_until:
            return False
        # A clock that was set back must not earn or cost tokens.
        elapsed = max(0, now - self.at)
        tokens = self.burst if self.tokens is None else self.tokens + elapsed / 1000 * self.per_second
        self.tokens, self.at = min(float(self.burst), tokens), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def pause(self, until: int) -> None:
        self.paused_until = max(self.paused_until, until)


@dataclass
class Paces:
    """A bucket for each channel: a flood or a pause in one holds up no other.

    >>> paces = Paces(burst=1)
    >>> paces.take("C1", 0), paces.take("C1", 0), paces.take("C2", 0)
    (True, False, True)
    """

    per_second: float = 1.0
    burst: int = 3
    channels: dict[str, Pace] = field(default_factory=dict)

    def take(self, channel: str, now: int) -> bool:
        """Whether a message may go to ``channel`` now; if so, it is counted."""
        return self._of(channel).take(now)

    def pause(self, channel: str, until: int) -> None:
        self._of(channel).pause(until)

    def _of(self, channel: str) -> Pace:
        return self.channels.setdefault(channel, Pace(self.per_second, self.burst))
