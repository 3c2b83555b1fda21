"""Whatever session timeout an operator may set, Faust's driver makes its consumer with it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from streams.faust_app import faust_app
from streams.settings import Settings


@pytest.mark.parametrize("session_ms", [6_000, 90_000, 120_000, 1_800_000])
async def test_a_long_session_is_no_misconfiguration(tmp_path: Path, session_ms: int) -> None:
    app = faust_app(Settings(state_dir=tmp_path, session_timeout_ms=session_ms))
    thread: Any = SimpleNamespace(
        app=app, _assignor=app.assignor, consumer=SimpleNamespace(in_transaction=False)
    )
    made: Any = AIOKafkaConsumerThread._create_worker_consumer(thread, app.transport)  # type: ignore[arg-type]
    await made.stop()
    assert made._session_timeout_ms == session_ms
