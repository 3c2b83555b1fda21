"""How fast a receiver may be spoken to: one message a second, short bursts, and the pauses it asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Pace:
    """A token bucket for one receiver; times in epoch ms.

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
