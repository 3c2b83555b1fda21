"""Digests over restarts and lost answers: due rows, each posted once."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.base import parse_time
from schemas.digest import Digest, Period
from schemas.signal import SignalName
from sinks.batch import Batch
from sinks.console_digest import ConsoleDigests
from sinks.outbox import Outbox
from sinks.samples import SAMPLES
from sinks.series import KEEP_MS, daily_spend
from sinks.slack.client import SlackSink
from sinks.slack.sandbox import CHANNEL, TOKEN, Sandbox
from streams.cli import app
from streams.digests import DigestRun, made, poster_of
from streams.settings import Settings
from tests.slack.test_charts import windows

NINE = parse_time("2026-03-02T09:00:00Z")
HOUR = 3_600_000


class Life:
    """One process after another over one file and one Slack."""

    def __init__(self, folder: Path, slack: Sandbox, **more: object) -> None:
        self.settings = Settings(state_dir=folder, digest_daily="09:00", slack_channel=CHANNEL, **more)  # type: ignore[arg-type]
        self.slack, self.now = slack, NINE - HOUR
        slack.clock = lambda: self.now / 1000
        self.outbox = Outbox.open(folder / "notify.sqlite")
        self.outbox.commit(Batch(incidents=[SAMPLES["faithfulness"]], windows=windows()), self.now)
        self.restart()

    def restart(self) -> None:
        sink = SlackSink(TOKEN, CHANNEL, self.slack.url, 1)
        poster = poster_of(self.settings, sink)
        self.run = DigestRun(self.settings, self.outbox, poster, lambda: self.now)
        self.run.digests.recover(self.now)

    async def until(self, end: int, step: int = 5_000) -> None:
        while self.now < end:
            await self.run.step()
            self.now += step

    def texts(self) -> list[str]:
        return [one.body["text"] for one in self.slack.roots()]


async def test_each_is_posted_once_at_its_time_over_restarts(tmp_path: Path) -> None:
    async with Sandbox() as slack:
        life = Life(tmp_path, slack)
        await life.until(NINE - 60_000)
        assert life.texts() == [], "none of the time before it was asked for"
        await life.until(NINE + 60_000)
        assert len(life.texts()) == 1
        assert life.texts()[0].startswith("The day to Mon 2 Mar 09:00 UTC: 1 incident opened")
        for _ in range(3):
            life.restart()
            await life.until(life.now + 60_000)
        assert len(life.texts()) == 1
        life.now = NINE + 24 * HOUR + 3 * HOUR  # down over the next one: it comes late, as of its time
        life.restart()
        await life.until(life.now + 60_000)
        assert [text.partition(":")[0] for text in life.texts()] == [
            "The day to Mon 2 Mar 09",
            "The day to Tue 3 Mar 09",
        ]
        assert slack.pings() == []
        life.outbox.close()


@pytest.mark.parametrize(
    "fault", ["drop-accepted", "500-accepted", "drop", "500", "429:20", "error:fatal_error"]
)
async def test_a_lost_answer_posts_none_twice(tmp_path: Path, fault: str) -> None:
    async with Sandbox() as slack:
        life = Life(tmp_path, slack)
        await life.until(NINE - 60_000)
        slack.script(fault)
        life.now = NINE
        await life.run.step()
        life.restart()  # the process ends in the middle
        await life.until(NINE + 10 * 60_000)
        assert len(life.texts()) == 1
        life.outbox.close()


async def test_blocks_that_are_refused_become_text(tmp_path: Path) -> None:
    async with Sandbox() as slack:
        life = Life(tmp_path, slack)
        await life.until(NINE - 60_000)
        slack.script("error:invalid_blocks")
        await life.until(NINE + 60_000)
        (root,) = slack.roots()
        assert root.body["blocks"] == []
        assert "Worst signals: P2 faithfulness on billing-assistant" in root.body["text"]
        life.outbox.close()


async def test_a_refusal_is_said_and_asked_about_for_a_day(tmp_path: Path) -> None:
    async with Sandbox() as slack:
        life = Life(tmp_path, slack, digest_channel="C0NOWHERE")
        await life.until(NINE + 60_000)
        query = "select due, state, error, attempts from digests where state != 'skipped' order by due"
        row = life.outbox.db.execute(query).fetchone()
        assert (row["state"], row["error"]) == ("pending", "channel_not_found")
        life.now = row["due"] + 86_400_000
        for _ in range(2):
            await life.run.step()
        row = life.outbox.db.execute(query).fetchone()
        assert (row["state"], row["error"]) == ("dead", "channel_not_found")
        assert row["attempts"] > 1
        life.outbox.close()


async def test_a_late_one_is_asked_about_for_a_day_too(tmp_path: Path) -> None:
    """A week's digest that is due while notify is down comes up to a week late."""
    async with Sandbox() as slack:
        life = Life(tmp_path, slack, digest_channel="C0NOWHERE")
        await life.until(NINE - 60_000)
        late = life.now = NINE + 23 * HOUR
        await life.run.step()
        first = life.outbox.db.execute("select * from digests where state != 'skipped'").fetchone()
        assert (first["due"], first["first_sent_at"], first["state"]) == (NINE, late, "pending")
        for wait, state in ((86_400_000 - 1, "pending"), (2 * 86_400_000, "dead")):
            life.run.wanted.clear()
            life.now = late + wait
            await life.run.step()
            (found,) = life.outbox.db.execute("select state from digests where due = ?", (NINE,)).fetchone()
            assert found == state
        life.outbox.close()


