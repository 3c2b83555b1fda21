"""The notify role: what it does with each record, and the whole of it on a real Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import TopicAuthorizationFailedError
from pydantic import SecretStr

from detectors.incident import Policy
from schemas.acceptance import Acceptance
from schemas.base import Record
from schemas.calibration import Calibration, Calibrations
from schemas.codec import encode
from schemas.command import Command, Verb
from schemas.effect import EffectKind, NotifyReason
from schemas.incident import Incident, IncidentState
from schemas.signal import RollingReport, Severity, SignalName, Standing, WindowStat
from schemas.topics import CASE_PREVIEWS, CHANGES, COMMANDS, INCIDENTS, SIGNALS, Topic
from sinks import words
from sinks.base import Message, Sink
from sinks.delivery import Delivery
from sinks.memory import MemorySink
from sinks.outbox import Outbox
from sinks.samples import HARDLY
from sinks.slack.client import SlackSink
from sinks.slack.desk import Desk
from sinks.slack.limits import OURS, problems
from sinks.slack.render import render
from sinks.slack.sandbox import CHANNEL, TOKEN, Sandbox
from streams.lag import READS
from streams.notify import role
from streams.notify.beside import answer, deliver
from streams.notify.reduce import Notify
from streams.notify.sink import charts_of
from streams.settings import Settings
from streams.topics import ensure_topics, topic_lives, try_topics
from streams.wall import now_ms
from tests.incident.signals import HOUR, MODEL, T0, alarm, note, preview, window
from tests.notify.test_delivery import commit
from tests.notify.world import record

WINDOW = WindowStat(
    app="a", environment="e", route="r", signal=SignalName.COST, start=0, end=1, n=1, total=1.0
)
REPORT = RollingReport(partition=0, position=1, watermark=None, counters={})


class Told:
    """The topics ``incidents`` and ``changes``, which may be down."""

    def __init__(self) -> None:
        self.incidents: list[Incident] = []
        self.acceptances: list[Acceptance] = []
        self.down = False

    async def accept(self, acceptances: Sequence[Acceptance]) -> None:
        if self.down:
            raise ConnectionError("no broker")
        self.acceptances += acceptances

    async def publish(self, incidents: Sequence[Incident]) -> None:
        if self.down:
            raise ConnectionError("no broker")
        self.incidents += incidents


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[tuple[Notify, Outbox, Told]]:
    outbox, told = Outbox.open(tmp_path / "notify.sqlite"), Told()
    yield Notify(Settings(state_dir=tmp_path), outbox, told.publish, told.accept), outbox, told
    outbox.close()


def stored(outbox: Outbox) -> list[Incident]:
    return [
        Incident.model_validate_json(row["body"]) for row in outbox.db.execute("select body from incidents")
    ]


async def test_windows_and_standings_are_kept_and_are_no_events(
    made: tuple[Notify, Outbox, Told],
) -> None:
    notify, outbox, told = made
    standing = Standing(app="a", environment="e", route="r", at=5, watched=())
    await notify.handle([record(WINDOW), record(standing), record(standing)])
    await notify.handle([record(WINDOW)])
    kept = outbox.db.execute("select n, total from windows").fetchall()
    assert [tuple(row) for row in kept] == [(1, 1.0)]
    stood = outbox.db.execute("select app, environment, route, at from standings").fetchall()
    assert [tuple(row) for row in stood] == [("a", "e", "r", 5)]
    assert told.incidents == []
    assert notify.counts["undecodable"] == 0


RAGAS = "ragas_faithfulness"


async def test_an_incident_carries_what_reviewers_said_of_its_scorer(
    made: tuple[Notify, Outbox, Told],
) -> None:
    """As it was known at the incident's last change; news of reviews alone change, and edit, nothing."""
    notify, outbox, told = made

    def calibrations(at: int, reviewed: int) -> Calibrations:
        one = Calibration(app="support-bot", scorer=RAGAS, reviewed=reviewed, confirmed=reviewed - 1)
        return Calibrations(at=at, figures=(one,))

    def reviewed() -> dict[SignalName, int | None]:
        found = {one.signal: one.calibration for one in stored(outbox)}
        return {signal: None if one is None else one.reviewed for signal, one in found.items()}

    await notify.handle([record(alarm("s0", app="early", scorer=RAGAS))])
    assert reviewed() == {SignalName.FAITHFULNESS: None}, "nothing is known yet"
    await notify.handle([record(calibrations(2, 20))])
    await notify.handle([record(calibrations(1, 10))])  # an older word that comes again
    before = outbox.rows.open_count(), len(told.incidents)
    await notify.handle([record(calibrations(2, 20))])
    assert (outbox.rows.open_count(), len(told.incidents)) == before
    await notify.handle([record(alarm("s1", scorer=RAGAS)), record(alarm("s2", SignalName.COST, app="x"))])
    found = {one.app: one for one in stored(outbox)}
    assert found["early"].calibration is None
    assert found["x"].calibration is None, "nobody judges a cost"
    assert (found["support-bot"].calibration or HARDLY).reviewed == 20
    # Known, and never reviewed: that is said. A refire tells what is known by then.
    await notify.handle([record(alarm("s3", app="early", scorer=RAGAS, detected_at=T0 + HOUR))])
    early = next(one for one in stored(outbox) if one.app == "early").calibration
    assert early == Calibration(app="early", scorer=RAGAS)
    # With its own batch, and for a judged signal that is not the incident's own.
    grave = alarm("s4", SignalName.ESCALATION, severity=Severity.P1)
    await notify.handle([record(calibrations(3, 30)), record(grave)])
    (mixed,) = [one for one in stored(outbox) if one.app == "support-bot"]
    assert (mixed.signal, (mixed.calibration or HARDLY).reviewed) == (SignalName.ESCALATION, 30)
    assert notify.counts["undecodable"] == 0
    assert "30 lows confirmed" in words.footer(mixed)


