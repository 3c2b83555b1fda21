"""``gleaner incidents explain --rule R --segment S --at T``: why a rule fired then, or why it did not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from detectors.silence import Answer, Known, Silence, needed, silence
from schemas.base import rfc3339
from schemas.catalog import CATALOG
from schemas.incident import Incident
from schemas.signal import SignalName, Standing, Watched
from sinks.clean import clean
from sinks.numbers import duration, value
from sinks.outbox_schema import connect_read_only
from sinks.series import OF, points
from streams.commands.cases import parse_since
from streams.commands.fail import Failed
from streams.commands.incident_file import file_of, incidents, rows
from streams.event_clock import EventClock
from streams.rules_file import load_rules
from streams.settings import Settings
from streams.wall import now_ms

HOUR_MS = 3_600_000
CLOCKS = "select app, watermark, wall from clocks"
SHOWN = {
    Silence.NO_RULE: "There is no rule of that name.",
    Silence.ELSEWHERE: "The rule does not watch this segment.",
    Silence.FIRED: "It fired, and was told.",
    Silence.UNTOLD: "It fired, and was over (or waits for its fellows) before anybody was told.",
    Silence.HELD_BACK: "It fired, and was held back: another incident explains it.",
    Silence.MUTED: "It fired; somebody had muted or snoozed the incident.",
    Silence.RESOLVED: "It fired; somebody had ended the incident.",
    Silence.NO_DATA: "No data: not one unit came in the hour before.",
    Silence.LEARNING: "It is learning what is normal, and cannot fire yet.",
    Silence.TOO_FEW: "Its evidence is beyond the bound, on too few units to tell.",
    Silence.SMALL: "Something moved, by less than the rule's least effect.",
    Silence.BUDGET: "There is some evidence, and less than its budget of false pages asks for.",
    Silence.QUIET: "Nothing had moved.",
    Silence.NOT_KEPT: "What the detector knew at that time is not kept.",
}


def explain_silence(rule: str, segment: str, at: str | None, as_json: bool, state: Path | None) -> None:
    """Print why ``rule`` fired in ``segment`` at ``at``, or why it did not; for ``explain``."""
    parts = segment.split("/", 2)
    if len(parts) != 3 or not all(parts):
        raise Failed("--segment: is APP/ENVIRONMENT/ROUTE, such as support-bot/production/chat")
    of = (parts[0], parts[1], parts[2])
    now = now_ms()
    when = now if at is None else parse_since(at, now, "--at")
    answer = silence(load_rules(Settings().rules), rule, of, when, _known(state, rule, of, when))
    if as_json:
        typer.echo(json.dumps(_data(answer, rule, of, when)))
        return
    console = Console()
    console.print(Text(f"{clean(rule, 80)} in {clean(segment, 200)} at {rfc3339(when)}", style="bold"))
    console.print(Text(SHOWN[answer.why]))
    for line in _lines(answer, when):
        console.print(Text(f"• {line}"))


def _known(state: Path | None, rule: str, of: tuple[str, str, str], at: int) -> Known:
    found = incidents(
        state,
        "select body from incidents where app = ? and environment = ? order by detected_at, id",
        [*of[:2]],
    )
    stood = rows(
        state,
        "select body from standings where app = ? and environment = ? and route = ? and at <= ?"
        " order by at desc limit 1",
        [*of, at],
    )
    standing = Standing.model_validate_json(stood[0]["body"]) if stood else None
    watched = _watched(standing, rule)
    signal = (
        watched.signal
        if watched
        else next((one.signal for one in load_rules(Settings().rules) if one.name == rule), None)
    )
    units, total, kept = _units(state, of, signal, at)
    return Known(found, watched, standing.at if standing else None, units, total, kept)


def _watched(standing: Standing | None, rule: str) -> Watched | None:
    """The rule's detector; of the two of cost per success the one that is nearer to its bound."""
    mine = [one for one in standing.watched if one.rule == rule] if standing else []
    return max(mine, key=lambda one: (one.evidence or 0.0) - (one.threshold or 0.0), default=None)


def _units(
    state: Path | None, of: tuple[str, str, str], signal: SignalName | None, at: int
) -> tuple[int, float, bool]:
    """Units and their sum in the hour before ``at``, and whether that hour is kept in windows."""
    if signal is None:
        return 0, 0.0, False
    with closing(connect_read_only(file_of(state))) as db:
        (first,) = db.execute(
            "select min(start) from windows where app = ? and environment = ? and route = ? and signal = ?",
            (*of, OF.get(signal, signal).value),
        ).fetchone()
        clock = EventClock({row["app"]: (row["watermark"], row["wall"]) for row in db.execute(CLOCKS)})
        upto = clock.at(of[0], now_ms())
        # What has not closed yet would look like no data.
        if first is None or first > at - HOUR_MS or upto is None or upto < at - HOUR_MS // 2:
            return 0, 0.0, False
        hour = points(db, of, signal, at - HOUR_MS, at)
    return sum(one.n for one in hour), sum(one.total for one in hour), True


