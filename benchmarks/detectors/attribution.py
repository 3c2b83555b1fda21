"""How often the cause that was planted is named, and nothing where there was none."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from benchmarks.detectors.incidents import ABOVE, ADVERSE, CAUSED, UNCAUSED, Plant, Planted, Traffic
from benchmarks.detectors.observer import suspects
from benchmarks.detectors.protocol import in_parallel
from detectors.rules import DEFAULT_RULES, Rule
from detectors.segment import SegmentMonitors
from detectors.unit import Unit
from schemas.observation import Kind, Outcome, PriceStatus, Profile, TraceRow
from schemas.signal import Recovery, Severity, Signal, SignalName

SIGNALS = {"score": SignalName.FAITHFULNESS, "rate": SignalName.ESCALATION, "cost": SignalName.COST}
RULES = (*DEFAULT_RULES, Rule("cost_spike", SignalName.COST, Severity.P2, min_effect=0.05))
"""What runs by default, and cost per request, one side of cost per success, by itself."""
VOLUMES = (500, 2_000, 5_000)
"""Units a day."""
LEARNED = {500: 3_750, 2_000: 15_000, 5_000: 16_000}
"""Units after which the second baseline is pinned, by volume: a week, or three days and 5,000."""
CALM, HORIZON = 1_500, 12_000
"""Healthy units after that, and units in which the incident is to be found."""
FLUSH = 250


ALARMS = 6
"""Alarms of an incident after which its cause is settled, or none is."""


class Tried(NamedTuple):
    """One incident: what was planted, how far the mean moved in least effects of the rule, the time of its
    first unit, and the first alarms since (none: not found, or one came before).

    ``suspected``: whether an observer who knows the means would name the version that replaced another by
    the first alarm; None where none did, or none was found.
    """

    planted: Planted
    move: float
    time: int
    alarms: tuple[Signal, ...]
    early: bool
    suspected: bool | None = None

    def named(self, alarms: int) -> tuple[str, str] | None:
        """What the incident names after so many alarms: a cause, once found, is kept."""
        for alarm in self.alarms[:alarms]:
            if alarm.cause is not None:
                return alarm.cause.dimension, alarm.cause.current or ""
        return None

    @property
    def onset_held(self) -> bool | None:
        """Whether the range that was told has the true beginning; None where none was told."""
        first = self.alarms[0] if self.alarms else None
        if first is None or first.onset_from is None or first.onset_to is None:
            return None
        return first.onset_from <= self.time <= first.onset_to


def attempt(plant: Plant, signal: str, seed: int) -> Tried:
    """Learn, stay calm, break; feed it as the stream's owner would, until the signal's sixth alarm."""
    rng = np.random.default_rng(seed)
    per_day = int(rng.choice(VOLUMES))
    change = LEARNED[per_day] + CALM
    traffic = Traffic(rng, signal, change + HORIZON, per_day)
    planted = plant(traffic, change)
    drawn, profiles, at = traffic.ys(), traffic.profiles(), traffic.at.tolist()
    ys = drawn.tolist()
    users = [f"u{user}" for user in traffic.user.tolist()]
    segment = SegmentMonitors("app", "prod", "chat", RULES)
    announced, alarms = list(planted.announced), []
    for start in range(0, len(ys), FLUSH):
        part = slice(start, start + FLUSH)
        while announced and announced[0][0] <= at[min(start + FLUSH, len(at)) - 1]:
            segment.on_change(*announced.pop(0))
        units: list[Unit] = [
            (time, y, f"t{start + place}", profile, user)
            for place, (time, y, profile, user) in enumerate(
                zip(at[part], ys[part], profiles[part], users[part], strict=True)
            )
        ]
        alarms += [one for one in _feed(segment, signal, units) if one.signal is SIGNALS[signal]]
        if alarms and alarms[0].detected_at < at[change]:
            return Tried(planted, traffic.move, at[change], (), True)
        if len(alarms) >= ALARMS:
            break
    suspected = None
    if alarms and planted.arrived is not None:
        upto = int(np.searchsorted(traffic.at, alarms[0].detected_at))
        suspected = suspects(drawn, signal, change, planted.arrived, upto, CALM)
    return Tried(planted, traffic.move, at[change], tuple(alarms[:ALARMS]), False, suspected)


def _feed(segment: SegmentMonitors, signal: str, units: list[Unit]) -> list[Signal]:
    costs = signal == "cost"
    rows = [_row(time, trace, user, y if costs else None) for time, y, trace, _, user in units]
    profiles: list[Profile] = [unit[3] for unit in units]
    found: list[Signal | Recovery] = [one for _, one in segment.on_traces(rows, profiles, 1).signals]
    if signal == "score":
        scored: list[Unit] = [(unit[0], 1.0 - unit[1], *unit[2:]) for unit in units]
        found += segment.on_scores(scored, "ragas_faithfulness", 1)
    elif signal == "rate":
        escalated = Outcome.ESCALATED.value
        decided = [
            (time, escalated if y else 0, trace, profile, user) for time, y, trace, profile, user in units
        ]
        found += segment.on_conversations(decided, 0, 1)
    return [one for one in found if isinstance(one, Signal)]


def _row(time: int, trace_id: str, user: str | None, cost: float | None) -> TraceRow:
    status = PriceStatus.NO_USAGE if cost is None else PriceStatus.PRICED
    return TraceRow(
        time, trace_id, Kind.TRACE, 0, 0, 0, 0, None, user, 0, cost, status, None, None, None, None
    )


class Shares(NamedTuple):
    """What became of ``found`` incidents out of ``tried``."""

    tried: int
    found: int
    right: int
    another: int
    nothing: int


def tally(tried: list[Tried], alarms: int = ALARMS) -> Shares:
    found = [one for one in tried if one.alarms]
    right = sum([one.named(alarms) in one.planted.causes for one in found])
    nothing = sum([one.named(alarms) is None for one in found])
    return Shares(len(tried), len(found), right, len(found) - right - nothing, nothing)


def interval(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share (JASA 22, 1927).

    >>> [round(end, 3) for end in interval(95, 100)]
    [0.888, 0.978]
    """
    if n == 0:
        return 0.0, 1.0
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return middle - half, middle + half


