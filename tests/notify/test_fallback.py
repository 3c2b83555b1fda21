"""The fallback chain against real servers on this machine, with their faults."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from schemas.command import Verb
from schemas.incident import Incident
from schemas.signal import Severity, SignalName
from sinks.base import Delivered, NotSent, Outcome, Ref, Rejected, RetryAfter, Unknown
from sinks.delivery import Delivery
from sinks.hops import Hop, SinkHop, checked_url
from sinks.memory import MemorySink
from sinks.outbox import Outbox
from sinks.pagerduty import PagerDutyHop
from sinks.posting import post_json
from sinks.slack.client import SlackSink
from sinks.slack.sandbox import CHANNEL, TOKEN, Sandbox
from sinks.slack.sandbox_channel import Channel
from sinks.webhook import DELIVERY, SIGNATURE, TIMESTAMP, WebhookHop
from streams.notify.hops import hops_of
from streams.notify.reduce import Notify
from streams.settings import Settings
from tests.incident.signals import T0, alarm, command, recovery
from tests.notify.test_delivery import commit, stored

BEGIN = 1_010_000
SECRET = "a-webhook-secret"
DOCS = (Path(__file__).parents[2] / "docs" / "alerting.md").read_text(encoding="utf-8")


class Receiver:
    """An HTTP server that remembers; ``faults`` come first: a status, ``drop``, ``slow`` or ``redirect``."""

    def __init__(self) -> None:
        self.faults: deque[str] = deque()
        self.got: list[tuple[Mapping[str, str], bytes]] = []
        self.elsewhere = 0
        self.runner: web.AppRunner | None = None
        self.closing = asyncio.Event()
        self.port = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/hook", self._handle)
        app.router.add_route("*", "/elsewhere", self._elsewhere)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()
        self.port = self.runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.runner is not None
        self.closing.set()
        await self.runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    async def _handle(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        fault = self.faults.popleft() if self.faults else "202"
        if fault == "drop":
            assert request.transport is not None
            request.transport.abort()
        if fault == "slow":
            await self.closing.wait()
        if fault == "redirect":
            return web.Response(status=307, headers={"Location": "/elsewhere"})
        headers = {"Retry-After": "7"} if fault == "429" else {}
        return web.Response(status=int(fault) if fault.isdecimal() else 202, headers=headers)

    async def _elsewhere(self, _: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.Response()


@pytest.fixture
async def hook() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def pager() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


def down(times: int = 999) -> MemorySink:
    return MemorySink([NotSent("no connection")] * times)


def hops(hook: Receiver, pager: Receiver) -> list[Hop]:
    return [WebhookHop(hook.url, SECRET, lambda: 1_772_355_900.0), PagerDutyHop("R0UTING", pager.url)]


async def run(delivery: Delivery, seconds: int, begin: int = BEGIN) -> int:
    for second in range(0, seconds, 2):
        await delivery.step(begin + second * 1_000)
    return begin + seconds * 1_000


def only(outbox: Outbox) -> Incident:
    (row,) = outbox.db.execute("select id from incidents").fetchall()
    incident = outbox.incident(row["id"])
    assert incident is not None
    return incident


async def obey(outbox: Outbox, *commands: Any, now: int) -> None:
    async def publish(_: object) -> None:
        """The topic is another test's business."""

    notify = Notify(Settings(group_wait_seconds=0), outbox, publish, publish)
    outbox.commit(notify._reduce(commands, now), now)


@pytest.mark.parametrize(
    ("severity", "told"), [(Severity.P1, True), (Severity.P2, True), (Severity.P3, False)]
)
async def test_who_is_told_when_slack_is_down(
    tmp_path: Path, hook: Receiver, pager: Receiver, severity: Severity, told: bool
) -> None:
    outbox = await stored(tmp_path, severity)
    console = MemorySink()
    delivery = Delivery(outbox, down(), console, hops=hops(hook, pager))
    await run(delivery, 108)
    assert hook.got == [], "not before the two minutes are over"
    await run(delivery, 400, BEGIN + 108_000)
    assert len(hook.got) == told
    assert (pager.got, console.posts) == ([], []), "one that takes it is enough"
    outbox.close()


