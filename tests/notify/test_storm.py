"""Many incidents at once, on a virtual clock: one digest, P1s alone, never over the rate, none lost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas.command import Verb
from schemas.effect import Effect, EffectKind, NotifyReason
from schemas.incident import Incident, IncidentState
from schemas.signal import Severity, SignalName
from sinks.base import Degrade, Delivered, Message, NotSent, Outcome, Ref, Rejected, Unknown
from sinks.console import ConsoleSink
from sinks.delivery import Delivery
from sinks.memory import MemorySink
from sinks.outbox import Outbox
from sinks.samples import SAMPLES
from sinks.slack.buttons import Offer
from sinks.slack.client import SlackSink
from sinks.slack.limits import OURS, problems
from sinks.slack.routes import Route, Routes
from sinks.slack.sandbox import CHANNEL, TOKEN, Sandbox
from sinks.slack.sandbox_channel import Channel
from sinks.slack.storm import render_storm
from sinks.storm import Storm, StormPolicy, leaves, ranked, spokesman
from sinks.storm_words import lines, names, storm_headline, why
from streams.notify.boards import board_of
from streams.notify.reduce import Notify
from streams.settings import Settings
from tests.incident.signals import HOUR, MODEL, T0, alarm, command, recovery

BEGIN = 1_772_400_000_000
SECOND, MINUTE = 1_000, 60_000
P1S = (7, 150, 299)


def app_of(number: int) -> str:
    return f"app-{number:03}"


def signals(apps: int, p1s: Sequence[int] = P1S, **rest: Any) -> list[Any]:
    grave = dict.fromkeys(p1s, Severity.P1)
    return [
        alarm(
            f"s{n}",
            app=app_of(n),
            severity=grave.get(n, Severity.P3 if n % 2 else Severity.P2),
            **rest,
        )
        for n in range(apps)
    ]


class Life:
    """Notify and delivery over one file, and a clock that goes when it is told to."""

    def __init__(self, folder: Path, sink: Any, storm: StormPolicy | None = None) -> None:
        self.outbox = Outbox.open(folder / "notify.sqlite", storm=storm)
        self.outbox.db.execute("pragma synchronous = off")
        self.sink, self.console, self.now = sink, MemorySink(), BEGIN
        self.delivery = Delivery(self.outbox, sink, self.console)
        self.notify = Notify(Settings(group_wait_seconds=0), self.outbox, self.publish, self.publish)

    async def publish(self, _: object) -> None:
        """The topic is another test's business."""

    def absorb(self, *events: Any) -> None:
        self.outbox.commit(self.notify._reduce(events, self.now), self.now)

    async def run(self, seconds: int, step: int = 1) -> None:
        for _ in range(0, seconds, step):
            await self.tick()
            await self.delivery.step(self.now)
            self.now += step * SECOND

    async def tick(self) -> None:
        segments = self.outbox.due(self.now, {})
        boards = {one: board_of(self.outbox, self.notify.policy, one, self.now) for one in sorted(segments)}
        self.notify._commit_steps(boards, [board.due(self.now, None) for board in boards.values()], self.now)

    def incident(self, number: int) -> Incident:
        (found,) = self.outbox.open_incidents(app_of(number), "production", 0)
        return found


def told(sink: MemorySink) -> list[tuple[str, int]]:
    """App, or the size of a storm, of each first message."""
    return [
        (one.incident.app, 0) if one.storm is None else ("storm", len(one.storm.incidents))
        for one in sink.posts
    ]


async def test_three_hundred_at_once_are_one_digest_and_the_p1s(tmp_path: Path) -> None:
    sink = MemorySink()
    life = Life(tmp_path, sink)
    life.absorb(*signals(300))
    sent: list[int] = []
    for second in range(120):
        before = len(sink.posts) + len(sink.edits) + len(sink.replies)
        await life.delivery.step(life.now)
        sent += [second] * (len(sink.posts) + len(sink.edits) + len(sink.replies) - before)
        life.now += SECOND
    p1s = sorted(app_of(n) for n in P1S)
    assert sorted(app for app, _ in told(sink)[:3]) == p1s, "P1s first, on their own"
    assert told(sink)[3:] == [("storm", 297)]
    assert sent == [0, 0, 0, 1], "a burst of three, then one a second"
    assert life.outbox.rows.open_count() == 0
    assert life.console.posts == []
    life.outbox.close()


