"""Where an incident stands, and what is news about it: in words, in Slack, on the console."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from schemas.effect import EffectKind, NotifyReason
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Explained, Inhibition, Resolution, Snooze, Stale, StaleKind
from schemas.signal import SignalName
from sinks import words
from sinks.base import Message
from sinks.console import ConsoleSink, card
from sinks.news import reply
from sinks.samples import ONSET, SAMPLES
from sinks.slack.limits import OURS, problems
from sinks.slack.render import render
from sinks.standing import held_back, standing

COST, RECOVERED = SAMPLES["cost"], SAMPLES["recovered"]


def cost(**changes: Any) -> Incident:
    return COST.model_copy(update=changes)


def news(incident: Incident, reason: NotifyReason) -> str:
    return reply(Message("o", EffectKind.REPLY, reason, incident))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "P3 · FIRING"),
        ({"state": IncidentState.PENDING}, "P3 · PENDING"),
        ({"state": IncidentState.RESOLVED, "resolution": Resolution.BY_PERSON, "resolved_by": "kim"},
         "P3 · RESOLVED by kim"),
        ({"state": IncidentState.RESOLVED, "resolution": Resolution.NOT_A_PROBLEM, "resolved_by": "kim"},
         "P3 · NOT A PROBLEM, says kim"),
        ({"assignee": "dana", "escalation_level": 2}, "P3 · FIRING · with dana · not acknowledged, level 2"),
        ({"snooze": Snooze(at=0, by="kim", until=ONSET, deploy=True)},
         "P3 · FIRING · snoozed until 1 Mar 09:05 UTC or the next deploy by kim"),
        ({"muted_by": "kim", "flapping": True, "reopened_at": (1, 2, 3)},
         "P3 · FIRING · muted by kim · flapping: came back 3 times"),
        ({"stale": Stale(kind=StaleKind.NO_DATA, since=ONSET)},
         "P3 · FIRING · no data since 1 Mar 09:05 UTC"),
        ({"stale": Stale(kind=StaleKind.NO_ALARM, since=ONSET)},
         "P3 · FIRING · no alarm and no recovery since 1 Mar 09:05 UTC"),
    ],
)  # fmt: skip
def test_standing(changes: dict[str, Any], says: str) -> None:
    assert standing(cost(**changes)) == says


def test_a_cause_that_is_found_later_is_told_with_the_headline() -> None:
    said = news(cost(), NotifyReason.CAUSE_FOUND)
    assert said.startswith("Cause found: ")
    assert said.endswith("likely served model lumen-2-2026-02.")


def test_a_recovered_incident_keeps_what_it_was() -> None:
    assert standing(RECOVERED) == "P2 · RESOLVED after 42 min · with dana"
    assert words.headline(RECOVERED) == (
        "P2 resolved · faithfulness on billing-assistant fell 0.92 → 0.80, from 09:05 UTC to 09:47 UTC,"
        " mostly served model lumen-2-2026-02."
    )
    facts = {fact.label: fact.text for fact in words.facts(RECOVERED)}
    assert facts["Now"].endswith("worst 0.74")
    assert facts["Recovered"] == "back at 0.91 over 160 conversations since 1 Mar 09:47 UTC"
    assert "2 like it before, the last on 26 Feb 09:05 UTC" in words.footer(RECOVERED)


def test_news() -> None:
    assert news(RECOVERED, NotifyReason.RECOVERED) == (
        "Recovered after 42 min: faithfulness on billing-assistant is back at 0.91 (normally 0.92, at worst"
        " 0.74), and so is 1 other."
    )
    back = cost(reopened_at=(ONSET, ONSET + 60 * 60_000, ONSET + 120 * 60_000))
    assert news(back, NotifyReason.REOPENED).startswith("Back again: P3 · cost per request")
    assert news(back, NotifyReason.FLAPPING).startswith("Back 3 times within 2 h, so from here on edits only")
    assert news(cost(escalation_level=1), NotifyReason.ESCALATED).startswith(
        "Nobody has acknowledged it (level 1)"
    )


def test_what_is_held_back_names_what_explains_it_and_the_other_way_round() -> None:
    by = Inhibition(
        incident_id="b1", signal=SignalName.BROKEN_OUTPUT, rule="r", route="/", since=0, why="it is not JSON"
    )
    held = cost(inhibited=by)
    assert standing(held).endswith("held back")
    assert held_back(held) == ["Held back: broken output rate of incident b1 explains it, it is not JSON"]
    others = tuple(
        Explained(incident_id=f"i{number}", signal=SignalName.COST, rule="r", route="/")
        for number in range(5)
    )
    lines = held_back(cost(explains=others))
    assert lines[0] == "Cost per request moved, too, and is held back: incident i0"
    assert lines[-1].startswith("2 more are held back")
    assert "is held back: incident i0" in str(
        render(Message("o", EffectKind.EDIT, NotifyReason.EXPLAINS, cost(explains=others)))
    )


@pytest.mark.parametrize("reason", list(NotifyReason))
@pytest.mark.parametrize("name", list(SAMPLES))
def test_every_reply_is_a_message_within_the_limits(reason: NotifyReason, name: str) -> None:
    hostile = {
        "app": "<!channel> *x* " * 20,
        "assignee": "<@U1>",
        "resolved_by": "<!here>",
        "acked_by": "`x`",
    }
    for incident in (SAMPLES[name], SAMPLES[name].model_copy(update=hostile)):
        for kind in (EffectKind.REPLY, EffectKind.EDIT):
            payload = render(Message("o", kind, reason, incident, incident.members[0].signal_id))
            assert problems(payload, OURS) == []
            assert "<!" not in str(payload).replace("<!date", "")
            assert "<@" not in str(payload)


async def test_the_console_says_it_too() -> None:
    out = StringIO()
    sink = ConsoleSink(Console(file=out, width=200))
    sink.console.print(card(RECOVERED))
    await sink.post(Message("o", EffectKind.REPLY, NotifyReason.RECOVERED, RECOVERED))
    assert "RESOLVED after 42 min" in out.getvalue()
    assert "↳ Recovered after 42 min: faithfulness" in out.getvalue()
