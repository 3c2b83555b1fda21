"""A session over the review queue: what each key does.

What is said goes to the store's owner at once, and what stands then is what the owner answers. A text that
was entered is kept in a file until it is stored: where the store refuses it, the same key offers it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rich.text import Text

from sinks.evalstore.annotations import MANY, Change, Kind, change
from sinks.evalstore.requests import STATE
from sinks.evalstore.review_state import ReviewState
from streams.commands.fail import Failed
from streams.commands.printable import one_line, printable
from streams.review.drafts import Drafts, Files
from streams.review.item import Item, Queue
from streams.review.screen import help_lines, screen

REFUSED = 2
"""The exit status of what the owner does not do, however often it is asked."""
Act = Callable[[dict[str, Any]], dict[str, Any]]
"""A request to the store's owner; raises ``Failed`` where it is not done."""


class Entered(NamedTuple):
    """What somebody wrote. ``done`` False: broken off. ``file``: where it is kept until ``Terminal.drop``."""

    text: str
    done: bool = True
    file: Path | None = None


class Terminal(Files, Protocol):
    """What a session needs of a terminal; ``streams.review.terminal`` is a real one."""

    def size(self) -> tuple[int, int]:
        """Columns and rows."""

    def show(self, lines: list[Text]) -> None:
        """Clear the screen and write these."""

    def key(self) -> str:
        """The next key; "" at the end of input, or where somebody breaks off."""

    def line(self, prompt: str) -> str | None:
        """A line; None where somebody breaks off."""

    def write(self, text: str) -> Entered:
        """A text of several lines, beginning with ``text``."""

    def page(self, case: dict[str, Any]) -> None:
        """A case whole, in a pager."""


class Tally(NamedTuple):
    """``left``: files with texts that were not stored."""

    accepted: int
    dismissed: int
    skipped: int
    left: list[Path]


def unstored(files: Sequence[Path]) -> str:
    return f"Texts that were not stored are in {', '.join(printable(file) for file in files)}"


