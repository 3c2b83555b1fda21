"""The buttons of a storm's digest: one click for all of it, as harmless when it is stale as any other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.command import Command, Verb
from schemas.incident import IncidentState
from schemas.lifecycle import Happening
from schemas.signal import Severity
from sinks.samples import SAMPLES
from sinks.slack.allowed import Allowed
from sinks.slack.buttons import Offer, Press, storm_buttons
from sinks.slack.clicks import Click, Look, click_of
from sinks.slack.client import SlackSink
from sinks.slack.desk import Desk
from sinks.slack.http import HttpClicks
from sinks.slack.limits import OURS
from sinks.slack.sandbox import CHANNEL, TOKEN, Sandbox
from sinks.slack.sandbox_channel import PING, Posted
from sinks.slack.sandbox_clicks import YOU
from sinks.slack.storm import open_list
from sinks.storm import Storm, ranked
from streams.commands.incidents import app
from streams.notify.clicks import answers_of, each_of, listing_of
from tests.incident.signals import T0, alarm, command, recovery
from tests.notify.test_storm import BEGIN, SECOND, Life, app_of, signals

OFFER = Offer(clicks=True, url="https://gleaner.example/{id}")
SECRET = "a-signing-secret"


class Office:
    """Notify in front of a Slack whose clicks it takes; the log is read when it is asked to."""

    def __init__(self, folder: Path, slack: Sandbox, allowed: str = "") -> None:
        self.slack = slack
        slack.clock = lambda: self.life.now / 1000
        sink = SlackSink(TOKEN, CHANNEL, slack.url, 2, OFFER, clock=lambda: self.life.now)
        self.life = Life(folder, sink)
        self.log: list[Command] = []
        outbox = self.life.outbox
        self.desk = Desk(
            sink,
            Allowed.parse(allowed),
            self.publish,
            lambda commands: answers_of(outbox, commands),
            lambda: self.life.now,
            lambda asked: each_of(outbox, asked),
            lambda storm_id: listing_of(outbox, storm_id, OFFER),
        )

    async def publish(self, commands: Sequence[Command]) -> None:
        self.log += commands

    async def click(self, press: Press, user: str = YOU) -> bool:
        return await self.slack.clicks.click(self.slack.channel, self.digest().ts, press.value, user=user)

    async def reduce(self) -> None:
        self.life.absorb(*self.log)
        await self.desk.answer()
        await self.life.run(30)

    def digest(self) -> Posted:
        (found,) = [one for one in self.slack.roots() if "Storm" in one.body["text"]]
        return found

    def buttons(self) -> list[str]:
        return [
            element["action_id"]
            for block in self.digest().body["blocks"]
            if block["type"] == "actions"
            for element in block["elements"]
        ]

    def states(self, apps: Sequence[int]) -> set[IncidentState]:
        return {self.life.incident(number).state for number in apps}


@pytest.fixture
async def slack() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def office(tmp_path: Path, slack: Sandbox) -> AsyncIterator[Office]:
    """A storm of twelve, and a P1 beside it."""
    made = Office(tmp_path, slack)
    async with listening(made):
        made.life.absorb(*signals(13, (7,)))
        await made.life.run(30)
        yield made
    made.life.outbox.close()


class listening:
    def __init__(self, office: Office) -> None:
        self.office = office
        self.http = HttpClicks(SECRET, "127.0.0.1:0", office.desk.take, office.slack.clock)

    async def __aenter__(self) -> None:
        await self.http.start()
        self.office.slack.clicks.interactivity = (self.http.url, SECRET)

    async def __aexit__(self, *_: object) -> None:
        await self.http.stop()


GATHERED = [number for number in range(13) if number != 7]


async def test_one_click_acknowledges_all_that_is_told_there(office: Office) -> None:
    assert office.buttons() == [Press.STORM_ACK, Press.STORM_LIST]
    edits = office.digest().edits
    office.slack.clicks.again = 2
    assert await office.click(Press.STORM_ACK)
    assert len(office.log) == len({one.id for one in office.log}) == 12
    assert office.desk.counts == {"published": 1, "again": 2}
    await office.reduce()
    assert office.states(GATHERED) == {IncidentState.ACKED}
    assert office.states([7]) == {IncidentState.FIRING}, "a P1 has a message and a button of its own"
    assert office.buttons() == [Press.STORM_LIST]
    assert office.digest().edits == edits + 1, "twelve acknowledgements are one edit"
    assert office.slack.channel.replies(office.digest().ts) == [], "a person's own doing notifies nobody"
    assert office.slack.channel.whispers == [], "what was done shows in the message"
    entry = office.life.incident(3).history[-1]
    assert (entry.what, entry.actor) == (Happening.ACKED, "u0you")
    assert f"clicked in Slack by {YOU}, on all of storm " in entry.detail


async def test_a_click_again_after_a_restart_asks_for_nothing_anew(office: Office) -> None:
    assert await office.click(Press.STORM_ACK)
    payload = first_click(office)
    await office.reduce()
    before = [office.life.incident(number) for number in GATHERED]
    asked = list(office.log)
    found = click_of(payload)
    assert isinstance(found, Click)
    # Somebody gives one back; then Slack delivers the old click to a new process.
    office.life.absorb(command("back", Verb.UNACK, office.life.incident(3).id, office.life.now))
    again = each_of(office.life.outbox, found.command)
    assert [one.incident_id for one in again] == [office.life.incident(3).id]
    assert {one.id for one in again} < {one.id for one in asked}
    office.life.absorb(*again)
    assert office.life.incident(3).state is IncidentState.FIRING
    others = [one for one in before if one.app != app_of(3)]
    assert [office.life.incident(int(one.app[4:])) for one in others] == others


def first_click(office: Office) -> dict[str, object]:
    """What Slack sent for the first click on the digest."""
    action = {
        "action_id": Press.STORM_ACK.value,
        "action_ts": f"{int(office.slack.clock())}.000001",
        "value": next(
            element["value"]
            for block in office.digest().body["blocks"]
            if block["type"] == "actions"
            for element in block["elements"]
        ),
    }
    return {
        "type": "block_actions",
        "user": {"id": YOU, "username": YOU.lower()},
        "channel": {"id": CHANNEL},
        "message": {"ts": office.digest().ts},
        "actions": [action],
    }


async def test_a_stale_click_does_nothing_and_says_so(office: Office) -> None:
    """All of it was acknowledged or recovered since the message was last edited."""
    for number in GATHERED[:6]:
        office.life.absorb(command(f"c{number}", Verb.ACK, office.life.incident(number).id, office.life.now))
    for number in GATHERED[6:]:
        office.life.absorb(recovery(f"r{number}", T0 + 3_600_000, of=f"s{number}", app=app_of(number)))
    before = [office.life.incident(number) for number in GATHERED]
    assert Press.STORM_ACK in office.buttons(), "the edit has not gone out yet"
    assert await office.click(Press.STORM_ACK)
    assert office.log == []
    await office.desk.answer()
    (whisper,) = office.slack.channel.whispers
    assert whisper == (YOU, "Nothing to acknowledge: all that is told there is somebody's, or over")
    assert [office.life.incident(number) for number in GATHERED] == before


async def test_a_race_is_told_what_became_of_each(office: Office) -> None:
    """Between the click and its reduction somebody else took all of it."""
    assert await office.click(Press.STORM_ACK)
    for number in GATHERED:
        office.life.absorb(command(f"c{number}", Verb.ACK, office.life.incident(number).id, office.life.now))
    await office.reduce()
    assert office.slack.channel.whispers == [(YOU, "12 nothing to do: it is so already")]
    assert {office.life.incident(number).acked_by for number in GATHERED} == {"dana"}


async def test_what_joins_after_the_click_or_was_never_shown_is_nobodys(office: Office) -> None:
    late = alarm("late", app="late", severity=Severity.P2)
    office.life.absorb(late)
    office.life.delivery._gather(office.life.now)  # the edit that would show it has not gone out
    assert "late" not in str(office.digest().body["blocks"])
    assert await office.click(Press.STORM_ACK)
    assert len(office.log) == 12
    await office.reduce()
    (found,) = office.life.outbox.open_incidents("late", "production", 0)
    assert found.state is IncidentState.FIRING
    assert office.buttons() == [Press.STORM_ACK, Press.STORM_LIST], "one is nobody's again"
    office.life.now += 20 * SECOND
    assert await office.click(Press.STORM_ACK)
    assert [one.incident_id for one in office.log[12:]] == [found.id]


async def test_who_may_not_acknowledge_may_look(tmp_path: Path, slack: Sandbox) -> None:
    slack.channel.mentions = frozenset({"U024BE7LH"})
    one = Office(tmp_path, slack, "U024BE7LH")
    async with listening(one):
        one.life.absorb(*signals(13, (7,)))
        await one.life.run(30)
        slack.clicks.again = 1
        assert await one.click(Press.STORM_ACK)
        assert await one.click(Press.STORM_LIST)
        assert one.log == []
        await one.desk.answer()
        assert one.desk.counts == {"not_allowed": 1, "again": 2, "looked": 1}
    (listed,), (refused,) = (
        [text for _, text in slack.channel.whispers if ("can't act" in text) is wanted]
        for wanted in (False, True)
    )
    assert refused == "You can't act on incidents here. Who may: <@U024BE7LH>"
    assert listed.startswith("12 of 12 are open: 12 nobody's\n• P2 · faithfulness on app-0")
    assert len(listed.splitlines()) == 13
    link = f"<https://gleaner.example/{one.life.incident(12).id}|Open>"
    assert link in listed
    one.life.outbox.close()


@pytest.mark.parametrize("name", ["app", "<!channel> *x* <https://x|y> " * 9])
def test_a_list_has_a_texts_room_and_says_how_many_have_none(name: str) -> None:
    base = SAMPLES["faithfulness"]
    incidents = [base.model_copy(update={"id": f"{n:08x}", "app": f"{name}-{n}"}) for n in range(300)]
    said = open_list(Storm("5" * 36, BEGIN, ranked(incidents)), OFFER)
    *lines, last = said.splitlines()
    assert 1_500 < len(said) <= OURS.text
    assert last == f"and {300 - len(lines) + 1} more: gleaner incidents list --storm 55555555"
    assert PING.findall(said) == []


def test_what_is_over_offers_nothing() -> None:
    over = [one.model_copy(update={"state": IncidentState.RESOLVED}) for one in (SAMPLES["cost"],)]
    assert storm_buttons(Storm("5" * 36, BEGIN, tuple(over)), OFFER) is None
    assert storm_buttons(Storm("5" * 36, BEGIN, (SAMPLES["cost"],)), Offer()) is None
    assert open_list(Storm("5" * 36, BEGIN, tuple(over))) == "Nothing of it is open any more."
    alone = Storm("5" * 36, BEGIN, (SAMPLES["cost"],), frozenset({SAMPLES["cost"].id}))
    block = storm_buttons(alone, OFFER)
    assert block is not None
    assert [one["action_id"] for one in block["elements"]] == [Press.STORM_LIST]


def test_a_look_is_no_command() -> None:
    storm_id = "0b1f6c2e-0000-4000-8000-000000000001"
    payload = {
        "type": "block_actions",
        "user": {"id": YOU},
        "channel": {"id": CHANNEL},
        "message": {"ts": "1.2"},
        "actions": [{"action_id": Press.STORM_LIST.value, "action_ts": "3.4", "value": storm_id}],
    }
    found = click_of(payload)
    assert isinstance(found, Look)
    assert (found.storm_id, found.user, found.channel) == (storm_id, YOU, CHANNEL)
    assert found == click_of(payload)


async def test_the_command_line_lists_what_the_digest_tells(office: Office, tmp_path: Path) -> None:
    (row,) = office.life.outbox.db.execute("select id from storms").fetchall()
    state = ["--state", str(tmp_path)]
    listed = CliRunner().invoke(app, ["list", "--storm", row["id"][:8], *state]).stdout
    assert listed.count("faithfulness on app-0") == 12
    assert "app-007" not in listed
    cut = CliRunner().invoke(app, ["list", "--storm", row["id"], "--open", "--limit", "5", *state]).stdout
    assert cut.splitlines()[-1] == "and 7 more: --limit 12"
    none = CliRunner().invoke(app, ["list", "--storm", "nothing", *state]).exception
    assert "nothing: no such storm" in str(none)