async def test_the_minutes_are_a_setting(tmp_path: Path, hook: Receiver, pager: Receiver) -> None:
    outbox = await stored(tmp_path)
    delivery = Delivery(outbox, down(), MemorySink(), hops=hops(hook, pager), fallback_after_ms=600_000)
    now = await run(delivery, 588)
    assert hook.got == []
    await run(delivery, 20, now)
    assert len(hook.got) == 1
    outbox.close()


async def test_a_p2_that_only_waits_for_its_turn_is_no_outage(
    tmp_path: Path, hook: Receiver, pager: Receiver
) -> None:
    outbox = await stored(tmp_path)
    sink = MemorySink([RetryAfter(0.0)])
    delivery = Delivery(outbox, sink, MemorySink(), hops=hops(hook, pager))
    delivery.paces.pause(sink.name, BEGIN + 600_000)
    await run(delivery, 500)
    assert hook.got == []
    outbox.close()


@pytest.mark.parametrize("fault", ["500", "400", "404", "429", "drop", "redirect"])
async def test_what_one_hop_does_not_take_the_next_does(
    tmp_path: Path, hook: Receiver, pager: Receiver, fault: str
) -> None:
    outbox = await stored(tmp_path, Severity.P1)
    hook.faults.extend([fault] * 99)
    console = MemorySink()
    delivery = Delivery(outbox, down(), console, hops=hops(hook, pager))
    await run(delivery, 600)
    assert len(hook.got) == 1, "at most once per incident and stage"
    assert [one["event_action"] for one in pager.bodies()] == ["trigger"]
    assert hook.elsewhere == 0, "a redirect is not followed"
    assert console.posts == []
    outbox.close()


async def test_at_last_the_console(tmp_path: Path, hook: Receiver, pager: Receiver) -> None:
    outbox = await stored(tmp_path)
    hook.faults.append("500")
    pager.faults.append("400")
    console = MemorySink()
    delivery = Delivery(outbox, MemorySink([Rejected("token_revoked")] * 9), console, hops=hops(hook, pager))
    await run(delivery, 60)
    assert len(console.posts) == 1, "a refusal waits for nothing"
    assert not delivery.healthy
    outbox.close()


async def test_a_restart_tells_nobody_twice(tmp_path: Path, hook: Receiver, pager: Receiver) -> None:
    """The process ends at any transaction, also in the middle of a call: each hop is asked once at most."""

    class Ended(BaseException):
        pass

    class Ending(Outbox):
        left = 0

        def transaction(self) -> Any:
            Ending.left -= 1
            if Ending.left == 0:
                raise Ended
            return super().transaction()

    asked = []
    ended = True
    for at in range(1, 60):
        folder = tmp_path / str(at)
        (await stored(folder, Severity.P1)).close()
        hook.got.clear()
        pager.got.clear()
        console = MemorySink()
        Ending.left = at
        ended = False
        for _ in range(2):
            outbox = Ending.open(folder / "notify.sqlite")
            delivery = Delivery(outbox, down(), console, hops=hops(hook, pager))
            try:
                delivery.recover(BEGIN)
                # Steps are coarse: what matters is the transactions, not the seconds.
                for minute in range(5):
                    await delivery.step(BEGIN + minute * 60_000)
            except Ended:
                ended = True
            finally:
                outbox.close()
        if not ended:
            break
        assert len(hook.got) <= 1
        assert len(hook.got) + len(pager.got) + len(console.posts) >= 1
        asked.append(len(pager.got))
    assert not ended, "every transaction was the last one once"
    assert len(asked) > 8
    assert 1 in asked, "one that ended between the call and its answer: the next hop is told"


