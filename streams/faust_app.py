"""The Faust app of a worker: its settings, and no more than its settings."""

from __future__ import annotations

import logging
from typing import Any

import faust

from schemas.topics import APP_MESSAGE_BYTES
from streams.closing import correct_closing
from streams.security import faust_credentials
from streams.settings import Settings


def faust_app(settings: Settings) -> faust.App:
    """An app without tables, web server or topic declarations: topics are made from our own table."""
    correct_closing()
    for name in ("aiokafka", "faust", "mode"):
        logging.getLogger(name).setLevel(logging.WARNING)
    state = settings.state_dir / "faust"
    state.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "broker": [f"kafka://{broker.strip()}" for broker in settings.brokers.split(",")],
        "broker_credentials": faust_credentials(settings),
        "store": "memory://",
        "datadir": str(state),
        "topic_partitions": settings.partitions,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "broker_commit_interval": 1.0,
        "broker_session_timeout": settings.session_timeout_ms / 1000,
        # Faust wants it no shorter than the session; 90 s is its own default.
        "broker_request_timeout": max(90.0, settings.session_timeout_ms / 1000),
        "broker_heartbeat_interval": settings.heartbeat_ms / 1000,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": APP_MESSAGE_BYTES + 65536,
        "stream_wait_empty": True,
        "web_enabled": False,
    }
    return faust.App(settings.group("worker"), **options)