async def test_the_first_five_of_an_hour_have_messages_of_their_own(tmp_path: Path) -> None:
    sink = MemorySink()
    life = Life(tmp_path, sink)
    for number, signal in enumerate(signals(8, ())):
        life.absorb(signal)
        await life.run(4 * 60, 10)
        assert len(sink.posts) == min(number + 1, 6)
    assert [app for app, _ in told(sink)] == [*(app_of(n) for n in range(5)), "storm"]
    last = [one.storm for one in sink.edits if one.storm is not None][-1]
    assert [one.app for one in ranked(last.incidents)] == ["app-006", "app-005", "app-007"]
    assert [one.reason for one in sink.replies if one.storm] == [NotifyReason.GREW], "two, not at three"
    # An hour later the channel takes five again.
    life.now += HOUR
    life.absorb(alarm("late", app="late", severity=Severity.P2))
    await life.run(10)
    assert told(sink)[-1] == ("late", 0)
    life.outbox.close()


async def test_a_p1_in_the_middle_of_a_storm_goes_next(tmp_path: Path) -> None:
    sink = MemorySink()
    life = Life(tmp_path, sink)
    life.absorb(*signals(300))
    await life.run(20)
    life.absorb(alarm("late", SignalName.COST, app="late", severity=Severity.P1))
    await life.run(1)
    assert told(sink)[-1] == ("late", 0)
    # News of a P1 that is posted go before everything else.
    life.absorb(alarm("worse", SignalName.ESCALATION, app="late", severity=Severity.P1), *signals(350)[300:])
    await life.run(3)
    ours = [one for one in (*sink.edits, *sink.replies) if one.storm is None]
    assert {one.incident.app for one in ours} == {"late"}
    life.outbox.close()


async def test_what_becomes_p1_leaves_the_digest_at_once(tmp_path: Path) -> None:
    sink = MemorySink()
    life = Life(tmp_path, sink)
    life.absorb(*signals(20, ()))
    await life.run(30)
    assert told(sink) == [("storm", 20)]
    life.absorb(alarm("worse", SignalName.ESCALATION, app=app_of(4), severity=Severity.P1))
    await life.run(30)
    assert told(sink)[1:] == [(app_of(4), 0)]
    assert sink.posts[1].reason is NotifyReason.GREW
    (edit,) = [one for one in sink.edits if one.storm is not None]
    assert edit.storm is not None
    assert edit.storm.alone == {life.incident(4).id}
    # From now on its thread is its own.
    life.absorb(
        recovery("r1", T0 + HOUR, app=app_of(4)),
        recovery("r2", T0 + HOUR, SignalName.ESCALATION, app=app_of(4)),
    )
    await life.run(90)
    assert [one.reason for one in sink.replies if one.storm is None] == [NotifyReason.RECOVERED]
    last = [one.storm for one in sink.edits if one.storm is not None][-1]
    assert [one.app for one in last.incidents if one.state is IncidentState.RESOLVED] == [app_of(4)]
    assert life.outbox.rows.open_count() == 0
    life.outbox.close()


async def test_after_the_storm_news_make_a_message_and_mere_firing_does_not(tmp_path: Path) -> None:
    sink = MemorySink()
    life = Life(tmp_path, sink)
    life.absorb(*signals(20, ()))
    await life.run(30)
    life.absorb(alarm("grew-in-it", SignalName.COST, app=app_of(2)))
    await life.run(60)
    assert told(sink) == [("storm", 20)], "while it lasts, the digest tells it"
    life.now += HOUR
    await life.run(60)
    life.absorb(alarm("again", app=app_of(6)))
    await life.run(120)
    assert told(sink) == [("storm", 20)], "that it fires on is no news"
    life.absorb(alarm("grew", SignalName.COST, app=app_of(4)))
    await life.run(120)
    assert told(sink)[1:] == [(app_of(4), 0)]
    assert sink.posts[-1].reason is NotifyReason.GREW
    life.outbox.close()