async def test_what_was_called_no_problem_is_remembered_in_the_file(
    made: tuple[Notify, Outbox, Told],
) -> None:
    """A board is read from the file for every batch: so is how many like it were no problem."""
    notify, outbox, _ = made
    await notify.handle([record(alarm("s1"))])
    (first,) = stored(outbox)
    no = Command(id="c", incident_id=first.id, verb=Verb.NOT_A_PROBLEM, actor="dana", time=T0)
    await notify.handle([record(no)])
    later = T0 + 72 * HOUR
    await notify.handle([record(alarm("s2", onset=later, detected_at=later))])
    (_, second) = sorted(stored(outbox), key=lambda one: one.detected_at)
    assert (second.recurs, second.recurs_false) == (1, 1)


def test_slack_shows_charts_unless_told_otherwise(made: tuple[Notify, Outbox, Told]) -> None:
    _, outbox, _ = made
    sink = SlackSink(TOKEN, CHANNEL)
    drawn = charts_of(Settings(), outbox, sink)
    assert drawn is not None
    assert drawn is sink.charts
    assert drawn.uploads is not None
    plain = charts_of(Settings(slack_charts=False), outbox, sink)
    assert plain is not None
    assert plain.uploads is None, "the line of blocks stays"
    assert charts_of(Settings(), outbox, MemorySink()) is None


async def test_only_alarms_notes_previews_and_commands_count(made: tuple[Notify, Outbox, Told]) -> None:
    notify, outbox, told = made
    await notify.handle([record(WINDOW), record(REPORT), record(note("n1")), record(preview("a"))])
    assert stored(outbox) == []
    await notify.handle([record(alarm("s1"))])
    (incident,) = stored(outbox)
    assert incident.cause == MODEL
    assert [case.case_id for case in incident.cases] == ["a"]
    ack = Command(id="c", incident_id=incident.id, verb=Verb.ACK, actor="dana", time=T0)
    lost = ack.model_copy(update={"id": "d", "incident_id": "nobody"})
    await notify.handle([record(ack), record(lost)])
    assert stored(outbox)[0].state is IncidentState.ACKED
    assert [one.revision for one in told.incidents] == [1, 2], "an acknowledgement ends the wait"
    asked = outbox.db.execute("select id, verdict, done from commands order by id").fetchall()
    assert [tuple(row) for row in asked] == [("c", "acked", 1), ("d", "unknown_incident", 0)]
    assert notify.counts["unknown_incident"] == 1


