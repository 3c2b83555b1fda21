"""Charts in the thread: one each, whatever Slack does, and never in the way of a page."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.alerts.storm import Timed, too_fast
from schemas.effect import Effect, EffectKind, NotifyReason
from schemas.incident import Incident
from schemas.signal import SignalName, WindowStat
from sinks.base import Message
from sinks.batch import Batch
from sinks.charts.data import Point
from sinks.delivery import Delivery
from sinks.memory import MemorySink
from sinks.outbox import Outbox
from sinks.samples import SAMPLES, series
from sinks.series import KEEP_MS, keep, points, reach, recent
from sinks.slack.charts import REFUSALS, Charts
from sinks.slack.client import SlackSink
from sinks.slack.picture import sparkline
from sinks.slack.render import render
from sinks.slack.sandbox import CHANNEL, TOKEN, Sandbox
from sinks.slack.upload import Uploads

INCIDENT = SAMPLES["faithfulness"]
START = 1_772_360_000_000


def windows(incident: Incident = INCIDENT) -> list[WindowStat]:
    return [
        WindowStat(
            app=incident.app, environment=incident.environment, route=incident.route, signal=incident.signal,
            start=point.start, end=point.end, n=point.n, total=point.total,
        )
        for point in series(incident)
    ]  # fmt: skip


@dataclass
class World:
    """Notify's file, its delivery and its charts, before a Slack; the clock moves when told."""

    slack: Sandbox
    outbox: Outbox
    now: int = START

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process over the same file."""
        self.sink = SlackSink(TOKEN, CHANNEL, self.slack.url, 1, clock=lambda: self.now)
        self.delivery = Delivery(self.outbox, self.sink, MemorySink())
        self.charts = Charts(self.outbox, Uploads(self.sink.client), self.delivery.paces)
        self.sink.charts = self.charts

    async def run(self, seconds: int = 60, every_ms: int = 1_000) -> None:
        """As notify does: charts when nothing is owed."""
        for _ in range(seconds * 1_000 // every_ms):
            await self.delivery.step(self.now)
            if not self.outbox.rows.due(self.now):
                await self.charts.step(self.now)
            self.now += every_ms

    def shown(self) -> list[str]:
        """The files in the thread."""
        (root,) = self.slack.roots()
        replies = self.slack.channel.replies(root.ts)
        return [file["id"] for one in replies for file in one.body.get("files", ())]

    def pictured(self) -> list[str]:
        """The files in the first message."""
        (root,) = self.slack.roots()
        return [block["slack_file"]["id"] for block in root.body["blocks"] if block["type"] == "image"]

    def ready(self) -> bool:
        return (
            bool(one := self.outbox.db.execute("select state from charts").fetchone()) and one[0] == "ready"
        )

    def state(self) -> tuple[str, str]:
        (row,) = self.outbox.db.execute("select state, why from charts").fetchall()
        return row["state"], row["why"]


@asynccontextmanager
async def world(
    path: Path,
    ready_after: float = 0.0,
    seen: list[WindowStat] | None = None,
    slack_of: type[Sandbox] = Sandbox,
) -> AsyncIterator[World]:
    outbox = Outbox.open(path / "notify.sqlite")
    outbox.db.execute("pragma synchronous = off")
    effect = Effect(
        kind=EffectKind.POST, incident_id=INCIDENT.id, revision=INCIDENT.revision, reason=NotifyReason.FIRST
    )
    clock = START
    async with slack_of(ready_after=ready_after, clock=lambda: made.now / 1000) as slack:
        outbox.commit(
            Batch(incidents=[INCIDENT], effects=[effect], windows=windows() if seen is None else seen), clock
        )
        made = World(slack, outbox, clock)
        try:
            yield made
        finally:
            outbox.close()


async def test_the_page_first_then_the_chart_then_the_chart_in_the_page(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        await one.run()
        (root,) = one.slack.roots()
        assert one.shown() == one.pictured()
        assert len(one.shown()) == 1
        posts = [method for method, _ in one.slack.calls]
        assert posts[0] == "chat.postMessage", "no page waits for a picture"
        assert posts.count("files.completeUploadExternal") == 1
        first = next(body for method, body in one.slack.calls if method == "chat.postMessage")
        assert not any(block["type"] == "image" for block in first["blocks"])
        assert any(block["block_id"].startswith("spark") for block in first["blocks"])
        assert root.edits == 1
        assert one.state() == ("ready", "")
        assert one.slack.pings() == []
        (comment,) = [reply.body["text"] for reply in one.slack.channel.replies(root.ts)]
        assert comment.startswith("Faithfulness on billing-assistant, by 5 min, 1 Mar ")


async def test_a_picture_that_slack_has_not_looked_at_waits_in_the_thread(tmp_path: Path) -> None:
    async with world(tmp_path, ready_after=20) as one:
        await one.run(15)
        assert len(one.shown()) == 1
        assert one.pictured() == []
        await one.run(30)
        assert one.pictured() == one.shown()


async def test_a_message_refused_with_its_picture_goes_without_and_later_with_it(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        while not one.ready():
            await one.run(1)
        one.slack.files.files[one.shown()[0]].ready_at = one.now / 1000 + 15  # Slack looks again
        await one.run(12)
        (root,) = one.slack.roots()
        assert one.pictured() == []
        assert root.edits == 1, "the edit went without"
        assert "rich_text" in str(root.body["blocks"]), "and nothing else was left out"
        await one.run(60)
        assert one.pictured() == one.shown()


async def test_what_goes_first_is_the_picture_then_the_cases_then_the_blocks(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        while not one.ready():
            await one.run(1)
        one.slack.script(*["error:invalid_blocks"] * 3)
        await one.run(20)
        tried = [body["blocks"] for method, body in one.slack.calls if method == "chat.update"]
        kinds = [{block["type"] for block in blocks} for blocks in tried[:4]]
        assert [("image" in kind, "rich_text" in kind, bool(kind)) for kind in kinds] == [
            (True, True, True),
            (False, True, True),
            (False, False, True),
            (False, False, False),
        ]
        (root,) = one.slack.roots()
        assert root.body["blocks"] == []
        assert root.body["text"].startswith("P2 · faithfulness on billing-assistant fell 0.92 → 0.80")


async def test_a_picture_that_is_always_refused_is_given_up(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.slack.channel.ready = lambda file, now: False
        await one.run(600)
        assert one.state() == ("dropped", "refused in a message")
        assert one.pictured() == []
        assert len(one.shown()) == 1
        assert one.outbox.rows.open_count() == 0
        refusals = [body for method, body in one.slack.calls if method == "chat.update"]
        assert sum(any(b["type"] == "image" for b in body["blocks"]) for body in refusals) == REFUSALS


@pytest.mark.parametrize("fault", ["drop-accepted", "500-accepted", "drop", "500", "429:7", "slow:2"])
async def test_an_answer_that_is_lost_shows_no_chart_twice(tmp_path: Path, fault: str) -> None:
    async with world(tmp_path) as one:
        one.slack.script("ok", fault)  # the page, then the call that shows the chart
        await one.run(90)
        assert len(one.shown()) == 1
        assert one.pictured() == one.shown()


@pytest.mark.parametrize("scope", ["error:missing_scope", "error:not_allowed_token_type"])
async def test_without_the_scope_there_is_no_chart_and_all_else_goes_on(tmp_path: Path, scope: str) -> None:
    async with world(tmp_path) as one:
        one.slack.script_reads(scope)
        await one.run()
        assert one.shown() == []
        assert one.state() == ("dropped", scope.partition(":")[2])
        assert one.outbox.rows.open_count() == 0
        calls = [method for method, _ in one.slack.calls]
        assert calls.count("files.getUploadURLExternal") == 1, "it is asked once an incident"


async def test_bytes_that_do_not_arrive_are_sent_again(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.slack.script_uploads("500", "drop", "drop-accepted")
        await one.run(60)
        assert len(one.shown()) == 1


async def test_what_has_no_windows_has_no_chart(tmp_path: Path) -> None:
    async with world(tmp_path, seen=[]) as one:
        await one.run()
        assert one.state() == ("dropped", "too few windows to draw")
        (root,) = one.slack.roots()
        assert not any(block["block_id"].startswith("spark") for block in root.body["blocks"])


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_happens_there_is_one_page_and_one_chart(tmp_path: Path, seed: int) -> None:
    """Faults at random on every call, and the process ends at random between them."""
    source = random.Random(seed)
    faults = ["ok", "ok", "drop-accepted", "500-accepted", "drop", "500", "429:3", "error:fatal_error"]
    async with world(tmp_path, ready_after=source.choice([0, 5, 20])) as one:
        one.slack.script(*source.choices(faults, k=4))
        one.slack.script_reads(*source.choices(["ok", "500", "429:3"], k=4))
        one.slack.script_uploads(*source.choices(["ok", "500", "drop", "drop-accepted"], k=3))
        for _ in range(6):
            await one.run(source.randrange(1, 12))
            one.restart()
            one.delivery.recover(one.now)
        await one.run(240)
        assert len(one.slack.roots()) == 1
        assert len(one.shown()) == 1, one.state()
        assert one.pictured() == one.shown()
        assert one.slack.pings() == []


async def test_charts_take_their_turns_in_the_channels_pace(tmp_path: Path) -> None:
    """A chart that is shown is a message: pages, edits and charts together stay under the rate."""
    async with world(tmp_path, slack_of=Timed) as one:
        assert isinstance(one.slack, Timed)
        for number in range(3):
            other = INCIDENT.model_copy(update={"id": f"{number}-{INCIDENT.id}", "app": f"app-{number}"})
            effect = Effect(
                kind=EffectKind.POST, incident_id=other.id, revision=other.revision, reason=NotifyReason.FIRST
            )
            one.outbox.commit(Batch(incidents=[other], effects=[effect], windows=windows(other)), one.now)
        await one.run(60, every_ms=250)
        shown = [method for method, _ in one.slack.calls if method == "files.completeUploadExternal"]
        times = one.slack.came[CHANNEL]
        assert (len(shown), len(times)) == (4, 12), "a page, a chart and an edit each"
        assert too_fast(times) == ""


async def test_a_pause_that_a_chart_is_asked_for_holds_for_pages_too(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        await one.run(1)
        one.slack.script("429:20")
        await one.run(5)
        assert one.delivery.paces.take(CHANNEL, one.now) is False
        await one.run(60)
        assert one.pictured() == one.shown()
        calls = [method for method, _ in one.slack.calls if method == "files.completeUploadExternal"]
        assert len(calls) == 2, "the one that was refused, and the one that was taken"


async def test_a_storms_digest_gets_no_chart(tmp_path: Path) -> None:
    """It is a first message, and no incident's: nothing is drawn for it, and nothing is given up."""
    async with world(tmp_path) as one:
        one.outbox.db.execute(
            "insert into messages (incident_id, receiver, root_id, channel, ts, revision, sent_at, edited_at)"
            " values ('a-storm', ?, 'r', ?, '1.1', 1, ?, ?)",
            (one.sink.name, CHANNEL, START - 1, START - 1),
        )
        await one.run()
        assert len(one.shown()) == 1
        assert [row[0] for row in one.outbox.db.execute("select incident_id from charts")] == [INCIDENT.id]


