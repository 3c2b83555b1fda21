"""The review queue by single keys: a session over a real store, on a scripted terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.case import CaseReason
from sinks.evalstore import Forget, Kind, StoreOwner, find_case
from sinks.evalstore.asked import perform
from sinks.evalstore.errors import BadRequest
from sinks.evalstore.releases.agreement import agreements
from sinks.evalstore.review_state import review_state
from streams.commands.fail import Failed
from streams.review import item as items
from streams.review.desk import Desk, Entered, Tally
from streams.review.item import Batch, read_batch
from tests.evalstore.releases.test_freeze import failure
from tests.evalstore.samples import MARCH, as_written
from tests.review.scripted import ScriptedTerminal

RANKED = [CaseReason.UNSAFE, CaseReason.ESCALATION, CaseReason.LOW_SCORE]
"""Cases 0, 1, 2 come up in this order; 10 and 11 are near-duplicates of 0."""


def case(number: int) -> str:
    return failure(number).case_id


class World:
    def __init__(self, owner: StoreOwner, folder: Path) -> None:
        self.owner, self.folder = owner, folder
        self.now = MARCH
        self.refuse: Failed | None = None
        self.asked: list[dict[str, Any]] = []

    def act(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        if self.refuse is not None:
            raise self.refuse
        self.now += 1
        try:
            return perform(self.owner, request, as_written, self.now)[1]
        except BadRequest as error:
            raise Failed(str(error)) from error

    def play(self, *script: str | Entered | None, **wanted: str) -> tuple[Tally, ScriptedTerminal]:
        terminal = ScriptedTerminal(script, self.folder)
        return self.desk(terminal, wanted=wanted or {"verdict": "none"}).run(), terminal

    def desk(self, terminal: ScriptedTerminal, by: str = "ann", wanted: dict[str, str] | None = None) -> Desk:
        filters = wanted or {"verdict": "none"}
        return Desk(terminal, lambda cursor: read_batch(self.owner._con, filters, cursor), self.act, by)

    def state(self, number: int) -> Any:
        return review_state(self.owner._con, case(number))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        like = [failure(n, RANKED[0], like=0) for n in (10, 11)]
        owner.write([*(failure(n, reason) for n, reason in enumerate(RANKED)), *like], now=MARCH)
        (tmp_path / "files").mkdir()
        yield World(owner, tmp_path / "files")


def first_lines(terminal: ScriptedTerminal) -> list[str]:
    return [screen[0] for screen in terminal.screens]


def test_the_queue_in_order_of_rank_until_it_is_empty(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "BATCH", 1)
    tally, terminal = world.play("a", "d", "s")
    assert tally == Tally(1, 1, 1, [])
    shown = terminal.screens
    assert [screen[1].split()[0] for screen in shown] == ["unsafe", "escalation", "low_score"]
    assert "×3" in shown[0][0]
    assert [world.state(n).verdicts[0]["verdict"] for n in (0, 1)] == ["accepted", "dismissed"]
    assert world.state(2).verdicts == []
    tally, terminal = world.play("q")
    assert [screen[1].split()[0] for screen in terminal.screens] == ["low_score"], (
        "what was skipped comes again"
    )
    assert world.play(app="desk")[1].screens == []


def test_labels_criteria_and_assignment(world: World) -> None:
    script = [
        "l",
        "billing Docs",
        "m",
        "names the 30 days",
        "m",
        "cites",
        "n",
        "promises money",
        "A",
        "",
        "m",
        "-1",
    ]
    _, terminal = world.play(*script, "l", "-docs", "A", "ben", "q")
    state = world.state(10)
    assert (state.labels, state.must, state.must_not) == (["billing"], ["cites"], ["promises money"])
    assert state.assigned == "ben"
    last = terminal.screens[-1]
    assert last[2].split("  ") == ["#billing", "assigned to ben"]
    assert any(line.startswith("must 1      cites") for line in last)
    assert any(line.startswith("must not 1  promises money") for line in last)
    assert "assign to (Enter: ann" in terminal.prompts[4]
    world.play("A", "-", "q")
    assert world.state(0).assigned is None


@pytest.mark.parametrize(
    ("key", "line", "said"),
    [
        ("l", "a,b", "a label is one word"),
        ("m", "-3", "there is no must 3"),
        ("m", "x" * 501, "at most 500"),
        ("A", "none", "nobody is called"),
        ("l", None, "nothing was entered"),
        ("n", "", "nothing was entered"),
        ("x", "q", "no such key: 'x'"),
        ("\x1b[A", "q", r"no such key: '\x1b[A'"),
    ],
)
def test_what_is_not_done_is_said(world: World, key: str, line: str | None, said: str) -> None:
    _, terminal = world.play(key, line, "q")
    assert said in "\n".join(terminal.screens[-1])
    assert world.asked == []


def test_the_right_answer(world: World) -> None:
    file = world.folder / "draft.txt"
    file.write_text("Within 30 days.")
    _, terminal = world.play(
        "e", Entered("Within 30 days.\n", True, file), "e", Entered("Within 30 days.\n"), "q"
    )
    assert find_case(world.owner._con, case(0))["expected_answer"] == "Within 30 days."
    assert not file.exists(), "stored: the editor's file goes"
    assert terminal.offered == ["", "Within 30 days."]
    assert any(line.startswith("expected    Within 30 days.") for line in terminal.screens[-1])
    assert len(world.asked) == 1, "unchanged"
    world.play("e", Entered(""), "q")
    assert find_case(world.owner._con, case(0))["expected_from"] is None, "emptied: withdrawn"
    world.play("e", Entered(""), "q")
    assert len(world.asked) == 2


def test_no_text_is_lost(world: World) -> None:
    """The store refuses it, or the editor breaks off: the same key offers it again; what is left is named."""
    world.refuse = Failed("the owner did not answer within 1 s", status=1)
    file = world.folder / "draft.txt"
    file.write_text("Within 30 days.")
    script: list[str | Entered | None] = [
        "e",
        Entered("Within 30 days.", True, file),
        "m",
        "names the days",
        "l",
        "two words, bad",
    ]
    tally, terminal = world.play(*script, "q")
    assert "not stored: the owner did not answer" in "\n".join(terminal.screens[1])
    assert tally.left[0] == file
    assert [path.read_text() for path in tally.left] == [
        "Within 30 days.",
        "names the days",
        "two words, bad",
    ]
    broken = world.folder / "broken.txt"
    broken.write_text("half a sent")
    again: list[str | Entered | None] = ["m", "names the days", "e", Entered("half a sent", False, broken)]
    desk_acts: list[Callable[[], None]] = [lambda: setattr(world, "refuse", None)]

    class Relenting(ScriptedTerminal):
        """Between the first and the second try the store comes back."""

        def line(self, prompt: str) -> str | None:
            given = super().line(prompt)
            if given == "" and desk_acts:
                desk_acts.pop()()
            return given

    terminal = Relenting([*again, "m", "", "e", Entered("half a sentence."), "q"], world.folder)
    desk = world.desk(terminal)
    assert desk.run().left == []
    assert terminal.prompts[1].startswith("Enter takes: names the days\n")
    assert terminal.offered == ["", "half a sent"]
    state = world.state(0)
    assert (state.must, state.expected_answer) == (["names the days"], "half a sentence.")
    assert not broken.exists()


def test_a_second_opinion_comes_with_the_first(world: World) -> None:
    """Until both have a verdict on it; the agreement of the two is then known."""
    world.play("d", "s", "s")
    assert [screen[1].split()[0] for screen in world.play("q")[1].screens] == ["escalation"]
    second = ScriptedTerminal(["a", "s", "s"], world.folder)
    world.desk(second, "ben", {"not_by": "ben"}).run()
    assert len(second.screens) == 3
    assert any(line.startswith("said        dismissed by ann") for line in second.screens[0])
    (both,) = agreements(world.owner._con)
    assert (both.one, both.other, both.n, both.same) == ("ann", "ben", 1, 0)
    assert len(world.play("q", not_by="ben")[1].screens) == 1


def test_a_queue_that_breaks_names_the_files(world: World) -> None:
    def broken(cursor: str | None) -> Batch:
        if cursor is None:
            return read_batch(world.owner._con, {"verdict": "none"}, None)._replace(next="more")
        raise Failed("the store is gone", status=2)

    def refusing(request: dict[str, Any]) -> dict[str, Any]:
        if "annotate" in request:
            raise Failed("not now", status=1)
        return world.act(request)

    terminal = ScriptedTerminal(["m", "names the days", "a", "a", "a"], world.folder)
    with pytest.raises(Failed) as caught:
        Desk(terminal, broken, refusing, "ann").run()
    (file,) = world.folder.iterdir()
    assert str(caught.value) == f"the store is gone. Texts that were not stored are in {file}"
    assert (caught.value.status, file.read_text()) == (2, "names the days")


def test_what_is_stored_leaves_no_file(world: World) -> None:
    world.play("m", "names the days", "l", "billing", "n", "promises", "A", "none", "m", "-1", "q")
    assert list(world.folder.iterdir()) == []


def test_undo_goes_back_to_what_it_was_said_of(world: World) -> None:
    tally, terminal = world.play("l", "billing", "a", "d", "u", "u", "u", "u", "q")
    assert tally == Tally(0, 0, 0, [])
    assert [screen[1].split()[0] for screen in terminal.screens] == [
        *("unsafe", "unsafe", "escalation", "low_score", "escalation", "unsafe", "unsafe", "unsafe"),
    ]
    assert "nothing of this session is left to undo" in "\n".join(terminal.screens[-1])
    assert "#billing" in terminal.screens[5][2]
    assert "no label" in terminal.screens[6][2]
    assert [world.state(n).verdicts for n in (0, 1)] == [[], []]
    undone = [request["undo"]["id"] for request in world.asked if "undo" in request]
    assert len(set(undone)) == 3


def test_a_case_that_was_forgotten_meanwhile(world: World) -> None:
    """Read before, gone since: it is said, and the session goes on."""

    class Forgetful(ScriptedTerminal):
        def key(self) -> str:
            key = super().key()
            if key == "a" and len(self.screens) == 1:
                for n in (0, 10, 11):
                    world.owner.forget(Forget(Kind.TRACE, f"trace-{n}", None), MARCH)
            return key

    terminal = Forgetful(["a", "s", "a", "u", "u", "q"], world.folder)
    desk = world.desk(terminal)
    assert desk.run().accepted == 0
    assert "not stored: no such case" in "\n".join(terminal.screens[1])
    assert world.state(1).verdicts == []


def test_the_rest_of_the_keys(world: World) -> None:
    _, terminal = world.play("o", "?", " ", "b", "s", "b", "q")
    assert terminal.paged[0]["case_id"] == case(0)
    assert any("take back what you said last" in line for line in terminal.screens[2])
    assert "this is the first one" in "\n".join(terminal.screens[4])
    assert first_lines(terminal)[-1].startswith("1 ")


def test_a_break_while_the_owner_is_asked_keeps_the_text(world: World) -> None:
    def interrupted(request: dict[str, Any]) -> dict[str, Any]:
        raise KeyboardInterrupt

    terminal = ScriptedTerminal(["m", "names the days", "q"], world.folder)
    setattr(world, "act", interrupted)  # noqa: B010
    desk = world.desk(terminal)
    assert [path.read_text() for path in desk.run().left] == ["names the days"]
    assert "broken off: it may be stored" in "\n".join(terminal.screens[-1])
