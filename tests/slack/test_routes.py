"""Where an incident is posted and whom it mentions, by route."""

from __future__ import annotations

import calendar
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from schemas.effect import EffectKind, NotifyReason
from schemas.signal import Severity
from sinks.base import Absent, Blind, Delivered, Found, Message, Outcome, Ref, Unknown
from sinks.delivery import Delivery
from sinks.memory import MemorySink
from sinks.samples import SAMPLES
from sinks.slack.client import SlackSink
from sinks.slack.render import EVENT_TYPE
from sinks.slack.routes import Route, Routes, mentions
from sinks.slack.sandbox import CHANNEL, TOKEN, Sandbox
from sinks.slack.sandbox_channel import Channel
from streams.notify.sink import routes_of
from streams.settings import Settings
from tests.notify.test_delivery import stored

COST = SAMPLES["cost"].model_copy(update={"app": "billing-eu", "environment": "production", "rule": "cost"})
NOW = 1_772_355_900_000


def at(day: int, hour: int, minute: int = 0) -> int:
    """In March 2026, UTC; the 2nd is a Monday."""
    return calendar.timegm((2026, 3, day, hour, minute, 0)) * 1000


@pytest.mark.parametrize(
    ("route", "covers"),
    [
        ({}, True),
        ({"app": "billing-*"}, True),
        ({"app": "support-*"}, False),
        ({"environment": "staging"}, False),
        ({"owner": "team-billing"}, True),
        ({"owner": "team-?"}, False),
        ({"severity": ["P3"]}, True),
        ({"severity": ["P1", "P2"]}, False),
        ({"app": "billing-*", "severity": ["P1"]}, False),
    ],
)
def test_what_a_route_covers(route: dict[str, object], covers: bool) -> None:
    assert COST.severity is Severity.P3
    found = Route.model_validate({"channel": "C0ROUTE"} | route)
    assert found.covers(COST, "team-billing", NOW) is covers


@pytest.mark.parametrize(
    ("when", "now", "covers"),
    [
        ({"hours": "09:00-18:00"}, at(2, 9), True),
        ({"hours": "09:00-18:00"}, at(2, 8, 59), False),
        ({"hours": "09:00-18:00"}, at(2, 18), False),
        ({"hours": "09:00-18:00", "zone": "America/New_York"}, at(2, 9), False),
        ({"hours": "09:00-18:00", "zone": "America/New_York"}, at(2, 14), True),
        # New York's clocks go forward on the 8th: nine o'clock comes an hour earlier in UTC.
        ({"hours": "09:00-18:00", "zone": "America/New_York"}, at(9, 13), True),
        ({"hours": "09:00-18:00", "zone": "America/New_York"}, at(6, 13), False),
        ({"days": ["mon"]}, at(2, 0), True),
        ({"days": ["mon"]}, at(1, 23, 59), False),
        ({"hours": "22:00-06:00", "days": ["mon"]}, at(2, 23), True),
        ({"hours": "22:00-06:00", "days": ["mon"]}, at(3, 5), True),
        ({"hours": "22:00-06:00", "days": ["mon"]}, at(2, 5), False),
        ({"hours": "22:00-06:00", "days": ["mon"]}, at(2, 12), False),
    ],
)
def test_hours_and_days_are_those_of_the_zone(when: dict[str, object], now: int, covers: bool) -> None:
    assert Route.model_validate({"channel": "C0ROUTE"} | when).covers(COST, "", now) is covers