def test_the_series_keeps_a_day_and_counts_a_part_once(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    first = windows()
    keep(outbox.db, first, START)
    keep(outbox.db, first[:5], START)  # they come again
    late = first[7].model_copy(update={"part": 1, "n": 2, "total": 1.0})
    keep(outbox.db, [late], START)
    of = INCIDENT.app, INCIDENT.environment, INCIDENT.route
    expected = [Point(w.start, w.end, w.n, w.total) for w in first]
    expected[7] = Point(first[7].start, first[7].end, first[7].n + 2, first[7].total + 1.0)
    assert points(outbox.db, of, INCIDENT.signal, 0, 1 << 60) == expected
    shown = recent(outbox.db, INCIDENT)
    two_hours = INCIDENT.detected_at - 2 * 3_600_000
    assert [one.start for one in shown] == [w.start for w in first if w.start >= two_hours]
    later = first[-1].model_copy(update={"start": first[-1].start + KEEP_MS, "end": first[-1].end + KEEP_MS})
    keep(outbox.db, [later], START)
    assert points(outbox.db, of, INCIDENT.signal, 0, first[-1].start) == []
    outbox.close()


def test_what_the_windows_do_not_reach_yet_is_the_alarms_own_mean(tmp_path: Path) -> None:
    """An alarm of a rate is decided a quarter of an hour before its window closes."""
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    healthy = [window for window in windows() if window.end <= INCIDENT.onset]
    keep(outbox.db, healthy, START)
    *before, last = recent(outbox.db, INCIDENT)
    assert before[-1].end == healthy[-1].end
    assert last[:3] == (INCIDENT.onset, INCIDENT.detected_at + 1, 188)
    assert last.total == pytest.approx(188 * 0.8)
    assert sparkline([*before, last], INCIDENT).partition(" ")[0].endswith("▁")
    over = SAMPLES["recovered"]
    assert recent(outbox.db, over)[-1].end == healthy[-1].end, "nothing is made up of what is over"
    outbox.close()


def test_how_much_of_the_traffic_goes_its_way(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    requests = windows()[-2].model_copy(update={"signal": SignalName.COST, "n": 30, "unmeasured": 1})
    keep(outbox.db, [requests], START)
    assert reach(outbox.db, INCIDENT) is None, "the only route is all of it"
    keep(outbox.db, [requests.model_copy(update={"route": "/other", "n": 60, "unmeasured": 2})], START)
    keep(outbox.db, [requests.model_copy(update={"environment": "staging", "n": 900})], START)
    assert reach(outbox.db, INCIDENT) == pytest.approx(31 / 93)
    picture = Charts(outbox, None).picture(INCIDENT)
    message = Message("o", EffectKind.POST, NotifyReason.FIRST, INCIDENT)
    assert "production · route /chat, 33% of the application's requests" in str(
        render(message, picture=picture)["blocks"]
    )
    outbox.close()


def test_signals_without_windows_of_their_own_are_made_of_others(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    base = windows()[0].model_copy(update={"start": 0, "end": 300_000})
    cost = base.model_copy(update={"signal": SignalName.COST, "n": 50, "total": 2.0, "unmeasured": 10})
    task = base.model_copy(update={"signal": SignalName.TASK_FAILURE, "n": 40, "total": 8.0})
    score = base.model_copy(update={"n": 20, "total": 15.0, "low": 5, "unmeasured": 5})
    keep(outbox.db, [cost, task, score], START)
    of = INCIDENT.app, INCIDENT.environment, INCIDENT.route

    def only(signal: SignalName) -> tuple[int, float]:
        (point,) = points(outbox.db, of, signal, 0, 1)
        return point.n, point.total

    assert only(SignalName.COST_PER_SUCCESS) == (32, 2.0)
    assert only(SignalName.VOLUME) == (1, 720.0)
    assert only(SignalName.SPEND) == (1, 2.0)
    assert only(SignalName.GROUNDED) == (20, 15.0)
    assert only(SignalName.UNSCORED) == (25, 5.0)
    outbox.close()


def test_a_line_of_blocks_shows_shape_gaps_and_reach() -> None:
    hour = 3_600_000
    some = [Point(h * hour, (h + 1) * hour, 4, 4 * v) for h, v in ((0, 0.92), (1, 0.91), (3, 0.7), (4, 0.8))]
    assert sparkline(some, INCIDENT) == "██·▁▄ by the hour, 1 Jan 00:00 UTC to 05:00 UTC: 0.70 to 0.92"
    assert sparkline(some[:2], INCIDENT) == ""
    assert len(sparkline(series(INCIDENT), INCIDENT).partition(" ")[0]) == 25