async def test_undecodable_records_are_named_and_skipped(
    made: tuple[Notify, Outbox, Told], caplog: pytest.LogCaptureFixture
) -> None:
    notify, outbox, _ = made
    bad = ConsumerRecord("signals", 3, 42, 0, 0, b"k", b'{"secret": 1}', None, 1, 1, ())
    with caplog.at_level(logging.ERROR):
        await notify.handle([bad, record(alarm("s1"))])
    assert notify.counts["undecodable"] == 1
    assert "'signals', 3, 42" in caplog.text
    assert "secret" not in caplog.text
    assert len(stored(outbox)) == 1


async def test_a_command_until_after_the_last_year_is_skipped(
    made: tuple[Notify, Outbox, Told],
) -> None:
    """A mistyped snooze that an older command line has published must not stop what comes after it."""
    notify, outbox, _ = made
    await notify.handle([record(alarm("s1"))])
    (incident,) = stored(outbox)
    end = notify.wall() + HOUR
    fine = Command(id="c", incident_id=incident.id, verb=Verb.SNOOZE, actor="dana", time=T0, until=end)
    far = fine.model_copy(update={"id": "d", "until": 865_795_199_537_666})
    await notify.handle([record(far), record(fine)])
    assert notify.counts["undecodable"] == 1
    assert stored(outbox)[0].snooze is not None
    assert (outbox.verdict("c"), outbox.verdict("d")) == (("snoozed", True), None)


async def test_what_the_topic_missed_is_told_later(made: tuple[Notify, Outbox, Told]) -> None:
    notify, outbox, told = made
    told.down = True
    with pytest.raises(ConnectionError):
        await notify.handle([record(alarm("s1"))])
    told.down = False
    await notify.handle([record(alarm("s1"))])
    assert [one.revision for one in told.incidents] == [1]
    assert outbox.unpublished() == []


async def test_a_command_may_come_with_what_opens_its_incident(
    made: tuple[Notify, Outbox, Told], tmp_path: Path
) -> None:
    """After a pause both topics are read at once: how records are split over batches changes nothing."""
    notify, outbox, _ = made
    await notify.handle([record(alarm("s1"))])
    (incident,) = stored(outbox)
    other = Outbox.open(tmp_path / "other" / "notify.sqlite")
    again = Notify(Settings(state_dir=tmp_path), other, Told().publish, Told().accept)
    ack = Command(id="c", incident_id=incident.id, verb=Verb.ACK, actor="dana", time=T0 + HOUR)
    stranger = Command(id="d", incident_id="nobody", verb=Verb.ACK, actor="dana", time=T0 + HOUR)
    await again.handle([record(ack), record(stranger), record(alarm("s1"))])
    (acked,) = stored(other)
    assert (acked.state, acked.acked_by) == (IncidentState.ACKED, "dana")
    assert other.verdict("c") == ("acked", True)
    assert other.verdict("d") == ("unknown_incident", False)
    other.close()


async def test_redelivery_owes_nothing_new(made: tuple[Notify, Outbox, Told]) -> None:
    notify, outbox, _ = made
    batch = [record(one) for one in (note("n1"), alarm("s1"), preview("a"), alarm("s2", SignalName.COST))]
    await notify.handle(batch)
    rows = [tuple(row) for row in outbox.db.execute("select * from outbox")]
    before = stored(outbox)
    await notify.handle(batch)
    assert [tuple(row) for row in outbox.db.execute("select * from outbox")] == rows
    assert stored(outbox) == before


async def test_members_and_cases_of_one_cause_come_as_one_post(
    made: tuple[Notify, Outbox, Told],
) -> None:
    notify, outbox, told = made
    notify.wall = lambda: 1_000
    await notify.handle([record(alarm("s1"))])
    await notify.handle([record(alarm("s2", SignalName.COST)), *(record(preview(case)) for case in "abc")])
    await notify.tick()
    assert outbox.rows.due(10**15) == []
    notify.wall = lambda: 6_000
    await notify.tick()
    (row,) = outbox.rows.due(6_000)
    assert (row.kind, row.reason) == (EffectKind.POST, NotifyReason.FIRST)
    assert told.incidents[-1].state is IncidentState.FIRING
    assert (len(told.incidents[-1].members), len(told.incidents[-1].cases)) == (2, 3)
    await notify.tick()
    assert len(outbox.rows.due(6_000)) == 1


