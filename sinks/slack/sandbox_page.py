"""The fake Slack's page: the channel's messages roughly as Slack shows them, everything escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sinks.slack.sandbox_channel import MENTION, Channel, Posted

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1d1c1d;--dim:#616061;--line:#ddd;--quote:#bbb}
@media(prefers-color-scheme:dark){:root{--bg:#1a1d21;--fg:#d1d2d3;--dim:#ababad;--line:#35373b;--quote:#565856}}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.47 Lato,"Helvetica Neue",Arial,sans-serif}
header.top{padding:12px 20px;border-bottom:1px solid var(--line);font-weight:700;font-size:18px}
header.top small{font-weight:400;font-size:13px;color:var(--dim);margin-left:8px}
main{max-width:760px;padding:8px 20px 40px}
.message{display:grid;grid-template-columns:36px 1fr;gap:10px;padding:12px 0}
.avatar{width:36px;height:36px;border-radius:6px;background:#2f6f4f;color:#fff;font-weight:700;display:grid;
place-items:center}
.who b{font-weight:900}.who time,.who i{color:var(--dim);font-size:12px;font-style:normal;margin-left:6px}
.app{background:var(--line);border-radius:3px;font-size:10px;padding:1px 4px;margin-left:5px;color:var(--dim)}
h3{font-size:18px;margin:6px 0 4px}p{margin:6px 0;overflow-wrap:anywhere}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:6px 24px}.fields p{margin:2px 0}
blockquote{border-left:4px solid var(--quote);margin:2px 0 8px;padding:1px 0 1px 12px;overflow-wrap:anywhere}
.context{color:var(--dim);font-size:12px}.ping{background:#c00;color:#fff;padding:0 3px}
.thread summary{color:#1264a3;cursor:pointer;font-size:13px;font-weight:700}
.thread{margin:4px 0 0;padding-left:12px;border-left:2px solid var(--line)}
main img{max-width:100%;width:520px;height:auto;border:1px solid var(--line);border-radius:6px;display:block;
margin:6px 0;background:#fff}
.screen{color:var(--dim);font-size:12px;margin:0 0 2px}
.actions{display:flex;flex-wrap:wrap;gap:8px;margin:8px 0}.actions form{display:flex;gap:4px}
.actions button,.actions select,.actions a{font:inherit;font-size:13px;font-weight:700;min-height:32px;
padding:4px 12px;border:1px solid var(--quote);border-radius:6px;background:var(--bg);color:var(--fg);
cursor:pointer;text-decoration:none;box-sizing:border-box;display:inline-flex;align-items:center}
.actions button.primary{background:#007a5a;border-color:#007a5a;color:#fff}
.actions select{width:118px}.actions :disabled{cursor:default;opacity:.8}
.whisper{margin:4px 0;padding:6px 10px;border-radius:6px;
background:color-mix(in srgb,var(--line) 45%,transparent)}
.whisper small{color:var(--dim);display:block}a{color:#1264a3}
@media(prefers-color-scheme:dark){a{color:#1d9bd1}}
@media(max-width:520px){.fields{grid-template-columns:1fr}}
"""


Pictures = Mapping[str, str]
"""By a file's id where its picture is: on this page's own server, or as data."""


def page(channels: list[Channel], *, live: bool = False, pictures: Pictures | None = None) -> str:
    """The whole page; nothing in it is a script, and it loads nothing but the pictures of its channels.

    ``live``: its buttons work, and it looks again every few seconds. Without ``pictures`` they are asked of
    the page's own server.
    """
    parts = [
        f"<header class=top># {_safe(channel.name)}<small>a Slack of this machine only: nobody is paged"
        f"</small></header><main>{_threads(channel, live, pictures) or '<p>No message yet.'}"
        f"{_whispers(channel)}</main>"
        for channel in channels
    ]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Gleaner: alerts</title>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"{'<meta http-equiv=refresh content=5>' if live else ''}"
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>"
    )


def _threads(channel: Channel, live: bool, pictures: Pictures | None) -> str:
    return "".join(_thread(channel, one, live, pictures) for one in channel.roots())


def _whispers(channel: Channel) -> str:
    return "".join(
        f"<div class=whisper><small>Only visible to {_safe(user)}</small>"
        f"{_mrkdwn(text, whispered=True)}</div>"
        for user, text in channel.whispers[-3:]
    )


def _thread(channel: Channel, root: Posted, live: bool, pictures: Pictures | None) -> str:
    replies = channel.replies(root.ts)
    inner = "".join(_message(one, pictures) for one in replies)
    count = f"{len(replies)} repl{'y' if len(replies) == 1 else 'ies'}"
    # News are shown, a chart that is in the message already is not: Slack hides a thread, too.
    opened = "" if all(one.body.get("files") for one in replies) else " open"
    below = f"<details class=thread{opened}><summary>{count}</summary>{inner}</details>" if replies else ""
    return _message(root, pictures, below, channel.id if live else "")