async def test_a_period_begins_where_the_one_before_it_was_due(tmp_path: Path) -> None:
    """The day on which summer time ends has 25 hours, and none of them is in no digest."""
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    now = [parse_time("2026-10-23T12:00:00Z")]
    settings = Settings(state_dir=tmp_path, digest_daily="09:00", digest_zone="Europe/Berlin")
    run = DigestRun(settings, outbox, poster_of(settings, object()), lambda: now[0])
    for _ in range(4 * 24):
        await run.step()
        now[0] += HOUR
    rows = outbox.db.execute("select body from digests where state != 'skipped' order by due").fetchall()
    periods = [Digest.model_validate_json(row["body"]) for row in rows]
    assert [(one.end - one.start) // HOUR for one in periods] == [24, 25, 24, 24]
    assert all(one.end == after.start for one, after in pairwise(periods))
    outbox.close()


async def test_without_slack_it_is_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    poster = poster_of(Settings(), object())
    assert isinstance(poster, ConsoleDigests)
    now = [NINE - 1]
    run = DigestRun(Settings(state_dir=tmp_path, digest_weekly="mon 09:00"), outbox, poster, lambda: now[0])
    await run.step()
    now[0] = NINE
    await run.step()
    assert "The week to Mon 2 Mar 09:00 UTC: 0 incidents opened" in capsys.readouterr().out
    outbox.close()


def test_dollars_count_once_however_often_their_batch_comes(tmp_path: Path) -> None:
    """Three days in one batch, which comes again whole, in parts and in another order; a late part is new."""
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    base = windows()[0].model_copy(update={"signal": SignalName.COST, "n": 10, "total": 2.5, "unmeasured": 1})
    hours = [
        base.model_copy(update={"start": NINE + n * HOUR, "end": NINE + (n + 1) * HOUR}) for n in range(72)
    ]
    outbox.commit(Batch(windows=hours), NINE)
    once = daily_spend(outbox.db)
    assert sum(row[2] for row in once) == pytest.approx(72 * 2.5)
    for again in (hours, hours[:20], hours[10:50], hours[::-1]):
        outbox.commit(Batch(windows=again), NINE)
        assert daily_spend(outbox.db) == once
    late = hours[3].model_copy(update={"part": 1})
    for _ in range(2):
        outbox.commit(Batch(windows=[late]), NINE)
        assert sum(row[2] for row in daily_spend(outbox.db)) == pytest.approx(73 * 2.5)
    outbox.close()


def test_dollars_of_forgotten_windows_stay_with_their_day(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    base = windows()[0].model_copy(update={"signal": SignalName.COST, "n": 10, "total": 2.5, "unmeasured": 1})
    step = 300_000
    for number in range(4 * 288):
        start = NINE + number * step
        one = base.model_copy(update={"start": start, "end": start + step})
        outbox.commit(Batch(windows=[one, one]), NINE)  # it comes twice
    day = NINE // 86_400_000
    rows = daily_spend(outbox.db)
    assert {row[1]: row[3] for row in rows}[day + 1] == 288
    assert {row[1]: row[2] for row in rows}[day + 1] == pytest.approx(288 * 2.5)
    assert sum(row[2] for row in rows) == pytest.approx(4 * 288 * 2.5)
    kept = outbox.db.execute("select count(*) from windows").fetchone()[0]
    assert kept == KEEP_MS // step + 1
    outbox.close()


def test_the_command_makes_one_now(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    outbox.commit(Batch(incidents=[SAMPLES["faithfulness"]]), NINE)
    found = made(Settings(state_dir=tmp_path), Period.WEEKLY, NINE)
    assert "eval store can't be read here" in found.cases_why
    done = CliRunner().invoke(app, ["digest", "--weekly", "--state", str(tmp_path)])
    outbox.close()
    assert done.exit_code == 0, done.output
    assert "Worst signals" in done.output
    assert "P2 faithfulness on billing-assistant 0.92 → 0.80" in " ".join(done.output.split())
    nothing = CliRunner().invoke(app, ["digest", "--state", str(tmp_path / "none")])
    assert "no such file" in str(nothing.exception)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("digest_daily", "9"),
        ("digest_weekly", "09:00"),
        ("digest_weekly", "mon 24:00"),
        ("digest_zone", "Mars"),
    ],
)
def test_wrong_times_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings(**{name: value})  # type: ignore[arg-type]
