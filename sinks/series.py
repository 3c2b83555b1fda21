"""The last day of every signal, by window: what an alert's line of blocks and its chart are drawn from."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from schemas.identity import derive
from schemas.incident import Incident
from schemas.signal import SignalName, WindowStat
from sinks.charts.data import Level, Mark, Point, SignalChart, Span
from sinks.phrases import dimension

KEEP_MS = 26 * 3_600_000
"""A day, and what a chart may begin before its first full hour."""
SHOWN_MS = 24 * 3_600_000
LEAST_MS = 2 * 3_600_000
QUARTERS = 4
HOUR_MS = 3_600_000
OF = {
    SignalName.COST_PER_SUCCESS: SignalName.COST,
    SignalName.SPEND: SignalName.COST,
    SignalName.VOLUME: SignalName.COST,
    SignalName.GROUNDED: SignalName.FAITHFULNESS,
    SignalName.UNSCORED: SignalName.FAITHFULNESS,
}
"""Whose windows hold what a signal without its own is made of."""


Stored = tuple[str, str, str, str, int, int, int, int, float, int, int]
"""A row of the table; its first six are its key."""


def keep(db: sqlite3.Connection, windows: Iterable[WindowStat], now: int) -> None:
    """Adds windows at wall time ``now`` (epoch ms), and forgets what is older than a day before the newest of
    their app.

    A part that comes twice counts once. The dollars of what is forgotten are added to their day, and their
    keys are kept with those of absorbed events, so that they count once when a batch comes again, too.
    """
    rows: list[Stored] = [
        (
            w.app,
            w.environment,
            w.route,
            w.signal.value,
            w.start,
            w.part,
            w.end,
            w.n,
            w.total,
            w.unmeasured,
            w.low,
        )
        for w in windows
        if w.n or w.unmeasured
    ]
    if not rows:
        return
    oldest = {app: _oldest(db, app, rows) for app in {row[0] for row in rows}}
    rows = [row for row in rows if row[4] >= oldest[row[0]] or not _counted(db, row)]
    db.executemany("insert or replace into windows values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    for app, first in oldest.items():
        # What goes is added to its day, once: the three belong to one transaction.
        gone = db.execute(
            "select app, environment, route, signal, start, part from windows where app = ? and start < ?"
            " and signal = ?",
            (app, first, SignalName.COST.value),
        ).fetchall()
        db.executemany(
            "insert or ignore into absorbed (id, at) values (?, ?)", [(_id(*one), now) for one in gone]
        )
        db.execute(
            "insert into spend (app, day, dollars, requests, unpriced)"
            " select app, start / 86400000, sum(total), sum(n), sum(unmeasured) from windows where app = ?"
            " and start < ? and signal = ? group by 1, 2"
            " on conflict do update set dollars = dollars + excluded.dollars,"
            " requests = requests + excluded.requests, unpriced = unpriced + excluded.unpriced",
            (app, first, SignalName.COST.value),
        )
        db.execute("delete from windows where app = ? and start < ?", (app, first))


def _oldest(db: sqlite3.Connection, app: str, rows: Iterable[Stored]) -> int:
    """Where what is kept of ``app`` begins, once ``rows`` are in."""
    (newest,) = db.execute("select max(start) from windows where app = ?", (app,)).fetchone()
    mine = [row[4] for row in rows if row[0] == app]
    return max(mine if newest is None else [*mine, newest]) - KEEP_MS


def _counted(db: sqlite3.Connection, row: Stored) -> bool:
    """Whether the dollars of a row that is no longer kept are in their day's sum already."""
    if row[3] != SignalName.COST.value:
        return False
    known = db.execute("select 1 from absorbed where id = ?", (_id(*row[:6]),)).fetchone()
    return known is not None


def _id(app: str, environment: str, route: str, signal: str, start: int, part: int) -> str:
    return derive("spent", app, environment, route, signal, start, part)