async def test_each_ends_in_its_own_state_and_the_digest_shows_it(tmp_path: Path) -> None:
    sink = MemorySink()
    life = Life(tmp_path, sink)
    life.absorb(*signals(30, ()))
    await life.run(30)
    life.absorb(command("c", Verb.ACK, life.incident(3).id, life.now))
    life.absorb(*(recovery(f"r{n}", T0 + HOUR, app=app_of(n)) for n in range(10, 30)))
    await life.run(60)
    last = sink.edits[-1].storm
    assert last is not None
    states = {one.app: one.state for one in last.incidents}
    assert states[app_of(3)] is IncidentState.ACKED
    assert [n for n in range(30) if states[app_of(n)] is IncidentState.RESOLVED] == list(range(10, 30))
    assert "over" in storm_headline(last)
    life.absorb(*(recovery(f"q{n}", T0 + HOUR, app=app_of(n)) for n in range(10)))
    await life.run(60)
    assert [one.reason for one in sink.replies] == [NotifyReason.RECOVERED]
    last = sink.edits[-1].storm
    assert last is not None
    assert storm_headline(last) == "Storm over · 30 incidents on 30 apps since 09:05 UTC, all resolved."
    assert len(sink.posts) == 1
    # Back again: the storm is over, so it is the news of one.
    life.absorb(alarm("b", app=app_of(5), onset=T0 + HOUR + MINUTE, detected_at=T0 + HOUR + 20 * MINUTE))
    await life.run(30)
    assert told(sink)[1:] == [(app_of(5), 0)]
    life.outbox.close()


async def test_nobody_s_storm_is_escalated_once_a_level(tmp_path: Path) -> None:
    sink = MemorySink()
    life = Life(tmp_path, sink)
    life.absorb(*signals(100, ()))
    await life.run(50 * 60, 5)
    assert [one.reason for one in sink.replies] == [NotifyReason.ESCALATED] * 2
    assert [one.incident.escalation_level for one in sink.replies] == [1, 2]
    offer = Offer(oncall=("<@U1>", "<@U2>"))
    first, second = (render_storm(one, one.storm, offer) for one in sink.replies if one.storm)
    assert first["text"].startswith("<@U1> Nobody has acknowledged 100 of them (level 1): Storm · 100")
    assert second["text"].startswith("<@U2> ")
    assert first["reply_broadcast"] is True
    life.outbox.close()


async def test_growth_calls_at_every_doubling_and_no_more_than_every_five_minutes(tmp_path: Path) -> None:
    sink = MemorySink()
    life = Life(tmp_path, sink)
    for signal in signals(300, ())[1::2]:
        life.absorb(signal)
        await life.run(8, 2)
    grew = [len(one.storm.incidents) for one in sink.replies if one.storm and one.reason is NotifyReason.GREW]
    assert grew == [38, 76]
    assert all(later >= 2 * earlier for earlier, later in itertools.pairwise(grew))
    assert len(sink.edits) <= 150 * 8 / 10 + 5, "one edit in ten seconds at most"
    life.outbox.close()


@pytest.mark.parametrize(
    "outcomes",
    [
        [NotSent("no connection")] * 9,
        [Unknown("timeout")] * 3,
        [Unknown("timeout")] * 200,
        [Rejected("token_revoked")] * 4,
        [Delivered(Ref("memory", "x")), Rejected("token_revoked"), NotSent("x")],
    ],
)
async def test_no_storm_is_lost_when_slack_is_out(tmp_path: Path, outcomes: list[Outcome]) -> None:
    """… and what was told elsewhere is told as one, too."""
    sink = MemorySink(outcomes)
    life = Life(tmp_path, sink)
    life.absorb(*signals(50, ()))
    await life.run(1_500, 5)
    digests = [one for one in sink.posts if one.storm is not None]
    if len(outcomes) < 100 and not isinstance(outcomes[0], Delivered):
        assert len(digests) == 1
        assert len(sink.posts) == 1
    assert len(life.console.posts) <= 4
    for one in life.console.posts:
        assert one.storm is not None
    if len(outcomes) > 100 or isinstance(outcomes[0], Rejected):
        first = life.console.posts[0].storm
        assert first is not None
        assert len(first.incidents) == 50
    life.outbox.close()


async def test_who_waited_for_an_hour_is_gathered_then(tmp_path: Path) -> None:
    """Slack is away for an hour in which incidents come one by one: each is told elsewhere meanwhile, by
    itself or in a digest, and there is no flood when it is back."""
    sink = MemorySink([NotSent("no connection")] * 2_000)
    life = Life(tmp_path, sink)
    for signal in signals(40, ()):
        life.absorb(signal)
        await life.run(90, 5)
    await life.run(180, 5)
    news = [one for one in life.console.posts if one.reason is not NotifyReason.ESCALATED]
    grown = [len(one.storm.incidents) for one in news if one.storm]
    alone = [one.incident.app for one in news if one.storm is None]
    assert len(alone) == len(set(alone))
    assert grown == sorted(set(grown)), "each tells of more than the one before"
    assert 3 <= len(news) <= 40
    assert grown[-1] + len(alone) == 40, "nobody is left untold, nobody is told twice"
    sink.outcomes.clear()
    await life.run(300, 5)
    assert sorted(number for _, number in told(sink)) == [0, 39], "one shows that Slack is back"
    assert len(sink.replies) <= 6
    assert life.outbox.rows.open_count() == 0
    life.outbox.close()