def test_the_first_route_that_covers_is_taken() -> None:
    routes = Routes(
        "C0DEFAULT",
        ("<@U0>",),
        [
            Route(app="support-*", channel="C0SUPPORT"),
            Route(owner="team-b*", channel="C0BILLING", oncall="S1,U2", oncall_next="U3"),
            Route(channel="C0LATER"),
        ],
        {"cost": "team-billing"},
    )
    assert routes.of(COST, NOW) == ("C0BILLING", ("<@U2>, <!subteam^S1>", "<@U3>"))
    assert routes.of(COST.model_copy(update={"rule": "other"}), NOW) == ("C0LATER", ())
    assert list(routes.channels()) == ["C0DEFAULT", "C0SUPPORT", "C0BILLING", "C0LATER"]
    assert Routes("C0DEFAULT", mentions("U0")).of(COST, NOW) == ("C0DEFAULT", ("<@U0>",))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"channel": "#alerts"}, "channel"),
        ({}, "channel"),
        ({"channel": "C01", "hours": "9-18"}, "hours"),
        ({"channel": "C01", "hours": "09:00-24:00"}, "hours"),
        ({"channel": "C01", "zone": "Berlin"}, "zone"),
        ({"channel": "C01", "zone": "../../etc/passwd"}, "zone"),
        ({"channel": "C01", "oncall": "@dana"}, "oncall"),
        ({"channel": "C01", "days": ["monday"]}, "days"),
        ({"channel": "C01", "severity": ["P9"]}, "severity"),
        ({"channel": "C01", "team": "x"}, "team"),
    ],
)
def test_a_wrong_route_is_named_by_number_and_field(wrong: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(routes=[{"channel": "C00"}, wrong])  # type: ignore[arg-type]
    assert caught.value.errors()[0]["loc"][:3] == ("routes", 1, field)


def test_routes_and_owners_from_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules.yaml").write_text("rules:\n  - {name: faithfulness_drop, owner: team-answers}\n")
    (tmp_path / "gleaner.toml").write_text(
        'rules = "rules.yaml"\nslack_channel = "C0DEFAULT"\nslack_oncall = "U0"\n'
        '[[routes]]\nowner = "team-answers"\nchannel = "C0ANSWERS"\noncall = "S1"\n'
    )
    monkeypatch.chdir(tmp_path)
    routes = routes_of(Settings(slack_token=SecretStr(TOKEN)))
    assert routes.of(SAMPLES["faithfulness"], NOW) == ("C0ANSWERS", ("<!subteam^S1>",))
    assert routes.of(COST, NOW) == ("C0DEFAULT", ("<@U0>",))


@pytest.mark.parametrize("order", [("C0MAIN", "C0OTHER"), ("C0OTHER", "C0MAIN")])
async def test_a_channel_that_can_not_be_read_hides_no_other(
    order: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not known yet is asked again; a channel that is known is asked alone, whatever the others answer."""
    main, other = order
    sink = SlackSink(TOKEN, main, routes=Routes(main, (), (Route(channel=other),)))
    answers: dict[str, dict[str, object] | Found] = {
        "C0MAIN": Unknown("http_500"), "C0OTHER": Blind("not_in_channel"),
    }  # fmt: skip

    async def page(oldest: str, cursor: str | None, channel: str, root: Ref | None) -> object:
        return answers[channel]

    monkeypatch.setattr(sink, "_page", page)
    assert await sink.find("o", 0, None) == Unknown("http_500")
    answers["C0MAIN"] = {"messages": []}
    assert await sink.find("o", 0, None) == Blind("not_in_channel")
    assert await sink.find("o", 0, None, "C0MAIN") == Absent()
    answers["C0GONE"] = {"messages": [{"ts": "1.1", "metadata": {
        "event_type": EVENT_TYPE, "event_payload": {"outbox_id": "o"}}}]}  # fmt: skip
    assert await sink.find("o", 0, None, "C0GONE") == Delivered(Ref("C0GONE", "1.1")), "no route's any more"


async def test_delivery_looks_where_it_has_sent(tmp_path: Path) -> None:
    class Asked(MemorySink):
        def __init__(self, first: Outcome) -> None:
            super().__init__([first])
            self.channels: list[str] = []

        async def find(self, outbox_id: str, since: int, root: Ref | None, channel: str = "") -> Found:
            self.channels.append(channel)
            return await super().find(outbox_id, since, root, channel)

    outbox = await stored(tmp_path)
    sink = Asked(Unknown("reset"))
    delivery = Delivery(outbox, sink, MemorySink())
    for second in range(10):
        await delivery.step(1_010_000 + second * 1_000)
    assert sink.channels == ["memory", "memory"]
    assert len(sink.posts) == 1
    outbox.close()


async def test_threads_stay_where_they_began_and_lost_messages_are_found(tmp_path: Path) -> None:
    now = [at(2, 10)]
    day = Route(hours="09:00-18:00", channel="C0DAY", oncall="U0DAY")
    night = Route(channel="C0NIGHT", oncall="S0NIGHT")
    async with Sandbox() as slack:
        for name in ("C0DAY", "C0NIGHT"):
            slack.channels[name] = Channel(name, mentions=frozenset({"U0DAY", "S0NIGHT"}))
        sink = SlackSink(
            TOKEN, CHANNEL, slack.url, 5, routes=Routes(CHANNEL, (), [day, night]), clock=lambda: now[0]
        )
        posted = await sink.post(Message("o1", EffectKind.POST, NotifyReason.FIRST, COST))
        assert isinstance(posted, Delivered)
        assert posted.ref.channel == "C0DAY"
        now[0] = at(2, 20)
        assert await sink.find("o1", 0, None) == posted, "the route is another one by now"
        assert await sink.find("o2", 0, None) == Absent()
        escalated = COST.model_copy(update={"escalation_level": 1})
        reply = Message("o3", EffectKind.REPLY, NotifyReason.ESCALATED, escalated)
        replied = await sink.reply(reply, posted.ref)
        assert isinstance(replied, Delivered)
        assert replied.ref.channel == "C0DAY"
        assert await sink.find("o3", 0, posted.ref) == replied
        (said,) = slack.channels["C0DAY"].replies(posted.ref.ts)
        assert said.body["text"].startswith("<!subteam^S0NIGHT> Nobody has acknowledged it")
        assert said.body["reply_broadcast"] is True
        assert slack.pings() == []
        assert slack.channels["C0NIGHT"].messages == []
        slack.channels.pop("C0NIGHT")
        assert await sink.find("o9", 0, None) == Blind("channel_not_found"), "not found is not absent there"
        assert await sink.edit(reply, Ref(CHANNEL, "1.1")) != posted
