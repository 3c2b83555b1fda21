"""What an alert says: golden files, and what must hold for every alert."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.calibration import LEAST, Calibration
from schemas.effect import EffectKind, NotifyReason
from schemas.incident import IncidentState
from schemas.signal import Cause
from sinks import words
from sinks.actions import first_action
from sinks.base import Degrade, Message
from sinks.samples import SAMPLES, series
from sinks.slack.buttons import Offer
from sinks.slack.limits import OURS, SLACK, problems
from sinks.slack.picture import Picture, sparkline
from sinks.slack.render import NO_OFFER, render
from sinks.slack.sandbox_channel import PING
from sinks.standing import standing

GOLDEN = Path(__file__).parent / "golden"
OFFER = Offer(
    clicks=True,
    url="https://gleaner.example/incidents/{id}",
    trace_url="https://traces.example/{trace_id}",
)


def message(kind: str, **rest: object) -> Message:
    return Message("outbox-1", EffectKind.POST, NotifyReason.FIRST, SAMPLES[kind], **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", SAMPLES)
def test_golden(kind: str) -> None:
    """GLEANER_WRITE_GOLDEN=1 writes them anew; then read them, as somebody would who was woken by them."""
    path = GOLDEN / f"{kind}.json"
    incident = SAMPLES[kind]
    line = sparkline(series(incident), incident)
    picture = Picture(line, "F0CHART" if line else "", f"What the chart shows: {line}")
    payload = json.dumps(render(message(kind), OFFER, picture), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("GLEANER_WRITE_GOLDEN"):
        path.write_text(payload, encoding="utf-8")
    assert payload == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("degrade", list(Degrade))
def test_every_form_is_within_our_own_limits(kind: str, degrade: Degrade) -> None:
    payload = render(message(kind, degrade=degrade))
    assert problems(payload, OURS) == []
    pictured = render(message(kind, degrade=degrade), NO_OFFER, Picture("▁█ x", "F1", "alt"))
    assert problems(pictured, OURS) == []
    assert ("image" in {block["type"] for block in pictured["blocks"]}) == (degrade is Degrade.FULL)
    assert bool(payload["blocks"]) == (degrade is not Degrade.TEXT_ONLY)
    formatted = list(_formatted(pictured["blocks"]))
    assert all(one["verbatim"] for one in formatted), "else Slack makes links of what foreign text says"
    assert bool(formatted) == (degrade is not Degrade.TEXT_ONLY)
    whole = degrade is Degrade.FULL and words.has_cases(SAMPLES[kind])
    assert ("rich_text" in json.dumps(payload["blocks"])) == whole


def _formatted(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and value.get("type") == "mrkdwn":
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _formatted(inner)


def test_a_reply_that_was_refused_goes_out_as_text_only() -> None:
    app = SAMPLES["cost"].model_copy(update={"app": "*shop* <!channel>"})
    refused = Message("o", EffectKind.REPLY, NotifyReason.REFIRED, app, degrade=Degrade.TEXT_ONLY)
    payload = render(refused)
    assert payload["blocks"] == []
    assert payload["text"]
    assert "*" not in payload["text"]
    assert "*" not in render(replace(refused, kind=EffectKind.POST))["text"]


def test_the_lock_screen_line_is_enough() -> None:
    assert words.headline(SAMPLES["faithfulness"]) == (
        "P2 · faithfulness on billing-assistant fell 0.92 → 0.80 since 09:05 UTC, mostly served model"
        " lumen-2-2026-02."
    )
    assert words.headline(SAMPLES["escalation"]).endswith("rose 3.9% → 9.1% since 09:14 UTC, cause unknown.")
    assert "cost per request on billing-assistant rose $0.0053 → $0.0079" in words.headline(SAMPLES["cost"])


def test_long_names_give_way_and_numbers_never() -> None:
    long = SAMPLES["cost"].model_copy(
        update={
            "app": "the-very-long-named-" * 10,
            "environment": "staging-" * 10,
            "cause": Cause(dimension="served_model", previous="x" * 200, current="y" * 200),
        }
    )
    line = words.headline(long)
    assert len(line) <= words.LOCK_SCREEN
    assert "$0.0053 → $0.0079 since 09:07 UTC, likely served model yyyyyyy" in line


def test_an_onset_of_yesterday_carries_its_date() -> None:
    late = SAMPLES["cost"].model_copy(update={"detected_at": SAMPLES["cost"].onset + 86_400_000})
    assert "since 1 Mar 09:07 UTC" in words.headline(late)


def test_a_cause_is_claimed_only_as_surely_as_it_is_known() -> None:
    known, near, none = (
        " ".join(words.why(SAMPLES[kind])) for kind in ("faithfulness", "cost", "escalation")
    )
    assert (
        "explains 82% of the move: its own traffic is worse; first seen 2 min before the estimated onset"
        in known
    )
    assert "Consistent with served model lumen-2-2026-01 → lumen-2-2026-02" in near
    assert none == "Nothing that Gleaner compares explains it. Ruled out: served model, prompt version."


def test_the_state_is_in_the_verdict() -> None:
    acked = SAMPLES["cost"].model_copy(update={"state": IncidentState.ACKED, "acked_by": "dana"})
    assert standing(acked) == "P3 · ACKED by dana"
    assert words.headline(acked).startswith("P3 acked · ")


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize(
    "dimension",
    ["served_model", "prompt_version", "index_version", "release", "document", "user_id", "tool", None],
)
def test_every_cause_has_one_first_action(kind: str, dimension: str | None) -> None:
    for previous in ("old", None):
        cause = Cause(dimension=dimension, previous=previous, current="new") if dimension else None
        action = first_action(SAMPLES[kind].model_copy(update={"cause": cause}))
        assert 20 < len(action) < 300
        assert "None" not in action


def test_a_rule_has_the_last_word_on_what_to_do_first() -> None:
    broken = SAMPLES["broken"]
    assert first_action(broken) == "Roll back to 2026.08 with the deploy bot, then tell #billing."
    assert first_action(broken.model_copy(update={"action": ""})).startswith("Roll the release back to")
    hostile = broken.model_copy(update={"action": "<!channel> *now*", "runbook": "https://x/|<!here>"})
    said = json.dumps(render(Message("o", EffectKind.POST, NotifyReason.FIRST, hostile)), ensure_ascii=False)
    assert PING.findall(said) == []
    assert "&lt;!channel&gt; ∗now∗" in said
    assert "Runbook" not in said


def test_cases_link_to_the_readers_own_viewer() -> None:
    offer = Offer(trace_url="https://traces.example/t/{trace_id}?full")
    hostile = SAMPLES["faithfulness"].cases[0].model_copy(update={"trace_id": "a/../b c|<!here>&x=1"})
    incident = SAMPLES["faithfulness"].model_copy(update={"cases": (hostile,)})
    payload = render(Message("o", EffectKind.POST, NotifyReason.FIRST, incident), offer)
    links = re.findall(r'"url": "([^"]*)"', json.dumps(payload))
    assert links == ["https://traces.example/t/a%2F..%2Fb%20c%7C%3C%21here%3E%26x%3D1?full"]
    assert problems(payload, OURS) == []


def test_the_footer_says_how_far_the_scorer_can_be_trusted() -> None:
    base = SAMPLES["faithfulness"]

    def foot(reviewed: int, confirmed: int, scorer: str = "judge") -> str:
        one = Calibration(
            app="a", scorer=scorer, reviewed=reviewed, confirmed=confirmed, share_from=0.0, share_to=0.3
        )
        return words.footer(base.model_copy(update={"calibration": one})).rpartition(" · ")[2]

    assert foot(12, 0) == "judge: 0 of 12 lows confirmed by reviewers (0%, 95%: 0% to 30%)"
    assert foot(LEAST, LEAST).startswith(f"judge: {LEAST} of {LEAST} lows confirmed by reviewers (100%")
    assert foot(LEAST - 1, 9) == "judge not calibrated yet: 9 of its lows reviewed"
    assert foot(0, 0) == "judge not calibrated yet: 0 of its lows reviewed"
    assert "lows" not in words.footer(base.model_copy(update={"calibration": None}))
    hostile = base.calibration and base.calibration.model_copy(update={"scorer": "<!channel> *x* " * 50})
    grave = base.model_copy(update={"calibration": hostile, "rule": "<@U1> " * 90, "budget": "<!here>" * 90})
    payload = render(Message("o", EffectKind.POST, NotifyReason.FIRST, grave), OFFER)
    assert problems(payload, OURS) == []
    assert PING.findall(str(payload)) == []
    assert "41 of 48 lows confirmed" in str(payload["blocks"][-1]), "nothing before it cuts it off"


def test_what_finds_no_room_is_counted() -> None:
    base = SAMPLES["faithfulness"]
    (note,) = base.evidence
    other = Cause(dimension="release", previous="1", current="2")
    changed = tuple(note.model_copy(update={"signal_id": str(n), "cause": other}) for n in range(5))
    members = tuple(base.members[1].model_copy(update={"rule": f"r{n}"}) for n in range(9))
    crowded = base.model_copy(
        update={
            "members": (base.members[0], *members),
            "evidence": (note, *changed),
            "ruled_out": tuple(f"dimension_{n}" for n in range(11)),
        }
    )
    said = json.dumps(render(Message("o", EffectKind.POST, NotifyReason.FIRST, crowded)), ensure_ascii=False)
    assert said.count("Escalation rate rose") == 5
    assert f"and 4 more: gleaner incidents show {base.id[:8]}" in said
    assert said.count("Also changed at") == 3
    assert f"And 2 more that changed before: gleaner incidents explain {base.id[:8]}" in said
    assert "dimension 7, and 3 more." in said
    assert len(words.also(crowded)) == 9
    assert sum(line.startswith("Also changed") for line in words.why(crowded, 6)) == 5


def test_limits_see_what_the_sdk_misses() -> None:
    section = {"type": "section", "block_id": "a", "text": {"type": "mrkdwn", "text": "x"}}
    header = {"type": "header", "text": {"type": "mrkdwn", "text": "x"}}
    fields = {"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2_001}]}
    for blocks, what in (
        ([section, section], "twice"),
        ([header], "plain_text"),
        ([fields], "2001 characters"),
        ([section | {"colour": "red"}], "unknown key"),
        ([{"type": "alarm"}], "unknown"),
        ([section | {"text": {"type": "mrkdwn", "text": " "}}], "missing"),
        ([{"type": "divider"}] * 51, "51 blocks"),
    ):
        found = problems({"text": "t", "blocks": blocks}, SLACK)
        assert any(what in one for one in found), (what, found)
    assert problems({"blocks": []}) == ["/text: missing"]


ONCALL = Offer(oncall=("<@U1>, <!subteam^S2>", "<@U3>"))


@pytest.mark.parametrize(
    ("reason", "level", "start"),
    [
        (NotifyReason.ESCALATED, 1, "<@U1>, <!subteam^S2> Nobody has acknowledged it (level 1)"),
        (NotifyReason.ESCALATED, 2, "<@U3> Nobody has acknowledged it (level 2)"),
        (NotifyReason.ESCALATED, 3, "<@U3> Nobody has acknowledged it (level 3)"),
        (NotifyReason.ESCALATED, 0, "Nobody has acknowledged it"),
        (NotifyReason.REOPENED, 1, "Back again"),
    ],
)
def test_only_an_escalation_mentions_and_only_whom_the_settings_name(
    reason: NotifyReason, level: int, start: str
) -> None:
    hostile = SAMPLES["cost"].model_copy(update={"escalation_level": level, "app": "<!channel> <@U9>"})
    payload = render(Message("o", EffectKind.REPLY, reason, hostile), ONCALL)
    said = [payload["text"], payload["blocks"][0]["text"]["text"]]
    assert all(one.startswith(start) for one in said), said
    pings = {"<@U1>", "<!subteam^S2>"} if level == 1 else {"<@U3>"} if level > 1 else set()
    pings = pings if reason is NotifyReason.ESCALATED else set()
    assert [set(PING.findall(one)) for one in said] == [pings, pings]
    assert payload.get("reply_broadcast", False) is bool(pings)
    assert problems(payload, OURS) == []
    without = render(Message("o", EffectKind.REPLY, reason, hostile))
    assert PING.findall(str(without)) == []
