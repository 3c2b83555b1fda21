"""A role's sign of life: a file that it touches while it makes its rounds, and a command that looks."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from streams.settings import Settings

STALE_SECONDS = 30.0
"""A role that has not made a round for so long is stuck, even if its process is there."""


class Heartbeat:
    """``beat`` touches the role's file at most once a second; cheap enough for every round of a loop."""

    def __init__(self, settings: Settings, role: str) -> None:
        self.path = _path(settings, role)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._next = 0.0

    def beat(self) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 1.0
            self.path.touch()
            os.utime(self.path)


def silence(settings: Settings, role: str) -> float | None:
    """Seconds since the role's last round on this machine; None if it has never made one here."""
    try:
        return max(0.0, time.time() - _path(settings, role).stat().st_mtime)
    except FileNotFoundError:
        return None


def _path(settings: Settings, role: str) -> Path:
    return settings.state_dir / "health" / f"{settings.topic_prefix}{role}@{socket.gethostname()}"