SIZES = ((ABOVE, 1.5), (1.5, 3.0), (3.0, 10.0), (10.0, math.inf))
"""Moves in least effects."""
LEAST_RIGHT, LEAST_BLAMELESS, LEAST_COVERED = 0.95, 0.95, 0.85
"""Marks (of the onset's range a floor): an interval under one says that it broke."""


def _attempt(task: tuple[str, str, int]) -> Tried:
    kind, signal, seed = task
    return attempt((CAUSED | UNCAUSED | ADVERSE)[kind], signal, seed)


def report(each: int, seed: int, workers: int = 1) -> bool:
    """Print the tables of ``each`` incidents of every kind and signal; whether the floors hold."""
    print("| planted | found | on the page: right, another, nothing | after six alarms | right answer |")
    print("|---|---|---|---|---|")
    tried: dict[str, dict[str, list[Tried]]] = {}
    for place, kind in enumerate(CAUSED | UNCAUSED | ADVERSE):
        first = seed + place * 1_000
        tasks = [(kind, signal, first + at) for signal in SIGNALS for at in range(each)]
        found = in_parallel(_attempt, tasks, workers)
        tried[kind] = {signal: found[at * each : (at + 1) * each] for at, signal in enumerate(SIGNALS)}
        if kind not in ADVERSE:
            print(_line(kind, _all(tried[kind])), flush=True)
    caused = {s: [one for kind in CAUSED for one in tried[kind][s]] for s in SIGNALS}
    blameless = [one for kind in UNCAUSED for one in _all(tried[kind])]
    everything = [one for some in caused.values() for one in some]
    print(_line("with a cause", everything))
    print(_line("without one", blameless))
    adverse = [one for kind in ADVERSE for one in _all(tried[kind])]
    for kind in ADVERSE:
        print(_line(f"beside these: {kind}", _all(tried[kind])))
    print()
    print("| move, in least effects | " + " | ".join(SIGNALS) + " |")
    print("|---|" + "---|" * len(SIGNALS))
    for low, high in SIZES:
        cells = [tally([one for one in caused[s] if low <= one.move < high]) for s in SIGNALS]
        name = f"{low:g} to {high:g}" if high < math.inf else f"over {low:g}"
        print(f"| {name} | " + " | ".join(_share(cell.right, cell.found) for cell in cells) + " |")
    told = [one.onset_held for one in (*everything, *blameless, *adverse) if one.alarms]
    held = [one for one in told if one is not None]
    print(
        f"\nonset: a range in {_share(len(held), len(told))} of incidents; it holds the true time in "
        f"{_share(sum(held), len(held))} of those, stated 90%"
    )
    print(_observer([one for one in (*everything, *adverse) if one.suspected is not None]))
    right, none = tally(everything), tally(blameless)
    print(
        f"of those paged: the cause is named in {_share(right.right, right.found)} (another in"
        f" {right.another}), nothing is blamed in {_share(none.nothing, none.found)}"
    )
    sound = (
        interval(right.right, right.found)[1] >= LEAST_RIGHT
        and interval(none.nothing, none.found)[1] >= LEAST_BLAMELESS
        and interval(sum(held), len(held))[1] >= LEAST_COVERED
    )
    print(f"attribution: {'holds' if sound else 'is BROKEN'}", flush=True)
    return sound


def _all(by_signal: dict[str, list[Tried]]) -> list[Tried]:
    return [one for some in by_signal.values() for one in some]


def _line(kind: str, tried: list[Tried]) -> str:
    page, later = tally(tried, 1), tally(tried)
    good = later.nothing if not any(one.planted.causes for one in tried) else later.right
    return (
        f"| {kind} | {later.found} of {later.tried} | {page.right}, {page.another}, {page.nothing} |"
        f" {later.right}, {later.another}, {later.nothing} | {_share(good, later.found)} |"
    )


def _observer(tried: list[Tried]) -> str:
    """What can be told of a version that replaced another, by the first alarm, and what was."""
    guilty = [one for one in tried if one.planted.causes]
    decoys = [one for one in tried if not one.planted.causes]
    cells = []
    for some in (guilty, decoys):
        ours = len(some) - tally(some, 1).nothing
        cells.append((_share(sum([bool(one.suspected) for one in some]), len(some)), _share(ours, len(some))))
    return (
        f"a version that replaced another, by the first alarm: one who knows the means names {cells[0][0]},"
        f" Gleaner {cells[0][1]}; and blames {cells[1][0]} harmless ones, Gleaner {cells[1][1]}"
    )


def _share(hits: int, n: int) -> str:
    low, high = interval(hits, n)
    return f"{hits / n:.0%} ({low:.0%}–{high:.0%}) of {n}" if n else "none"