async def test_silence_is_seen_after_a_restart_although_nobody_reports_it(
    made: tuple[Notify, Outbox, Told],
) -> None:
    """Units and event time are in the file; without a report event time goes on with the wall clock."""
    notify, outbox, told = made
    wall = 1_000_000
    notify.wall = lambda: wall
    end = T0 + HOUR
    report = RollingReport(partition=0, position=1, watermark=end, counters={"support-bot": {"traces": 9}})
    await notify.handle([record(one) for one in (alarm("s1"), window(end), report)])
    again = Notify(notify.settings, outbox, told.publish, told.accept, notify.wall)
    wall += Policy().stale_ms - 1
    await again.tick()
    assert stored(outbox)[0].stale is None
    wall += 1
    await again.tick()
    (incident,) = stored(outbox)
    assert incident.stale is not None
    assert (incident.stale.since, incident.state) == (end, IncidentState.FIRING)
    await again.handle([record(window(end + 5 * HOUR))])
    assert stored(outbox)[0].stale is None
    revision = stored(outbox)[0].revision
    await again.tick()
    assert stored(outbox)[0].revision == revision


async def test_a_change_that_pages_has_no_numbers_and_still_an_alert(
    made: tuple[Notify, Outbox, Told],
) -> None:
    notify, outbox, _ = made
    await notify.handle([record(alarm("s1", SignalName.SERVED_MODEL, cause=MODEL, n=1))])
    (incident,) = stored(outbox)
    assert (incident.value, incident.baseline) == (None, None)
    assert words.headline(incident) == (
        "P2 · served model on support-bot changed lumen-1 → lumen-2 at 09:05 UTC."
    )
    message = Message("o", EffectKind.POST, NotifyReason.FIRST, incident)
    assert problems(render(message), OURS) == []


async def produce(brokers: str, settings: Settings, *sent: tuple[Topic, str, Record]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=brokers)
    await producer.start()
    for topic, key, value in sent:
        await producer.send_and_wait(settings.topic(topic), encode(value), key=key.encode())
    await producer.stop()


async def until(condition: object, seconds: float = 90.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - Slack tells nobody
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running(settings: Settings, sink: Sink | None = None) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(role.run(settings, stop, sink))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, 90)


@pytest.mark.kafka
async def test_the_role_on_kafka(kafka: str, tmp_path: Path) -> None:
    """Signals in, one Slack thread and revisions out; a restart and a redelivery tell nothing twice."""
    async with Sandbox() as slack:
        settings = Settings(
            brokers=kafka,
            topic_prefix=f"notify-{uuid.uuid4().hex[:8]}-",
            partitions=2,
            state_dir=tmp_path,
            slack_token=SecretStr(TOKEN),
            slack_channel=CHANNEL,
            slack_url=slack.url,
            group_wait_seconds=0.5,
        )
        await ensure_topics(settings, (SIGNALS, CASE_PREVIEWS, COMMANDS, CHANGES, INCIDENTS))
        first = alarm("s1")
        await produce(
            kafka,
            settings,
            (SIGNALS, first.app, WINDOW),
            (SIGNALS, first.app, note("n1")),
            (SIGNALS, first.app, first),
            (CASE_PREVIEWS, first.app, preview("a")),
        )
        async with running(settings):
            await until(lambda: slack.roots())
            (root,) = slack.roots()
            incident_id = root.body["metadata"]["event_payload"]["incident_id"]
        await produce(
            kafka,
            settings,
            (SIGNALS, first.app, first),
            (SIGNALS, first.app, alarm("s2", SignalName.ESCALATION)),
            (
                COMMANDS,
                incident_id,
                Command(id="c", incident_id=incident_id, verb=Verb.ACK, actor="d", time=T0),
            ),
        )
        slack.script("drop-accepted")
        async with running(settings):
            await until(lambda: slack.channel.replies(root.ts) and "ACKED" in str(root.body["blocks"]))
        assert len(slack.roots()) == 1
        assert len(slack.channel.replies(root.ts)) == 1
        assert slack.pings() == []
        told = await consumed(kafka, settings.topic(INCIDENTS), incident_id)
    assert told[-1].state is IncidentState.ACKED
    assert len(told[-1].members) == 2
    assert [one.revision for one in told] == sorted({one.revision for one in told})


