"""Foreign text in a message: it may say anything, and do nothing."""

from __future__ import annotations

import json
import unicodedata
from io import StringIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from schemas.effect import EffectKind, NotifyReason
from schemas.incident import CasePreview, Incident, Note
from schemas.signal import Cause
from sinks.base import Degrade, Message
from sinks.clean import clean
from sinks.console import card
from sinks.samples import SAMPLES
from sinks.slack.escape import escape, prose
from sinks.slack.limits import OURS, problems, texts
from sinks.slack.render import render
from sinks.slack.sandbox_channel import PING, Channel
from sinks.slack.sandbox_page import page

HOSTILE = (
    "<!channel>",
    "<@U1> <#C1> <!here|x> <!subteam^S1>",
    "& < > &amp;lt; &<>",
    "x" * 40_960,
    "<" * 40_960,
    "\u202eevil\u2066 \u200bhidden\u200f",
    "Z" + "\u0335\u0322\u031b" * 300 + "algo",
    "```code``` `x` *bold* ~gone~ _it_",
    "a\x00b\x1b[31mred\x07",
    "<script>alert(1)</script><img src=x onerror=1>",
    "[red]rich[/red] [/]",
    "\ud800 lone",
    "",
    " \n\t ",
)


def poisoned(text: str) -> Incident:
    """An incident in which everything that comes from outside is ``text``."""
    cause = Cause.model_construct(dimension=text or "d", previous=text, current=text, share=0.5)
    incident = SAMPLES["faithfulness"]
    note = Note.model_construct(**dict(incident.evidence[0]) | {"reason": text, "cause": None})
    case = CasePreview.model_construct(
        **dict(incident.cases[0]) | {"excerpt": text, "trace_id": text, "case_id": text, "reasons": (text,)}
    )
    members = tuple(
        one.model_copy(update={"rule": text, "route": text, "cause": cause}) for one in incident.members
    )
    fields: dict[str, Any] = {
        "app": text, "environment": text, "route": text, "rule": text, "cause": cause, "acked_by": text,
        "ruled_out": (text,) * 20, "reason": text, "budget": text, "baseline_note": text, "members": members,
        "evidence": (note,) * 8, "examples": (text,) * 3, "cases": (case,) * 3,
    }  # fmt: skip
    return incident.model_copy(update=fields)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", [EffectKind.POST, EffectKind.REPLY])
@pytest.mark.parametrize("degrade", list(Degrade))
def test_nothing_pings_and_everything_fits(text: str, kind: EffectKind, degrade: Degrade) -> None:
    incident = poisoned(text)
    member = incident.members[1].signal_id
    message = Message("o", kind, NotifyReason.GREW, incident, member, degrade)
    payload = render(message)
    assert problems(payload, OURS) == []
    said = [payload["text"], *texts(payload["blocks"])]
    assert [ping for one in said for ping in PING.findall(one)] == []
    assert all(unicodedata.category(c) != "Cc" or c == "\n" for one in said for c in one)
    json.dumps(payload).encode()
    for one in ("app", "route"):
        assert f"<{one}>" not in json.dumps(payload)


@pytest.mark.parametrize("text", HOSTILE)
def test_the_page_and_the_console_escape_too(text: str) -> None:
    channel = Channel("C1")
    channel.post(render(Message("o", EffectKind.POST, NotifyReason.FIRST, poisoned(text))), 1_772_355_900.0)
    shown = page([channel])
    assert "<script" not in shown
    assert "<img" not in shown
    assert "class=ping>" not in shown
    console = Console(width=100, file=StringIO())
    with console.capture() as capture:
        console.print(card(poisoned(text)))
    assert {c for c in capture.get() if unicodedata.category(c) in ("Cc", "Cf")} <= {"\n", "\u200d"}


@given(st.text(st.characters(), max_size=400), st.integers(1, 200))
@settings(deadline=None)
def test_escape_is_bounded_and_leaves_no_markup(text: str, limit: int) -> None:
    for escaped in (escape(text, limit), prose(text, limit)):
        assert len(escaped) <= limit
        assert "<" not in escaped
        assert ">" not in escaped
        for at, character in enumerate(escaped):
            if character == "&":
                assert escaped[at:].startswith(("&amp;", "&lt;", "&gt;"))


def test_cleaning_keeps_what_people_write() -> None:
    for text in ("Grüße, 東京, नमस्ते, Việt Nam", "👩‍👩‍👧 ok ✅", "a’s “quote” – 5 %"):
        assert clean(text) == text
    assert clean("a\u0301\u0302\u0303\u0304") == "a\u0301\u0302"
    assert clean("one\r\n\r\ntwo") == "one two"