async def test_pagerduty_hears_the_end(tmp_path: Path, pager: Receiver) -> None:
    outbox = await stored(tmp_path, Severity.P1)
    hop = PagerDutyHop("R0UTING", pager.url, "https://gleaner.example/{id}")
    delivery = Delivery(outbox, down(70), MemorySink(), hops=[hop])
    now = await run(delivery, 200)
    incident = only(outbox)
    await obey(outbox, command("c1", Verb.ACK, incident.id, now), now=now)
    pager.faults.extend(["500", "drop", "429"])
    now = await run(delivery, 60, now)
    await commit(Settings(), outbox, recovery("r1", T0 + 3_600_000), now)
    await run(delivery, 60, now)
    bodies = pager.bodies()
    assert [one["event_action"] for one in bodies] == ["trigger", *["acknowledge"] * 4, "resolve"]
    assert {one["dedup_key"] for one in bodies} == {incident.id}
    assert {one["routing_key"] for one in bodies} == {"R0UTING"}
    first = bodies[0]
    assert first["payload"]["severity"] == "critical"
    assert first["payload"]["summary"].startswith("P1 · faithfulness on support-bot fell 0.92 → 0.80")
    assert first["client_url"] == f"https://gleaner.example/{incident.id}"
    assert outbox.db.execute("select 1 from fallbacks where open = 1").fetchone() is None
    outbox.close()


async def test_an_incident_that_slack_took_is_not_told_elsewhere(
    tmp_path: Path, hook: Receiver, pager: Receiver
) -> None:
    outbox = await stored(tmp_path, Severity.P1)
    sink = MemorySink()
    delivery = Delivery(outbox, sink, MemorySink(), hops=hops(hook, pager))
    now = await run(delivery, 600)
    await commit(Settings(), outbox, recovery("r1", T0 + 3_600_000), now)
    await run(delivery, 600, now)
    assert (len(sink.posts), hook.got, pager.got) == (1, [], [])
    outbox.close()


async def test_the_thread_says_where_it_went(tmp_path: Path, pager: Receiver) -> None:
    async with Sandbox() as slack:
        slack.channels["C0SECOND"] = Channel("C0SECOND", archived=True)
        second = SinkHop(SlackSink(TOKEN, "C0SECOND", slack.url))
        outbox = await stored(tmp_path, Severity.P1)
        slack.script(*["error:fatal_error"] * 9)
        delivery = Delivery(
            outbox,
            SlackSink(TOKEN, CHANNEL, slack.url),
            MemorySink(),
            hops=[second, PagerDutyHop("k", pager.url)],
        )
        await run(delivery, 400)
        (root,) = slack.roots()
        (reply,) = slack.channel.replies(root.ts)
        at = r"\d\d:\d\d UTC"
        said = f"While this could not be posted here, it was told elsewhere: pagerduty at ({at}|.* {at})."
        assert re.fullmatch(said, reply.body["text"]), reply.body["text"]
        assert slack.channels["C0SECOND"].messages == []
        assert slack.pings() == []
        assert outbox.rows.open_count() == 0
    outbox.close()


async def test_a_second_channel_takes_it(tmp_path: Path, pager: Receiver) -> None:
    async with Sandbox() as slack:
        slack.channels["C0SECOND"] = Channel("C0SECOND")
        slack.channel.archived = True
        outbox = await stored(tmp_path)
        delivery = Delivery(
            outbox,
            SlackSink(TOKEN, CHANNEL, slack.url),
            MemorySink(),
            hops=[SinkHop(SlackSink(TOKEN, "C0SECOND", slack.url)), PagerDutyHop("k", pager.url)],
        )
        await run(delivery, 30)
        assert len(slack.channels["C0SECOND"].roots()) == 1
        assert pager.got == []
    outbox.close()


