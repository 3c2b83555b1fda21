"""A digest in words, section by section: plain text that no receiver has escaped yet."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.digest import Digest, Period, RuleRecord, Spend, Worst
from schemas.incident import IncidentState
from sinks.calibration_words import trust
from sinks.clean import clean
from sinks.numbers import clock, significant, value
from sinks.phrases import ORDINARY, SIGNALS, capital

NAMES = {Period.DAILY: "the day", Period.WEEKLY: "the week"}
LINES = 8
"""So many of a section are shown."""
SINCE = {Period.DAILY: "1d", Period.WEEKLY: "7d"}
Section = tuple[str, list[str]]
"""A heading and its lines."""


def title(digest: Digest) -> str:
    """``The week to Mon 2 Mar``: what is told of."""
    end = datetime.fromtimestamp(digest.end / 1000, UTC)
    return f"{capital(NAMES[digest.period])} to {end:%a} {end.day} {end:%b %H:%M} UTC"


def headline(digest: Digest) -> str:
    """What a locked phone shows of it."""
    opened = f"{digest.opened} incident{'' if digest.opened == 1 else 's'} opened"
    cost = sum(one.period for one in digest.spend)
    spent = f", ${significant(cost, 3)} spent" if digest.spend else ""
    return f"{title(digest)}: {opened}, {digest.resolved} resolved, {digest.still_open} open{spent}."


def sections(digest: Digest) -> list[Section]:
    """What there is to say, in the order of reading; a heading without lines is left out."""
    false = [_false(one) for one in digest.rules if one.false]
    never = [_never(one) for one in digest.rules if not one.incidents]
    worst = [_worst(one) for one in digest.worst]
    quiet = [_quiet(one.app, SIGNALS[one.signal], one.why) for one in digest.quiet]
    spent = [_spend(one) for one in digest.spend]
    cases = [_cases(one.app, one.cases, one.reasons, one.question) for one in digest.cases]
    scores = [f"{clean(one.app, 48)}, {trust(one)}" for one in digest.calibrations]
    if digest.calibrations_known and not scores:
        scores = ["Nobody has reviewed a low score: gleaner cases list --reason low_score --by-rank"]
    days = f"{digest.looked_back_days} days"
    since = SINCE[digest.period]
    found: list[Section] = [
        ("Worst signals", _first(worst, digest.worst_more, "gleaner incidents list")),
        ("Kept quiet, and why", _first(quiet, digest.quiet_more, "gleaner incidents list")),
        (f"Called no problem, in {days}", _first(false, 0, "gleaner incidents labels")),
        (f"Rules that have not fired in {days}", _first(never, 0, "gleaner digest --json")),
        ("Scores, as reviewers see them", _first(scores, digest.calibrations_more, "gleaner scorers")),
        ("Spend", _first(spent, digest.spend_more, "gleaner signals")),
        (
            "New failures",
            _first(cases, digest.cases_more, f"gleaner cases list --clusters --since {since}"),
        ),
    ]
    otherwise = {
        "Worst signals": "No incident was open.",
        "Spend": "No priced request.",
        "New failures": clean(digest.cases_why, 200) or "No new kind of failure.",
    }
    told = [
        (heading, lines or [otherwise[heading]] if heading in otherwise else lines)
        for heading, lines in found
    ]
    return [(heading, lines) for heading, lines in told if lines]


def _first(lines: list[str], more: int, see: str) -> list[str]:
    """As many as every receiver shows, the last of them the number of those that are not, and who tells them.

    ``more`` there are beyond ``lines``; ``see`` is the command that shows all.
    """
    if not more and len(lines) <= LINES:
        return lines
    shown = lines[: LINES - 1]
    return [*shown, f"and {len(lines) - len(shown) + more:,} more: {see}"]


def _worst(one: Worst) -> str:
    where = clean(one.app, 48) + (
        f" ({clean(one.environment, 24)})" if one.environment not in ORDINARY else ""
    )
    moved = ""
    if one.baseline is not None and one.peak is not None:
        before, at_worst = (
            value(one.signal, one.baseline, one.peak),
            value(one.signal, one.peak, one.baseline),
        )
        moved = f" {before} → {at_worst} at worst"
    state = "resolved" if one.state is IncidentState.RESOLVED else one.state.value
    name = f"{one.severity.value} {SIGNALS[one.signal]}"
    return f"{name} on {where}{moved} since {clock(one.onset)}, {state} ({one.incident_id[:8]})"


def _quiet(app: str, signal: str, why: str) -> str:
    return f"{capital(signal)} on {clean(app, 48)}: {clean(why, 160)}"


def _false(one: RuleRecord) -> str:
    right = 1.0 - one.false / one.incidents
    return (
        f"{clean(one.rule, 80)}: {one.false} of {one.incidents} incidents;"
        f" precision at most {right * 100:.0f}%"
    )


def _never(one: RuleRecord) -> str:
    if one.covers == 0:
        return f"{clean(one.rule, 80)}: watches no segment"
    watched = "" if one.covers is None else f": watches {one.covers} segment{'' if one.covers == 1 else 's'}"
    return f"{clean(one.rule, 80)}{watched}"


def _spend(one: Spend) -> str:
    said = (
        f"{clean(one.app, 48)}: ${significant(one.period, 3)} in {one.days} day{'' if one.days == 1 else 's'}"
    )
    if one.month is not None and one.daily is not None:
        said += f"; the month comes to ${significant(one.month, 3)} at ${significant(one.daily, 3)} a day"
    else:
        said += "; too few days for a forecast"
    if one.unpriced:
        said += f"; {one.unpriced:,} requests without a price"
    return said


def _cases(app: str, cases: int, reasons: tuple[str, ...], question: str) -> str:
    why = ", ".join(clean(reason, 40).replace("_", " ") for reason in reasons[:3])
    asked = f": {clean(question, 120)}" if question else ""
    return f"{clean(app, 48)}, {cases} case{'' if cases == 1 else 's'} ({why}){asked}"
