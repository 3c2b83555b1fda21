"""An incident as a Slack message: pure, and everything foreign in it escaped.

The order is that of reading at three in the morning: verdict, size, since when, what explains it,
three cases, what to do first, where it comes from.
"""

from __future__ import annotations

import re
from typing import Any

from schemas.effect import EffectKind, NotifyReason
from schemas.incident import Incident
from sinks import words
from sinks.actions import first_action
from sinks.base import Degrade, Message
from sinks.news import reply
from sinks.numbers import percent
from sinks.slack.buttons import Offer, buttons
from sinks.slack.escape import date, entities, escape, prose
from sinks.slack.limits import OURS
from sinks.slack.mrkdwn import mrkdwn, section
from sinks.slack.picture import NO_PICTURE, Picture
from sinks.standing import standing

EVENT_TYPE = "gleaner_incident"
RUNBOOK = re.compile(r"https?://[^\s<>|]+")
NO_OFFER = Offer()
Block = dict[str, Any]


def render(message: Message, offer: Offer = NO_OFFER, picture: Picture = NO_PICTURE) -> dict[str, Any]:
    """``text``, ``blocks`` and ``metadata`` of a post, an edit or a reply.

    Always both text and blocks: an edit that leaves the blocks out may leave the old ones standing.
    """
    incident = message.incident
    if message.kind is EffectKind.REPLY:
        line = reply(message)
        escalated = message.reason is NotifyReason.ESCALATED
        mention = offer.mention(incident.escalation_level) if escalated else ""
        start = f"{mention} " if mention else ""
        block = section(f"news:{incident.revision}", start + prose(line, 900))
        found = [] if message.degrade is Degrade.TEXT_ONLY else [block]
        payload = _payload(message, start + prose(line, words.LOCK_SCREEN * 2), found)
        # Who is called sees it in the channel, too.
        return payload | ({"reply_broadcast": True} if mention else {})
    headline = escape(words.headline(incident), OURS.text)
    if message.degrade is Degrade.TEXT_ONLY:
        lines = [words.headline(incident), first_action(incident), words.footer(incident)]
        return _payload(message, "\n".join(prose(line, 900) for line in lines), [])
    whole = message.degrade is Degrade.FULL
    return _payload(message, headline, blocks(incident, offer, picture if whole else NO_PICTURE, cases=whole))


def blocks(
    incident: Incident, offer: Offer = NO_OFFER, picture: Picture = NO_PICTURE, *, cases: bool = True
) -> list[Block]:
    """The message's blocks; ``block_id`` carries the revision, since Slack wants new ones for an edit."""
    at = incident.revision
    verdict = f"*{prose(standing(incident), 200)}*"
    if sentence := words.sentence(incident):
        verdict += f"\n{prose(sentence, 600)}"
    found: list[Block] = [
        {
            "type": "header",
            "block_id": f"title:{at}",
            "text": {
                "type": "plain_text",
                "text": escape(words.title(incident), OURS.header),
                "emoji": False,
            },
        },
        section(f"verdict:{at}", verdict),
        section(f"facts:{at}", "\n".join(_facts(incident, picture))),
    ]
    if picture.spark:
        found.append(section(f"spark:{at}", prose(picture.spark, 200)))
    found.append(section(f"why:{at}", _list("What changed", words.why(incident))))
    if others := words.also(incident, 6):
        found.append(section(f"also:{at}", _list("Moved with it", others)))
    if cases and words.has_cases(incident):
        found.append(_cases(incident, offer, f"cases:{at}"))
    if words.to_do(incident):
        do = f"*Do first:* {prose(first_action(incident), 600)}{_runbook(incident)}"
        found.append(section(f"do:{at}", do))
    offered = buttons(incident, offer)
    if offered is not None:
        found.append(offered)
    if picture.file:
        # Below the buttons: on a phone it is as high as all the rest, and the line above has shown its shape.
        found.append(_image(f"chart:{at}", picture))
    foot = prose(words.footer(incident), 900)
    if incident.escalates_at is not None:
        foot += f" · escalates {date(incident.escalates_at)} unless acknowledged"
    if offered is None and (link := offer.link(incident)):
        # The only link: from the settings, with an id that is ours.
        foot += f" · <{entities(link)}|Open>"
    found.append(
        {
            "type": "context",
            "block_id": f"foot:{at}",
            "elements": [mrkdwn(foot)],
        }
    )
    return found


def _payload(message: Message, text: str, found: list[Block]) -> dict[str, Any]:
    # Ids only: every member of the workspace can read metadata. By outbox_id a lost message is found again.
    ids = {
        "incident_id": message.incident.id,
        "outbox_id": message.outbox_id,
        "revision": message.incident.revision,
    }
    return {
        "text": text,
        "blocks": found,
        "metadata": {"event_type": EVENT_TYPE, "event_payload": ids},
    }


def _facts(incident: Incident, picture: Picture) -> list[str]:
    """One line each. Slack's two-column fields would be one column on a phone, and twice as high."""
    lines = []
    for fact in words.facts(incident):
        shown = prose(fact.text, 300) if fact.at is None else date(fact.at)
        lines.append(f"*{fact.label}:* {shown}{prose(fact.more, 120)}")
        if fact.label == "Where" and picture.reach is not None:
            lines[-1] += f", {percent(picture.reach)} of the application's requests"
    return lines


def _runbook(incident: Incident) -> str:
    """The rule's runbook as a link: from the rules file, and checked again, since it came over a topic."""
    url = incident.runbook
    if not RUNBOOK.fullmatch(url) or len(url) > 500:
        return ""
    return f" <{entities(url)}|Runbook>"


def _image(block_id: str, picture: Picture) -> Block:
    return {
        "type": "image",
        "block_id": block_id,
        "slack_file": {"id": picture.file},
        "alt_text": escape(picture.alt, OURS.alt),
    }


def _cases(incident: Incident, offer: Offer, block_id: str) -> Block:
    """Cases as rich text, whose text elements are literal: a quote from a user formats nothing."""
    elements: list[Block] = []
    if not incident.cases:
        elements.append(_rich("rich_text_section", [(words.no_cases(incident), 300, False)]))
    for number, case in enumerate(incident.cases[:3], 1):
        line = [(f"{number}. ", 10, True), (words.case_line(case), 300, False)]
        section = _rich("rich_text_section", line)
        if url := offer.trace_link(case.trace_id):
            section["elements"] += [
                {"type": "text", "text": " · "},
                {"type": "link", "url": url, "text": "open trace"},
            ]
        elements.append(section)
        if quote := words.excerpt(case):
            elements.append(_rich("rich_text_quote", [(quote, 600, False)]))
    return {"type": "rich_text", "block_id": block_id, "elements": elements}


def _rich(kind: str, parts: list[tuple[str, int, bool]]) -> Block:
    elements: list[Block] = []
    for text, limit, bold in parts:
        # Leading and trailing blanks are our own; cleaning would take them.
        element: Block = {"type": "text", "text": escape(text, limit) + (" " if text.endswith(" ") else "")}
        if bold:
            element["style"] = {"bold": True}
        elements.append(element)
    return {"type": kind, "elements": elements}


def _list(heading: str, lines: list[str]) -> str:
    return f"*{heading}*\n" + "\n".join(f"• {prose(line, 380)}" for line in lines[:7])
