"""Logging of every role: one line an event to standard error, foreign text never at INFO."""

from __future__ import annotations

import logging
import sys
import time

from streams.settings import Settings

NOISY = ("aiokafka", "faust", "mode", "asyncio", "httpx", "httpx2", "openai", "instructor", "slack_sdk")
REPEAT_SECONDS = 10.0


class Repeats(logging.Filter):
    """Lets the same kind of line through once in ten seconds: a missing broker makes thousands of them."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, object], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("aiokafka"):
            return True
        key, now = (record.name, record.msg), time.monotonic()
        if now - self._last.get(key, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return False
        self._last[key] = now
        return True


def configure(settings: Settings) -> None:
    """Set up the root logger once per process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # Rebalances and reconnects are a broker's daily life; what they end in is logged by us.
    for name in ("aiokafka.consumer.group_coordinator", "aiokafka.cluster", "aiokafka.conn"):
        logging.getLogger(name).setLevel(logging.ERROR)
