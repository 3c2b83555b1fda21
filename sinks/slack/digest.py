"""A digest as a Slack message: pure, everything foreign in it escaped."""

from __future__ import annotations

from typing import Any

from schemas.digest import Digest
from sinks.digest_words import LINES, headline, sections, title
from sinks.slack.escape import escape, prose
from sinks.slack.limits import OURS, texts
from sinks.slack.mrkdwn import section

EVENT_TYPE = "gleaner_digest"
LINES_LENGTH = (200, 160, 120, 80)
"""Characters of a line: as long as the whole is within the budget of a message."""


def render_digest(digest: Digest, *, text_only: bool = False) -> dict[str, Any]:
    """``text``, ``blocks`` and ``metadata`` of the post; ``text_only`` where Slack refused its blocks."""
    metadata = {"event_type": EVENT_TYPE, "event_payload": {"outbox_id": digest.id}}
    line = escape(headline(digest), OURS.text)
    if text_only:
        said = [f"{heading}: {'; '.join(lines[:LINES])}" for heading, lines in sections(digest)]
        room = min(600, (OURS.text - len(line)) // max(len(said), 1) - 1)
        text = "\n".join([line, *[escape(one, room) for one in said]])
        return {"text": text, "blocks": [], "metadata": metadata}
    return {"text": line, "blocks": _fitting(digest), "metadata": metadata}


def _fitting(digest: Digest) -> list[dict[str, Any]]:
    *longer, shortest = LINES_LENGTH
    for length in longer:
        found = blocks(digest, length)
        if sum(len(one) for one in texts(found)) <= OURS.total:
            return found
    return blocks(digest, shortest)


def blocks(digest: Digest, length: int) -> list[dict[str, Any]]:
    """The digest's blocks, with lines of at most ``length`` characters."""
    found: list[dict[str, Any]] = [
        {
            "type": "header",
            "block_id": "digest:title",
            "text": {"type": "plain_text", "text": escape(title(digest), OURS.header), "emoji": False},
        },
        section("digest:headline", prose(headline(digest).partition(": ")[2], 300)),
    ]
    for place, (heading, lines) in enumerate(sections(digest)):
        listed = "\n".join(f"• {prose(one, length)}" for one in lines[:LINES])
        found.append(section(f"digest:{place}", f"*{prose(heading, 80)}*\n{listed}"))
    return found