async def test_news_of_an_escalation_fall_back_too(tmp_path: Path, pager: Receiver) -> None:
    outbox = await stored(tmp_path)
    sink = MemorySink([Delivered(Ref("memory", "1"))] + [NotSent("x")] * 300)
    delivery = Delivery(outbox, sink, MemorySink(), hops=[PagerDutyHop("k", pager.url)])
    now = await run(delivery, 10)
    await commit(Settings(), outbox, alarm("s2", SignalName.ESCALATION, severity=Severity.P1, onset=T0), now)
    await run(delivery, 300, now)
    (event,) = pager.bodies()
    assert (event["event_action"], event["payload"]["severity"]) == ("trigger", "critical")
    outbox.close()


async def test_the_webhook_is_signed_as_documented(tmp_path: Path, hook: Receiver) -> None:
    outbox = await stored(tmp_path)
    hop = WebhookHop(hook.url, SECRET, lambda: 1_772_355_900.0)
    await run(Delivery(outbox, down(), MemorySink(), hops=[hop]), 200)
    ((headers, body),) = hook.got
    (snippet,) = re.findall(r"```python\n(import hashlib.*?)```", DOCS, re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)
    verify = names["from_gleaner"]
    at = 1_772_355_900
    assert verify(SECRET, headers, body, at + 299)
    assert not verify(SECRET, headers, body, at + 301)
    assert not verify("another", headers, body, at)
    assert not verify(SECRET, headers, body + b" ", at)
    assert not verify(SECRET, dict(headers) | {TIMESTAMP: str(at + 1)}, body, at)
    told = json.loads(body)
    expected = hmac.new(SECRET.encode(), b"1772355900." + body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"v1={expected}"
    assert headers[DELIVERY] == told["id"]
    assert (told["stage"], told["version"], told["incident"]) == ("trigger", 1, only(outbox).summary())
    assert told["text"].startswith("P2 · faithfulness on support-bot fell 0.92 → 0.80")
    outbox.close()


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("200", Delivered(Ref("x", ""))),
        ("202", Delivered(Ref("x", ""))),
        ("307", Rejected("http_307")),
        ("404", Rejected("http_404")),
        ("429", RetryAfter(7.0)),
        ("503", Unknown("http_503")),
        ("slow", Unknown("timeout")),
        ("drop", Unknown("ServerDisconnectedError")),
    ],
)
async def test_answers_are_outcomes(hook: Receiver, fault: str, outcome: Outcome) -> None:
    hook.faults.append(fault)
    assert await post_json(hook.url, b"{}", {}, "x", 0.3 if fault == "slow" else 60) == outcome


async def test_nobody_there_is_not_sent() -> None:
    async with Receiver() as receiver:
        url = receiver.url
    assert await post_json(url, b"{}", {}, "x") == NotSent("no connection")


@pytest.mark.parametrize(
    "url",
    [
        "http://alerts.example/",
        "ftp://alerts.example/",
        "file:///etc/passwd",
        "https://",
        "https://user:password@alerts.example/",
        "http://127.0.0.1@alerts.example/",
        "alerts.example",
    ],
)
def test_addresses_that_alerts_do_not_go_to(url: str) -> None:
    with pytest.raises(ValueError, match="is an https address"):
        checked_url(url)
    with pytest.raises(ValidationError) as caught:
        Settings(fallback_webhook_url=url, fallback_webhook_secret=SecretStr("x"))
    assert caught.value.errors()[0]["loc"] == ("fallback_webhook_url",)


def test_a_webhook_without_a_secret_is_a_wrong_setting() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(fallback_webhook_url="https://alerts.example/")
    assert caught.value.errors()[0]["loc"] == ("fallback_webhook_secret",)


def test_the_chain_of_the_settings() -> None:
    def names(found: Sequence[Hop]) -> list[str]:
        return [hop.name for hop in found]

    assert hops_of(Settings()) == []
    everything = Settings(
        slack_token=SecretStr(TOKEN),
        fallback_channel="C0SECOND",
        fallback_webhook_url="https://alerts.example/",
        fallback_webhook_secret=SecretStr(SECRET),
        fallback_pagerduty_key=SecretStr("k"),
    )
    assert names(hops_of(everything)) == ["slack:C0SECOND", "webhook", "pagerduty"]
