"""Why a rule fired, or did not: each reason from what is kept, and from nothing else."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from detectors.rules import DEFAULT_RULES, Rule
from detectors.segment import SegmentMonitors
from detectors.silence import FRESH_MS, Answer, Known, Silence, silence
from detectors.standing import standing
from schemas.base import rfc3339
from schemas.codec import encode
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Entry, Happening, Inhibition
from schemas.signal import SIGNAL_RECORD, Severity, SignalName, Standing, Watched, WindowStat
from sinks.batch import Batch
from sinks.outbox import Outbox
from sinks.samples import SAMPLES
from sinks.stood import HOUR_MS, KEEP_MS, WHOLE_MS, keep
from streams.cli import app
from streams.commands.fail import Failed
from tests.detectors.streams import HEALTHY

FIRED = SAMPLES["faithfulness"].model_copy(update={"history": ()})
OF = FIRED.app, FIRED.environment, FIRED.route
RULE = "faithfulness_drop"
AT = FIRED.detected_at + 60_000
PINNED = Watched(
    rule=RULE, signal=SignalName.FAITHFULNESS, stage="pinned", baseline=0.92, baseline_n=5_000, evidence=0.1,
    threshold=5.4,
)  # fmt: skip


def asked(
    watched: Watched | None = PINNED,
    incidents: tuple[Incident, ...] = (),
    at: int = AT,
    units: int = 50,
    rule: str = RULE,
    of: tuple[str, str, str] = OF,
    windows: bool = True,
) -> Answer:
    known = Known(incidents, watched, None if watched is None else AT - 60_000, units, 0.9 * units, windows)
    return silence(DEFAULT_RULES, rule, of, at, known)


def after(what: Happening, **more: object) -> Incident:
    entries = (Entry(at=AT - 30_000, what=what, actor="dana"),)
    return FIRED.model_copy(update={"history": entries, **more})


@pytest.mark.parametrize(
    ("why", "answer"),
    [
        (Silence.NO_RULE, asked(rule="nothing")),
        (Silence.QUIET, asked()),
        (Silence.BUDGET, asked(PINNED.model_copy(update={"evidence": 3.1}))),
        (Silence.TOO_FEW, asked(PINNED.model_copy(update={"evidence": 5.6, "waiting": 5}))),
        (Silence.SMALL, asked(PINNED.model_copy(update={"dropped": 1, "dropped_at": AT - 1}))),
        (Silence.QUIET, asked(PINNED.model_copy(update={"dropped": 1, "dropped_at": AT - FRESH_MS - 1}))),
        (Silence.LEARNING, asked(PINNED.model_copy(update={"stage": "learning", "seen": 120}))),
        (Silence.NO_DATA, asked(units=0)),
        (Silence.QUIET, asked(units=0, windows=False)),
        (Silence.NOT_KEPT, asked(None)),
        (Silence.NOT_KEPT, asked(at=AT + FRESH_MS)),
        (Silence.FIRED, asked(incidents=(FIRED,))),
        (Silence.QUIET, asked(incidents=(FIRED,), at=FIRED.detected_at - 1)),
        (Silence.MUTED, asked(incidents=(after(Happening.MUTED),))),
        (Silence.MUTED, asked(incidents=(after(Happening.SNOOZED),))),
        (Silence.FIRED, asked(incidents=(after(Happening.UNMUTED),))),
        (Silence.FIRED, asked(incidents=(after(Happening.MUTED),), at=AT - 40_000)),
        (Silence.HELD_BACK, asked(incidents=(after(Happening.EXPLAINED),))),
        (Silence.RESOLVED, asked(incidents=(after(Happening.NOT_A_PROBLEM),))),
        (Silence.QUIET, asked(incidents=(SAMPLES["recovered"],), at=AT + 3_600_000)),
    ],
    ids=lambda value: value.value if isinstance(value, Silence) else "",
)
def test_each_reason(why: Silence, answer: Answer) -> None:
    assert answer.why is why


def lived(*story: tuple[int, Happening, str], posted: bool = True, **more: object) -> Incident:
    """An incident to which this happened, so many seconds before ``AT``."""
    entries = tuple(Entry(at=AT - before * 1_000, what=what, actor=who) for before, what, who in story)
    return FIRED.model_copy(update={"history": entries, "posted": posted, **more})


@pytest.mark.parametrize(
    ("why", "incident"),
    [
        (
            Silence.FIRED,
            lived((40, Happening.TOLD, ""), (30, Happening.RESOLVED, "dana"), (20, Happening.REOPENED, "")),
        ),
        (
            Silence.FIRED,
            lived((30, Happening.NOT_A_PROBLEM, "dana"), (20, Happening.REOPENED, "")),
        ),
        (
            Silence.RESOLVED,
            lived((3, Happening.RESOLVED, ""), (2, Happening.REOPENED, ""), (1, Happening.RESOLVED, "dana")),
        ),
        (
            Silence.RESOLVED,
            lived((30, Happening.RESOLVED, "dana"), (20, Happening.NOT_A_PROBLEM, "dana")),
        ),
        (
            Silence.FIRED,
            lived(
                (40, Happening.EXPLAINED, ""), (30, Happening.RESOLVED, ""), (20, Happening.REOPENED, ""),
                (10, Happening.TOLD, ""),
            ),
        ),
        (Silence.UNTOLD, lived((-30, Happening.RESOLVED, ""), posted=False, resolved_at=AT + 30_000)),
        (Silence.UNTOLD, lived(posted=False, state=IncidentState.PENDING)),
    ],
)  # fmt: skip
def test_why_an_alarm_was_told_or_not_is_what_was_true_last(why: Silence, incident: Incident) -> None:
    assert asked(incidents=(incident,)).why is why


def test_every_answer_is_in_the_docs() -> None:
    docs = Path("docs/alerting.md").read_text(encoding="utf-8")
    table = docs[docs.index("### Why did it not fire?") :]
    assert [one for one in Silence if f"`{one.value}`" not in table] == []


def test_the_nearest_alarms_are_named() -> None:
    before = asked(incidents=(FIRED,), at=FIRED.detected_at - 1)
    assert (before.earlier, before.later) == (None, FIRED.detected_at)
    over = asked(incidents=(SAMPLES["recovered"],), at=AT + 3 * 3_600_000)
    assert (over.earlier, over.later) == (FIRED.detected_at, None)


def test_a_rule_that_another_takes_the_place_of_says_which() -> None:
    second = Rule("second", SignalName.FAITHFULNESS, Severity.P2)
    known = Known((), None, None, 0, 0.0, False)
    found = silence((*DEFAULT_RULES, second), "second", OF, AT, known)
    assert (found.why, found.instead) == (Silence.ELSEWHERE, RULE)


def test_what_the_detectors_say_of_themselves() -> None:
    """Learning, then a baseline, then evidence that grows towards the bound, then the alarm that is open."""
    source, monitors = Random(3), SegmentMonitors(*OF)

    def feed(first: int, last: int, score: float) -> Watched:
        units = [
            (minute * 60_000, min(max(source.gauss(score, 0.1), 0.0), 1.0), f"t{minute}", HEALTHY, None)
            for minute in range(first, last)
        ]
        fired.extend(monitors.on_scores(units, "app", 1))
        told = standing(*OF, monitors.monitors, last * 60_000)
        assert SIGNAL_RECORD.validate_json(encode(told)) == told
        return next(one for one in told.watched if one.rule == RULE)

    fired: list[object] = []
    young = feed(0, 150, 0.9)
    assert (young.stage, young.seen, young.evidence) == ("learning", 150, None)
    armed = feed(150, 400, 0.9)
    assert armed.stage == "provisional"
    assert armed.baseline == pytest.approx(0.9, abs=0.03)
    assert armed.evidence is not None
    assert armed.threshold is not None
    assert armed.evidence < 1 < armed.threshold
    moved = feed(400, 410, 0.7)
    assert moved.evidence is not None
    assert armed.evidence < moved.evidence < armed.threshold
    assert not fired
    assert feed(410, 600, 0.6).open
    assert fired


def test_a_move_below_the_least_effect_is_remembered_and_survives_a_restart() -> None:
    source = Random(5)
    rules = (Rule(RULE, SignalName.FAITHFULNESS, Severity.P2, min_effect=0.3),)
    monitors = SegmentMonitors(*OF, rules)
    for minute in range(0, 9_000, 15):
        # A reference of more than a day: a shorter one allows for a daily swing of the least effect.
        score = 0.9 if minute < 4_500 else 0.75
        unit = (minute * 60_000, min(source.gauss(score, 0.05), 1.0), f"t{minute}", HEALTHY, None)
        assert not monitors.on_scores([unit], "app", 1)
    (told,) = standing(*OF, monitors.monitors, 9_000 * 60_000).watched
    assert told.dropped >= 1
    assert told.dropped_value == pytest.approx(0.75, abs=0.05)
    assert told.dropped_at is not None
    monitor = monitors.monitor(SignalName.FAITHFULNESS)
    assert monitor is not None
    again = SegmentMonitors(*OF, rules).monitor(SignalName.FAITHFULNESS)
    assert again is not None
    again.restore(monitor.detector.baseline(), json.loads(json.dumps(monitor.snapshot())))
    assert again.dropped == monitor.dropped


def stored(at: int) -> Standing:
    return Standing(app=OF[0], environment=OF[1], route=OF[2], at=at, watched=(PINNED,))


def test_records_are_whole_for_a_day_and_hourly_for_two_weeks(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    outbox.db.execute("pragma synchronous = off")
    step, start = 300_000, 1_772_323_200_000
    with outbox.transaction():
        for number in range(16 * 24 * 12):
            keep(outbox.db, [stored(start + number * step)] * 2)
    last = start + (16 * 24 * 12 - 1) * step
    times = [row["at"] for row in outbox.db.execute("select at from standings order by at")]
    outbox.close()
    assert times[0] >= last - KEEP_MS
    recent = [at for at in times if at >= last - WHOLE_MS]
    assert recent == list(range(recent[0], last + 1, step))
    older = [at for at in times if at < last - WHOLE_MS - HOUR_MS]
    assert all(later - earlier == HOUR_MS for earlier, later in pairwise(older))
    assert 300 < len(older) < 330


def test_the_command_reads_it_beside_the_owner(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    quiet = PINNED.model_copy(update={"evidence": 2.5})
    window = WindowStat(
        app=OF[0], environment=OF[1], route=OF[2], signal=SignalName.FAITHFULNESS,
        start=AT - 2 * HOUR_MS, end=AT - HOUR_MS, n=10, total=9.0,
    )  # fmt: skip
    hour = window.model_copy(update={"start": AT - HOUR_MS // 2, "end": AT, "n": 40, "total": 35.2})
    held = FIRED.model_copy(
        update={
            "id": "held-1", "detected_at": AT + HOUR_MS, "state": IncidentState.PENDING,
            "members": tuple(
                member.model_copy(update={"detected_at": AT + HOUR_MS, "last_at": AT + HOUR_MS})
                for member in FIRED.members
            ),
            "history": (Entry(at=AT + HOUR_MS, what=Happening.EXPLAINED),),
            "inhibited": Inhibition(
                incident_id="judge-1", signal=SignalName.UNSCORED, rule="judge_out", route=OF[2], since=AT,
                why="the judge is out, so the scores are of a remnant",
            ),
        }
    )  # fmt: skip
    standings = [stored(AT - 60_000).model_copy(update={"watched": (quiet,)}), stored(AT + HOUR_MS)]
    outbox.commit(
        Batch(incidents=[held], windows=[window, hour], standings=standings, clocks={OF[0]: (AT, AT)}), AT
    )

    command = ["incidents", "explain", "--rule", RULE, "--segment", "/".join(OF)]
    command += ["--state", str(tmp_path)]

    def ask(*more: str) -> dict[str, object]:
        done = CliRunner().invoke(app, [*command, *more, "--json"])
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.output))

    said = ask("--at", rfc3339(AT))
    assert said["why"] == "budget"
    assert said["units_in_the_hour_before"] == 40
    assert said["mean_in_the_hour_before"] == pytest.approx(0.88)
    assert said["next_fired_after"] == rfc3339(AT + HOUR_MS)
    said = ask("--at", rfc3339(AT + HOUR_MS))
    assert (said["why"], said["incident_id"]) == ("held_back", "held-1")
    text = CliRunner().invoke(app, [*command, "--at", rfc3339(AT)])
    assert "less than its budget of false pages asks for" in text.output
    assert "evidence 10^2.50 of the 10^5.40 that it takes" in text.output
    assert "the bound follows from: at most 1 false page per 4 weeks" in text.output
    assert "40 conversations, mean 0.88" in " ".join(text.output.split())
    wrong = CliRunner().invoke(app, ["incidents", "explain", "--rule", RULE])
    assert isinstance(wrong.exception, Failed)
    outbox.close()