class Desk:
    """One reviewer's session. Not for several threads."""

    def __init__(self, terminal: Terminal, queue: Queue, act: Act, actor: str) -> None:
        self._terminal, self._queue, self._act, self._actor = terminal, queue, act, actor
        self._items: list[Item] = []
        self._at = 0
        self._cursor: str | None = None
        self._ended = False
        self._finished: dict[str, str] = {}
        """By cluster: accepted, dismissed, skipped."""
        self._said: list[str] = []
        self._drafts = Drafts(terminal)
        self._message = "? says what the keys do"

    def run(self) -> Tally:
        """Until somebody quits or the queue is empty. Raises ``Failed`` where the queue cannot be read on."""
        try:
            self._review()
        except KeyboardInterrupt:  # while something was read or shown: as good as quitting
            pass
        except Failed as failure:
            if not self._drafts.left:
                raise
            raise Failed(f"{failure}. {unstored(self._drafts.left)}", failure.status) from failure
        words = list(self._finished.values())
        return Tally(
            words.count("accepted"), words.count("dismissed"), words.count("skipped"), self._drafts.left
        )

    def _review(self) -> None:
        self._go_on()
        keys: dict[str, Callable[[Item], None]] = {
            "a": lambda item: self._verdict(item, "accepted"),
            "d": lambda item: self._verdict(item, "dismissed"),
            "l": self._labels,
            "e": self._expected,
            "m": lambda item: self._criteria(item, Kind.MUST),
            "n": lambda item: self._criteria(item, Kind.MUST_NOT),
            "A": self._assign,
            "s": self._skip,
            "b": self._back,
            "u": self._undo,
            "o": lambda item: self._terminal.page(item.case),
            "?": self._help,
        }
        while self._at < len(self._items):
            item = self._items[self._at]
            width, height = self._terminal.size()
            done = len(self._finished)
            self._terminal.show(screen(item, f"{self._at + 1} ({done} done)", self._message, width, height))
            self._message = ""
            key = self._terminal.key()
            if key in ("q", ""):
                break
            if key in keys:
                keys[key](item)
            else:
                self._message = f"no such key: {one_line(repr(key))}; ? says what there is"

    def _go_on(self) -> None:
        """To the next failure that is not finished; reads on where there is none."""
        while True:
            while self._at < len(self._items):
                if self._items[self._at].state.cluster_id not in self._finished:
                    return
                self._at += 1
            if self._ended:
                return
            batch = self._queue(self._cursor)
            self._cursor, self._ended = batch.next, batch.next is None
            known = {item.state.cluster_id for item in self._items}
            self._items += [item for item in batch.items if item.state.cluster_id not in known]

    def _verdict(self, item: Item, verdict: str) -> None:
        done = self._do({"review": {"case_id": item.case_id, "verdict": verdict, "note": None}})
        if done is not None:
            self._message = f"{verdict}: {item.case_id[:8]}, and so {done['cases']:,} of its cluster"
            self._finished[item.state.cluster_id] = verdict
            self._go_on()

    def _skip(self, item: Item) -> None:
        self._finished.setdefault(item.state.cluster_id, "skipped")
        self._at += 1
        self._go_on()

    def _back(self, item: Item) -> None:
        if self._at == 0:
            self._message = "this is the first one"
        else:
            self._at -= 1

    def _labels(self, item: Item) -> None:
        given = self._line(item, Kind.LABEL, "labels (-word takes one away): ")
        words = [] if given is None else given.split()
        changes = [(word.removeprefix("-"), word.startswith("-")) for word in words]
        self._annotate(item, Kind.LABEL, given, changes)

    def _criteria(self, item: Item, kind: Kind) -> None:
        name = "must" if kind is Kind.MUST else "must not"
        given = self._line(item, kind, f"a right answer {name} (-1 takes the first away): ")
        standing = item.state.must if kind is Kind.MUST else item.state.must_not
        if given is not None and given.startswith("-") and given[1:].isdecimal():
            number = int(given[1:])
            if not 0 < number <= len(standing):
                self._message = f"there is no {name} {number}"
                return
            self._annotate(item, kind, given, [(standing[number - 1], True)])
        else:
            self._annotate(item, kind, given, [] if given is None else [(given, False)])

    def _assign(self, item: Item) -> None:
        given = self._terminal.line(f"assign to (Enter: {one_line(self._actor)}, -: nobody): ")
        if given is None:
            return
        who = None if given.strip() == "-" else given.strip() or self._actor
        self._annotate(item, Kind.ASSIGNED, who or "-", [(who, who is None)])

    def _expected(self, item: Item) -> None:
        key, state = (item.case_id, Kind.EXPECTED), item.state
        draft = self._drafts.of(key)
        before = (state.expected_answer or "") if draft is None else draft
        entered = self._terminal.write(before)
        text = entered.text.strip()
        unchanged = text == before.strip()
        if not entered.done and text and not unchanged:
            self._drafts.keep(key, entered.text, entered.file)
            self._message = "not stored: broken off. The text is kept, e goes on with it"
        elif not entered.done or (draft is None and unchanged) or (not text and draft is not None):
            if entered.file is not None:
                self._terminal.drop(entered.file)
            if entered.done:
                self._drafts.done(key)
            self._message = "nothing was written"
        elif not text and state.expected_from != "reviewer":
            if entered.file is not None:
                self._terminal.drop(entered.file)
            self._message = "there is no reviewer's answer to withdraw"
        else:
            self._drafts.keep(key, entered.text, entered.file)
            self._annotate(item, Kind.EXPECTED, entered.text, [(text or None, not text)])

    def _undo(self, item: Item) -> None:
        if not self._said:
            self._message = (
                "nothing of this session is left to undo; `gleaner cases undo` takes back earlier words"
            )
            return
        done = self._do({"undo": {"id": self._said[-1]}})
        if done is None:
            return
        self._said.pop()
        self._message = f"undone: {done['kind']} of {str(done['case_id'])[:8]}"
        for place, each in enumerate(self._items):
            if each.case_id == done["case_id"]:
                self._at = place
                if done["kind"] in ("accepted", "dismissed"):
                    self._finished.pop(each.state.cluster_id, None)

    def _help(self, item: Item) -> None:
        self._terminal.show([*help_lines(), Text(""), Text("any key goes back", style="dim")])
        self._terminal.key()

    def _line(self, item: Item, kind: Kind, prompt: str) -> str | None:
        """A line, or the draft that the store refused before; None where nothing was entered."""
        draft = self._drafts.of((item.case_id, kind))
        offered = "" if draft is None else f"Enter takes: {one_line(draft)}\n"
        given = self._terminal.line(offered + prompt)
        if given is not None and not given.strip() and draft is not None:
            return draft
        return given.strip() or None if given is not None else None

    def _annotate(
        self, item: Item, kind: Kind, given: str | None, wanted: Sequence[tuple[str | None, bool]]
    ) -> None:
        """Have changes stored; ``given`` is what was entered, and kept where they are not."""
        if given is None or not wanted:
            self._message = self._message or "nothing was entered"
            return
        key = (item.case_id, kind)
        text = kind is not Kind.ASSIGNED and not all(removed for _, removed in wanted)
        if text:
            self._drafts.keep(key, given)
        kept = ". The text is kept: the same key offers it again" if text else ""
        try:
            changes: list[Change] = [change(kind, each, removed) for each, removed in wanted]
        except ValueError as error:
            self._message = f"not stored: {error}{kept}"
            return
        asked = {"case_id": item.case_id, "changes": [list(each) for each in changes]}
        done = self._do({"annotate": asked})
        if done is None:
            self._message += kept
            return
        self._drafts.done(key)
        if not done["changed"]:
            self._message = "nothing to change: it stands like that already"
        else:
            what = "for its cluster" if kind in MANY or kind is Kind.ASSIGNED else "for this case"
            less = "; the app's privacy policy took something out" if done["redacted"] else ""
            self._message = f"stored {what}{less}"

    def _do(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The owner's answer, which the items show; None where it was not done, and why in the message."""
        ((kind, body),) = request.items()
        try:
            done = self._act({kind: body | {"actor": self._actor, STATE: True}})
        except Failed as failure:
            self._message = f"not stored: {failure}"
            if kind == "undo" and failure.status == REFUSED:
                self._said.pop()  # somebody else took it back, or the case was forgotten
            return None
        except KeyboardInterrupt:
            self._message = "broken off: it may be stored, or wait for the store's owner"
            return None
        if kind != "undo" and done.get("id"):
            self._said.append(done["id"])
        if done.get(STATE):
            self._see(ReviewState(**done[STATE]), str(body.get("case_id") or done.get("case_id")))
        return done

    def _see(self, state: ReviewState, case_id: str) -> None:
        """What stands now, for every item of the cluster; the expected answer is one case's."""
        for place, item in enumerate(self._items):
            if item.case_id == case_id:
                self._items[place] = item._replace(state=state)
            elif item.state.cluster_id == state.cluster_id:
                own = item.state
                self._items[place] = item._replace(
                    state=state._replace(expected_answer=own.expected_answer, expected_from=own.expected_from)
                )
