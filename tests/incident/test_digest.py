"""What a day or a week of alerting came to, from incidents, labels, spend and rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.declared.policy import Threshold
from detectors.digest import DAY_MS, DaySpend, Seen, digest, latest_due, records, spend
from detectors.rules import DEFAULT_RULES, Rule
from schemas.base import parse_time
from schemas.calibration import Calibration, Calibrations
from schemas.digest import Digest, NewCases, Period, RuleRecord
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Inhibition, LabelRecord
from schemas.signal import Severity, SignalName
from sinks.digest_words import headline, sections
from sinks.samples import SAMPLES
from sinks.slack.digest import render_digest
from sinks.slack.limits import OURS, problems
from sinks.slack.sandbox_channel import PING

FIRED = SAMPLES["faithfulness"]
END = parse_time("2026-03-02T09:00:00Z")
HELD = SAMPLES["cost"].model_copy(
    update={
        "inhibited": Inhibition(
            incident_id="x", signal=SignalName.UNSCORED, rule="judge_out", route="/chat", since=0,
            why="requests have no price",
        )
    }
)  # fmt: skip


def label(incident: Incident) -> LabelRecord:
    member = incident.members[0]
    return LabelRecord(
        incident_id=incident.id, app=incident.app, environment=incident.environment, route=member.route,
        signal=member.signal, rule=member.rule, signal_id=member.signal_id, onset=member.onset,
        last_at=member.last_at, alarms=1, actor="dana", time=END,
    )  # fmt: skip


def made(period: Period = Period.DAILY, **more: object) -> Digest:
    seen = Seen([FIRED, HELD, SAMPLES["false"]], [label(SAMPLES["false"])], [], None, [])
    return digest(period, END, DEFAULT_RULES, seen._replace(**more))  # type: ignore[arg-type]


def test_it_tells_the_worst_the_quiet_and_the_rules() -> None:
    found = made()
    assert (found.opened, found.resolved, found.still_open) == (3, 1, 2)
    assert [one.incident_id for one in found.worst] == [FIRED.id, HELD.id, SAMPLES["false"].id]
    assert [(one.incident_id, one.why) for one in found.quiet] == [
        (HELD.id, "held back: requests have no price")
    ]
    rules = {one.rule: (one.incidents, one.false) for one in found.rules}
    # Escalations fired twice (once beside faithfulness), one of them was called no problem.
    assert rules["escalation_spike"] == (2, 1)
    assert rules["broken_output"] == (0, 0)
    assert "faithfulness_drop" not in rules, "it fired, and nobody called it wrong"
    assert "served_model_change" not in rules, "a note is no page"


def test_a_period_has_only_its_own() -> None:
    assert made().opened == 3
    later = digest(Period.DAILY, END + 3 * DAY_MS, DEFAULT_RULES, Seen([FIRED, HELD], [], [], None, []))
    assert (later.opened, later.still_open) == (0, 2), "open incidents are told of until they end"
    over = SAMPLES["recovered"]
    assert digest(Period.DAILY, END + 3 * DAY_MS, DEFAULT_RULES, Seen([over], [], [], None, [])).worst == ()


def test_a_late_one_tells_what_was_true_at_its_own_time() -> None:
    over = {"detected_at": END - 3_600_000, "state": IncidentState.RESOLVED, "posted": False}
    late = FIRED.model_copy(update=over | {"resolved_at": END})
    soon = FIRED.model_copy(update=over | {"resolved_at": END - 1, "id": "soon"})
    found = made(incidents=[late, soon])
    assert (found.opened, found.resolved, found.still_open) == (2, 1, 1)
    assert [(one.incident_id, one.state) for one in found.worst] == [
        (FIRED.id, IncidentState.FIRING),
        ("soon", IncidentState.RESOLVED),
    ]
    assert [one.incident_id for one in found.quiet] == ["soon"], "nobody knew yet that the other would end"


def test_of_declared_rules_nobody_says_that_they_watch_nothing() -> None:
    line = Threshold(40.0, False, 24 * 3_600_000)
    rules = [Rule("day", SignalName.SPEND, Severity.P3, declared=line), *DEFAULT_RULES]
    found = {one.rule: one.covers for one in records(rules, [], [], END, {"broken_output": 3})}
    assert (found["day"], found["broken_output"], found["escalation_spike"]) == (None, 3, 0)


def test_what_is_not_listed_is_counted() -> None:
    def never(count: int) -> list[str]:
        rules = tuple(RuleRecord(rule=f"r{n}", incidents=0, false=0) for n in range(count))
        return dict(sections(made().model_copy(update={"rules": rules})))[
            "Rules that have not fired in 30 days"
        ]

    assert never(8) == [f"r{n}" for n in range(8)]
    assert never(11) == [*(f"r{n}" for n in range(7)), "and 4 more: gleaner digest --json"]
    many = made().model_copy(
        update={"rules": tuple(RuleRecord(rule=f"r{n}", incidents=0, false=0) for n in range(11))}
    )
    assert "and 4 more" in str(render_digest(many))
    kinds = [NewCases(cluster_id=f"c{n}", app="bot", cases=1, reasons=("error",)) for n in range(5)]
    found = made(
        Period.WEEKLY,
        cases=kinds,
        cases_in_all=12,
        incidents=[FIRED.model_copy(update={"id": f"i{n}"}) for n in range(6)]
        + [HELD.model_copy(update={"id": f"h{n}"}) for n in range(9)],
        spend=[DaySpend(f"app-{n}", END // DAY_MS - 1, 1.0, 0) for n in range(10)],
    )
    assert (found.worst_more, found.quiet_more, found.spend_more, found.cases_more) == (10, 1, 2, 7)
    said = dict(sections(found))
    cut = {
        "Worst signals": (6, "and 10 more: gleaner incidents list"),
        "Kept quiet, and why": (8, "and 2 more: gleaner incidents list"),
        "Spend": (8, "and 3 more: gleaner signals"),
        "New failures": (6, "and 7 more: gleaner cases list --clusters --since 7d"),
    }
    assert {heading: (len(said[heading]), said[heading][-1]) for heading in cut} == cut
    payload = str(render_digest(found))
    assert all(line in payload for _, line in cut.values()), "what counts the rest is not cut itself"


def days(app: str, first: int, dollars: list[float]) -> list[DaySpend]:
    return [DaySpend(app, first + at, one, 0) for at, one in enumerate(dollars)]


def test_the_forecast_is_the_month_so_far_and_its_rest_at_the_last_weeks_mean() -> None:
    today = parse_time("2026-03-11T09:00:00Z") // DAY_MS
    rows = days("bot", today - 20, [1.0] * 13 + [2.0] * 7 + [0.5])
    (found,) = spend(rows, (today - 7) * DAY_MS, today * DAY_MS + 1)
    # 1 to 10 March: three days at 1, seven at 2. From the 11th on 21 days at 2.
    assert found.month == pytest.approx(3 * 1.0 + 7 * 2.0 + 21 * 2.0)
    assert (found.period, found.days, found.daily) == (14.0, 7, 2.0)
    (young,) = spend(rows[-3:], (today - 1) * DAY_MS, today * DAY_MS + 1)
    assert (young.month, young.daily) == (None, None), "two whole days are no rate"


@given(st.integers(0, 60 * 365 * 24 * 3600), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]))
def test_the_latest_due_time_is_behind_us_and_within_its_period(seconds: int, zone: str) -> None:
    now = seconds * 1000
    for period, when, length in (
        (Period.DAILY, "09:30", DAY_MS),
        (Period.WEEKLY, "sun 00:05", 7 * DAY_MS),
    ):
        due = latest_due(period, when, zone, now)
        assert 0 <= now - due <= length + 3_600_000  # a day of summer time's end has 25 hours
        assert latest_due(period, when, zone, due) == due


def test_due_follows_the_clock_of_its_zone() -> None:
    before = parse_time("2026-03-28T10:00:00Z")  # the last day of winter time in Berlin
    assert latest_due(Period.DAILY, "09:00", "Europe/Berlin", before) == parse_time("2026-03-28T08:00:00Z")
    after = before + DAY_MS
    assert latest_due(Period.DAILY, "09:00", "Europe/Berlin", after) == parse_time("2026-03-29T07:00:00Z")
    monday = latest_due(Period.WEEKLY, "mon 09:00", "UTC", before)
    assert datetime.fromtimestamp(monday / 1000, UTC).strftime("%a %d") == "Mon 23"


def scored(app: str, confirmed: int, reviewed: int, low: float = 0.5, high: float = 0.9) -> Calibration:
    return Calibration(
        app=app, scorer="judge", reviewed=reviewed, confirmed=confirmed, share_from=low, share_to=high
    )


def test_it_tells_how_far_scores_can_be_trusted_the_least_first() -> None:
    def told(known: Calibrations | None) -> list[str] | None:
        return dict(sections(made(calibrations=known))).get("Scores, as reviewers see them")

    assert told(None) is None, "not known is not nothing"
    assert told(Calibrations(at=END)) == [
        "Nobody has reviewed a low score: gleaner cases list --reason low_score --by-rank"
    ]
    figures = (scored("good", 30, 32), scored("new", 0, 9), scored("bad", 8, 20))
    assert told(Calibrations(at=END, figures=figures)) == [
        "bad, judge: 8 of 20 lows confirmed by reviewers (40%, 95%: 50% to 90%)",
        "good, judge: 30 of 32 lows confirmed by reviewers (94%, 95%: 50% to 90%)",
        "new, judge not calibrated yet: 9 of its lows reviewed",
    ]
    many = told(Calibrations(at=END, figures=tuple(scored(f"app-{n}", 9, 10) for n in range(20))))
    assert many is not None
    assert (len(many), many[-1]) == (8, "and 13 more: gleaner scorers")


def test_in_words_and_within_every_limit() -> None:
    hostile = "<!channel> *x* " * 300
    cases = [NewCases(cluster_id="c", app=hostile, cases=4, reasons=("low_score",), question=hostile)] * 5
    bad = [FIRED.model_copy(update={"app": hostile, "id": f"i{n}"}) for n in range(30)]
    muted = [
        HELD.model_copy(update={"muted_by": hostile, "inhibited": None, "id": f"h{n}"}) for n in range(30)
    ]
    costs = [DaySpend(f"{hostile}{n}", END // DAY_MS - 1, 1e9, 5) for n in range(30)]
    judges = Calibrations(at=END, figures=tuple(scored(f"{hostile}{n}", 9, 10) for n in range(30)))
    found = made(
        Period.WEEKLY,
        cases=cases,
        incidents=bad + muted,
        spend=costs,
        covers={"broken_output": 3},
        calibrations=judges,
    )
    for text_only in (False, True):
        payload = render_digest(found, text_only=text_only)
        assert problems(payload, OURS) == []
        assert PING.findall(str(payload)) == []
    assert "broken_output: watches 3 segments" in str(sections(found))
    assert "cost_per_success_rise: watches no segment" in str(sections(found))
    assert headline(made()).startswith(
        "The day to Mon 2 Mar 09:00 UTC: 3 incidents opened, 1 resolved, 2 open."
    )
    said = dict(sections(made()))
    assert said["Called no problem, in 30 days"] == [
        "escalation_spike: 1 of 2 incidents; precision at most 50%"
    ]
    assert said["Kept quiet, and why"] == [
        "Cost per request on billing-assistant: held back: requests have no price"
    ]
    assert said["Worst signals"][0].startswith("P2 faithfulness on billing-assistant 0.92 → 0.80 at worst")
