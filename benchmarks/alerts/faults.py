"""A seeded run of notify against the loopback Slack, with everything going wrong; only time is virtual.

The classes are those of production: reducer, outbox on a real SQLite file, delivery, fallback chain, the
SDK's client over HTTP. What is asserted is what docs/alerting.md promises.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import ConsumerRecord

from benchmarks.alerts.crashes import Crash, CrashingOutbox, CrashingSink, Points
from benchmarks.alerts.story import MINUTE, SECOND, Event, Story, story
from benchmarks.alerts.witness import Record, Witness, WitnessHop
from schemas.codec import encode
from schemas.command import Command
from schemas.effect import EffectKind
from schemas.incident import CasePreview, Incident
from sinks.base import Delivered, Message, Outcome, Ref, Unknown
from sinks.delivery import Delivery
from sinks.hops import Stage
from sinks.memory import MemorySink
from sinks.outbox import Outbox
from sinks.slack.buttons import Offer
from sinks.slack.client import SlackSink
from sinks.slack.escape import prose
from sinks.slack.routes import Routes
from sinks.slack.sandbox import CHANNEL, TOKEN, Sandbox
from sinks.slack.storm import blocks
from sinks.standing import standing
from streams.notify.reduce import Notify
from streams.settings import Settings

SETTLE = 90 * MINUTE
"""After the last event and the last fault all that is owed has to be out within this."""
IN_TIME = 10 * MINUTE
"""Two minutes until others are told, and what a channel's pauses and other calls take before that."""
ONCALL = ("<@U0ONCALL>", "<@U0NEXT>")
OFFER = Offer(clicks=True, url="https://gleaner.example/{id}")


@dataclass
class Pager:
    """A hop of the fallback chain that loses an answer now and then."""

    name: str = "pager"
    follows: bool = True
    told: list[tuple[Stage, str]] = field(default_factory=list)
    asked: int = 0

    async def tell(self, stage: Stage, message: Message) -> Outcome:
        self.asked += 1
        self.told.append((stage, message.incident.id))
        return Unknown("timeout") if self.asked % 7 == 0 else Delivered(Ref(self.name, ""))

    async def close(self) -> None:
        """Nothing is held open."""


@dataclass
class World:
    """What outlives a process: the file, Slack, the clock, and how far the log was read."""

    folder: Path
    slack: Sandbox
    told: Story
    now: int
    read: int = 0
    pager: Pager = field(default_factory=Pager)
    console: MemorySink = field(default_factory=MemorySink)
    topic: dict[str, Incident] = field(default_factory=dict)
    mute: bool = False
    """Without Slack: what the incidents are when nothing goes wrong."""
    down: int = 0
    """Milliseconds between an end and the next start, all of them."""
    record: Record = field(init=False)

    def __post_init__(self) -> None:
        self.record = Record(lambda: self.now)

    async def live(self, points: Points) -> None:
        """One life of notify, until all is told; :class:`Crash` ends it."""
        settings = Settings(state_dir=self.folder, group_wait_seconds=5)
        CrashingOutbox.points = Points()
        outbox = CrashingOutbox.open(self.folder / "notify.sqlite")
        # A process ends here, not a machine.
        outbox.db.execute("pragma synchronous = off")
        CrashingOutbox.points = points

        async def publish(incidents: Sequence[Incident]) -> None:
            points.pass_by()
            self.topic |= {one.id: one for one in incidents}
            points.pass_by()

        async def accept(_: object) -> None:
            points.pass_by()

        slack = SlackSink(
            TOKEN, CHANNEL, self.slack.url, 10, OFFER, Routes(CHANNEL, ONCALL), lambda: self.now
        )
        delivery = Delivery(
            outbox,
            CrashingSink(Witness(slack, self.record), points),
            Witness(self.console, self.record),
            hops=[WitnessHop(self.pager, self.record)],
        )
        notify = Notify(settings, outbox, publish, accept, lambda: self.now)
        try:
            await notify.publish_owed()
            delivery.recover(self.now)
            while self.now < self.told.end + SETTLE:
                await self._read(notify, points)
                await notify.tick()
                if not self.mute:
                    self._token()
                    await delivery.step(self.now)
                if self.read == len(self.told.events) and self._settled(outbox):
                    return
                self.now = self._next(outbox)
        finally:
            outbox.close()

    async def _read(self, notify: Notify, points: Points) -> None:
        """What has come since, as one batch; then its offsets."""
        events = self.told.events
        while self.read < len(events) and events[self.read][0] <= self.now:
            upto, first = self.read, isinstance(events[self.read][1], Command)
            while (
                upto < len(events)
                and events[upto][0] <= self.now
                and (self.told.mixed or isinstance(events[upto][1], Command) is first)
            ):
                upto += 1
            batch = events[self.read : upto]
            await notify.handle([record(event, self.read + n) for n, (_, event) in enumerate(batch)])
            points.pass_by()
            self.read = upto

    def _token(self) -> None:
        revoked = self.told.revoked
        out = revoked is not None and revoked[0] <= self.now < revoked[1]
        self.slack.token = "xoxb-revoked" if out else TOKEN

    def _settled(self, outbox: Outbox) -> bool:
        """Nothing is owed and no timer of people is due any more within the run."""
        if self.now < self.told.end:
            return False
        due = outbox.db.execute("select min(due_now) from incidents").fetchone()[0]
        waits = due is not None and due < self.told.end + SETTLE // 2
        return not waits and (self.mute or outbox.rows.open_count() == 0)

    def _next(self, outbox: Outbox) -> int:
        """The next second, or, where nothing happens before, the moment at which something does."""
        times = [outbox.db.execute("select min(due_now) from incidents").fetchone()[0]]
        if not self.mute:
            times.append(
                outbox.db.execute(
                    "select min(not_before) from outbox where state in ('pending', 'sending')"
                ).fetchone()[0]
            )
        if self.read < len(self.told.events):
            times.append(self.told.events[self.read][0])
        if self.told.revoked is not None:
            times += [at for at in self.told.revoked if at > self.now]
        soonest = min((at for at in times if at is not None), default=self.now + 5 * MINUTE)
        return max(self.now + SECOND, min(soonest, self.now + 5 * MINUTE))