async def test_who_joins_a_posted_digest_while_slack_is_away_is_told_elsewhere(tmp_path: Path) -> None:
    sink = MemorySink()
    life = Life(tmp_path, sink)
    life.absorb(*signals(12, ()))
    await life.run(30)
    assert told(sink) == [("storm", 12)]
    sink.outcomes.extend([NotSent("no connection")] * 1_000)
    life.absorb(alarm("late", app="late", severity=Severity.P2))
    await life.run(115)
    assert life.console.posts == []
    await life.run(60)
    (one,) = life.console.posts
    assert one.storm is not None
    assert "late" in [incident.app for incident in one.storm.incidents]
    sink.outcomes.clear()
    await life.run(120)
    assert len(sink.posts) == 1
    assert {reply.reason for reply in sink.replies} == {NotifyReason.GREW, NotifyReason.FELL_BACK}
    assert life.outbox.rows.open_count() == 0
    life.outbox.close()


async def test_a_slack_that_is_well_needs_no_reply_for_growth_below_double(tmp_path: Path) -> None:
    sink = MemorySink()
    life = Life(tmp_path, sink)
    life.absorb(*signals(12, ()))
    await life.run(30)
    life.absorb(alarm("late", app="late", severity=Severity.P2))
    await life.run(600, 2)
    assert sink.replies == []
    assert len(sink.edits) == 1
    life.outbox.close()
    life.outbox.close()


async def test_what_may_have_arrived_is_not_gathered(tmp_path: Path) -> None:
    """A message whose answer was lost may stand in the channel: it is looked for, not told a second time."""
    sink = MemorySink([Unknown("timeout")])
    life = Life(tmp_path, sink)
    life.absorb(alarm("first", app="first"))
    await life.run(1)
    life.absorb(*signals(20, ()))
    await life.run(60)
    assert sorted(told(sink)) == [("first", 0), ("storm", 20)]
    life.outbox.close()


async def test_each_channel_has_its_own_storm_and_its_own_rate(tmp_path: Path) -> None:
    async with Sandbox() as slack:
        slack.channels["C0OTHER"] = Channel("C0OTHER")
        routes = Routes(CHANNEL, routes=[Route(app="app-1*", channel="C0OTHER")])
        sink = SlackSink(TOKEN, CHANNEL, slack.url, routes=routes, clock=lambda: life.now)
        life = Life(tmp_path, sink)
        slack.clock = lambda: life.now / 1000
        slack.channel.paused_until = life.now / 1000 + 40
        life.absorb(*signals(300, ()))
        await life.run(5)
        assert slack.channel.roots() == []
        (other,) = slack.channels["C0OTHER"].roots()
        assert "Storm · 100 incidents" in other.body["text"], "a pause of one holds up no other"
        await life.run(60)
        (first,) = slack.channel.roots()
        assert "Storm · 200 incidents" in first.body["text"]
        assert slack.pings() == []
        shown = str(first.body["blocks"]) + str(other.body["blocks"])
        assert [n for n in range(300) if app_of(n) not in shown] == [], "all are visible"
        life.outbox.close()


async def test_a_digest_that_was_deleted_is_posted_again(tmp_path: Path) -> None:
    async with Sandbox() as slack:
        life = Life(tmp_path, SlackSink(TOKEN, CHANNEL, slack.url))
        slack.clock = lambda: life.now / 1000
        life.absorb(*signals(12, ()))
        await life.run(10)
        slack.channel.messages.clear()
        life.absorb(recovery("r", T0 + HOUR, app=app_of(3)))
        await life.run(60)
        (root,) = slack.roots()
        assert "12 incidents" in root.body["text"]
        assert "*Over (1)* app-003" in str(root.body["blocks"])
        life.outbox.close()


HOSTILE = "<!channel> & <@U1> `*_~\u202e\x00" + "z\u0301\u0302\u0303\u0304" * 300


