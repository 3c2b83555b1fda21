"""Clicks by Socket Mode and by signed HTTP, against the fake Slack: taken once, or visibly not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlencode

import aiohttp
import pytest

from schemas.command import Command, Verb
from schemas.effect import EffectKind, NotifyReason
from sinks.base import Delivered, Message
from sinks.samples import SAMPLES
from sinks.slack.allowed import Allowed
from sinks.slack.buttons import Offer, Press
from sinks.slack.client import SlackSink
from sinks.slack.desk import REFUSALS, Answer, Desk
from sinks.slack.http import PATH, HttpClicks
from sinks.slack.sandbox import APP_TOKEN, CHANNEL, TOKEN, Sandbox
from sinks.slack.sandbox_clicks import WARNING, YOU, signed
from sinks.slack.socket import SocketClicks

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
INCIDENT = SAMPLES["cost"]


class Office:
    """A desk over a fake Slack, with a log that may be down and verdicts that a test sets."""

    def __init__(self, slack: Sandbox, allowed: str = "") -> None:
        self.slack = slack
        self.sink = SlackSink(TOKEN, CHANNEL, slack.url, 5, Offer(clicks=True))
        self.log: list[Command] = []
        self.down: Exception | None = None
        self.verdict: Answer | None = None
        self.now = 1_772_355_900_000
        self.desk = Desk(
            self.sink, Allowed.parse(allowed), self.publish, lambda _: self.verdict, lambda: self.now
        )

    async def publish(self, commands: Sequence[Command]) -> None:
        if self.down is not None:
            raise self.down
        self.log += commands

    async def message(self) -> str:
        posted = await self.sink.post(Message("o", EffectKind.POST, NotifyReason.FIRST, INCIDENT))
        assert isinstance(posted, Delivered)
        return posted.ref.ts

    async def click(self, ts: str, press: Press = Press.ACK, value: str = "", user: str = YOU) -> bool:
        return await self.slack.clicks.click(self.slack.channel, ts, press.value, value, user)

    def whispers(self) -> list[tuple[str, str]]:
        return self.slack.channel.whispers


@pytest.fixture
async def slack() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


@contextlib.asynccontextmanager
async def by_socket(slack: Sandbox, office: Office, token: str = APP_TOKEN) -> AsyncIterator[SocketClicks]:
    socket = SocketClicks(token, slack.url, office.desk.take)
    running = asyncio.create_task(socket.run())
    try:
        yield socket
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def connected(slack: Sandbox, socket: SocketClicks, opened: int = 1) -> None:
    async with asyncio.timeout(90):
        while slack.clicks.opened < opened:  # noqa: ASYNC110 - the fake counts, it doesn't tell
            await asyncio.sleep(0.01)
        await socket.connected.wait()


@contextlib.asynccontextmanager
async def by_http(slack: Sandbox, office: Office) -> AsyncIterator[HttpClicks]:
    http = HttpClicks(SECRET, "127.0.0.1:0", office.desk.take, slack.clock)
    await http.start()
    slack.clicks.interactivity = (http.url, SECRET)
    try:
        yield http
    finally:
        await http.stop()


@contextlib.asynccontextmanager
async def either(way: str, slack: Sandbox, office: Office) -> AsyncIterator[None]:
    if way == "http":
        async with by_http(slack, office):
            yield
    else:
        async with by_socket(slack, office) as socket:
            await connected(slack, socket)
            yield


WAYS = pytest.mark.parametrize("way", ["socket", "http"])


@WAYS
async def test_a_click_is_one_command_however_often_it_comes(slack: Sandbox, way: str) -> None:
    office = Office(slack)
    slack.clicks.again = 2
    async with either(way, slack, office):
        ts = await office.message()
        assert await office.click(ts)
        assert await office.click(ts, Press.SNOOZE, f"{INCIDENT.id}:1h")
    assert [(one.verb, one.incident_id, one.actor) for one in office.log] == [
        (Verb.ACK, INCIDENT.id, "u0you"),
        (Verb.SNOOZE, INCIDENT.id, "u0you"),
    ]
    assert office.desk.counts == {"published": 2, "again": 4}
    assert office.whispers() == []


@WAYS
async def test_a_click_that_is_not_in_the_log_is_not_acknowledged(slack: Sandbox, way: str) -> None:
    """Slack then warns whoever clicked; the next click works."""
    office = Office(slack)
    slack.clicks.ack_seconds = 0.3
    office.down = ConnectionError("no broker at kafka-1 with password hunter2")
    async with either(way, slack, office):
        ts = await office.message()
        assert not await office.click(ts)
        assert office.whispers() == [(YOU, WARNING)]
        office.down = None
        assert await office.click(ts)
    assert len(office.log) == 1


@WAYS
async def test_a_stale_click_is_told_why(slack: Sandbox, way: str) -> None:
    office = Office(slack)
    async with either(way, slack, office):
        ts = await office.message()
        await office.click(ts)
        await office.desk.answer()
        assert office.whispers() == [], "no verdict yet"
        office.verdict = Answer(False, "It is resolved already")
        await office.desk.answer()
        await office.desk.answer()
        assert office.whispers() == [(YOU, "It is resolved already")]
        office.verdict = Answer(True, "acknowledged")
        await office.click(ts, Press.ASSIGN)
        await office.desk.answer()
    assert len(office.whispers()) == 1, "what was done shows in the message"
    assert slack.pings() == []


async def test_a_verdict_that_never_comes_is_not_waited_for(slack: Sandbox) -> None:
    office = Office(slack)
    async with by_http(slack, office):
        await office.click(await office.message())
    office.now += 15_000
    await office.desk.answer()
    assert office.desk.unanswered == {}


async def test_who_may_not_is_told_who_may(slack: Sandbox) -> None:
    office = Office(slack, "U024BE7LH,S0614TZR7")
    slack.groups["S0614TZR7"] = ["U0INGROUP"]
    slack.channel.mentions = frozenset({"U024BE7LH", "S0614TZR7"})
    async with by_http(slack, office):
        ts = await office.message()
        assert await office.click(ts), "it is acknowledged: nothing went wrong"
        await office.desk.answer()
        assert office.log == []
        who = "You can't act on incidents here. Who may: <@U024BE7LH>, <!subteam^S0614TZR7>"
        assert office.whispers() == [(YOU, who)]
        assert await office.click(ts, user="U024BE7LH")
        assert await office.click(ts, user="U0INGROUP")
        assert [one.actor for one in office.log] == ["u024be7lh", "u0ingroup"]
        asked = sum(method == "usergroups.users.list" for method, _ in slack.calls)
        assert asked == 1, "a group is asked for once in five minutes"
        slack.groups["S0614TZR7"] = []
        office.now += 300_000
        await office.click(ts, user="U0INGROUP")
        assert len(office.log) == 2
    assert slack.pings() == []


async def test_who_goes_on_clicking_is_told_once_a_minute(slack: Sandbox) -> None:
    office = Office(slack, "U024BE7LH")
    async with by_http(slack, office):
        ts = await office.message()
        for _ in range(5):
            await office.click(ts)
            office.now += 5_000
        for _ in range(5):
            await office.desk.answer()
        assert len(office.whispers()) == 1
        office.now += 35_000
        await office.click(ts)
        await office.desk.answer()
    assert len(office.whispers()) == 2
    assert office.desk.counts["not_allowed"] == 6


async def test_a_crowd_that_may_not_leaves_a_bounded_queue_behind_the_verdicts(slack: Sandbox) -> None:
    office = Office(slack, YOU)
    async with by_http(slack, office):
        ts = await office.message()
        for number in range(50):
            await office.click(ts, user=f"U0CROWD{number}")
        await office.click(ts)
        office.verdict = Answer(False, "It is over already.")
        assert len(office.desk.refused) == REFUSALS
        assert office.desk.counts["unanswered"] == 50 - REFUSALS
        await office.desk.answer()
        first, second = office.whispers()
        assert first == (YOU, "It is over already."), "who may act is answered first"
        assert second[0] == "U0CROWD0"
        assert len(office.desk.refused) == REFUSALS - 1, "and one a call of those who may not"
        office.now += 60_000
        await office.click(ts, user="U0CROWD49")
        assert len(office.desk.refused_at) == 1, "who was refused a minute ago is not remembered"


async def test_a_group_that_cannot_be_read_allows_nobody_new(slack: Sandbox) -> None:
    office = Office(slack, "S0614TZR7")
    async with by_http(slack, office):
        ts = await office.message()
        await office.click(ts)
        assert office.log == []
        slack.groups["S0614TZR7"] = [YOU]
        await office.click(ts)
        del slack.groups["S0614TZR7"]
        office.now += 300_000
        await office.click(ts)
    assert len(office.log) == 2, "who was a member a while ago still is"


async def test_who_is_turned_away_before_a_greeting_waits(
    slack: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Too many connections, a disabled link: Slack says so on the socket, and each address costs a call."""
    monkeypatch.setattr("sinks.slack.socket.RETRY_SECONDS", (0.01, 0.02, 0.03))
    slack.clicks.turned_away = ["too_many_websockets", "link_disabled", "warning"]
    async with by_socket(slack, Office(slack)) as socket:
        await connected(slack, socket, 4)
    said = [record.args for record in caplog.records if "no clicks from Slack" in record.msg]
    assert said == [("too_many_websockets", 0.01), ("link_disabled", 0.02), ("warning", 0.03)]


