"""CPU time of this process from the moment it is armed until it has dealt with so many events.

The parent writes ``arm N`` to standard input and gets ``{"armed": …}`` back; when N further events are
done, the worker writes what they cost. Between the two the parent stops the process, publishes, and
lets it go on: a stopped process uses no CPU, so nothing but the work is measured.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any


class Meter:
    """``reach`` is told how many events are done in all; it is called often and costs next to nothing."""

    def __init__(self) -> None:
        self.done = 0
        self._target: int | None = None
        self._cpu = self._wall = 0.0

    def listen(self) -> None:
        """Take orders from standard input, in a thread that sleeps until there are any."""
        threading.Thread(target=self._orders, daemon=True).start()

    def reach(self, done: int, **notes: Any) -> None:
        """``done`` events are dealt with since the process started, and will not be lost by a crash."""
        self.done = done
        if self._target is not None and done >= self._target:
            cpu, wall = time.process_time() - self._cpu, time.monotonic() - self._wall
            self._target = None
            say(done=done, cpu=cpu, wall=wall, notes=notes)

    def add(self, events: int) -> None:
        self.reach(self.done + events)

    def _orders(self) -> None:
        for line in sys.stdin:
            self._arm(int(line.split()[1]))

    def _arm(self, events: int) -> None:
        self._target = self.done + events
        self._cpu, self._wall = time.process_time(), time.monotonic()
        say(armed=events)


def say(**message: Any) -> None:
    """One JSON object on one line of standard output: how a worker speaks to its parent."""
    print(json.dumps(message), flush=True)