@pytest.mark.parametrize("number", [1, 6, 300, 2_000])
@pytest.mark.parametrize("kind", list(EffectKind))
@pytest.mark.parametrize("hostile", [False, True])
def test_a_digest_is_within_the_limits(number: int, kind: EffectKind, hostile: bool) -> None:
    base = SAMPLES["faithfulness"]
    incidents = [
        base.model_copy(
            update={
                "id": f"{n:08x}-0000",
                "app": f"{HOSTILE if hostile else 'app'}-{n}",
                "route": HOSTILE if hostile else "/chat",
                "state": list(IncidentState)[n % 4],
            }
        )
        for n in range(number)
    ]
    storm = Storm("0" * 36, BEGIN, ranked(incidents), frozenset(), 3, 1)
    for reason in (NotifyReason.FIRST, NotifyReason.GREW, NotifyReason.ESCALATED, NotifyReason.RECOVERED):
        message = Message("o", kind, reason, spokesman(storm), storm=storm)
        found = render_storm(message, storm, Offer(clicks=True, url="https://gleaner.example/{id}"))
        assert problems(found, OURS) == []
        assert "<!" not in str(found)
        assert "<@" not in str(found)
    listed, left = names(storm)
    shown = sum(len(places.split(", ")) for _, places in listed)
    assert shown + left + min(8, len(storm.open)) == number or hostile
    assert len(storm_headline(storm)) <= 150
    assert all(line for line in lines(storm))


def test_the_digest_says_what_it_has_in_common() -> None:
    incidents = [
        SAMPLES["faithfulness"].model_copy(
            update={"id": f"{n:08x}", "app": app_of(n), "cause": MODEL if n % 4 else None}
        )
        for n in range(40)
    ]
    storm = Storm("0" * 36, BEGIN, ranked(incidents))
    assert storm_headline(storm).endswith("likely served model lumen-2.")
    text = "\n".join(lines(storm))
    assert "75% are likely served model lumen-2." in text
    assert "Do first: Pin lumen-1" in text
    plain = Storm("0" * 36, BEGIN, ranked(one.model_copy(update={"cause": None}) for one in incidents))
    assert "no common cause" in storm_headline(plain)
    assert "Look for what they share" in "\n".join(lines(plain))


def test_what_is_left_out_is_counted() -> None:
    """Signals beyond three, and where blocks are refused all but the worst; what to do stays."""
    kinds = ("faithfulness", "cost", "broken", "judge", "user")
    incidents = [
        SAMPLES[kinds[n % 5]].model_copy(update={"id": f"{n:08x}", "app": app_of(n)}) for n in range(40)
    ]
    storm = Storm("0" * 36, BEGIN, ranked(incidents))
    assert "2 others 16." in why(storm)
    message = Message(
        "o", EffectKind.POST, NotifyReason.FIRST, spokesman(storm), degrade=Degrade.TEXT_ONLY, storm=storm
    )
    payload = render_storm(message, storm)
    assert problems(payload, OURS) == []
    said = payload["text"].splitlines()
    assert len([line for line in said if line.startswith("P")]) == 4
    assert said[-2].startswith("Do first: ")
    assert "36 found no room here" in said[-1]


async def test_the_console_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    storm = Storm("0" * 36, BEGIN, ranked([SAMPLES["cost"], SAMPLES["faithfulness"]]))
    sink = ConsoleSink()
    await sink.post(Message("o", EffectKind.POST, NotifyReason.FIRST, spokesman(storm), storm=storm))
    reply = Message("o", EffectKind.REPLY, NotifyReason.GREW, spokesman(storm), storm=storm)
    await sink.reply(reply, Ref("console", "1"))
    said = capsys.readouterr().out
    assert "Storm: 2 more incidents at once" in said
    assert "It grew: Storm · 2 incidents" in said


def test_who_leaves() -> None:
    p2, p1 = SAMPLES["faithfulness"], SAMPLES["faithfulness"].model_copy(update={"severity": Severity.P1})

    def effect(kind: EffectKind, reason: NotifyReason) -> Effect:
        return Effect(kind=kind, incident_id="x", revision=2, reason=reason)

    grew = effect(EffectKind.REPLY, NotifyReason.GREW)
    assert leaves(p1, effect(EffectKind.EDIT, NotifyReason.WORSENED), lasts=True)
    assert not leaves(p2, grew, lasts=True)
    assert leaves(p2, grew, lasts=False)
    assert not leaves(p2, effect(EffectKind.EDIT, NotifyReason.REFIRED), lasts=False)
    assert not leaves(p2, effect(EffectKind.REPLY, NotifyReason.RECOVERED), lasts=False)
    assert not leaves(p2, effect(EffectKind.REPLY, NotifyReason.ESCALATED), lasts=False)