@pytest.mark.kafka
async def test_a_stop_sends_what_only_waits_for_cases(kafka: str, tmp_path: Path) -> None:
    settings = Settings(
        brokers=kafka,
        topic_prefix=f"notify-{uuid.uuid4().hex[:8]}-",
        partitions=1,
        state_dir=tmp_path,
        group_wait_seconds=3600,
    )
    await ensure_topics(settings, (SIGNALS, CASE_PREVIEWS, COMMANDS, CHANGES, INCIDENTS))
    await produce(kafka, settings, (SIGNALS, "support-bot", alarm("s1")))
    sink, stop = MemorySink(), asyncio.Event()
    task = asyncio.create_task(role.run(settings, stop, sink))
    await consumed(kafka, settings.topic(INCIDENTS), None)
    stop.set()
    await asyncio.wait_for(task, 90)
    assert len(sink.posts) == 1


@pytest.mark.kafka
async def test_it_makes_the_topics_that_it_reads(kafka: str, tmp_path: Path) -> None:
    """A broker that makes none by itself would let it start only after a worker of the same version."""
    settings = Settings(
        brokers=kafka,
        topic_prefix=f"notify-{uuid.uuid4().hex[:8]}-",
        partitions=3,
        state_dir=tmp_path,
        group_wait_seconds=0,
    )
    sink, stop = MemorySink(), asyncio.Event()
    task = asyncio.create_task(role.run(settings, stop, sink))
    await until(lambda: (tmp_path / "health").exists())  # it has made a round
    await produce(kafka, settings, (SIGNALS, "support-bot", alarm("s1")))
    await until(lambda: sink.posts)
    stop.set()
    await asyncio.wait_for(task, 15)
    assert await ensure_topics(settings, (*READS["notify"], INCIDENTS)) == []
    lives = await topic_lives(settings, READS["notify"])
    assert (lives["signals"].partitions, lives["calibrations"].partitions) == (3, 1)


async def test_who_may_not_make_topics_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refused(*_: object) -> list[str]:
        raise TopicAuthorizationFailedError("topic signals")

    monkeypatch.setattr("streams.topics.ensure_topics", refused)
    await try_topics(Settings(), (SIGNALS,))
    assert "no topic was made: [Error 29] TopicAuthorizationFailedError: topic signals" in caplog.text


async def consumed(brokers: str, topic: str, incident_id: str | None) -> list[Incident]:
    """All that the topic holds, once it holds anything."""
    reader = AIOKafkaConsumer(topic, bootstrap_servers=brokers, auto_offset_reset="earliest")
    await reader.start()
    found: list[Incident] = []
    try:
        async with asyncio.timeout(90):
            while not found or await behind(reader):
                batches = await reader.getmany(timeout_ms=100)
                found += [
                    Incident.model_validate_json(one.value) for batch in batches.values() for one in batch
                ]
    finally:
        await reader.stop()
    assert all(incident_id in (None, one.id) for one in found)
    return found


async def behind(reader: AIOKafkaConsumer) -> bool:
    """Whether there is more to read."""
    ends = await reader.end_offsets(reader.assignment())
    return any([await reader.position(tp) < end for tp, end in ends.items()])


async def test_words_to_whoever_clicks_hold_up_no_page(tmp_path: Path) -> None:
    """Slack takes no whisper for as long as the test lasts; the page goes out."""
    outbox, sink, stop = Outbox.open(tmp_path / "notify.sqlite"), MemorySink(), asyncio.Event()
    await commit(Settings(state_dir=tmp_path), outbox, alarm("s1"), now=now_ms() - 60_000)
    asked = asyncio.Event()

    class Slow(Desk):
        def __init__(self) -> None:
            """Nothing of a desk but that it waits."""

        async def answer(self) -> None:
            asked.set()
            await stop.wait()

    tasks = [
        asyncio.create_task(answer(Slow(), stop)),
        asyncio.create_task(deliver(Delivery(outbox, sink, MemorySink()), stop)),
    ]
    async with asyncio.timeout(30):
        await asked.wait()
        while not sink.posts:  # noqa: ASYNC110 - a sink tells nobody
            await asyncio.sleep(0.01)
    stop.set()
    await asyncio.gather(*tasks)
    outbox.close()