def _lines(answer: Answer, at: int) -> Iterator[str]:
    rule, known, watched = answer.rule, answer.known, answer.known.watched
    if (incident := answer.incident) is not None and (member := answer.member) is not None:
        yield from _of_incident(incident, answer.why)
        times = f", the latest of {member.alarms} at {rfc3339(member.last_at)}" if member.alarms > 1 else ""
        yield f"it fired at {rfc3339(member.detected_at)}{times}"
        if member.evidence is not None and member.threshold is not None:
            yield f"at its latest alarm: {_evidence(member.evidence, member.threshold)}"
    if answer.instead:
        yield f"{answer.instead} watches its signal there: of learned rules the first that covers it counts"
    if rule is not None:
        units = CATALOG[rule.signal].units
        if not rule.pages:
            yield "it makes notes, never pages (page: false)"
        if known.windows:
            mean = f", mean {value(rule.signal, known.total / known.units)}" if known.units else ""
            yield f"the hour before: {known.units:,} {units}{mean}"
        if answer.incident is None and watched is not None and known.watched_at is not None:
            yield from _of_detector(answer, watched, known.watched_at, at)
    if answer.why is Silence.NOT_KEPT and known.watched_at is not None and watched is not None:
        yield f"the nearest record before is {duration(at - known.watched_at)} older"
    for name, time_of in (
        ("last fired before", answer.earlier),
        ("fired after that", answer.later),
    ):
        if time_of is not None and answer.incident is None:
            yield f"{name}: {rfc3339(time_of)}"


def _of_incident(incident: Incident, why: Silence) -> Iterator[str]:
    yield f"incident {incident.id}: gleaner incidents explain {incident.id[:8]}"
    if why is Silence.HELD_BACK and incident.inhibited is not None:
        by = incident.inhibited
        yield f"{by.signal.value} of incident {by.incident_id}: {by.why}"
    if why is Silence.MUTED:
        who = incident.muted_by or (incident.snooze.by if incident.snooze else "")
        if who:
            yield f"by {clean(who, 60)}"
    if why is Silence.RESOLVED and incident.resolved_by:
        yield f"by {clean(incident.resolved_by, 60)}"


def _of_detector(answer: Answer, watched: Watched, when: int, at: int) -> Iterator[str]:
    rule = answer.rule
    assert rule is not None
    units = CATALOG[rule.signal].units
    if watched.stage == "learning":
        yield f"{watched.seen:,} of {needed():,} {units} for a first baseline, at {rfc3339(when)}"
        return
    baseline = value(rule.signal, watched.baseline)
    yield f"baseline {baseline} over {watched.baseline_n:,} {units}, {watched.stage}"
    if watched.evidence is not None and watched.threshold is not None:
        yield f"at {rfc3339(when)}: {_evidence(watched.evidence, watched.threshold)}"
    if rule.budget:
        yield f"the bound follows from: {rule.budget}"
    if watched.waiting:
        yield f"{watched.waiting} {units} since the estimated change; the rule asks for {rule.min_units}"
    if watched.dropped_at is not None:
        least = f"least effect {rule.min_effect:g}"
        mean = value(rule.signal, watched.dropped_value, watched.baseline)
        last = rfc3339(watched.dropped_at)
        yield f"dropped as too small {watched.dropped} times, last at {last}: {mean} ({least})"


def _evidence(evidence: float, threshold: float) -> str:
    return f"evidence 10^{evidence:.2f} of the 10^{threshold:.2f} that it takes"


def _data(answer: Answer, rule: str, of: tuple[str, str, str], at: int) -> dict[str, Any]:
    known, incident = answer.known, answer.incident
    return {
        "rule": rule,
        "app": of[0],
        "environment": of[1],
        "route": of[2],
        "at": rfc3339(at),
        "why": answer.why.value,
        "says": SHOWN[answer.why],
        "incident_id": incident and incident.id,
        "instead": answer.instead or None,
        "units_in_the_hour_before": known.units if known.windows else None,
        "mean_in_the_hour_before": known.total / known.units if known.windows and known.units else None,
        "detector": known.watched and known.watched.model_dump(mode="json"),
        "detector_at": known.watched_at and rfc3339(known.watched_at),
        "last_fired_before": answer.earlier and rfc3339(answer.earlier),
        "next_fired_after": answer.later and rfc3339(answer.later),
    }