def daily_spend(db: sqlite3.Connection) -> list[tuple[str, int, float, int]]:
    """App, UTC day (since 1970), dollars, requests without a price: what is kept by day, and the windows."""
    rows = db.execute(
        "select app, day, sum(dollars), sum(unpriced) from ("
        " select app, day, dollars, unpriced from spend union all"
        " select app, start / 86400000, total, unmeasured from windows where signal = ?)"
        " group by app, day order by app, day",
        (SignalName.COST.value,),
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def points(
    db: sqlite3.Connection, of: tuple[str, str, str], signal: SignalName, first: int, last: int
) -> list[Point]:
    """The windows of a signal of a segment that begin in ``[first, last)``, by time, in the signal's unit.

    Volume is requests an hour, spend dollars a window. Empty for what is kept in no windows: changes, what is
    declared of a user or an index, and routes that are watched together.
    """
    rows = db.execute(
        "select start, max(end), sum(n), sum(total), sum(unmeasured), sum(low) from windows"
        " where app = ? and environment = ? and route = ? and signal = ? and start >= ? and start < ?"
        " group by start order by start",
        (*of, OF.get(signal, signal).value, first, last),
    ).fetchall()
    if signal is SignalName.COST_PER_SUCCESS:
        tasks = {one.start: one for one in points(db, of, SignalName.TASK_FAILURE, first, last)}
        return [
            Point(start, end, round(tasks[start].n - tasks[start].total), total)
            for start, end, _, total, _, _ in rows
            if start in tasks
        ]
    return [_point(signal, *row) for row in rows]


def _point(
    signal: SignalName, start: int, end: int, n: int, total: float, unmeasured: int, low: int
) -> Point:
    match signal:
        case SignalName.VOLUME:
            return Point(start, end, 1, (n + unmeasured) * HOUR_MS / (end - start))
        case SignalName.SPEND:
            return Point(start, end, 1, total)
        case SignalName.GROUNDED:
            return Point(start, end, n, float(n - low))
        case SignalName.UNSCORED:
            return Point(start, end, n + unmeasured, float(unmeasured))
    return Point(start, end, n, total)


def recent(db: sqlite3.Connection, incident: Incident) -> list[Point]:
    """The incident's own signal up to its latest alarm or recovery: so far back that the onset is in the last
    quarter, but two hours at least and a day at most.

    Windows close minutes after an alarm can be decided, those of rates a quarter of an hour: what they do not
    reach yet is filled with the alarm's own mean, or the picture would show that nothing has happened.
    """
    mine = next((one for one in incident.members if one.identity == incident.identity), None)
    last = incident.detected_at if mine is None else max(mine.last_at, mine.recovered_at or 0)
    span = min(max(QUARTERS * (last - incident.onset), LEAST_MS), SHOWN_MS)
    of = incident.app, incident.environment, incident.route
    found = points(db, of, incident.signal, last - span, last + 1)
    if mine is None or mine.value is None or mine.recovered or not found:
        return found
    begin = max(found[-1].end, incident.onset)
    if begin <= mine.last_at:
        n = 1 if incident.signal in (SignalName.VOLUME, SignalName.SPEND) else max(mine.n, 1)
        found.append(Point(begin, mine.last_at + 1, n, n * mine.value))
    return found


def reach(db: sqlite3.Connection, incident: Incident) -> float | None:
    """The part of the app's requests, in its environment, that is on the incident's route: over the day up to
    its latest alarm. None for the only route, for routes watched together, and where none was counted."""
    last = max([one.last_at for one in incident.members] + [incident.detected_at])
    rows = db.execute(
        "select route, sum(n + unmeasured) from windows where app = ? and environment = ? and signal = ?"
        " and start >= ? and start <= ? group by route",
        (incident.app, incident.environment, SignalName.COST.value, last - SHOWN_MS, last),
    )
    counted = {row[0]: row[1] for row in rows if row[1]}
    if len(counted) < 2 or incident.route not in counted:
        return None
    return float(counted[incident.route] / sum(counted.values()))


def chart(incident: Incident, shown: list[Point]) -> SignalChart:
    """What the chart of an incident shows: the signal, its baseline, alarms, and changes near the onset."""
    first, last = shown[0].start, shown[-1].end
    mine = [one for one in incident.members if one.identity == incident.identity]
    levels = () if incident.baseline is None else (Level(first, last, incident.baseline),)
    return SignalChart(
        rule=incident.rule,
        signal=incident.signal,
        app=incident.app,
        environment=incident.environment,
        route=incident.route,
        points=tuple(shown),
        levels=levels,
        alarms=tuple(one.detected_at for one in mine),
        incidents=tuple(Span(one.onset, max(one.last_at, one.recovered_since or 0), "") for one in mine),
        changes=tuple(
            Mark(note.onset, f"{dimension(note.cause)} {note.cause.current or 'gone'}")
            for note in incident.evidence
            if note.cause is not None
        ),
    )
