"""Logging of every role: one line an event to standard error, foreign text never at INFO."""

from __future__ import annotations

import logging
import sys

from streams.settings import Settings

NOISY = ("aiokafka", "faust", "mode", "asyncio", "httpx", "httpx2", "openai", "instructor", "slack_sdk")


def configure(settings: Settings) -> None:
    """Set up the root logger once per process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # Retries, rebalances and reconnects are the brokers' daily life; what they end in is logged by us.
    for name in (
        "aiokafka.consumer.group_coordinator",
        "aiokafka.cluster",
        "aiokafka.client",
        "aiokafka.conn",
    ):
        logging.getLogger(name).setLevel(logging.ERROR)
