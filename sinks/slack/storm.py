"""A storm's digest as a Slack message: pure, and everything foreign in it escaped."""

from __future__ import annotations

from typing import Any

from schemas.effect import EffectKind, NotifyReason
from sinks import storm_words, words
from sinks.base import Degrade, Message
from sinks.slack.buttons import Offer, storm_buttons
from sinks.slack.escape import entities, escape, prose
from sinks.slack.limits import OURS
from sinks.slack.mrkdwn import mrkdwn, section
from sinks.slack.render import EVENT_TYPE, NO_OFFER
from sinks.storm import Storm

Block = dict[str, Any]


def render_storm(message: Message, storm: Storm, offer: Offer = NO_OFFER) -> dict[str, Any]:
    """``text``, ``blocks`` and ``metadata`` of a digest, its edit, or a reply in its thread.

    A reply that escalates mentions who is called, once for all of the storm; nothing else in it mentions
    anybody. The lists give way until the whole is within the budget of a message.
    """
    if message.kind is EffectKind.REPLY:
        line = storm_words.news(message, storm)
        mention = offer.mention(storm.level) if message.reason is NotifyReason.ESCALATED else ""
        start = f"{mention} " if mention else ""
        block = section(f"news:{storm.revision}", start + prose(line, 900))
        found = [] if message.degrade is Degrade.TEXT_ONLY else [block]
        payload = _payload(message, start + prose(line, words.LOCK_SCREEN * 2), found)
        # What grew or needs somebody is shown in the channel, too: an edit of the digest calls nobody.
        loud = message.reason in (NotifyReason.ESCALATED, NotifyReason.GREW)
        return payload | ({"reply_broadcast": True} if loud else {})
    text = escape(storm_words.storm_headline(storm), OURS.text)
    if message.degrade is Degrade.TEXT_ONLY:
        return _payload(message, "\n".join(prose(line, 600) for line in storm_words.short_lines(storm)), [])
    return _payload(message, text, blocks(storm, offer, names=message.degrade is Degrade.FULL))


def blocks(storm: Storm, offer: Offer = NO_OFFER, *, names: bool = True) -> list[Block]:
    """The digest's blocks; without ``names`` only the worst are in it."""
    at = storm.revision
    verdict = f"*{prose(storm_words.standing(storm), 200)}*\n{prose(storm_words.why(storm), 400)}"
    found: list[Block] = [
        {
            "type": "header",
            "block_id": f"title:{at}",
            "text": {
                "type": "plain_text",
                "text": escape(storm_words.storm_title(storm), OURS.header),
                "emoji": False,
            },
        },
        section(f"verdict:{at}", verdict),
        section(f"do:{at}", f"*Do first:* {prose(storm_words.storm_action(storm), 600)}"),
    ]
    if worst := storm_words.worst(storm):
        lines = "\n".join(f"• {prose(line, 200)}" for line in worst)
        found.append(section(f"worst:{at}", f"*The worst*\n{lines}"))
    if (offered := storm_buttons(storm, offer)) is not None:
        found.append(offered)
    listed, left = storm_words.names(storm, _measure) if names else ([], _more(storm))
    texts = [""]
    for label, places in listed:
        for start, part in _parts(places):
            line = f"*{prose(label if start else f'{label}, more', 120)}* {prose(part, 2_400)}\n"
            if len(texts[-1]) + len(line) > OURS.section:
                texts.append("")
            texts[-1] += line
    for number, text in enumerate(texts):
        if text.strip():
            found.append(section(f"names:{number}:{at}", text.rstrip("\n")))
    foot = prose(storm_words.footer(storm, left), 500)
    found.append({"type": "context", "block_id": f"foot:{at}", "elements": [mrkdwn(foot)]})
    return found


def open_list(storm: Storm, offer: Offer = NO_OFFER) -> str:
    """What is open of a storm, the worst first, a line and a link each; for whoever asks for it.

    As many as a message's text holds; the last line says how many are left, and which command tells them.
    """
    standing = storm.open
    if not standing:
        return "Nothing of it is open any more."
    head = (
        f"{len(standing):,} of {len(storm.incidents):,} are open: {prose(storm_words.standing(storm), 200)}"
    )
    listed, room = [head], OURS.text - len(head) - 120
    for number, incident in enumerate(standing):
        link = offer.link(incident)
        line = f"• {prose(words.headline(incident), 200)} ({incident.id[:8]})"
        line += f" <{entities(link)}|Open>" if link else ""
        room -= len(line) + 1
        if room < 0:
            left = len(standing) - number
            listed.append(f"and {left:,} more: gleaner incidents list --storm {storm.id[:8]}")
            break
        listed.append(line)
    return "\n".join(listed)


def _measure(text: str) -> int:
    return len(prose(text, 100_000))


def _more(storm: Storm) -> int:
    return len(storm.incidents) - len(storm_words.told(storm))


def _parts(places: str) -> list[tuple[bool, str]]:
    """``places`` in pieces that fit a section, cut between two names."""
    parts: list[str] = [""]
    for place in places.split(", "):
        if len(parts[-1]) + len(place) > 1_200:
            parts.append("")
        parts[-1] += f", {place}" if parts[-1] else place
    return [(number == 0, part) for number, part in enumerate(parts)]


def _payload(message: Message, text: str, found: list[Block]) -> dict[str, Any]:
    # Ids only: every member of the workspace can read metadata. By outbox_id a lost message is found again.
    ids = {
        "incident_id": message.incident.id,
        "outbox_id": message.outbox_id,
        "revision": message.incident.revision,
    }
    return {"text": text, "blocks": found, "metadata": {"event_type": EVENT_TYPE, "event_payload": ids}}
