"""The heartbeat: as long as an alert would arrive, and not a minute longer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from sinks.alive import Alive
from sinks.delivery import Delivery
from sinks.memory import MemorySink
from sinks.outbox import Outbox
from sinks.slack.client import SlackSink
from sinks.slack.sandbox import CHANNEL, TOKEN, Sandbox
from streams.health import Heartbeat
from streams.notify.alive import asks_of, beating
from streams.settings import Settings
from tests.notify.test_fallback import Receiver

NOW = 1_772_400_000_000


async def test_it_calls_while_nothing_speaks_against_it(caplog: pytest.LogCaptureFixture) -> None:
    why = [""]

    async def ask() -> str:
        return why[0]

    async def last() -> str:
        return ""

    async with Receiver() as switch:
        alive = Alive(switch.url, ask, last)
        assert await alive.beat(NOW)
        ((headers, body),) = switch.got
        assert json.loads(body) == {"from": "gleaner notify", "at": "2026-03-01T21:20:00Z"}
        assert headers["Content-Type"] == "application/json"
        why[0] = "Slack: token_revoked"
        assert [await alive.beat(NOW) for _ in range(3)] == [False] * 3
        assert len(switch.got) == 1, "who says nothing is missed"
        assert caplog.text.count("token_revoked") == 1, "said once, not once a minute"
        why[0] = ""
        assert await alive.beat(NOW)
        switch.faults.extend(["500", "drop", "redirect"])
        assert [await alive.beat(NOW) for _ in range(4)] == [False, False, False, True]
        assert switch.elsewhere == 0
    assert not await alive.beat(NOW), "nobody is there"
    assert switch.url.rpartition("/")[0] not in caplog.text, "the address is a secret"


async def test_what_notify_asks_itself(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    async with Sandbox() as slack:
        sink = SlackSink(TOKEN, CHANNEL, slack.url, 2)
        delivery = Delivery(outbox, sink, MemorySink())
        asks = asks_of(settings, delivery, sink)

        async def answers() -> list[str]:
            return [await ask() for ask in asks]

        assert (await answers())[0] == "no batch was read for 30 s"
        Heartbeat(settings, "notify").beat()
        assert await answers() == ["", "", ""]
        slack.token = "xoxb-another"
        delivery.refusing.add(CHANNEL)
        told = await answers()
        assert "invalid_auth" in told[1]
        assert TOKEN not in told[1]
        assert told[2] == f"refused by {CHANNEL}"
    assert len(asks_of(settings, delivery, MemorySink())) == 2
    outbox.close()


async def test_it_beats_from_the_start_until_the_stop(tmp_path: Path) -> None:
    outbox, stop = Outbox.open(tmp_path / "notify.sqlite"), asyncio.Event()
    async with Receiver() as switch:
        settings = Settings(state_dir=tmp_path, alive_url=switch.url)
        Heartbeat(settings, "notify").beat()
        delivery = Delivery(outbox, MemorySink(), MemorySink())
        task = asyncio.create_task(beating(settings, delivery, MemorySink(), stop))
        async with asyncio.timeout(20):
            while not switch.got:  # noqa: ASYNC110 - the switch tells nobody
                await asyncio.sleep(0.01)
        stop.set()
        await asyncio.wait_for(task, 5)
        await asyncio.wait_for(beating(Settings(state_dir=tmp_path), delivery, MemorySink(), stop), 5)
    assert len(switch.got) == 1
    outbox.close()


@pytest.mark.parametrize("url", ["http://switch.example/x", "https://me:pw@switch.example/", "x"])
def test_an_address_that_would_be_no_secret_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="https address"):
        Settings(alive_url=url)
