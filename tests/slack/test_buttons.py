"""Which buttons an incident has, and what a click on one asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.base import rfc3339
from schemas.command import Verb
from schemas.effect import EffectKind, NotifyReason
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Label
from sinks.base import Degrade, Message
from sinks.samples import SAMPLES
from sinks.slack.allowed import Allowed
from sinks.slack.buttons import Offer, Press, buttons
from sinks.slack.clicks import Click, NoClick, click_of
from sinks.slack.limits import OURS, problems
from sinks.slack.render import render
from sinks.slack.sandbox_channel import PING

ALL = Offer(clicks=True, url="https://gleaner.example/incidents/{id}?a=1&b=2")
COST = SAMPLES["cost"]
ID = "0b1f6c2e-0000-4000-8000-000000000001"


def offered(incident: Incident, offer: Offer = ALL) -> list[str]:
    block = buttons(incident, offer)
    return [] if block is None else [one["action_id"].removeprefix("gleaner:") for one in block["elements"]]


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({}, ["ack", "snooze", "assign", "not_a_problem", "open"]),
        ({"state": IncidentState.ACKED}, ["snooze", "assign", "not_a_problem", "open"]),
        ({"state": IncidentState.RESOLVED}, ["not_a_problem", "open"]),
        ({"state": IncidentState.RESOLVED, "label": Label(actor="dana", time=1)}, ["open"]),
    ],
)
def test_what_can_still_be_done_is_what_can_be_clicked(change: dict[str, Any], shown: list[str]) -> None:
    incident = COST.model_copy(update=change)
    assert offered(incident) == shown
    assert offered(incident, Offer(url=ALL.url)) == [], "without anybody who listens Slack would warn"
    assert offered(incident, Offer(clicks=True)) == shown[:-1]


def test_a_button_carries_the_incidents_id_and_nothing_else() -> None:
    block = buttons(COST, ALL)
    assert block is not None
    for element in block["elements"]:
        values = [element.get("value")] + [one["value"] for one in element.get("options", ())]
        assert {str(value).partition(":")[0] for value in values if value} == {COST.id}


def test_without_buttons_the_page_is_a_link() -> None:
    def foot(offer: Offer) -> str:
        message = Message("o", EffectKind.POST, NotifyReason.FIRST, COST)
        return str(render(message, offer)["blocks"][-1]["elements"][0]["text"])

    assert foot(Offer(url=ALL.url)).endswith(
        f" · <https://gleaner.example/incidents/{COST.id}?a=1&amp;b=2|Open>"
    )
    assert "Open" not in foot(ALL)
    assert "Open" not in foot(Offer())


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("degrade", list(Degrade))
def test_every_form_with_buttons_is_within_our_own_limits(kind: str, degrade: Degrade) -> None:
    message = Message("o", EffectKind.POST, NotifyReason.FIRST, SAMPLES[kind], degrade=degrade)
    payload = render(message, ALL)
    assert problems(payload, OURS) == []
    assert PING.findall(json.dumps(payload, ensure_ascii=False)) == []
    assert ("actions" in [one["type"] for one in payload["blocks"]]) == (degrade is not Degrade.TEXT_ONLY)


def test_limits_see_what_the_sdk_misses_of_buttons() -> None:
    def button(**changes: object) -> dict[str, object]:
        text = {"type": "plain_text", "text": "x"}
        return {"type": "button", "action_id": "a", "text": text, "value": "v"} | changes

    select = {
        "type": "static_select", "action_id": "s", "placeholder": {"type": "plain_text", "text": "x"},
        "options": [{"text": {"type": "plain_text", "text": "x"}, "value": "v" * 151}],
    }  # fmt: skip
    confirm = {key: {"type": "plain_text", "text": "x" * 31} for key in ("title", "text", "confirm", "deny")}
    for elements, what in (
        ([button(), button()], "action_id: twice"),
        ([button(value="v" * 2_001)], "/value: 2001 characters"),
        ([button(action_id="")], "action_id: missing"),
        ([button(colour="red")], "colour: unknown key"),
        ([button(text={"type": "mrkdwn", "text": "x"})], "one of plain_text"),
        ([button(confirm=confirm)], "confirm/deny/text: 31 characters"),
        ([select], "options/0/value: 151 characters"),
        ([select | {"options": []}], "0 options"),
        ([{"type": "checkbox"}], "unknown"),
        ([], "0 elements"),
        ([button(action_id=f"a{n}") for n in range(26)], "26 elements"),
    ):
        found = problems({"text": "t", "blocks": [{"type": "actions", "elements": elements}]})
        assert any(what in one for one in found), (what, found)


def payload(press: Press, value: str = ID, **changes: object) -> dict[str, object]:
    action: dict[str, object] = {"action_id": press.value, "action_ts": "1772355900.123456", "type": "button"}
    if press is Press.SNOOZE:
        action["selected_option"] = {"value": value}
    else:
        action["value"] = value
    return {
        "type": "block_actions",
        "user": {"id": "U024BE7LH", "username": "dana"},
        "channel": {"id": "C1"},
        "message": {"ts": "1772355800.000100"},
        "actions": [action],
    } | changes


@pytest.mark.parametrize(
    ("press", "value", "verb", "more"),
    [
        (Press.ACK, ID, Verb.ACK, {}),
        (Press.SNOOZE, f"{ID}:1h", Verb.SNOOZE, {"until": 1_772_355_900_123 + 3_600_000}),
        (Press.SNOOZE, f"{ID}:deploy", Verb.SNOOZE, {"until_deploy": True}),
        (Press.ASSIGN, ID, Verb.ASSIGN, {"assignee": "dana"}),
        (Press.NOT_A_PROBLEM, ID, Verb.NOT_A_PROBLEM, {}),
    ],
)
def test_a_click_is_a_command(press: Press, value: str, verb: Verb, more: dict[str, object]) -> None:
    click = click_of(payload(press, value))
    assert isinstance(click, Click)
    command = click.command
    assert (command.verb, command.incident_id, command.actor) == (verb, ID, "dana")
    assert rfc3339(command.time) == "2026-03-01T09:05:00.123Z"
    assert command.note == "clicked in Slack by U024BE7LH"
    defaults = {"until": None, "until_deploy": False, "assignee": None}
    assert command.model_dump(include=set(defaults)) == defaults | more
    assert (click.user, click.channel, click.ts) == ("U024BE7LH", "C1", "1772355800.000100")


def test_a_click_delivered_twice_is_one_command_and_two_clicks_are_two() -> None:
    def id_of(**changes: object) -> str:
        click = click_of(payload(Press.ACK, **changes))  # type: ignore[arg-type]
        assert isinstance(click, Click)
        return click.command.id

    assert id_of() == id_of(trigger_id="another", container={})
    later = {"action_id": Press.ACK.value, "action_ts": "1772355900.123457", "value": ID}
    others = [
        id_of(actions=[later]),
        id_of(user={"id": "U2", "username": "dana"}),
        id_of(message={"ts": "1772355800.000101"}),
        id_of(channel={"id": "C2"}),
    ]
    assert len({id_of(), *others}) == 5


@pytest.mark.parametrize(
    ("strange", "why"),
    [
        (None, NoClick.OTHER_TYPE),
        ([], NoClick.OTHER_TYPE),
        ({"type": "view_submission"}, NoClick.OTHER_TYPE),
        ({"type": "block_actions"}, NoClick.NOT_OURS),
        ({"type": "block_actions", "actions": [3]}, NoClick.NOT_OURS),
        ({"type": "block_actions", "actions": [{"action_id": ["x"]}]}, NoClick.NOT_OURS),
        (payload(Press.ACK) | {"actions": [{"action_id": "theirs:ack"}]}, NoClick.NOT_OURS),
        (payload(Press.OPEN), NoClick.A_LINK),
        (payload(Press.ACK, "no-uuid"), NoClick.MALFORMED),
        (payload(Press.SNOOZE, f"{ID}:9h"), NoClick.MALFORMED),
        (payload(Press.ACK, user={"id": "<!here>"}), NoClick.MALFORMED),
        (payload(Press.ACK, channel=None), NoClick.MALFORMED),
        (payload(Press.ACK, actions=[{"action_id": "gleaner:ack", "value": ID}]), NoClick.MALFORMED),
        (
            payload(Press.ACK, actions=[{"action_id": "gleaner:ack", "action_ts": "now", "value": ID}]),
            NoClick.MALFORMED,
        ),
    ],
)
def test_what_is_no_click_of_ours_asks_for_nothing(strange: object, why: NoClick) -> None:
    assert click_of(strange) is why


def test_a_name_from_slack_is_foreign_text() -> None:
    click = click_of(payload(Press.ASSIGN, user={"id": "U1", "username": "da\u202ena\n" + "x" * 99}))
    assert isinstance(click, Click)
    assert click.command.assignee == "dana " + "x" * 54 + "…"
    nameless = click_of(payload(Press.ACK, user={"id": "U1"}))
    assert isinstance(nameless, Click)
    assert nameless.command.actor == "U1"


def test_the_allow_list() -> None:
    found = Allowed.parse(" U1A, S2B,,W3 ")
    assert (found.users, found.groups, found.everybody) == (("U1A", "W3"), ("S2B",), False)
    assert found.who() == "<@U1A>, <@W3>, <!subteam^S2B>"
    assert Allowed.parse("").everybody
    for wrong in ("dana", "<@U1>", "U1 U2", "C0123"):
        with pytest.raises(ValueError, match="neither a user id"):
            Allowed.parse(wrong)