async def test_connections_that_slack_recycles(slack: Sandbox) -> None:
    office = Office(slack)
    async with by_socket(slack, office) as socket:
        await connected(slack, socket)
        ts = await office.message()
        for turn in range(2, 5):
            await slack.clicks.recycle()
            await connected(slack, socket, turn)
            assert await office.click(ts)
    assert len(office.log) == 3


async def test_a_refused_app_token_is_said_without_it(
    slack: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    office = Office(slack)
    with caplog.at_level(logging.DEBUG):
        async with by_socket(slack, office, "xapp-1-wrong-secret"), asyncio.timeout(90):
            while "trying again" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert "no clicks from Slack (invalid_auth)" in caplog.text
    assert "wrong-secret" not in caplog.text


@WAYS
async def test_no_secret_reaches_the_log(slack: Sandbox, way: str, caplog: pytest.LogCaptureFixture) -> None:
    office = Office(slack)
    office.down = ConnectionError("password hunter2")
    slack.clicks.ack_seconds = 0.3
    with caplog.at_level(logging.DEBUG):
        async with either(way, slack, office):
            await office.click(await office.message())
    for secret in (TOKEN, APP_TOKEN, SECRET, "ticket=", "hunter2"):
        assert secret not in caplog.text, secret


async def test_only_what_slack_signed_is_taken(slack: Sandbox) -> None:
    office = Office(slack)
    at = 1_772_355_900
    slack.clock = lambda: float(at)
    body = urlencode({"payload": json.dumps({"type": "block_actions"})}).encode()
    good = signed(SECRET, body, at)
    time, signature = "X-Slack-Request-Timestamp", "X-Slack-Signature"
    async with by_http(slack, office) as http, aiohttp.ClientSession() as session:

        async def status(headers: dict[str, str], data: bytes = body) -> int:
            async with session.post(http.url, data=data, headers=headers) as answer:
                return answer.status

        assert await status(good) == 200
        assert await status(signed(SECRET, body, at - 299)) == 200
        for wrong in (
            {},
            {time: str(at)},
            signed("another secret", body, at),
            signed(SECRET, body, at - 301),
            signed(SECRET, body, at + 301),
            good | {time: "soon"},
            good | {time: "١٢"},
            good | {signature: "v0=é"},
            good | {signature: ""},
        ):
            assert await status(wrong) == 401, wrong
        assert await status(good, body + b"&x=1") == 401
        for odd in (b"", b"payload=", b"payload=%7B", b"x=1"):
            assert await status(signed(SECRET, odd, at), odd) == 400, odd
        async with session.get(http.url) as answer:
            assert answer.status == 405
        async with session.post(http.url.replace(PATH, "/")) as answer:
            assert answer.status == 404
    assert office.desk.counts == {"nothing": 2}


async def test_slacks_own_example_of_a_signature() -> None:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack"""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlg"
        b"cZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    secret = "8f742231b10e8888abcd99yyyzzz85a5"
    assert signed(secret, body, 1531420618)["X-Slack-Signature"] == (
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    )


async def test_the_page_has_buttons_that_work(slack: Sandbox) -> None:
    office = Office(slack)
    async with by_socket(slack, office) as socket, aiohttp.ClientSession() as session:
        await connected(slack, socket)
        ts = await office.message()
        form = {"channel": CHANNEL, "ts": ts, "action_id": Press.ACK.value}
        async with session.post(slack.page_url + "click", data=form) as answer:
            assert answer.status == 200
            assert 'action="/click"' in (await answer.text()).replace("=/click", '="/click"')
        for wrong in (form | {"ts": "1.2"}, form | {"channel": "C2"}, form | {"action_id": "x"}):
            async with session.post(slack.page_url + "click", data=wrong) as answer:
                assert answer.status == 404
        elsewhere = {"Origin": "https://evil.example"}
        async with session.post(slack.page_url + "click", data=form, headers=elsewhere) as answer:
            assert answer.status == 403
    assert [one.verb for one in office.log] == [Verb.ACK]


async def test_a_ticket_opens_one_connection(slack: Sandbox) -> None:
    url = f"http://127.0.0.1:{slack.port}/socket?ticket={slack.clicks.ticket()}"
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as socket:
            assert (await socket.receive_json())["type"] == "hello"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)
