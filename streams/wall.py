"""The clock of people."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Wall-clock time, epoch ms."""
    return time.time_ns() // 1_000_000
