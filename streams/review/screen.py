"""An item as the lines of a terminal: never more of them than it has rows, however large the texts are.

All text is foreign: what would steer the terminal is shown, not obeyed (``streams.commands.printable``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from streams.commands.case_view import segment
from streams.commands.printable import one_line
from streams.review.item import Item

KEYS = (
    ("a", "accept", "a failure indeed; the next one comes"),
    ("d", "dismiss", "no failure: it goes into no frozen set; the next one comes"),
    ("l", "label", "labels: a word each, -word takes one away"),
    ("e", "expected answer", "write the right answer to this question, in $VISUAL or $EDITOR if one is set"),
    ("m", "must", "what a right answer does, one sentence; -2 takes the second away"),
    ("n", "must not", "what a right answer does not, likewise"),
    ("A", "assign", "say whose turn it is"),
    ("s", "skip", "leave it for later; the next one comes"),
    ("b", "back", "the one before"),
    ("u", "undo", "take back what you said last in this session"),
    ("o", "open", "all of its text, in the pager"),
    ("?", "help", "this list"),
    ("q", "quit", "what was said is stored already"),
)
"""Key, name, and what it does."""
LABEL = 12
"""Columns of the names before the texts."""
PASSAGES = CLAIMS = VERDICTS = 3
LEAST = 8
"""Rows for texts on however small a terminal."""


class Section(NamedTuple):
    """A text under a name, ``most`` rows at most; where there are too few, those of a high ``rank`` go
    first.
    """

    name: str
    text: str
    most: int
    rank: int
    style: str = ""


def screen(item: Item, place: str, message: str, width: int, height: int) -> list[Text]:
    """The lines of the terminal; ``place`` says where in the session, ``message`` what was done last."""
    width = max(width, 40)
    head = [*_head(item, place, width), Text("")]
    foot = [Text(""), _cut(one_line(message), width, "bold"), *_keys(width)]
    room = max(LEAST, height - len(head) - len(foot) - 1)
    return head + _body(_sections(item), width, room) + foot


def _head(item: Item, place: str, width: int) -> Iterator[Text]:
    cluster, case, state = item.cluster, item.case, item.state
    where = segment(case["app"], case["environment"], case["route"])
    yield _cut(f"{place}  rank {cluster['rank']:.1f}  ×{state.cases:,}  {where}", width, "bold reverse")
    score = (
        "" if case["score"] is None else f"  score {case['score']:.2f} by {one_line(case['scorer'] or '?')}"
    )
    seen = f"{cluster['first_seen'][:16]} – {cluster['last_seen'][:16]}".replace("T", " ")
    yield _cut(f"{one_line(', '.join(cluster['reasons']))}{score}  {seen}  {case['case_id'][:8]}", width)
    labels = " ".join(f"#{one_line(each)}" for each in state.labels) or "no label"
    turn = f"assigned to {one_line(state.assigned)}" if state.assigned else "assigned to nobody"
    yield _cut(f"{labels}  {turn}", width, "dim")


def _sections(item: Item) -> list[Section]:
    case, state = item.case, item.state
    found = [Section("question", _text(case["question"]), 6, 0)]
    contexts = case["contexts"] or []
    for number, context in enumerate(contexts[:PASSAGES], 1):
        name = f"[{number}/{len(contexts)}]"
        found.append(Section(name, _text(context["text"]), 3, 6 + number, "dim"))
    found.append(Section("answer", _text(case["answer"]), 8, 1))
    found += [Section("unsupported", each, 3, 3, "red") for each in _unsupported(case)[:CLAIMS]]
    if state.expected_answer is not None:
        name = "expected" if state.expected_from == "reviewer" else "corrected"
        found.append(Section(name, _text(state.expected_answer), 6, 2, "green"))
    found += [Section(f"must {n}", each, 2, 4) for n, each in enumerate(state.must, 1)]
    found += [Section(f"must not {n}", each, 2, 5) for n, each in enumerate(state.must_not, 1)]
    for said in state.verdicts[-VERDICTS:]:
        note = f": {said['note']}" if said["note"] else ""
        found.append(Section("said", f"{said['verdict']} by {said['actor']}{note}", 2, 6, "yellow"))
    return found


def _unsupported(case: dict[str, Any]) -> list[str]:
    """Claims that a scorer found unsupported, with its reason, those of the latest score."""
    for event in reversed(case["events"]):
        claims = (event["score"] or {}).get("claims") or ()
        found = [
            f"{claim.get('statement', '')}" + (f" ({claim['reason']})" if claim.get("reason") else "")
            for claim in claims
            if isinstance(claim, dict) and not claim.get("supported")
        ]
        if found:
            return found
    return []


def _text(value: Any) -> str:
    return "(not published)" if value is None else str(value)


def _body(sections: Sequence[Section], width: int, room: int) -> list[Text]:
    """Every section gets a row, then each another one in turn, while there are any and it has more to say."""
    kept = sorted(sorted(range(len(sections)), key=lambda n: (sections[n].rank, n))[:room])
    wrapped = {n: _wrapped(sections[n], width - LABEL) for n in kept}
    rows = dict.fromkeys(kept, 1)
    left = room - len(kept)
    while left and (hungry := [n for n in kept if rows[n] < min(len(wrapped[n]), sections[n].most)]):
        for n in sorted(hungry, key=lambda n: sections[n].rank)[:left]:
            rows[n] += 1
            left -= 1
    lines = []
    for n in kept:
        section, text = sections[n], wrapped[n][: rows[n]]
        if rows[n] < len(wrapped[n]):
            text[-1] = _cut(text[-1].plain.rstrip() + " …", width - LABEL, section.style, " …")
        for row, line in enumerate(text):
            name = f"{'' if row else section.name:<{LABEL}}"[:LABEL]
            lines.append(Text().append(name, style="dim").append_text(line))
    return lines


def _wrapped(section: Section, width: int) -> list[Text]:
    # Twice what can be shown, and one more row, so that megabytes cost nothing and the cut is still seen.
    text = Text(one_line(section.text[: 2 * width * (section.most + 1)]), style=section.style)
    return list(text.wrap(_PLAIN, width)) or [Text("(empty)", style="dim")]


_PLAIN = Console(highlight=False, emoji=False, markup=False, width=80)


def _cut(text: str, width: int, style: str = "", ending: str = "…") -> Text:
    """One line of at most ``width`` columns."""
    line = Text(text, style=style)
    if line.cell_len > width:
        line.truncate(width - len(ending))
        line.append(ending)
    return line


def _keys(width: int) -> list[Text]:
    named = [f"{key} {name}" for key, name, _ in KEYS]
    lines, now = [], ""
    for each in named:
        if now and len(now) + 2 + len(each) > width:
            lines.append(Text(now, style="dim"))
            now = each
        else:
            now = f"{now}  {each}" if now else each
    return [*lines, Text(now, style="dim")]


def help_lines() -> list[Text]:
    """What each key does."""
    return [Text(f"{key:>3}  {name:<16} {what}") for key, name, what in KEYS]
