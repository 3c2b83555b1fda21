"""Labels, criteria, expected answers, assignments: what stands, what is taken back, what may be stored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.case import CaseReason
from sinks.evalstore import CaseFilter, StoreOwner, find_case, list_cases, list_clusters, open_for_reading
from sinks.evalstore.annotations import (
    MANY,
    MOST,
    Annotate,
    Annotated,
    Change,
    Kind,
    change,
    label,
    read_annotate,
    reviewer,
    sentence,
)
from sinks.evalstore.asked import perform
from sinks.evalstore.errors import BadRequest
from sinks.evalstore.pages import CASES, CLUSTERS, page
from sinks.evalstore.regroup import Split, Undo
from sinks.evalstore.releases.reviews import Review, Verdict
from sinks.evalstore.requests import answer_to, ask
from sinks.evalstore.review_state import review_state
from streams.settings import Settings
from streams.steps.privacy import Privacy, said
from streams.store.work import StoreWork
from tests.evalstore.releases.test_freeze import failure
from tests.evalstore.samples import MARCH, as_written


def case(number: int) -> str:
    return failure(number).case_id


def says(
    number: int, *changes: tuple[Kind, str | None] | tuple[Kind, str | None, bool], by: str = "ann"
) -> Annotate:
    return Annotate(case(number), by, tuple(change(*each) for each in changes))


@pytest.fixture
def owner(tmp_path: Path) -> StoreOwner:
    """Cases 0 to 2 are one failure; a user has put the answer of 1 right. Case 10 is another one."""
    owner = StoreOwner.open(tmp_path / "store.duckdb")
    corrected = {"expected_answer": "a user's answer"}
    owner.write([failure(0), failure(1, like=0, **corrected), failure(2, like=0), failure(10)], now=MARCH)
    return owner


def test_they_count_for_the_cluster_and_the_answer_for_its_case(owner: StoreOwner) -> None:
    done = owner.annotate(
        says(
            0,
            (Kind.LABEL, "Refunds"),
            (Kind.LABEL, "billing"),
            (Kind.MUST, "names the\n 30 days"),
            (Kind.MUST_NOT, "promises money"),
            (Kind.ASSIGNED, "ben"),
            (Kind.EXPECTED, " Within 30 days. "),
        ),
        as_written,
        MARCH,
    )
    assert done == Annotated(done.id, 6, 3, 0)
    for number, answer, source in (
        (0, "Within 30 days.", "reviewer"),
        (1, "a user's answer", "correction"),
        (2, None, None),
    ):
        found = find_case(owner._con, case(number))
        assert (found["expected_answer"], found["expected_from"]) == (answer, source)
        assert found["labels"] == ["billing", "refunds"]
        assert (found["must"], found["must_not"]) == (["names the 30 days"], ["promises money"])
        assert found["assigned"] == "ben"
    other = review_state(owner._con, case(10))
    assert (other.labels, other.must, other.must_not, other.assigned) == ([], [], [], None)
    owner.annotate(says(1, (Kind.EXPECTED, "Thirty days.")), as_written, MARCH)
    assert find_case(owner._con, case(1))["expected_answer"] == "Thirty days."
    # The events still say what the user said.
    assert find_case(owner._con, case(1))["events"][0]["expected_answer"] == "a user's answer"
    owner.annotate(says(1, (Kind.EXPECTED, None, True)), as_written, MARCH)
    assert find_case(owner._con, case(1))["expected_answer"] == "a user's answer"


def test_the_views_say_the_same_of_many_cases_and_of_some(owner: StoreOwner) -> None:
    """``case_list``, the macro that makes a page of it, and ``cluster_list``."""
    owner.annotate(
        says(1, (Kind.LABEL, "b"), (Kind.LABEL, "a"), (Kind.MUST, "z"), (Kind.MUST, "a")), as_written, 1
    )
    owner.annotate(says(2, (Kind.ASSIGNED, "ben"), (Kind.EXPECTED, "yes")), as_written, 1)
    con = owner._con
    whole = con.execute("FROM case_list ORDER BY case_id").fetchall()
    ids = [row[0] for row in con.execute("SELECT case_id FROM cases").fetchall()]
    assert con.execute("FROM case_list_of($ids) ORDER BY case_id", {"ids": ids}).fetchall() == whole
    names = [str(row[0]) for row in con.execute("DESCRIBE case_list").fetchall()]
    assert names == [str(row[0]) for row in con.execute("DESCRIBE FROM case_list_of([])").fetchall()]
    clusters = con.execute(
        "SELECT cases, labels, must, must_not, assigned, representative FROM cluster_list ORDER BY 1"
    )
    one, three = clusters.fetchall()
    assert one[:5] == (1, [], [], [], None)
    assert three == (3, ["a", "b"], ["z", "a"], [], "ben", case(2)), (
        "the one with a reviewer's answer stands for them"
    )


def test_filters(owner: StoreOwner) -> None:
    owner.annotate(says(0, (Kind.LABEL, "refunds"), (Kind.ASSIGNED, "ben")), as_written, MARCH)
    owner.annotate(says(2, (Kind.EXPECTED, "Thirty days, as ever.")), as_written, MARCH)
    con = owner._con
    for wanted, numbers in (
        (CaseFilter(label="refunds"), {0, 1, 2}),
        (CaseFilter(label="other"), set()),
        (CaseFilter(assigned="ben"), {0, 1, 2}),
        (CaseFilter(assigned="none"), {10}),
        (CaseFilter(assigned="ann"), set()),
        (CaseFilter(text="as EVER"), {2}),
    ):
        expected = {case(n) for n in numbers}
        assert {found.case_id for found in list_cases(con, wanted)} == expected
        assert sum(found.cases for found in list_clusters(con, wanted._replace(text=None))) in (
            len(numbers),
            3,
            4,
        )
        asked = {"label": wanted.label, "assigned": wanted.assigned, "q": wanted.text}
        assert {row["case_id"] for row in page(con, CASES, asked, 10).items} == expected
    clusters = page(con, CLUSTERS, {"label": "refunds", "assigned": "ben"}, 10).items
    assert [(row["cases"], row["labels"], row["assigned"]) for row in clusters] == [(3, ["refunds"], "ben")]
    assert [row["cases"] for row in page(con, CLUSTERS, {"assigned": "none"}, 10).items] == [1]


def test_asking_twice_is_asking_once(owner: StoreOwner) -> None:
    """Whoever asks, and of whatever case of the cluster: a request that a crash repeats changes nothing."""
    everything = ((Kind.LABEL, "a"), (Kind.MUST, "b"), (Kind.ASSIGNED, "ben"), (Kind.EXPECTED, "c"))
    assert owner.annotate(says(0, *everything), as_written, MARCH).changed == 4
    again = owner.annotate(says(0, *everything, by="cem"), as_written, MARCH + 1)
    assert again == Annotated(None, 0, 3, 0)
    assert owner.annotate(says(1, *everything[:3]), as_written, MARCH + 2).id is None
    assert (
        owner.annotate(says(10, (Kind.LABEL, "a", True), (Kind.EXPECTED, None, True)), as_written, 1).id
        is None
    )
    assert owner._con.execute("SELECT count(*) FROM case_annotations").fetchone() == (4,)


def test_what_was_said_at_once_is_undone_at_once(owner: StoreOwner) -> None:
    first = owner.annotate(says(0, (Kind.LABEL, "a"), (Kind.LABEL, "b")), as_written, MARCH)
    gone = owner.annotate(says(1, (Kind.LABEL, "a", True)), as_written, MARCH + 1)
    owner.review(Review(case(0), Verdict.ACCEPTED, "ann"), MARCH + 2)
    owner.annotate(says(0, (Kind.EXPECTED, "yes"), by="ben"), as_written, MARCH + 3)
    assert review_state(owner._con, case(0)).labels == ["b"]
    assert owner.undo(Undo("ann"), MARCH + 4).kind == "accepted", "the latest of hers, of whatever kind"
    back = owner.undo(Undo("ann"), MARCH + 5)
    assert (back.id, back.kind, back.case_id) == (gone.id, "label", case(1))
    assert review_state(owner._con, case(0)).labels == ["a", "b"]
    assert owner.undo(Undo("cem", first.id), MARCH + 6).id == first.id, "anybody may, by its id"
    assert review_state(owner._con, case(0)).labels == []
    assert owner.undo(Undo("ben"), MARCH + 7).kind == "expected_answer"
    assert review_state(owner._con, case(0)).expected_answer is None
    for asked in (Undo("ann"), Undo("ben"), Undo("ann", first.id)):
        with pytest.raises(BadRequest, match="undo"):
            owner.undo(asked, MARCH + 8)


def test_the_latest_stands_whatever_the_clock_says(owner: StoreOwner) -> None:
    """In one millisecond, and when the clock was set back."""
    for now, text in ((MARCH, "one"), (MARCH, "two"), (MARCH - 1_000_000, "three")):
        owner.annotate(says(0, (Kind.EXPECTED, text), (Kind.ASSIGNED, text)), as_written, now)
        state = review_state(owner._con, case(0))
        assert (state.expected_answer, state.assigned) == (text, text)


def test_the_same_is_said_again_after_it_was_undone(owner: StoreOwner) -> None:
    """Within one millisecond: an event of its own, and it stands."""
    seen = set()
    for _ in range(3):
        done = owner.annotate(says(0, (Kind.LABEL, "a"), (Kind.MUST, "b")), as_written, MARCH)
        seen.add(done.id)
        assert review_state(owner._con, case(0)).labels == ["a"]
        assert owner.undo(Undo("ann"), MARCH).id == done.id
        assert review_state(owner._con, case(0)).labels == []
    assert len(seen) == 3


def test_what_is_said_goes_with_its_case(owner: StoreOwner) -> None:
    """Where a cluster is split, each keeps what was said of its own cases."""
    owner.annotate(says(0, (Kind.LABEL, "a")), as_written, MARCH)
    owner.annotate(says(2, (Kind.LABEL, "b"), (Kind.MUST, "c")), as_written, MARCH)
    owner.split(Split((case(2),), "ann"), MARCH + 1)
    assert review_state(owner._con, case(1)).labels == ["a"]
    apart = review_state(owner._con, case(2))
    assert (apart.labels, apart.must, apart.cases) == (["b"], ["c"], 1)
    owner.undo(Undo("ann"), MARCH + 2)
    assert review_state(owner._con, case(1)).labels == ["a", "b"]


def test_what_is_no_annotation_is_refused(owner: StoreOwner) -> None:
    for wrong in ("", " ", "two words", "-a", "a,b", "a\x1b[31m", "x" * 41, "a@b.co"):
        with pytest.raises(ValueError, match="a label is one word"):
            label(wrong)
    for text, form in (("", sentence), ("x" * 501, sentence), ("", reviewer), ("none", reviewer)):
        with pytest.raises(ValueError):
            form(text)
    assert sentence("a\ud800b") == "a\ufffdb", "no database can hold half a character"
    given: Sequence[Any] = (
        {},
        {"annotate": {}},
        {"annotate": {"case_id": "x", "actor": "", "changes": [["label", "a", False]]}},
        {"annotate": {"case_id": "x", "actor": "ann", "changes": []}},
        {"annotate": {"case_id": "x", "actor": "ann", "changes": [["verdict", "a", False]]}},
        {"annotate": {"case_id": "x", "actor": "ann", "changes": [["label", None, False]]}},
        {"annotate": {"case_id": "x", "actor": "ann", "changes": [["label", "a", 1]]}},
        {"annotate": {"case_id": "x", "actor": "ann", "changes": [["label", "a"]]}},
        {
            "annotate": {
                "case_id": "x",
                "actor": "ann",
                "changes": [["label", f"l{n}", False] for n in range(61)],
            }
        },
    )
    for each in given:
        with pytest.raises(ValueError):
            read_annotate(each)
    with pytest.raises(BadRequest, match="no such case"):
        owner.annotate(Annotate("none", "ann", (Change(Kind.LABEL, "a"),)), as_written, MARCH)
    many = [(Kind.MUST, f"sentence {n}") for n in range(MOST)]
    assert owner.annotate(says(0, *many), as_written, MARCH).changed == MOST
    with pytest.raises(BadRequest, match=f"at most {MOST}"):
        owner.annotate(says(1, (Kind.MUST, "one more")), as_written, MARCH)
    assert (
        owner.annotate(
            says(1, (Kind.MUST, "sentence 3", True), (Kind.MUST, "one more")), as_written, 1
        ).changed
        == 2
    )


def test_the_apps_policy_decides_what_is_stored(owner: StoreOwner) -> None:
    """Of answers, criteria and notes, by the door that commands and the API take; labels as they are."""
    mail, address = "write to ann@example.org", "write to [EMAIL_1]"

    def ask(policy: Privacy, **request: Any) -> dict[str, Any]:
        def private(app: str, text: str) -> str | None:
            assert app == "shop"
            return said(text, policy)

        return perform(owner, request, private, MARCH, publish=False)[1]

    def write(policy: Privacy, *changes: Change) -> dict[str, Any]:
        wanted = {
            "case_id": case(0),
            "actor": "ann",
            "changes": [list(each) for each in changes],
            "state": True,
        }
        return ask(policy, annotate=wanted)

    done = write(
        Privacy.REDACTED,
        Change(Kind.EXPECTED, mail),
        Change(Kind.MUST, mail),
        Change(Kind.ASSIGNED, "a@b.co"),
    )
    assert (done["redacted"], done["state"]["expected_answer"], done["state"]["must"]) == (
        2,
        address,
        [address],
    )
    assert done["state"]["assigned"] == "a@b.co", "a reviewer's name"
    assert write(Privacy.FULL, Change(Kind.EXPECTED, mail))["state"]["expected_answer"] == mail
    with pytest.raises(BadRequest, match="names no person or secret"):
        write(Privacy.REDACTED, Change(Kind.LABEL, "10.0.0.1"))
    assert write(Privacy.IDS_ONLY, Change(Kind.LABEL, "billing"))["state"]["labels"] == ["billing"]
    for change_ in (Change(Kind.EXPECTED, "30 days"), Change(Kind.MUST_NOT, "30 days")):
        with pytest.raises(BadRequest, match="keeps ids only"):
            write(Privacy.IDS_ONLY, change_)
    verdict = {"case_id": case(0), "verdict": "dismissed", "actor": "ann", "note": mail}
    ask(Privacy.REDACTED, review=verdict)
    ask(Privacy.REDACTED, split={"case_ids": [case(2)], "actor": "ann", "note": mail})
    of = {row["case_id"]: row["cluster_id"] for row in page(owner._con, CASES, {}, 10).items}
    ask(
        Privacy.REDACTED,
        merge={"cluster_id": of[case(0)], "target": of[case(2)], "actor": "ann", "note": mail},
    )
    notes = "SELECT note FROM cluster_edits UNION ALL SELECT note FROM case_reviews"
    assert owner._con.execute(notes).fetchall() == [(address,)] * 3
    for refused in ({"review": verdict}, {"split": {"case_ids": [case(1)], "actor": "ann", "note": mail}}):
        with pytest.raises(BadRequest, match="without a note"):
            ask(Privacy.IDS_ONLY, **refused)
    assert ask(Privacy.IDS_ONLY, review=verdict | {"note": None})["cases"] == 3


class Said(NamedTuple):
    id: str
    number: int
    changes: tuple[Change, ...]


KINDS = {Kind.LABEL: "ab", Kind.MUST: "ab", Kind.MUST_NOT: "a", Kind.ASSIGNED: "xy", Kind.EXPECTED: "pq"}
one_change = st.sampled_from(list(KINDS)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.sampled_from(KINDS[kind]), st.booleans())
)
steps = st.one_of(
    st.tuples(st.integers(0, 2), st.lists(one_change, min_size=1, max_size=3)),
    st.tuples(st.just("undo"), st.integers(0, 5)),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(steps, max_size=10))
def test_what_stands_is_what_was_said_last_and_not_undone(
    tmp_path_factory: pytest.TempPathFactory, given_steps: list[Any]
) -> None:
    """Against a fold of the events in the order in which they were said, whatever is undone in between."""
    folder = tmp_path_factory.mktemp("fold")
    with StoreOwner.open(folder / "store.duckdb") as owner:
        owner.write([failure(n, like=0) for n in range(3)], now=MARCH)
        log: list[Said] = []
        for now, (what, more) in enumerate(given_steps, MARCH):
            if what == "undo":
                if log:
                    owner.undo(Undo("ben", log.pop(more % len(log)).id), now)
            else:
                wanted = says(what, *more)
                done = owner.annotate(wanted, as_written, now)
                new = news(log, what, wanted.changes)
                assert (done.id is None, done.changed) == (not new, len(new))
                if done.id is not None:
                    log.append(Said(done.id, what, new))
            stands = fold(log)
            for number in range(3):
                state = review_state(owner._con, case(number))
                assert set(state.labels) == stands["many"][Kind.LABEL]
                assert set(state.must) == stands["many"][Kind.MUST]
                assert set(state.must_not) == stands["many"][Kind.MUST_NOT]
                assert state.assigned == stands["assigned"]
                assert state.expected_answer == stands["expected"].get(number)


def news(log: Sequence[Said], number: int, changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes that change something: what stands already is not said again."""
    new: list[Change] = []
    for each in changes:
        if fold([*log, Said("", number, (*new, each))]) != fold([*log, Said("", number, tuple(new))]):
            new.append(each)
    return tuple(new)


