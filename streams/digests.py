"""Digests from notify's file, the rules and, where it can be read here, the eval store."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable

from detectors.digest import CASES, LENGTH_MS, LOOK_BACK_DAYS, DaySpend, Seen, digest, latest_due
from schemas.calibration import Calibrations
from schemas.digest import Digest, NewCases, Period
from schemas.incident import Incident
from schemas.lifecycle import LabelRecord
from schemas.signal import Standing
from sinks.console import ConsoleSink
from sinks.digests import Digests, Poster
from sinks.outbox import Outbox
from sinks.outbox_schema import connect_read_only
from sinks.series import daily_spend
from sinks.slack.client import SlackSink
from streams.rules_file import load_rules
from streams.settings import Settings

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
SECONDS = 5.0


def made(settings: Settings, period: Period, end: int, start: int | None = None) -> Digest:
    """The digest of the period from ``start`` to ``end`` (epoch ms), read beside notify's owner.

    Without ``start`` the period is 24 hours or seven days.

    Raises ``FileNotFoundError`` or ``sqlite3.Error`` where its file can't be read.
    """
    db = connect_read_only(settings.state_dir / "notify.sqlite")
    try:
        start = end - LENGTH_MS[period] if start is None else start
        cases, in_all, why = new_cases(settings, start, end)
        known = seen(db, end)._replace(cases=cases, cases_in_all=in_all, cases_why=why)
        return digest(period, end, load_rules(settings.rules), known, start)
    finally:
        db.close()


def seen(db: sqlite3.Connection, end: int) -> Seen:
    """What notify knows: incidents of the last thirty days and open ones, labels, spend, what rules cover."""
    since = end - LOOK_BACK_DAYS * DAY_MS
    incidents = db.execute(
        "select body from incidents where resolved = 0 or last_at >= ? order by detected_at, id", (since,)
    )
    labels = db.execute("select body from labels where time < ? order by time, incident_id", (end,))
    standings = db.execute(
        "select body from standings as s where at = (select max(at) from standings as o where o.app = s.app"
        " and o.environment = s.environment and o.route = s.route)"
    ).fetchall()
    told = db.execute("select body from calibrations").fetchone()
    covers: dict[str, int] = {}
    for row in standings:
        for rule in {one.rule for one in Standing.model_validate_json(row["body"]).watched}:
            covers[rule] = covers.get(rule, 0) + 1
    return Seen(
        [Incident.model_validate_json(row["body"]) for row in incidents],
        [LabelRecord.model_validate_json(row["body"]) for row in labels],
        [DaySpend(*row) for row in daily_spend(db)],
        covers if standings else None,
        (),
        calibrations=Calibrations.model_validate_json(told["body"]) if told else None,
    )


def new_cases(settings: Settings, start: int, end: int) -> tuple[list[NewCases], int, str]:
    """The clusters of failures first seen in the period, the highest rank first, and how many there are; or
    why that is not known."""
    from sinks.evalstore import StoreError, new_clusters, open_for_reading

    try:
        con = open_for_reading(settings.store_file(), end)
    except StoreError as error:
        return [], 0, f"The eval store can't be read here: {error}"
    try:
        found, in_all = new_clusters(con, start, end, CASES)
    finally:
        con.close()
    cases = [
        NewCases(
            cluster_id=one.cluster_id,
            app=one.app,
            cases=one.cases,
            reasons=tuple(one.reasons),
            question=one.question or "",
        )
        for one in found
    ]
    return cases, in_all, ""


class DigestRun:
    """Owes each digest when it is due and posts it, when no page is owed; for notify."""

    def __init__(self, settings: Settings, outbox: Outbox, poster: Poster, now: Callable[[], int]) -> None:
        self.settings, self.outbox, self.poster, self.now = settings, outbox, poster, now
        self.digests = Digests(outbox)
        self.wanted = {
            period: when
            for period, when in (
                (Period.DAILY, settings.digest_daily),
                (Period.WEEKLY, settings.digest_weekly),
            )
            if when
        }

    async def step(self) -> None:
        now = self.now()
        for period, when in self.wanted.items():
            zone = self.settings.digest_zone
            due = latest_due(period, when, zone, now)
            if not self.digests.known(period, due):
                # Reading the store and a month of incidents may take a second: beside the loop.
                start = latest_due(period, when, zone, due - 1)
                self.digests.owe(await asyncio.to_thread(made, self.settings, period, due, start))
        if not self.outbox.rows.due(now):
            await self.digests.step(self.poster, now)

    async def run(self, stop: asyncio.Event) -> None:
        if not self.wanted:
            return
        self.digests.recover(self.now())
        while not stop.is_set():
            try:
                await self.step()
            except Exception:
                log.exception("notify: a digest failed, goes on")
            try:
                await asyncio.wait_for(stop.wait(), SECONDS)
            except TimeoutError:
                pass


def poster_of(settings: Settings, sink: object) -> Poster:
    """Slack where pages go to Slack, else the console."""
    if isinstance(sink, SlackSink):
        from sinks.slack.digest_poster import SlackDigests

        return SlackDigests(sink, settings.digest_channel or settings.slack_channel)
    from sinks.console_digest import ConsoleDigests

    return ConsoleDigests(sink.console if isinstance(sink, ConsoleSink) else None)
