"""An incident in words, for every receiver: plain text that no receiver has escaped yet.

Foreign text (names of apps, models, prompts, excerpts) is cleaned and cut here, and must still be
escaped by whoever renders it.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.catalog import CATALOG, Measure
from schemas.incident import CasePreview, Incident, IncidentState, Note
from schemas.lifecycle import Resolution
from schemas.observation import EVERY_ROUTE
from schemas.signal import Cause, SignalName
from sinks.calibration_words import trust
from sinks.clean import clean, cut
from sinks.numbers import clock, duration, one_in, percent, significant, value
from sinks.phrases import ORDINARY, SIGNALS, UNITS, VERBS, capital, dimension, how, likely, move, numbers
from sinks.standing import ended, held_back, is_own, recovery

SHORT_ID = 8
"""Characters of a case's id that a message shows: enough for `gleaner cases show`."""
LOCK_SCREEN = 150
"""Characters of the line that a locked phone shows."""


@dataclass(frozen=True)
class Fact:
    """A labelled fact; ``at`` (epoch ms) is an instant that a receiver may show in the reader's own zone, in
    place of ``text``. ``more`` comes after either."""

    label: str
    text: str
    at: int | None = None
    more: str = ""

    @property
    def whole(self) -> str:
        return f"{self.text}{self.more}"


def headline(incident: Incident) -> str:
    """What, where, how much, since when and likely why, in at most 150 characters: it must suffice alone.

    Long names are shortened until it fits; the numbers never are.
    """
    text = ""
    for room in (48, 32, 22, 14, 8):
        text = _headline(incident, room)
        if len(text) <= LOCK_SCREEN:
            return text
    return cut(text, LOCK_SCREEN)


def _headline(incident: Incident, room: int) -> str:
    quiet = (IncidentState.FIRING, IncidentState.PENDING)
    state = "" if incident.state in quiet else f" {incident.state.value}"
    where = clean(incident.app, room)
    if incident.environment not in ORDINARY:
        where += f" ({clean(incident.environment, room)})"
    since = clock(incident.onset, incident.detected_at)
    start = f"{incident.severity.value}{state} · {SIGNALS[incident.signal]} on {where}"
    if incident.value is None or incident.baseline is None:
        if incident.signal is SignalName.SERVED_MODEL and incident.cause is not None:
            return f"{start} changed {move(incident.cause, room)} at {since}."
        moved = VERBS.get(incident.direction, "moved")
    else:
        moved = numbers(incident)
    until = ended(incident)
    if until is not None:
        back = clock(until, incident.onset)
        return f"{start} {moved}, from {since} to {back}, {likely(incident.cause, room)}."
    return f"{start} {moved} since {since}, {likely(incident.cause, room)}."


def title(incident: Incident) -> str:
    """The message's title: the signal, what it did, where."""
    verb = VERBS.get(incident.direction, "moved")
    name = SIGNALS[incident.signal]
    return f"{name[0].upper()}{name[1:]} {verb} on {clean(incident.app, 60)}"


def sentence(incident: Incident) -> str:
    """The move in units that people feel: the detector's own words, else ours from the numbers."""
    if incident.reason:
        said = clean(incident.reason, 320).rstrip(".")
        return f"{capital(said)}."
    now, normal = incident.value, incident.baseline
    if now is None or normal is None:
        return ""
    if incident.signal is SignalName.FAITHFULNESS:
        return (
            f"Of what the answers claim, {percent(max(0.0, 1 - now))} is not supported by their sources;"
            f" normally {percent(max(0.0, 1 - normal))}."
        )
    about = CATALOG[incident.signal]
    if about.measure is Measure.RATE:
        return f"{capital(about.units)} {about.says}: {one_in(now)}; normally {one_in(normal)}."
    times = f", {significant(now / normal, 2)} times as much" if normal > 0 else ""
    what = "A request costs" if about.measure is Measure.DOLLARS else f"{capital(about.noun)}:"
    return (
        f"{what} {value(incident.signal, now, normal)}{times};"
        f" normally {value(incident.signal, normal, now)}."
    )


def facts(incident: Incident) -> list[Fact]:
    """Now, baseline, since when, where, whose."""
    found = []
    units = UNITS[incident.signal]
    if incident.value is not None:
        now = value(incident.signal, incident.value, incident.baseline) + _interval(incident)
        if incident.n > 1:
            now += f" over {incident.n:,} {units}"
        worst = value(incident.signal, incident.peak, incident.value)
        if incident.peak is not None and incident.peak != incident.value:
            now += f"; worst {worst}"
        found.append(Fact("Now", now))
    if incident.baseline is not None:
        normal = value(incident.signal, incident.baseline, incident.value)
        if incident.baseline_n:
            normal += f" over {incident.baseline_n:,} {units}"
        if incident.baseline_note:
            normal += f" ({clean(incident.baseline_note, 120)})"
        found.append(Fact("Baseline", normal))
    found.append(Fact("Since", clock(incident.onset), incident.onset, _surely(incident)))
    if (back := recovery(incident)) is not None:
        found.append(Fact("Recovered", back))
    where = [clean(incident.app, 80), clean(incident.environment, 40)]
    if incident.route == EVERY_ROUTE:
        where.append("routes of little traffic, together")
    elif incident.route:
        where.append(f"route {clean(incident.route, 80)}")
    found.append(Fact("Where", " · ".join(where)))
    if incident.owner:
        found.append(Fact("Owner", clean(incident.owner, 120)))
    return found


def _interval(incident: Incident) -> str:
    low, high = incident.value_from, incident.value_to
    if low is None or high is None:
        return ""
    return f" (95%: {value(incident.signal, low, high)} to {value(incident.signal, high, low)})"