def fold(log: Sequence[Said]) -> dict[str, Any]:
    many: dict[Kind, set[str]] = {kind: set() for kind in MANY}
    assigned, expected = None, {}
    for each in log:
        for kind, text, removed in each.changes:
            if kind in MANY:
                (many[kind].discard if removed else many[kind].add)(str(text))
            elif kind is Kind.ASSIGNED:
                assigned = text
            else:
                expected[each.number] = text
    expected = {number: text for number, text in expected.items() if text is not None}
    return {"many": many, "assigned": assigned, "expected": expected}


def test_a_snapshot_of_the_version_before_is_read_without_them(tmp_path: Path) -> None:
    import duckdb

    from sinks.evalstore.migrations import migrate, migrations

    con = duckdb.connect(str(tmp_path / "old.duckdb"))
    migrate(con, [step for step in migrations() if step.version < 12])
    with StoreOwner.open(tmp_path / "new.duckdb") as owner:
        owner.write([failure(1, CaseReason.CORRECTION, expected_answer="30 days")], now=MARCH)
        owner.publish(MARCH)
    con.execute(f"ATTACH '{tmp_path}/new.duckdb' AS fresh (READ_ONLY)")
    for table in ("cases", "case_clusters"):
        con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM fresh.{table}")
    con.execute("INSERT INTO case_events BY NAME SELECT * EXCLUDE (seq) FROM fresh.case_events")
    con.execute("DETACH fresh")
    (found,) = list_cases(con)
    assert (found.case_id, found.labels, found.assigned) == (case(1), [], None)
    assert [one.labels for one in list_clusters(con, CaseFilter(assigned="none"))] == [[]]
    assert list(list_cases(con, CaseFilter(label="a"))) == []
    whole = find_case(con, case(1))
    assert (whole["expected_answer"], whole["labels"], whole["expected_from"]) == ("30 days", [], None)
    json.dumps(whole, default=str)
    later = [step.version for step in migrations() if step.version >= 12]
    assert migrate(con) == later, "and then it has them"
    assert next(list_cases(con)).labels == []
    con.close()