def record(event: Event, offset: int) -> ConsumerRecord:
    """``event`` as Kafka would hand it over."""
    topic = "case-previews" if isinstance(event, CasePreview) else "signals"
    topic = "commands" if isinstance(event, Command) else topic
    return ConsumerRecord(topic, 0, offset, 0, 0, b"k", encode(event), None, 1, 1, ())


@dataclass
class Outcomes:
    """What a run came to: the promises it broke, in words, and what happened in it."""

    seed: int
    broken: list[str]
    counts: Counter[str]


async def run(seed: int, folder: Path) -> Outcomes:
    """The run of ``seed``; its files go to ``folder``, which is empty or not there."""
    told = story(seed)
    quiet = World(folder / "quiet", Sandbox(), told, told.events[0][0], mute=True)
    await quiet.live(Points())
    async with Sandbox(visible_after=told.shows) as slack:
        world = World(folder / "faults", slack, told, told.events[0][0])
        slack.clock = lambda: world.now / 1000

        async def later(seconds: float) -> None:
            world.now += round(seconds * 1000)
            await asyncio.sleep(0)

        slack.sleep = later
        slack.channel.mentions = frozenset({"U0ONCALL", "U0NEXT"})
        slack.script(*told.faults)
        slack.script_reads(*(told.read_faults if told.readable else ["error:missing_scope"] * 2_000))
        lives = 0
        for after, pause in told.crashes:
            lives += 1
            try:
                await world.live(Points(after))
                break
            except Crash:
                world.now += pause * SECOND
                world.down += pause * SECOND
        else:
            await world.live(Points())
        return _judged(world, quiet, lives)


def _judged(world: World, quiet: World, lives: int) -> Outcomes:
    outbox = Outbox.open(world.folder / "notify.sqlite")
    try:
        broken = [
            *told(world, outbox),
            *owed(outbox),
            *late(world, outbox),
            *pinged(world),
            *_same(world, quiet),
        ]
        counts = Counter(
            {
                "incidents": len(world.topic),
                "storms": outbox.db.execute("select count(*) from storms").fetchone()[0],
                "gathered": outbox.db.execute("select count(*) from storm_members").fetchone()[0],
                "crashes": lives,
                "calls": len(world.slack.calls),
                "told elsewhere": len(world.pager.told) + len(world.console.posts),
                "revoked": world.told.revoked is not None,
                "history unreadable": not world.told.readable,
            }
        )
    finally:
        outbox.close()
    return Outcomes(world.told.seed, broken, counts)


