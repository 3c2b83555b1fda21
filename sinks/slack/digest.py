"""A digest as a Slack message: pure, everything foreign in it escaped."""

from __future__ import annotations

from typing import Any

from schemas.digest import Digest
from sinks.digest_words import LINES, headline, sections, title
from sinks.slack.escape import escape, prose
from sinks.slack.limits import OURS

EVENT_TYPE = "gleaner_digest"
LINE = 200


def render_digest(digest: Digest, *, text_only: bool = False) -> dict[str, Any]:
    """``text``, ``blocks`` and ``metadata`` of the post; ``text_only`` where Slack refused its blocks."""
    metadata = {"event_type": EVENT_TYPE, "event_payload": {"outbox_id": digest.id}}
    line = escape(headline(digest), OURS.text)
    if text_only:
        said = [f"{heading}: {'; '.join(lines[:LINES])}" for heading, lines in sections(digest)]
        text = "\n".join([line, *[escape(one, 600) for one in said]])
        return {"text": text, "blocks": [], "metadata": metadata}
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "block_id": "digest:title",
            "text": {"type": "plain_text", "text": escape(title(digest), OURS.header), "emoji": False},
        },
        _section("digest:headline", prose(headline(digest).partition(": ")[2], 300)),
    ]
    for place, (heading, lines) in enumerate(sections(digest)):
        listed = "\n".join(f"• {prose(one, LINE)}" for one in lines[:LINES])
        blocks.append(_section(f"digest:{place}", f"*{prose(heading, 80)}*\n{listed}"))
    return {"text": line, "blocks": blocks, "metadata": metadata}


def _section(block_id: str, text: str) -> dict[str, Any]:
    return {"type": "section", "block_id": block_id, "text": {"type": "mrkdwn", "text": text}}
