"""What is written once, twice, in part, or cannot be written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.case import CaseReason, EvalCase
from schemas.codec import encode
from schemas.identity import Coordinates
from schemas.incident import IncidentState
from sinks.evalstore import StoreOwner, Written, event_counters, find_case, list_cases, window_spans
from sinks.evalstore.staging import TABLES
from tests.evalstore.samples import (
    MARCH,
    WIDTH_MS,
    make_case,
    make_incident,
    make_letter,
    make_recovery,
    make_report,
    make_signal,
    make_window,
)

NOW = MARCH + 1


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[StoreOwner]:
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        yield owner


def rows(owner: StoreOwner, query: str) -> list[tuple[Any, ...]]:
    return owner._con.execute(query).fetchall()


def test_a_replayed_batch_changes_nothing(owner: StoreOwner) -> None:
    everything: dict[str, Any] = {
        "cases": [make_case(n) for n in range(10)],
        "signals": [make_signal(1)],
        "recoveries": [make_recovery(1)],
        "windows": [make_window(0, 1.0)],
        "reports": [make_report(0, 5, 3)],
        "incidents": [make_incident(1)],
        "dead_letters": [make_letter(1)],
    }
    first = owner.write(**everything, now=NOW)
    before = owner.counts()
    assert first == Written(10, 10, 1, 1, 1, 1, 1, 1, 0)
    assert owner.write(**everything, now=NOW + 1) == Written()
    assert owner.counts() == before


def test_duplicates_inside_a_batch_count_once(owner: StoreOwner) -> None:
    written = owner.write([make_case(1), make_case(1), make_case(2), make_case(1)], now=NOW)
    assert (written.cases, written.case_events) == (2, 2)


def test_later_reasons_add_up_in_the_order_of_the_enum(owner: StoreOwner) -> None:
    feedback = {"kind": "correction", "timestamp": "2026-03-02T10:00:00+01:00", "corrected_answer": "30 days"}
    owner.write([make_case(1, CaseReason.FAILED_TASK, CaseReason.ESCALATION)], now=NOW)
    later = make_case(1, CaseReason.CORRECTION, event="2", feedback=feedback, expected_answer="30 days")
    scored = make_case(1, CaseReason.LOW_SCORE, event="3", score={"scorer": "offline", "value": 0.25})
    written = owner.write([later, scored], now=NOW + 1)
    assert (written.cases, written.case_events) == (0, 2)

    (case,) = list_cases(owner._con)
    assert case.reasons == ["low_score", "escalation", "correction", "failed_task"]
    assert (case.score, case.scorer) == (0.25, "offline")
    found = find_case(owner._con, case.case_id)
    assert found["expected_answer"] == "30 days"
    assert [event["ts"] for event in found["events"]] == [case.ts, case.ts, "2026-03-02T09:00:00Z"]


def test_the_view_knows_every_reason_in_its_order(owner: StoreOwner) -> None:
    owner.write([make_case(1, *reversed(CaseReason))], now=NOW)
    (case,) = list_cases(owner._con)
    assert case.reasons == [reason.value for reason in CaseReason]


def test_equal_content_is_one_cluster_but_lost_traces_are_not(owner: StoreOwner) -> None:
    same: dict[str, Any] = {"content_hash": "ab" * 32}
    gone: dict[str, Any] = {"trace": None, "trace_at": None, "replayable": False, **same}
    owner.write([make_case(1, **same), make_case(2, **same), make_case(3), make_case(4, **gone)], now=NOW)
    sizes = {case.trace_id: case.cluster_size for case in list_cases(owner._con)}
    assert sizes == {"trace-1": 2, "trace-2": 2, "trace-3": 1, "trace-4": 1}
    counts = owner.counts()
    assert (counts.cases, counts.distinct_cases, counts.not_replayable) == (4, 3, 1)
    assert find_case(owner._con, "trace-4")["trace"] is None


def test_the_parts_of_a_window_add_up_and_of_each_the_last_stands(owner: StoreOwner) -> None:
    """A commit that is repeated says a part again, with less: the rest is in the next one."""
    owner.write(windows=[make_window(0, 4.0), make_window(1, 9.0), make_window(1, 5.0)], now=NOW)
    query = "SELECT parts, n, total, mean, unmeasured FROM windows"
    assert rows(owner, query) == [(2, 8, 9.0, 1.125, 2)]
    written = owner.write(windows=[make_window(1, 2.0), make_window(2, 3.0)], now=NOW)
    assert written.windows == 2
    assert rows(owner, query) == [(3, 12, 9.0, 0.75, 3)]
    owner.write(windows=[make_window(0, 4.0), make_window(1, 2.0), make_window(2, 3.0)], now=NOW)
    assert rows(owner, query) == [(3, 12, 9.0, 0.75, 3)]


def test_the_span_of_an_apps_windows(owner: StoreOwner) -> None:
    """What ``gleaner doctor`` knows of how long it has looked at an application."""
    later = {"start": MARCH + 3 * WIDTH_MS, "end": MARCH + 4 * WIDTH_MS}
    windows = [make_window(0, 4.0), make_window(0, 1.0, **later), make_window(0, 1.0, app="desk", **later)]
    owner.write(windows=windows, now=NOW)
    assert window_spans(owner._con) == {"shop": 4 * WIDTH_MS, "desk": WIDTH_MS}


def test_the_highest_revision_stands_whatever_comes_last(owner: StoreOwner) -> None:
    owner.write(reports=[make_report(0, 9, 30), make_report(1, 2, 5), make_report(0, 3, 7)], now=NOW)
    assert event_counters(owner._con) == {"desk": {"traces": 2}, "shop": {"late": 2, "traces": 35}}

    owner.write(incidents=[make_incident(2, IncidentState.RESOLVED)], now=NOW)
    owner.write(incidents=[make_incident(1)], now=NOW)
    assert rows(owner, "SELECT revision, state FROM incidents") == [(2, "resolved")]
    assert owner.counts().incidents == 1


def test_only_applications_events_count_as_dead_letters(owner: StoreOwner) -> None:
    owner.write(dead_letters=[make_letter(1), make_letter(1, "cases")], now=NOW)
    counts = owner.counts()
    assert (counts.dead_letters, counts.own_faults) == (1, 1)


def test_values_that_cannot_be_stored_are_set_aside_and_the_rest_kept(owner: StoreOwner) -> None:
    bad = [
        make_case(101, trace_at=Coordinates("life", "traces", 2**40, 1)),
        make_case(102, time=10**18),
        make_case(103).model_copy(update={"route": "half \ud800"}),
    ]
    cases = [make_case(n) for n in range(50)]
    written = owner.write([*cases[:20], bad[0], *cases[20:], *bad[1:]], signals=[make_signal(1)], now=NOW)
    assert written == Written(50, 50, signals=1, dead_letters=3, rejected=3)
    letters = rows(owner, "SELECT own, reason, message, original FROM dead_letters")
    assert all(own and reason == "invalid_field" for own, reason, *_ in letters)
    assert all("EvalCase cannot be stored" in message for _, _, message, _ in letters)
    assert owner.write(bad, now=NOW) == Written(rejected=3), "a replay sets nothing aside twice"


def test_what_is_no_values_fault_is_raised_and_nothing_is_written(
    owner: StoreOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> dict[str, int]:
        raise duckdb.IOException("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("sinks.evalstore.owner.insert", full_disk)
        with pytest.raises(duckdb.IOException):
            owner.write([make_case(1)], now=NOW)
    assert owner.counts().cases == 0
    assert owner.write([make_case(1)], now=NOW).cases == 1


def test_a_fault_of_the_store_is_blamed_on_no_value(
    owner: StoreOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> dict[str, int]:
        raise duckdb.InvalidInputException("the connection is in a bad way")

    monkeypatch.setattr("sinks.evalstore.owner.insert", broken)
    with pytest.raises(duckdb.InvalidInputException):
        owner.write([make_case(1)], now=NOW)


def test_rows_have_the_columns_of_their_tables(owner: StoreOwner) -> None:
    for table in TABLES:
        columns = [row[0] for row in rows(owner, f"DESCRIBE {table.name}")]
        assert columns == list(table.row._fields), table.name


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreOwner]:
    with StoreOwner.open(tmp_path_factory.mktemp("shared") / "store.duckdb") as owner:
        yield owner


texts = st.text(st.characters(codec="utf-8"), max_size=40)
numbers = count()


@settings(max_examples=15, deadline=None)
@given(st.lists(texts, max_size=4), st.dictionaries(texts, st.integers() | texts | st.none(), max_size=3))
def test_contexts_and_the_whole_event_come_back_as_they_were_sent(
    shared: StoreOwner, passages: list[str], extra: dict[str, Any]
) -> None:
    contexts = [*passages, "NUL \x00 \x1b 😀 e\u0301 \u2028 end", {"id": "d", "text": "x\x00y", "lang": "de"}]
    trace = {"trace_id": "t", "contexts": contexts, "n": 2**80, "tags": extra}
    case = make_case(next(numbers), trace=trace)
    # By way of the wire, where a pair of escaped surrogates is one character.
    shared.write([EvalCase.model_validate_json(encode(case))], now=NOW)
    found = find_case(shared._con, case.case_id)
    assert found["trace"] == trace
    assert [context["text"] for context in found["contexts"]] == [*contexts[:-1], "x\x00y"]


def test_half_a_surrogate_pair_becomes_a_replacement_character(owner: StoreOwner) -> None:
    case = make_case(1).model_copy(
        update={"trace": {"contexts": ["a\ud83d", "😀"], "question": "q\udc00\x00"}}
    )
    owner.write([case], now=NOW)
    found = find_case(owner._con, case.case_id)
    assert found["question"] == "q\ufffd\x00"
    assert [context["text"] for context in found["contexts"]] == ["a\ufffd", "😀"]
    assert found["replaced_characters"] == 2
    assert (
        json.dumps(found["trace"])
        == '{"contexts": ["a\\ufffd", "\\ud83d\\ude00"], "question": "q\\ufffd\\u0000"}'
    )