def told(world: World, outbox: Outbox, *, names: bool = True) -> list[str]:
    """One root for each incident that is to be told, in its final state; or its line in one digest, by its
    name if ``names`` are as they were written."""
    broken = []
    roots: dict[str, list[dict[str, Any]]] = {}
    for root in world.slack.roots():
        ids = root.body["metadata"]["event_payload"]
        roots.setdefault(ids["incident_id"], []).append(root.body)
    in_storm = {
        row["incident_id"]: row["storm_id"]
        for row in outbox.db.execute("select * from storm_members where own = 0")
    }
    for row in outbox.db.execute("select id from incidents"):
        incident = outbox.incident(row["id"])
        assert incident is not None
        wanted = 1 if incident.posted and incident.id not in in_storm else 0
        found = roots.pop(incident.id, [])
        enough = len(found) == wanted if world.told.readable or not wanted else len(found) >= wanted
        if not enough:
            broken.append(f"{incident.id[:8]}: {len(found)} roots, {wanted} wanted")
        elif wanted:
            shown = json.dumps(found[-1], ensure_ascii=False)
            stands = prose(standing(incident), 200) in shown
            now = found[-1]["metadata"]["event_payload"]["revision"] == incident.revision
            text = not found[-1]["blocks"] and now
            if not (now and (stands or text)):
                broken.append(f"{incident.id[:8]}: its root does not show {standing(incident)}")
    for row in outbox.db.execute("select id from storms"):
        storm = outbox.storms.get(row["id"])
        assert storm is not None
        found = roots.pop(storm.id, [])
        if not (len(found) == 1 if world.told.readable else len(found) >= 1):
            broken.append(f"storm {storm.id[:8]}: {len(found)} roots")
        elif found[-1]["blocks"] != blocks(storm, OFFER):
            broken.append(f"storm {storm.id[:8]}: its root is out of date")
        elif names and (
            missing := [one.app for one in storm.incidents if one.app not in str(found[-1]["blocks"])]
        ):
            broken.append(f"storm {storm.id[:8]}: {missing} are not in it")
    broken += [f"{strange[:8]}: a root of nothing" for strange in roots]
    return broken


def owed(outbox: Outbox) -> list[str]:
    """Nothing waits, and what Slack never took was told elsewhere."""
    broken = []
    for row in outbox.db.execute("select * from outbox where state not in ('sent', 'gathered')"):
        left = row["state"] in ("pending", "sending")
        lost = row["state"] == "dead" and row["kind"] != EffectKind.EDIT.value and not row["fell_back"]
        if left or lost:
            what = (row["kind"], row["reason"], row["incident_id"][:8], row["state"], row["error"])
            broken.append("owed: " + " ".join(what))
    return broken


def late(world: World, outbox: Outbox) -> list[str]:
    """Of every P1 and P2 somebody was told in time, in Slack or elsewhere, whatever Slack did meanwhile."""
    broken = []
    rows = outbox.db.execute(
        "select i.id, min(o.created_at) as owed from outbox as o join incidents as i on i.id = o.incident_id"
        " where o.kind = 'post' and json_extract(i.body, '$.severity') in ('P1', 'P2') group by i.id"
    )
    for row in rows:
        told_at = world.record.told.get(row["id"])
        if told_at is None:
            broken.append(f"{row['id'][:8]}: nobody was told")
        elif told_at - row["owed"] > IN_TIME + world.down:
            broken.append(f"{row['id'][:8]}: told after {(told_at - row['owed']) // SECOND} s")
    return broken


def pinged(world: World) -> list[str]:
    """Nobody is mentioned but by an escalation, which is a reply."""
    broken = [f"pinged: {ping}" for ping in world.slack.pings()]
    for one in world.slack.channel.messages:
        calls = "Nobody has acknowledged" in one.body["text"] and one.thread_ts is not None
        for text in (one.body["text"], str(one.body["blocks"])):
            if text.count("<@") > calls:
                broken.append(f"a mention too many in {one.body['text'][:60]}")
    return broken


def _same(world: World, quiet: World) -> list[str]:
    """The incidents are those of a run in which nothing goes wrong, and the topic has their last revision."""
    broken = []
    names = ["state", "severity", "resolution", "acked_by", "assignee", "muted_by", "members"]
    if world.told.mixed and world.told.crashes:
        # Of two topics read after a pause nobody knows which came first: what a command found is open.
        names = ["severity", "members"]
    outbox = Outbox.open(quiet.folder / "notify.sqlite")
    try:
        expected = {
            row["id"]: outbox.incident(row["id"]) for row in outbox.db.execute("select id from incidents")
        }
    finally:
        outbox.close()
    if expected.keys() != world.topic.keys():
        return [f"{len(world.topic)} incidents, {len(expected)} expected"]
    for incident_id, other in expected.items():
        assert other is not None
        mine = world.topic[incident_id]
        for name in names:
            if getattr(mine, name) != getattr(other, name):
                broken.append(
                    f"{incident_id[:8]}: {name} is {getattr(mine, name)}, not {getattr(other, name)}"
                )
    return broken