def _message(one: Posted, pictures: Pictures | None, below: str = "", channel: str = "") -> str:
    """``channel`` is its id where clicks work."""
    when = datetime.fromtimestamp(float(one.ts), UTC)
    edited = "<i>(edited)</i>" if one.edits else ""
    blocks = one.body.get("blocks") or []
    body = (
        "".join(_block(block, channel, one.ts, pictures) for block in blocks)
        or f"<p>{_mrkdwn(one.body.get('text', ''))}</p>"
    )
    for file in one.body.get("files", ()):
        body += _picture(file["id"], file.get("title", ""), pictures)
    screen = f"<p class=screen>Lock screen: {_mrkdwn(one.body.get('text', ''))}</p>" if blocks else ""
    return (
        "<article class=message><div class=avatar aria-hidden=true>G</div><div>"
        f"<div class=who><b>Gleaner</b><span class=app>APP</span><time>{when:%H:%M}</time>{edited}</div>"
        f"{screen if one.thread_ts is None else ''}{body}{below}</div></article>"
    )


def _picture(file: str, alt: str, pictures: Pictures | None) -> str:
    source = f"/files/{file}" if pictures is None else pictures.get(file, "")
    return f'<img src="{_safe(source)}" alt="{_safe(alt)}">' if source else f"<p><i>{_plain(alt)}</i></p>"


def _block(block: dict[str, Any], channel: str, ts: str, pictures: Pictures | None) -> str:
    match block["type"]:
        case "image":
            return _picture(block["slack_file"]["id"], block["alt_text"], pictures)
        case "header":
            return f"<h3>{_plain(block['text']['text'])}</h3>"
        case "section":
            text = f"<p>{_mrkdwn(block['text']['text'])}</p>" if "text" in block else ""
            fields = "".join(f"<p>{_mrkdwn(one['text'])}</p>" for one in block.get("fields", []))
            return text + (f"<div class=fields>{fields}</div>" if fields else "")
        case "context":
            return "".join(f"<p class=context>{_mrkdwn(one['text'])}</p>" for one in block["elements"])
        case "actions":
            inner = "".join(_control(one, channel, ts) for one in block["elements"])
            return f"<div class=actions>{inner}</div>"
        case "rich_text":
            return "".join(_rich(one) for one in block["elements"])
        case _:
            return "<hr>"


def _control(element: dict[str, Any], channel: str, ts: str) -> str:
    """A button or a select: a form where clicks work. What Slack asks back is in the tooltip."""
    off = "" if channel else " disabled"
    hidden = "".join(
        f'<input type=hidden name={name} value="{_safe(value)}">'
        for name, value in (("channel", channel), ("ts", ts), ("action_id", element["action_id"]))
    )
    if element["type"] == "static_select":
        options = "".join(
            f'<option value="{_safe(one["value"])}">{_plain(one["text"]["text"])}</option>'
            for one in element["options"]
        )
        label = _plain(element["placeholder"]["text"])
        inner = (
            f'<select name=value required aria-label="{label}"{off}><option value="">{label}</option>'
            f'{options}</select><button class=go aria-label="Snooze so long"{off}>✓</button>'
        )
    elif "url" in element:
        return f'<a href="{_safe(element["url"])}" rel=noreferrer>{_plain(element["text"]["text"])}</a>'
    else:
        asks = _plain(element["confirm"]["text"]["text"]) if "confirm" in element else ""
        style = " class=primary" if element.get("style") == "primary" else ""
        inner = f'<button{style} title="{asks}"{off}>{_plain(element["text"]["text"])}</button>'
    return f"<form method=post action=/click>{hidden}{inner}</form>"


def _rich(element: dict[str, Any]) -> str:
    inner = ""
    for one in element["elements"]:
        text = _plain(one.get("text", ""))
        if one["type"] == "link":
            inner += f'<a href="{_safe(one["url"])}" rel=noreferrer>{text}</a>'
            continue
        inner += f"<b>{text}</b>" if one.get("style", {}).get("bold") else text
    tag = "blockquote" if element["type"] == "rich_text_quote" else "p"
    return f"<{tag}>{inner}</{tag}>"


def _mrkdwn(text: str, *, whispered: bool = False) -> str:
    """Slack's markup as HTML: dates, links, bold and line breaks; what would ping is shown in red.

    In a ``whispered`` message a mention pings nobody, and is only a name.
    """
    shown = ""
    for index, part in enumerate(re.split(r"<([^<>]*)>", text)):
        if index % 2 == 0:
            shown += re.sub(r"(?<!\S)\*([^*\n]+)\*(?!\w)", r"<b>\1</b>", _plain(part)).replace("\n", "<br>")
        elif part.startswith("!date^"):
            shown += f"<time>{_plain(part.rpartition('|')[2])}</time>"
        elif part.startswith(("https://", "http://")) and "|" in part:
            url, _, label = part.partition("|")
            href = _plain(url)
            shown += f'<a href="{href}" rel=noreferrer>{_plain(label)}</a>'
        elif whispered and (named := MENTION.fullmatch(f"<{part}>")):
            shown += f"<b>@{_safe(named[1])}</b>"
        else:
            shown += f"<span class=ping>{_safe('<' + part + '>')}</span>"
    return shown


def _plain(text: str) -> str:
    """Slack's three entities read, then everything escaped for HTML."""
    return _safe(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def _safe(text: str) -> str:
    return html.escape(text, quote=True)