def _surely(incident: Incident) -> str:
    """How surely that is when it began, and how long it took to see."""
    parts = []
    first, last = incident.onset_from, incident.onset_to
    if first is not None and last is not None:
        # Distances, not times: the instant before them is shown in the reader's zone, these could not be.
        before, after = duration(max(incident.onset - first, 0)), duration(max(last - incident.onset, 0))
        parts.append(f"90% sure: up to {before} before, {after} after")
    alarms = max((one.alarms for one in incident.members if is_own(one, incident)), default=1)
    again = f", {alarms} alarms so far" if alarms > 1 else ""
    parts.append(f"seen {duration(incident.detected_at - incident.onset)} later{again}")
    return "; " + "; ".join(parts)


def why(incident: Incident, most: int = 3) -> list[str]:
    """What explains the move, how surely, and what doesn't; of other changes the ``most`` latest."""
    lines = []
    cause = incident.cause
    mine = [note for note in incident.evidence if cause and note.cause and _same(note.cause, cause)]
    if cause is None:
        lines.append("Nothing that Gleaner compares explains it.")
    elif cause.share is not None:
        part = f"explains {percent(cause.share)} of the move{how(cause)}"
        lines.append(f"{capital(dimension(cause))} {move(cause)} {part}{_when(mine, incident)}.")
    else:
        lines.append(f"Consistent with {dimension(cause)} {move(cause)}{_when(mine, incident)}.")
    if incident.ruled_out:
        names = ", ".join(clean(name, 200).replace("_", " ") for name in incident.ruled_out[:8])
        more = f", and {left} more" if (left := len(incident.ruled_out) - 8) > 0 else ""
        lines.append(f"Ruled out: {names}{more}.")
    others = [note for note in incident.evidence if note not in mine]
    lines += [f"Also changed at {clock(note.onset)}: {_note(note)}." for note in others[-most:]]
    if (left := len(others) - most) > 0:
        lines.append(f"And {left} more that changed before: gleaner incidents explain {incident.id[:8]}")
    return lines


def _same(one: Cause, other: Cause) -> bool:
    return (one.dimension, one.current) == (other.dimension, other.current)


def _note(note: Note) -> str:
    if note.cause is not None:
        return f"{dimension(note.cause)} {move(note.cause)}"
    return clean(note.reason, 160).rstrip(".")


def _when(notes: list[Note], incident: Incident) -> str:
    """How the change's time stands to the onset, where the change itself was seen."""
    if not notes:
        return ""
    at = min((note.onset for note in notes), key=lambda time: abs(time - incident.onset))
    distance = abs(at - incident.onset)
    if distance < 60_000:
        return "; first seen at the estimated onset"
    side = "before" if at < incident.onset else "after"
    return f"; first seen {duration(distance)} {side} the estimated onset"


def also(incident: Incident, most: int | None = None) -> list[str]:
    """The other members: what moved with it. Of more than ``most`` lines the last says how many are not."""
    lines = []
    for member in incident.members:
        if is_own(member, incident):
            continue
        moved = numbers(member) if member.value is not None and member.baseline is not None else "changed"
        if member.user:
            moved = f"by user {clean(member.user, 40)} at {value(member.signal, member.value)}"
        route = f" on route {clean(member.route, 40)}" if member.route != incident.route else ""
        back = "; recovered" if member.recovered else ""
        lines.append(
            f"{capital(SIGNALS[member.signal])}{route} {moved} since {clock(member.onset, incident.onset)}"
            f" ({member.severity.value}, rule {clean(member.rule, 60)}{back})"
        )
    lines += held_back(incident)
    if most is not None and len(lines) > most:
        left = len(lines) - most + 1
        lines = [*lines[: most - 1], f"and {left} more: gleaner incidents show {incident.id[:8]}"]
    return lines


def case_line(case: CasePreview) -> str:
    """A case without its excerpt: score or cost, why it failed, trace and case id."""
    parts = []
    if case.score is not None:
        parts.append(f"score {case.score:.2f}")
    if case.cost is not None:
        parts.append(f"${significant(case.cost, 2)}")
    parts += [clean(reason, 40).replace("_", " ") for reason in case.reasons[:3]]
    parts += [f"trace {clean(case.trace_id, 64)}", f"case {clean(case.case_id, 40)[:SHORT_ID]}"]
    return " · ".join(parts)


def excerpt(case: CasePreview) -> str:
    return clean(case.excerpt, 300)


def has_cases(incident: Incident) -> bool:
    """Whether there is anything to say of cases: of a silence or a judge's outage no case is ever made."""
    return bool(incident.cases or incident.examples or CATALOG[incident.signal].cases)


def to_do(incident: Incident) -> bool:
    """Whether there is still something to do first: not of what a person has called no problem."""
    return incident.resolution is not Resolution.NOT_A_PROBLEM


def no_cases(incident: Incident) -> str:
    """What to look at where no case has come yet: the traces that the detector itself named."""
    if incident.examples:
        return "No case yet; the detector's own: " + ", ".join(
            clean(one, 64) for one in incident.examples[:3]
        )
    return "No failing case has been harvested yet."


def footer(incident: Incident) -> str:
    """Provenance: what to quote, how often its like has been, how often this rule may be wrong, and how far
    whoever scores can be trusted."""
    parts = [f"incident {incident.id}", f"rule {clean(incident.rule, 80)}"]
    if incident.recurs and incident.recurred_at is not None:
        false = f", {incident.recurs_false} of them called no problem" if incident.recurs_false else ""
        parts.append(f"{incident.recurs} like it before, the last on {clock(incident.recurred_at)}{false}")
    if incident.budget:
        parts.append(f"budget: {clean(incident.budget, 120)}")
    if incident.calibration is not None:
        parts.append(trust(incident.calibration))
    return " · ".join(parts)
