"""One worker process, seen from the parent: start, arm, stop, go on, read what it measured."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

from streams.settings import Settings

PATIENCE = 180.0
"""Seconds that a worker may take to deal with a round."""


class Measured(NamedTuple):
    """One round of one case. ``cpu`` and ``wall`` in seconds."""

    events: int
    cpu: float
    wall: float
    notes: dict[str, int]

    @property
    def rate(self) -> float:
        """Events per CPU-second."""
        return self.events / self.cpu


class Child:
    """The worker of one case. Only this process is ever signalled, by its own pid."""

    def __init__(self, case: str, settings: Settings, log: Path) -> None:
        self.case, self.settings, self.log = case, settings, log
        overrides = settings.model_dump(mode="json", exclude_unset=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", case, json.dumps(overrides)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("wb"),
            text=True,
        )
        self._said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._events = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def arm(self, events: int) -> None:
        """Measure from now on until ``events`` more are done."""
        assert self._process.stdin is not None
        self._events = events
        with contextlib.suppress(BrokenPipeError):  # it has ended: why, is told below
            self._process.stdin.write(f"arm {events}\n")
            self._process.stdin.flush()
        self._hear("armed")

    def stop(self) -> None:
        """Stop it where it stands: no CPU is used until it goes on."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def measured(self) -> Measured:
        """Wait until it has done what it was armed for."""
        said = self._hear("cpu")
        return Measured(self._events, said["cpu"], said["wall"], said["notes"])

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _hear(self, key: str) -> dict[str, Any]:
        try:
            said = self._said.get(timeout=PATIENCE)
        except queue.Empty:
            raise RuntimeError(f"{self.case}: nothing within {PATIENCE:.0f} s{self._tail()}") from None
        if said is None or key not in said:
            raise RuntimeError(f"{self.case} ended: {self._process.wait()}{self._tail()}")
        return said

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self._said.put(json.loads(line))
        self._said.put(None)

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return "\n  " + "\n  ".join(lines) if lines else ""
