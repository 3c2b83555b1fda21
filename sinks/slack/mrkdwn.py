"""Text objects of blocks, in which Slack formats what Gleaner wrote and links nothing by itself."""

from __future__ import annotations

from typing import Any


def mrkdwn(text: str) -> dict[str, Any]:
    """``verbatim``: else Slack makes links of addresses and of channels' names that stand in foreign text
    (reference of the text object). What is written as ``<…>`` stays what it is."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def section(block_id: str, text: str) -> dict[str, Any]:
    return {"type": "section", "block_id": block_id, "text": mrkdwn(text)}
