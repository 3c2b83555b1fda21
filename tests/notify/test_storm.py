"""Three hundred segments that break at once, on a virtual clock: P1 first, never over the rate, all told."""

from __future__ import annotations

from pathlib import Path

from schemas.signal import Severity, SignalName
from sinks.delivery import Delivery
from sinks.memory import MemorySink
from sinks.outbox import Outbox
from streams import notify as role
from streams.settings import Settings
from tests.incident.signals import alarm

BEGIN = 1_010_000
P1S = (7, 150, 299)


async def storm(folder: Path, apps: int) -> Outbox:
    async def publish(_: object) -> None:
        """The topic is another test's business."""

    outbox = Outbox.open(folder / "notify.sqlite")
    outbox.db.execute("pragma synchronous = off")
    notify = role.Notify(Settings(group_wait_seconds=0), outbox, publish)
    grave = dict.fromkeys(P1S, Severity.P1)
    signals = [
        alarm(f"s{n}", app=f"app-{n:03}", severity=grave.get(n, Severity.P3 if n % 2 else Severity.P2))
        for n in range(apps)
    ]
    outbox.commit(notify._reduce(signals, BEGIN), BEGIN)
    return outbox


async def test_the_gravest_first_at_one_a_second(tmp_path: Path) -> None:
    outbox = await storm(tmp_path, 300)
    sink, console = MemorySink(), MemorySink()
    delivery = Delivery(outbox, sink, console)
    sent: list[int] = []
    for second in range(320):
        before = len(sink.posts)
        await delivery.step(BEGIN + second * 1_000)
        sent += [second] * (len(sink.posts) - before)
    severities = [message.incident.severity for message in sink.posts]
    assert severities[:3] == [Severity.P1] * 3
    assert severities == sorted(severities)
    assert sent[:4] == [0, 0, 0, 1], "a burst of three, then one a second"
    assert sent[-1] == 297
    assert len({message.incident.id for message in sink.posts}) == 300
    assert console.posts == [], "who waits for their turn is no outage"
    outbox.close()


async def test_a_p1_in_the_middle_of_a_storm_goes_next(tmp_path: Path) -> None:
    outbox = await storm(tmp_path, 300)
    sink = MemorySink()
    delivery = Delivery(outbox, sink, MemorySink())
    for second in range(20):
        await delivery.step(BEGIN + second * 1_000)

    async def publish(_: object) -> None:
        """The topic is another test's business."""

    now = BEGIN + 20_000
    notify = role.Notify(Settings(group_wait_seconds=0), outbox, publish)
    late = alarm("late", SignalName.COST, app="late", severity=Severity.P1)
    outbox.commit(notify._reduce([late], now), now)
    await delivery.step(now)
    assert sink.posts[-1].incident.app == "late"
    # News of a P1 that is posted go before the first messages of lesser ones.
    worse = alarm("worse", SignalName.ESCALATION, app="late", severity=Severity.P1)
    outbox.commit(notify._reduce([worse], now + 1_000), now + 1_000)
    await delivery.step(now + 1_000)
    await delivery.step(now + 2_000)
    assert [message.incident.app for message in (*sink.edits, *sink.replies)] == ["late", "late"]
    outbox.close()