async def test_the_owner_applies_its_own_settings_to_what_another_process_asks(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with StoreOwner.open(path) as owner:
        owner.write([failure(0), failure(1, app="desk")], now=MARCH)
    settings = Settings.model_validate({"store_path": path, "privacy": {"desk": "ids_only"}})
    with ThreadPoolExecutor(1) as thread:
        work = StoreWork(settings, thread, {})
        await work.open()
        where = [
            ask(
                path,
                {
                    "annotate": {
                        "case_id": case_id,
                        "actor": "ann",
                        "changes": [["must", "asks a@b.co", False]],
                    }
                },
            )
            for case_id in (case(0), failure(1, app="desk").case_id)
        ]
        before = work.owner.unpublished
        await work.answer_requests()
        done, refused = (answer_to(each) for each in where)
        assert done is not None
        assert refused is not None
        assert (done["changed"], done["redacted"], "state" in done) == (1, 1, False)
        assert refused == {
            "error": "the privacy policy of desk keeps ids only: no text of a reviewer is stored",
            "refused": True,
        }
        assert (before, work.owner.unpublished) == (False, False), "published: readers of snapshots see it"
        with open_for_reading(path, MARCH) as con:
            assert find_case(con, case(0))["must"] == ["asks [EMAIL_1]"]
        one = {"case_id": case(0), "actor": "ann", "changes": [["label", "a", False]], "state": True}
        where = [ask(path, {"annotate": one})]
        await work.answer_requests()
        assert (answer_to(where[0]) or {})["state"]["labels"] == ["a"]
        assert work.owner.unpublished, "one of many: the next snapshot has it"
        await work.close()
