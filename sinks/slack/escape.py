"""Text that can neither ping, nor link, nor break a message."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sinks.clean import clean

ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
EDGE = re.compile(r"(?<!\w)_|_(?!\w)")
LOOKALIKES = str.maketrans({"*": "∗", "~": "∼", "`": "ˋ"})
"""Stand-ins for the characters that mrkdwn takes for formatting, where a name holds them in prose."""


def escape(text: str, limit: int) -> str:
    """``text`` cleaned and entity-escaped, at most ``limit`` characters long after escaping.

    Cut before escaping, so that no entity is cut in half, and measured after, since that is what Slack
    counts.

    >>> escape("<!channel> & you", 100)
    '&lt;!channel&gt; &amp; you'
    >>> escape("<<<<", 11)
    '&lt;&lt;…'
    """
    text = clean(text, limit)
    escaped = entities(text)
    if len(escaped) <= limit:
        return escaped
    room = limit - 1
    kept = []
    for character in text:
        part = ENTITIES.get(character, character)
        if len(part) > room:
            break
        room -= len(part)
        kept.append(part)
    return "".join(kept).rstrip() + "…"


def entities(text: str) -> str:
    """The three characters that Slack reads as control characters, as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def prose(text: str, limit: int) -> str:
    """``text`` for a mrkdwn field, in which a foreign ``*`` or backtick formats nothing.

    Underscores within a word format nothing in Slack, and names are full of them, so they stay.

    >>> prose("gpt_4o *RESOLVED* `x`", 100)
    'gpt_4o ∗RESOLVED∗ ˋxˋ'
    """
    return escape(EDGE.sub("\uff3f", text.translate(LOOKALIKES)), limit)


def date(at: int) -> str:
    """An instant (epoch ms) that Slack shows in the reader's own time zone.

    >>> date(1772355900000)
    '<!date^1772355900^{date_short_pretty} {time}|2026-03-01 09:05 UTC>'
    """
    fallback = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"<!date^{at // 1000}^{{date_short_pretty}} {{time}}|{fallback}>"
