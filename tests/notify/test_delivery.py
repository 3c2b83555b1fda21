"""One first message per incident, none lost: whatever Slack answers and wherever the process ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from benchmarks.alerts.crashes import Crash, Points
from schemas.effect import Effect, EffectKind, NotifyReason
from schemas.incident import CasePreview
from schemas.signal import Recovery, Severity, Signal, SignalName
from sinks.base import Degradable, Degrade, Delivered, LostRoot, Message, Outcome, Ref, Rejected, Unknown
from sinks.batch import Batch
from sinks.delivery import Delivery
from sinks.memory import MemorySink
from sinks.outbox import Outbox
from sinks.outbox_schema import InUse
from sinks.samples import SAMPLES
from sinks.slack.sandbox import TOKEN, Sandbox
from streams.notify.reduce import Notify
from streams.settings import Settings
from tests.incident.signals import HOUR, MINUTE, T0, alarm, note, preview, recovery
from tests.notify.world import World

STORY: list[list[Signal | Recovery | CasePreview]] = [
    [note("n1"), alarm("s1")],
    [preview("a"), preview("b")],
    [alarm("s2", SignalName.ESCALATION, severity=Severity.P1)],
    [alarm("s3", onset=T0 + HOUR), preview("c")],
]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with Sandbox() as slack:
        made = World(tmp_path, slack, STORY)
        slack.clock = made.clock
        yield made


def assert_told_once(world: World) -> None:
    (root,) = world.slack.roots()
    replies = world.slack.channel.replies(root.ts)
    assert len(replies) == 1
    assert "Worse, now P1: escalation rate" in replies[0].body["text"]
    latest = world.topic[-1]
    assert [member.alarms for member in latest.members] == [2, 1]
    assert [case.case_id for case in latest.cases] == ["a", "b", "c"]
    assert root.body["metadata"]["event_payload"]["revision"] == latest.revision
    assert latest.cause is not None
    assert world.slack.pings() == []
    assert len({incident.id for incident in world.topic}) == 1


async def test_the_story_without_a_fault(world: World) -> None:
    await world.live(Points())
    assert_told_once(world)
    assert world.fallback.posts == []


LIFE: list[list[Signal | Recovery | CasePreview]] = [
    [alarm("s1")],
    [recovery("r1", T0 + HOUR, since=T0 + 42 * MINUTE)],
    [alarm("s2", onset=T0 + 2 * HOUR, detected_at=T0 + 2 * HOUR)],
    [recovery("r2", T0 + 4 * HOUR), alarm("s0", SignalName.COST, app="another")],
]


def assert_lived_once(world: World) -> None:
    """Recovered, back again, recovered: one thread, each news once, in this order; the state in its head.

    What happened before the first message went out is in that message, and no news.
    """
    root, other = world.slack.roots()
    news = [reply.body["text"].split(":")[0] for reply in world.slack.channel.replies(root.ts)]
    assert news in (NEWS, NEWS[1:], NEWS[2:])
    assert world.slack.channel.replies(other.ts) == []
    assert "P2 · RESOLVED after 3 h 50 min" in str(root.body["blocks"])
    assert len({incident.id for incident in world.topic}) == 2


NEWS = ["Recovered after 42 min", "Back again", "Recovered after 3 h 50 min"]


async def test_a_life_without_a_fault(world: World) -> None:
    world.batches = LIFE
    await world.live(Points())
    assert_lived_once(world)
    first, _ = world.slack.roots()
    assert len(world.slack.channel.replies(first.ts)) == len(NEWS)


@pytest.mark.parametrize(("story", "told_once"), [(STORY, assert_told_once), (LIFE, assert_lived_once)])
async def test_a_restart_at_any_point(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    story: list[list[Signal | Recovery | CasePreview]],
    told_once: Callable[[World], None],
) -> None:
    """… with a history that shows a message two seconds late."""
    counting = Points()
    async with Sandbox() as slack:
        first = World(tmp_path / "count", slack, story)
        slack.clock = first.clock
        await first.live(counting)
    assert counting.passed > 40
    for crash_at in range(counting.passed):
        async with Sandbox(visible_after=2.0) as slack:
            world = World(tmp_path / str(crash_at), slack, story)
            slack.clock = world.clock
            with pytest.raises(Crash):
                await world.live(Points(crash_at))
            await world.live(Points())
            told_once(world)


@pytest.mark.parametrize(
    "faults",
    [
        ["429:7"],
        ["429:7", "429:7", "429:30"],
        ["500"],
        ["500-accepted"],
        ["drop"],
        ["drop-accepted"],
        ["drop-accepted", "drop-accepted", "500", "drop"],
        ["slow:2.5"],
        ["error:fatal_error", "429:3", "drop-accepted"],
        ["ok", "drop-accepted", "500", "drop-accepted"],
        ["ok", "429:5", "ok", "500-accepted"],
        ["error:msg_blocks_too_long", "ok"],
    ],
)
async def test_faults(world: World, faults: list[str]) -> None:
    world.slack.script(*faults)
    await world.live(Points())
    assert_told_once(world)
    assert not world.slack.write_faults


async def test_a_pause_is_kept(world: World) -> None:
    world.slack.script("429:30")
    begun = world.now
    await world.live(Points())
    posts = [body for method, body in world.slack.calls if method == "chat.postMessage"]
    assert len(posts) == 3, "one refused, one taken, one reply"
    assert float(world.slack.roots()[0].ts) >= begun / 1000 + 30


async def test_a_refusal_goes_to_the_fallback(world: World) -> None:
    world.slack.channel.archived = True
    delivery = await world.live(Points())
    told = [(message.kind.value, message.reason.value) for message in world.fallback.posts]
    assert told == [("post", "first"), ("reply", "worsened"), ("reply", "escalated")]
    assert not delivery.healthy
    assert world.slack.roots() == []


async def test_what_was_refused_is_told_in_slack_once_it_takes_messages_again(world: World) -> None:
    """A token is revoked and restored: one first message, in the state of then, and where it was told."""
    world.slack.token = "another"
    await world.live(Points())
    assert world.slack.roots() == []
    world.slack.token = TOKEN
    delivery = await world.live(Points())
    (root,) = world.slack.roots()
    assert root.body["metadata"]["event_payload"]["revision"] == world.topic[-1].revision
    (reply,) = world.slack.channel.replies(root.ts)
    assert "told elsewhere" in reply.body["text"], "what went elsewhere meanwhile is not told again"
    assert delivery.healthy
    assert len(world.fallback.posts) == 3


async def test_a_refusal_is_asked_about_for_a_day(tmp_path: Path) -> None:
    outbox = await stored(tmp_path)
    sink, fallback = MemorySink([Rejected("token_revoked")] * 500), MemorySink()
    delivery = Delivery(outbox, sink, fallback)
    for minute in range(60 * 24 + 20):
        await delivery.step(1_010_000 + minute * 60_000)
    assert outbox.rows.open_count() == 0
    assert 96 < 500 - len(sink.outcomes) < 150, "a quarter of an hour apart at last"
    assert len(fallback.posts) == 1
    outbox.close()


async def test_a_p1_that_waits_is_shown_by_the_fallback_too(tmp_path: Path) -> None:
    outbox = await stored(tmp_path, Severity.P1)
    sink, fallback = MemorySink([Unknown("x")] * 99), MemorySink()
    delivery = Delivery(outbox, sink, fallback)
    for second in range(0, 300, 2):
        await delivery.step(1_000_000 + second * 1_000)
    assert len(fallback.posts) == 1
    assert sink.posts == []
    outbox.close()


async def test_degrading_ends_in_the_fallback(tmp_path: Path) -> None:
    outbox = await stored(tmp_path)
    sink, fallback = MemorySink([Degradable("invalid_blocks")] * 2), MemorySink()
    delivery = Delivery(outbox, sink, fallback)
    for second in range(20):
        await delivery.step(1_010_000 + second * 1_000)
    assert [message.degrade for message in sink.posts] == [Degrade.TEXT_ONLY]
    assert fallback.posts == []
    outbox.close()


async def test_a_strange_answer_twice_is_a_refusal(tmp_path: Path) -> None:
    outbox = await stored(tmp_path)
    sink, fallback = MemorySink([Unknown("odd", strange=True)] * 2), MemorySink()
    delivery = Delivery(outbox, sink, fallback)
    for second in range(30):
        await delivery.step(1_010_000 + second * 1_000)
    assert (len(sink.posts), len(fallback.posts)) == (0, 1)
    outbox.close()


async def test_a_lost_message_is_posted_again_but_only_once(tmp_path: Path) -> None:
    outbox = await stored(tmp_path)
    settings = Settings(state_dir=tmp_path)
    here = Delivered(Ref("memory", "1"))
    sink = MemorySink([here, LostRoot("message_not_found"), here, LostRoot("edit_window_closed")])
    delivery = Delivery(outbox, sink, MemorySink())
    for number, name in enumerate((SignalName.COST, SignalName.ESCALATION, SignalName.COST)):
        for second in range(90):
            await delivery.step(1_010_000 + number * 100_000 + second * 1_000)
        await commit(settings, outbox, alarm(f"m{number}", name, onset=T0 + number))
    for second in range(90):
        await delivery.step(1_510_000 + second * 1_000)
    assert len(sink.posts) == 2
    assert outbox.rows.open_count() == 0
    outbox.close()


class Deleting(MemorySink):
    """A receiver where somebody may delete first messages: their threads are gone with them."""

    def __init__(self) -> None:
        super().__init__()
        self.standing: set[str] = set()

    async def post(self, message: Message) -> Outcome:
        self.standing.add(message.outbox_id)
        return await super().post(message)

    async def reply(self, message: Message, root: Ref) -> Outcome:
        if root.ts not in self.standing:
            return LostRoot("thread_not_found")
        return await super().reply(message, root)


async def test_an_escalation_outlives_its_first_message(tmp_path: Path) -> None:
    """It goes into the thread of the one that is posted again; where none is any more, down the chain."""
    outbox = await stored(tmp_path, Severity.P1)
    sink, fallback = Deleting(), MemorySink()
    delivery = Delivery(outbox, sink, fallback)
    await delivery.step(1_010_000)
    (incident,) = outbox.open_incidents("support-bot", "production", 0)
    told = []
    for level in (1, 2):
        sink.standing.clear()
        incident = incident.model_copy(update={"revision": 10 + level, "escalation_level": level})
        effect = Effect(
            kind=EffectKind.REPLY, incident_id=incident.id, revision=incident.revision,
            reason=NotifyReason.ESCALATED,
        )  # fmt: skip
        at = 1_000_000 + level * 100_000
        outbox.commit(Batch(incidents=[incident], effects=[effect]), at)
        for second in range(30):
            await delivery.step(at + second * 1_000)
        told.append((len(sink.posts), len(sink.replies), len(fallback.replies) + len(fallback.posts)))
    assert told == [(2, 1, 0), (2, 1, 1)]
    assert sink.replies[0].reason is NotifyReason.ESCALATED
    assert sink.replies[0].incident.escalation_level == 1
    assert outbox.rows.open_count() == 0
    outbox.close()


async def test_a_mistake_in_rendering_stops_no_other_alert(tmp_path: Path) -> None:
    class Broken(MemorySink):
        async def post(self, message: Message) -> Outcome:
            raise ZeroDivisionError

    outbox = await stored(tmp_path)
    fallback = MemorySink()
    delivery = Delivery(outbox, Broken(), fallback)
    for second in range(10):
        await delivery.step(1_010_000 + second * 1_000)
    assert len(fallback.posts) == 1
    outbox.close()


async def test_refires_are_one_edit_a_minute(tmp_path: Path) -> None:
    outbox = await stored(tmp_path)
    settings = Settings(state_dir=tmp_path)
    sink = MemorySink()
    delivery = Delivery(outbox, sink, MemorySink())
    now = 1_010_000
    await delivery.step(now)
    for second in range(240):
        await commit(settings, outbox, alarm(f"r{second}", onset=T0 + second), now + second * 1_000)
        await delivery.step(now + second * 1_000)
    assert len(sink.posts) == 1
    assert len(sink.edits) == 3
    assert sink.replies == []
    outbox.close()


async def test_one_owner_and_nothing_after_a_failed_transaction(tmp_path: Path) -> None:
    outbox = await stored(tmp_path)
    with pytest.raises(InUse):
        Outbox.open(tmp_path / "notify.sqlite")
    half_way = Batch(absorbed=["x"], incidents=[SAMPLES["cost"].model_copy(update={"members": ()})])
    with pytest.raises(ValueError, match="empty"):
        outbox.commit(half_way, 1)
    assert outbox.seen(["x"]) == set()
    assert outbox.db.execute("select count(*) from incidents").fetchone()[0] == 1
    outbox.close()
    Outbox.open(tmp_path / "notify.sqlite").close()


async def test_news_of_what_was_refused_go_where_it_went_and_once(tmp_path: Path) -> None:
    outbox = await stored(tmp_path)
    sink, fallback = MemorySink([Rejected("token_revoked")] * 2), MemorySink()
    delivery = Delivery(outbox, sink, fallback)
    await delivery.step(1_010_000)
    await commit(Settings(state_dir=tmp_path), outbox, alarm("m", SignalName.COST))
    await delivery.step(1_020_000)
    assert [message.kind.value for message in fallback.posts] == ["post", "reply"]
    for second in range(0, 200, 5):
        await delivery.step(1_030_000 + second * 1_000)
    assert len(sink.posts) == 1
    assert [message.reason.value for message in sink.replies] == ["fell_back"]
    assert outbox.rows.open_count() == 0
    outbox.close()


async def stored(folder: Path, severity: Severity = Severity.P2) -> Outbox:
    """An outbox that owes the first message of one incident."""
    outbox = Outbox.open(folder / "notify.sqlite")
    await commit(Settings(state_dir=folder), outbox, alarm("s1", severity=severity))
    return outbox


async def commit(settings: Settings, outbox: Outbox, signal: Signal | Recovery, now: int = 1_000_000) -> None:
    async def publish(_: object) -> None:
        """The topic is another test's business."""

    at_once = settings.model_copy(update={"group_wait_seconds": 0})
    notify = Notify(at_once, outbox, publish, publish)
    outbox.commit(notify._reduce([signal], now), now)
