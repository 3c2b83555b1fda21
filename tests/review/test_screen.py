"""The screen of the review queue: it fits, and no case can steer the terminal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from sinks.evalstore.review_state import ReviewState
from streams.review.item import Item
from streams.review.screen import screen

EVIL = "red \x1b[31m \x9b2J \x07 \u202e\x1b]0;title\x07 [bold]no markup[/bold]"


def item(text: str, **changes: Any) -> Item:
    case = {
        "case_id": "c" * 36,
        "app": text,
        "environment": text,
        "route": "chat",
        "score": 0.2,
        "scorer": text,
        "question": text,
        "contexts": [{"id": text, "text": text, "score": None}] * 5,
        "answer": text,
        "events": [{"score": None}, {"score": {"claims": [*CLAIMS, {"statement": text, "reason": text}]}}],
    }
    cluster = {
        "rank": 12.34,
        "reasons": ["low_score"],
        "first_seen": "2026-03-01T00:00:00Z",
        "last_seen": "2026-03-02T00:00:00Z",
    }
    verdicts = [{"actor": text, "verdict": "accepted", "note": text}] * 4
    state = ReviewState("c-1", 4_000, ["docs"], [text] * 20, [text] * 20, text, text, "reviewer", verdicts)
    return Item(cluster, case | changes, state)


CLAIMS = [
    {"statement": "For ever", "supported": False, "reason": "30 days"},
    {"statement": "ok", "supported": True},
]
texts = st.text(max_size=30) | st.sampled_from(
    ["", EVIL, "文" * 5_000, "x" * 1_000_000, "line\n" * 400, "a\u0301" * 99]
)


@settings(max_examples=80, deadline=None)
@given(texts, st.integers(20, 200), st.integers(10, 60))
def test_it_fits_and_nothing_steers(text: str, width: int, height: int) -> None:
    lines = [line.plain for line in screen(item(text), "1", text, width, height)]
    shown = "".join(lines)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2066\u200e\u2028" for c in shown)
    assert max(map(cell_len, lines)) <= max(width, 40)
    if width >= 60 and height >= 24:
        assert len(lines) < height, "and a line for the cursor"


def test_what_is_on_it() -> None:
    lines = [line.plain.rstrip() for line in screen(item("How long?"), "3 (2 done)", "stored", 100, 60)]
    assert lines[0].startswith("3 (2 done)  rank 12.3  ×4,000  How long? · How long? · chat")
    assert lines[1].startswith(
        "low_score  score 0.20 by How long?  2026-03-01 00:00 – 2026-03-02 00:00  cccccccc"
    )
    for expected in (
        "question   How long?",
        "[3/5]      How long?",
        "answer     How long?",
        "unsupported",
        "expected   How long?",
        "must 1  How long?",
        "must not 2  How long?",
        "said  accepted by How long?: How long?",
    ):
        name, _, rest = expected.partition("  ")
        assert any(line.startswith(f"{name:<12}{rest.strip()}") for line in lines), expected
    assert "stored" in lines
    assert any("For ever (30 days)" in line for line in lines)
    assert not any(line.split()[-1] == "ok" for line in lines if line.strip()), "a supported claim is no news"


@pytest.mark.parametrize("height", [24, 40])
def test_a_long_answer_leaves_room_for_the_rest(height: int) -> None:
    whole = item("word " * 4_000)
    few = whole._replace(state=whole.state._replace(must=["a"], must_not=["b"], verdicts=[]))
    lines = [line.plain for line in screen(few, "1", "", 80, height)]
    names = [line[:12].strip() for line in lines[4:-4]]
    assert [name for name in names if name] == [
        *(
            "question",
            "[1/5]",
            "[2/5]",
            "[3/5]",
            "answer",
            "unsupported",
            "unsupported",
            "expected",
            "must 1",
        ),
        "must not 1",
    ]
    assert sum("…" in line for line in lines[4:-4]) >= 6, "what is cut says so"


def test_nothing_published() -> None:
    bare = item("x", question=None, answer=None, contexts=None, events=[], score=None)
    lines = [line.plain for line in screen(bare, "1", "", 80, 40)]
    assert any(line.startswith("answer      (not published)") for line in lines)
