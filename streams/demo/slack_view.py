"""A Slack message as a terminal can show it: what was really delivered, block by block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

WIDTH = 100
BOLD = re.compile(r"\*([^*\n]+)\*")
DATE = re.compile(r"<!date\^\d+\^[^|>]*\|([^>]*)>")
ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def slack_panel(body: dict[str, Any]) -> Panel:
    """A message as it was posted or last edited. Its text is never taken for rich's markup."""
    blocks = body.get("blocks", [])
    title = next(
        (mrkdwn(block["text"]["text"]) for block in blocks if block["type"] == "header"), Text("Slack")
    )
    shown = [part for block in blocks for part in _block(block)]
    return Panel(
        Group(*shown or [mrkdwn(body.get("text", ""))]),
        title=title,
        title_align="left",
        border_style="yellow",
        width=WIDTH,
    )


def _block(block: dict[str, Any]) -> Iterator[RenderableType]:
    kind = block["type"]
    if kind == "section" and "fields" in block:
        yield _fields(block["fields"])
    elif kind == "section":
        yield mrkdwn(block["text"]["text"])
    elif kind == "context":
        for element in block["elements"]:
            yield Text("") + mrkdwn(element.get("text", "")).copy()
    elif kind == "rich_text":
        yield Text("")
        for element in block["elements"]:
            text = Text("".join(_plain(part) for part in element.get("elements", [])))
            if element["type"] == "rich_text_quote":
                text.stylize("italic")
                yield Padding(text, (0, 0, 0, 3))
            else:
                yield text
        yield Text("")
    elif kind == "actions":
        yield Text(
            "  ".join(
                f"[ {_plain(button.get('text') or button.get('placeholder') or {})} ]"
                for button in block["elements"]
            ),
            style="cyan",
        )


def _fields(fields: list[dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for field in fields:
        label, _, text = field["text"].partition("\n")
        table.add_row(Text(mrkdwn(label).plain, style="dim"), mrkdwn(text))
    return table


def _plain(part: dict[str, Any]) -> str:
    return _unescaped(str(part.get("text", "")))


def mrkdwn(text: str) -> Text:
    """Slack's markup as styles: bold, dates, and its three escapes undone.

    >>> mrkdwn("*Do first:* &lt;b&gt; at <!date^1^{time}|09:12 UTC>").plain
    'Do first: <b> at 09:12 UTC'
    """
    text = DATE.sub(r"\1", text)
    shown = Text()
    end = 0
    for match in BOLD.finditer(text):
        shown.append(_unescaped(text[end : match.start()]))
        shown.append(_unescaped(match[1]), style="bold")
        end = match.end()
    shown.append(_unescaped(text[end:]))
    return shown


def _unescaped(text: str) -> str:
    for entity, sign in ENTITIES:
        text = text.replace(entity, sign)
    return text
