"""The API as a client meets it: over a socket, in front of a store that is being written."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest

from schemas.case import CaseReason
from schemas.incident import IncidentState
from sinks.evalstore import Forget, Kind, StoreOwner, bounded, pages
from sinks.evalstore.releases.freezing import Freeze
from streams.api.keys import Keys, named_tokens
from streams.api.serve import ApiServer
from streams.settings import Settings
from streams.steps.privacy import Privacy, said
from streams.store.served import QUERIES_AT_ONCE, Served
from streams.store.work import StoreWork
from tests.evalstore.releases.test_freeze import failure
from tests.evalstore.samples import MARCH, make_incident, make_recovery, make_signal

TOKEN = "a-token"
ANN, BEN = "ann-0123456789abcdef", "ben-0123456789abcdef"
KEYS = Keys(TOKEN, (("ann", ANN), ("ben", BEN)))


def redacting(app: str, text: str) -> str | None:
    """Of desk only ids, of all other apps redacted text."""
    return said(text, Privacy.IDS_ONLY if app == "desk" else Privacy.REDACTED)


class Answer(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


class Client:
    def __init__(self, owner: StoreOwner, thread: ThreadPoolExecutor, server: ApiServer) -> None:
        self.owner, self.thread, self.server = owner, thread, server

    def ask(
        self, path: str, body: Any = None, token: str | None = TOKEN, host: str | None = None, **query: Any
    ) -> Answer:
        given = urlencode({name: value for name, value in query.items() if value is not None})
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.server.port}{path}{'?' + given if given else ''}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"} if body is not None else {},
        )
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        if host is not None:
            request.add_header("Host", host)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return Answer(answer.status, json.load(answer), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.load(error), dict(error.headers))

    def all(self, path: str, **query: Any) -> list[dict[str, Any]]:
        items, cursor = [], None
        while True:
            answer = self.ask(path, cursor=cursor, **query)
            assert answer.status == 200, answer.body
            items += answer.body["items"]
            cursor = answer.body["next"]
            if cursor is None:
                return items

    def write(self, **values: Any) -> None:
        self.thread.submit(lambda: self.owner.write(**values, now=MARCH)).result()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with ThreadPoolExecutor(1) as thread:
        owner = thread.submit(StoreOwner.open, tmp_path / "store.duckdb").result()
        server = ApiServer(Served(owner, thread, redacting), "127.0.0.1:0", KEYS).start()
        made = Client(owner, thread, server)
        made.write(
            cases=[
                *(failure(n, time=MARCH + n // 3 * 1000) for n in range(23)),
                failure(30, CaseReason.UNSAFE, app="desk"),
                failure(31, like=1),
            ]
        )
        try:
            yield made
        finally:
            server.stop()
            thread.submit(owner.close).result()


def test_what_is_committed_is_there_at_once(client: Client) -> None:
    assert client.ask("/v1/totals").body["cases"] == 25
    client.write(cases=[failure(40)])
    found = client.ask("/v1/cases", q="trace-40").body["items"]
    assert [case["trace_id"] for case in found] == ["trace-40"]


@pytest.mark.parametrize("limit", [1, 2, 7, 500])
def test_pages_hold_every_case_once_in_order_whatever_is_written_meanwhile(
    client: Client, limit: int
) -> None:
    """Eight groups of cases have the same time: the id decides between them."""
    whole = client.all("/v1/cases", limit=500)
    assert len(whole) == 25
    items, cursor, page = [], None, 0
    while page == 0 or cursor:
        answer = client.ask("/v1/cases", limit=limit, cursor=cursor).body
        items += answer["items"]
        cursor, page = answer["next"], page + 1
        client.write(cases=[failure(100 + page, time=MARCH + 10**9 + page)])  # newer: before all of them
    assert [case["case_id"] for case in items] == [case["case_id"] for case in whole]
    assert whole == sorted(whole, key=lambda case: (case["ts"], [-ord(c) for c in case["case_id"]]))[::-1]


def test_filters(client: Client) -> None:
    def traces(**query: Any) -> list[str]:
        return sorted(case["trace_id"] for case in client.all("/v1/cases", **query))

    assert traces(app="desk") == traces(reason="unsafe") == ["trace-30"]
    assert traces(since="2026-03-01T00:00:07Z", app="shop") == ["trace-21", "trace-22", "trace-31"]
    assert traces(until="2026-03-01T00:00:01Z") == ["trace-0", "trace-1", "trace-2"]
    of_one = client.ask("/v1/cases/trace-1").body["cluster_id"]
    assert traces(cluster_id=of_one) == ["trace-1", "trace-31"]
    assert traces(replayable="false") == []
    assert len(traces(verdict="none")) == 25
    assert traces(q="Refund1 ") == ["trace-1", "trace-31"] or traces(q="answer 1.") == ["trace-1", "trace-31"]
    assert traces(q="'; DROP TABLE cases; --") == []
    assert client.ask("/v1/cases", since="yesterday").status == 422
    assert client.ask("/v1/cases", limit=0).body["error"].startswith("query.limit")


LISTS = ("cases", "clusters", "signals", "incidents", "releases", "releases/v1/cases")


def test_a_cursor_that_is_none_is_refused_by_its_name(client: Client) -> None:
    client.write(
        signals=[make_signal(n) for n in range(2)], incidents=[make_incident(1), make_incident(1, number=1)]
    )
    for name in ("v1", "v2"):
        ids = tuple(failure(n).case_id for n in (5, 3))
        client.thread.submit(client.owner.freeze, Freeze(name, ids, {}), MARCH).result()

    def made(*place: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()

    begins = {name: client.ask(f"/v1/{name}", limit=1).body["next"] for name in LISTS}
    assert all(begins.values())
    for name in LISTS:
        for other, begin in begins.items():
            answer = client.ask(f"/v1/{name}", cursor=begin)
            assert answer.status == (200 if other == name else 400), (name, other)
        listed = name.rpartition("releases/v1/")
        word = "release_cases" if listed[1] else name
        bad = [
            *("x", "W10", "bnVsbA", "\N{SNOWMAN}", base64.b64encode(b"[" * 20_000).decode()),
            made(word, "text", "id"),
            made(word, 10**30, "id"),
            made(word, float("nan"), "id"),
            made(word, float("inf"), "id"),
            made(word, 1, 2),
            made(word, 1, "\ud800"),
            made(word, None, "id"),
            made(word, True, "id"),
            made(word, 1),
        ]
        for cursor in bad:
            answer = client.ask(f"/v1/{name}", cursor=cursor)
            assert (answer.status, list(answer.body)) == (400, ["error"]), (name, cursor[:60])
            assert answer.body["error"].startswith("the cursor is ")


def test_every_refusal_is_an_error_in_json(client: Client) -> None:
    for path, body, status in (("/v2/nothing", None, 404), ("/v1/cases", {}, 405)):
        answer = client.ask(path, body)
        assert (answer.status, list(answer.body)) == (status, ["error"]), path
    assert client.ask("/v1/cases", {}).headers["allow"] == "GET"


def test_an_answer_has_a_bound_on_its_text(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages end sooner and go on; a query that asks for more is refused."""
    client.thread.submit(client.owner.publish, MARCH).result()
    whole = client.all("/v1/cases")
    query = "SELECT repeat('x', 1000000) FROM range({})"
    assert len(client.ask("/v1/sql", {"query": query.format(20)}).body["rows"]) == 20
    answer = client.ask("/v1/sql", {"query": query.format(100)})
    assert (answer.status, "select less" in answer.body["error"]) == (400, True)
    monkeypatch.setattr(pages, "fetch", partial(bounded.fetch, most=1))
    page = client.ask("/v1/cases", limit=500).body
    assert len(page["items"]) == bounded.STEP < len(whole)
    assert client.all("/v1/cases", limit=500) == whole


def test_a_case_whole_and_what_there_is_none_of(client: Client) -> None:
    whole = client.ask(f"/v1/cases/{failure(3).case_id[:13]}").body
    assert whole["trace"]["answer"] == "Answer 3."
    assert whole["contexts"] == [{"id": None, "text": "30 days.", "score": None}]
    assert whole["events"][0]["reasons"] == ["low_score"]
    for path in ("/v1/cases/none", "/v1/clusters/none", "/v1/releases/none/cases"):
        assert client.ask(path).status == 404
    assert client.ask("/v1/none").status == 404
    assert client.ask("/v1/cases/" + quote("../../etc/passwd", safe="")).status == 404


def test_signals_incidents_and_releases(client: Client) -> None:
    ended = make_recovery(1).model_copy(update={"alarm_id": make_signal(1).id})
    client.write(
        signals=[make_signal(n) for n in range(5)],
        recoveries=[ended],
        incidents=[make_incident(1), make_incident(2, IncidentState.RESOLVED), make_incident(1, number=1)],
    )
    signals = client.all("/v1/signals", limit=2)
    assert [one["id"] for one in signals] == [make_signal(n).id for n in range(4, -1, -1)]
    assert [one["ended_at"] is not None for one in signals] == [False, False, False, True, False]
    incidents = client.all("/v1/incidents", limit=1)
    assert sorted((one["revision"], one["state"]) for one in incidents) == [(1, "firing"), (2, "resolved")]
    assert [one["body"]["id"] for one in client.all("/v1/incidents", state="firing")] == [
        make_incident(1, number=1).id
    ]
    ids = tuple(failure(n).case_id for n in (5, 3, 4))
    client.thread.submit(client.owner.freeze, Freeze("v1", ids, {"tier": "smoke"}), MARCH).result()
    (release,) = client.all("/v1/releases")
    assert (release["release"], release["cases"], release["options"]) == ("v1", 3, {"tier": "smoke"})
    cases = client.all("/v1/releases/v1/cases", limit=2)
    assert [case["case_id"] for case in cases] == [*ids]
    assert [case["position"] for case in cases] == [0, 1, 2]
    assert cases[0]["record"]["question"] == failure(5).trace["question"]  # type: ignore[index]


def test_review_split_merge_undo(client: Client) -> None:
    of = {case["trace_id"]: case["cluster_id"] for case in client.all("/v1/cases")}
    said = {"verdict": "dismissed", "note": "not ours"}
    done = client.ask("/v1/cases/trace-1/review", said, ANN)
    assert (done.status, done.body["cases"]) == (200, 2)
    verdicts = client.ask(f"/v1/clusters/{of['trace-1']}").body["verdicts"]
    assert [(each["actor"], each["note"], each["review_id"]) for each in verdicts] == [
        ("ann", "not ours", done.body["id"])
    ]
    assert done.body["state"]["verdicts"] == verdicts
    assert {case["trace_id"] for case in client.all("/v1/cases", verdict="dismissed")} == {
        "trace-1",
        "trace-31",
    }
    assert len(client.all("/v1/clusters", verdict="none", limit=5)) == 23
    assert [len(client.all("/v1/clusters", not_by=name)) for name in ("ann", "ben")] == [23, 24]
    client.ask("/v1/cases/trace-31/review", {"verdict": "accepted"}, BEN)
    (both,) = client.ask("/v1/agreement").body
    assert (both["one"], both["other"], both["n"], both["kappa"]) == ("ann", "ben", 1, 0.0)
    apart = client.ask("/v1/clusters/split", {"case_ids": [failure(31).case_id]}, ANN)
    assert apart.body["cases"] == 1
    assert client.ask("/v1/cases/trace-31").body["cluster_id"] == apart.body["cluster_id"]
    merged = {"cluster_id": of["trace-2"], "target": of["trace-0"]}
    assert client.ask("/v1/clusters/merge", merged, ANN).body["cases"] == 2
    assert client.ask("/v1/undo", {}, ANN).body["kind"] == "merge"
    assert client.ask("/v1/undo", {"id": apart.body["edit_id"]}, BEN).body["kind"] == "split"
    assert {case["trace_id"]: case["cluster_id"] for case in client.all("/v1/cases")} == of
    for path, body, status in (
        ("/v1/clusters/split", {"case_ids": ["\ud800"]}, 422),
        ("/v1/clusters/merge", {"cluster_id": "\ud800", "target": "x"}, 422),
        ("/v1/undo", {"id": "\ud800"}, 422),
        ("/v1/cases/trace-1/review", {"verdict": "maybe"}, 422),
        ("/v1/cases/trace-1/review", {**said, "actor": "ben"}, 422),
        ("/v1/cases/none/review", said, 404),
        ("/v1/clusters/split", {"case_ids": ["none"]}, 409),
        ("/v1/clusters/merge", merged | {"target": "c-0"}, 409),
        ("/v1/undo", {"id": "none"}, 409),
    ):
        answer = client.ask(path, body, ANN)
        assert (answer.status, list(answer.body)) == (status, ["error"]), path


def test_labels_criteria_answer_and_assignment(client: Client) -> None:
    one = "/v1/cases/trace-1"
    done = client.ask(f"{one}/labels", {"add": ["Billing", "docs"]}, ANN).body
    assert (done["changed"], done["cases"], done["state"]["labels"]) == (2, 2, ["billing", "docs"])
    again = client.ask(f"{one}/labels", {"add": ["docs"]}, BEN).body
    assert (again["id"], again["changed"]) == (None, 0)
    criteria = {"must": ["names the 30 days"], "must_not": ["promises money"]}
    client.ask(f"{one}/criteria", criteria, ANN)
    state = client.ask(f"{one}/assignment", {"reviewer": "ben"}, ANN).body["state"]
    assert (state["must"], state["must_not"], state["assigned"]) == (*criteria.values(), "ben")
    done = client.ask(f"{one}/expected-answer", {"text": "Write to ann@example.org."}, ANN).body
    assert (done["redacted"], done["state"]["expected_answer"]) == (1, "Write to [EMAIL_1].")
    # The near-duplicate has all of it but the answer, and is found by it.
    twin = client.ask("/v1/cases/trace-31").body
    assert (twin["labels"], twin["must"], twin["assigned"]) == (
        ["billing", "docs"],
        ["names the 30 days"],
        "ben",
    )
    assert (twin["expected_answer"], twin["expected_from"]) == (None, None)
    assert client.ask(one).body["expected_from"] == "reviewer"
    found = client.all("/v1/cases", label="billing", assigned="ben")
    assert {case["trace_id"] for case in found} == {"trace-1", "trace-31"}
    assert [case["trace_id"] for case in client.all("/v1/cases", q="write to [email")] == ["trace-1"]
    (cluster,) = client.all("/v1/clusters", label="docs")
    assert cluster["must_not"] == ["promises money"]
    assert len(client.all("/v1/clusters", assigned="none", limit=500)) == 23
    annotations = client.ask(f"/v1/clusters/{cluster['cluster_id']}").body["annotations"]
    assert [(each["kind"], each["text"], each["actor"]) for each in annotations] == [
        *(("label", "billing", "ann"), ("label", "docs", "ann"), ("must", "names the 30 days", "ann")),
        *(("must_not", "promises money", "ann"), ("assigned", "ben", "ann")),
    ]
    assert client.ask("/v1/undo", {}, ANN).body["state"]["expected_answer"] is None
    assert client.ask("/v1/undo", {"id": annotations[0]["annotation_id"]}, BEN).body["state"]["labels"] == []
    gone = client.ask(f"{one}/criteria", {"remove_must": ["names the 30 days"]}, BEN).body["state"]
    assert (gone["must"], gone["must_not"]) == ([], ["promises money"])
    assert client.ask(f"{one}/assignment", {"reviewer": None}, BEN).body["state"]["assigned"] is None
    for path, body, status, why in (
        (f"{one}/labels", {"add": ["two words"]}, 422, "a label is one word"),
        (f"{one}/labels", {"add": [f"l{n}" for n in range(21)]}, 422, "at most 20"),
        (f"{one}/labels", {}, 422, "nothing to change"),
        (f"{one}/labels", {"add": ["10.0.0.1"]}, 409, "names no person or secret"),
        (f"{one}/criteria", {"must": [" "]}, 422, "not empty"),
        (f"{one}/expected-answer", {"text": "x" * 20_001}, 422, "at most 20,000"),
        (f"{one}/expected-answer", {}, 422, "Field required"),
        (f"{one}/assignment", {"reviewer": "none"}, 422, "nobody is called"),
        ("/v1/cases/none/labels", {"add": ["a"]}, 404, "no such case"),
        ("/v1/cases/trace-30/expected-answer", {"text": "30 days"}, 409, "keeps ids only"),
        ("/v1/cases/trace-30/review", {"verdict": "accepted", "note": "why"}, 409, "without a note"),
    ):
        answer = client.ask(path, body, ANN)
        assert (answer.status, list(answer.body)) == (status, ["error"]), path
        assert why in answer.body["error"]


WRITES: dict[str, dict[str, Any]] = {
    "/v1/cases/trace-1/review": {"verdict": "accepted"},
    "/v1/cases/trace-1/labels": {"add": ["a"]},
    "/v1/cases/trace-1/criteria": {"must": ["a"]},
    "/v1/cases/trace-1/expected-answer": {"text": "a"},
    "/v1/cases/trace-1/assignment": {"reviewer": "ben"},
    "/v1/clusters/split": {"case_ids": [failure(31).case_id]},
    "/v1/clusters/merge": {"cluster_id": "c-0", "target": "c-1"},
    "/v1/undo": {},
}


def test_who_may_write(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """The name is the token's, whatever the body says; a token without a name only reads."""
    description = client.ask("/openapi.json").body
    posts = {
        path.replace("{case_id}", "trace-1") for path, each in description["paths"].items() if "post" in each
    }
    assert posts == {*WRITES, "/v1/sql"}, "every address that writes is tried below"
    assert all(
        ("security" in each["post"]) is (path != "/v1/sql")
        for path, each in description["paths"].items()
        if "post" in each
    )
    assert [client.ask("/v1/me", token=token).body["name"] for token in (TOKEN, ANN, BEN)] == [
        None,
        "ann",
        "ben",
    ]
    for path, body in WRITES.items():
        for token, status in ((None, 401), ("wrong", 401), (ANN[:-1], 401), (TOKEN, 403)):
            answer = client.ask(path, body, token)
            assert (answer.status, list(answer.body)) == (status, ["error"]), path
        for forged in ({"actor": "ben"}, {"name": "ben"}, {"reviewer_name": "ben"}):
            assert client.ask(path, body | forged, ANN).status == 422, path
    assert client.ask("/v1/agreement").body == []
    with caplog.at_level("DEBUG"):
        client.ask("/v1/cases/trace-1/labels?actor=ben&token=x", {"add": ["mine"]}, ANN)
        client.ask("/v1/cases", token=BEN + "x")
    assert not any(secret in caplog.text for secret in (TOKEN, ANN, BEN))
    of = client.ask("/v1/cases/trace-1").body["cluster_id"]
    assert [each["actor"] for each in client.ask(f"/v1/clusters/{of}").body["annotations"]] == ["ann"]


def test_tokens_are_read_strictly_and_never_shown() -> None:
    secret = "s3cret-s3cret-s3cret"
    assert named_tokens(f" ann:{secret} , ben:{secret}2,") == (("ann", secret), ("ben", f"{secret}2"))
    assert named_tokens("") == ()
    for wrong in (secret, f":{secret}", f"a b:{secret}", "ann:short", f"none:{secret}", f"ann:{secret}x y"):
        with pytest.raises(ValueError) as caught:
            named_tokens(wrong)
        assert "s3cret" not in str(caught.value)
    with pytest.raises(ValueError, match="two names"):
        named_tokens(f"ann:{secret},ben:{secret}")
    environment = os.environ | {"GLEANER_API_TOKENS": secret}
    command = [sys.executable, "-m", "streams.cli", "cases", "list"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "GLEANER_API_TOKENS" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    shown = repr(Settings.model_validate({"api_tokens": f"ann:{secret}"}))
    assert "s3cret" not in shown


def test_served_sql_is_hardened(client: Client, tmp_path: Path) -> None:
    client.thread.submit(client.owner.publish, MARCH).result()
    answer = client.ask(
        "/v1/sql", {"query": "SELECT app, count(*) AS n, max(ts) FROM case_list GROUP BY 1 ORDER BY 1"}
    )
    assert answer.body["columns"][:2] == ["app", "n"]
    assert [row[:2] for row in answer.body["rows"]] == [["desk", 1], ["shop", 24]]
    more = client.ask("/v1/sql", {"query": "FROM case_list", "limit": 3}).body
    assert (len(more["rows"]), more["more"]) == (3, True)
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for query in (
        "DROP TABLE cases",
        "SELECT 1; SELECT 2",
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM '{secret}'",
        f"COPY cases TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/other.duckdb'",
        "INSTALL httpfs",
        "SET memory_limit = '100GB'",
        "CALL pragma_version()",
        "SELECT * FROM glob('/etc/*')",
        "SELECT getenv('HOME')",
        "WITH x AS (INSERT INTO cases SELECT * FROM cases RETURNING case_id) SELECT * FROM x",
        "SELEC 1",
        "SELECT * FROM range(100000000000) t(a), range(1000) u(b) WHERE a + b < 0",
    ):
        answer = client.ask("/v1/sql", {"query": query, "seconds": 1})
        assert (answer.status, list(answer.body)) == (400, ["error"]), query
    assert not (tmp_path / "out.csv").exists()
    assert client.ask("/v1/totals").body["cases"] == 25


def children(client: Client) -> set[int]:
    """This process's children that run queries; it may have others, of other tests."""
    found = Path("/proc/self/task").glob("*/children")
    pids = {int(pid) for path in found for pid in path.read_text().split()}
    return {pid for pid in pids if b"sinks.evalstore.child" in Path(f"/proc/{pid}/cmdline").read_bytes()}


LONG = "SELECT levenshtein(repeat('a', 150000), repeat('b', 150000))"
"""Minutes of work that does not look whether it is to stop."""


def test_a_query_that_will_not_stop_is_ended_and_others_go_on(client: Client) -> None:
    client.thread.submit(client.owner.publish, MARCH).result()
    first = children(client)
    assert len(first) == QUERIES_AT_ONCE
    with ThreadPoolExecutor(QUERIES_AT_ONCE) as threads:
        asked = [threads.submit(client.ask, "/v1/sql", {"query": LONG, "seconds": 0.5}) for _ in first]
        answers = [each.result() for each in asked]
    assert [(one.status, one.body) for one in answers] == [
        (400, {"error": "the query took longer than 0.5 s: narrow it"})
    ] * QUERIES_AT_ONCE
    assert len(children(client) - first) == QUERIES_AT_ONCE
    assert not any(Path(f"/proc/{pid}").exists() for pid in first)
    assert client.ask("/v1/sql", {"query": "SELECT 1 AS one"}).body == {
        "columns": ["one"],
        "rows": [[1]],
        "more": False,
    }


def test_more_queries_than_may_run_are_told_to_try_again(client: Client) -> None:
    client.thread.submit(client.owner.publish, MARCH).result()
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(client.ask, "/v1/sql", {"query": LONG, "seconds": 1}) for _ in range(6)]
        answers = [each.result() for each in asked]
    assert sorted(one.status for one in answers) == [400, 400, 429, 429, 429, 429]
    assert all(list(one.body) == ["error"] for one in answers)


def test_a_query_gets_no_more_memory_and_no_disk(client: Client, tmp_path: Path) -> None:
    """Of the first DuckDB counts nothing: a matrix of 80 GB; of the second all, and would put it on disk."""
    client.thread.submit(client.owner.publish, MARCH).result()
    before = sorted(path.name for path in tmp_path.rglob("*"))
    for query in (
        "SELECT damerau_levenshtein(repeat('a', 100000), repeat('b', 100000))",
        "SELECT list(a) FROM range(100000000) t(a)",
        "SELECT a FROM range(100000000) t(a) ORDER BY hash(a), a DESC OFFSET 90000000",
    ):
        answer = client.ask("/v1/sql", {"query": query, "seconds": 8})
        assert (answer.status, list(answer.body)) == (400, ["error"]), query
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert client.ask("/v1/totals").body["cases"] == 25


@pytest.mark.parametrize("depth", [10, 450, 2_000])
def test_what_is_nested_deep_is_answered_or_refused(client: Client, depth: int) -> None:
    client.thread.submit(client.owner.publish, MARCH).result()
    for query in (f"SELECT {'[' * depth}{']' * depth}", f"SELECT {'(' * depth}1{')' * depth}"):
        answer = client.ask("/v1/sql", {"query": query})
        good = (200, ["columns", "rows", "more"])
        allowed = [good] if depth == 10 else [good, (400, ["error"])]
        assert (answer.status, list(answer.body)) in allowed, (depth, query[:8])


def test_values_come_as_json_has_them(client: Client) -> None:
    client.thread.submit(client.owner.publish, MARCH).result()
    query = """SELECT 'NaN'::DOUBLE, 1.5::DECIMAL(3,1), TIMESTAMPTZ '2026-03-01 00:00:00Z', DATE '2026-03-01',
        map {7: 'x'}, {'a': [1, NULL]}, true, 'é"', '6d0c2f0e-6f5b-5d0e-9a53-2f3d4f0f6b11'::UUID"""
    assert client.ask("/v1/sql", {"query": query}).body["rows"] == [
        [
            *(None, 1.5, "2026-03-01T00:00:00Z", "2026-03-01", {"7": "x"}, {"a": [1, None]}, True, 'é"'),
            "6d0c2f0e-6f5b-5d0e-9a53-2f3d4f0f6b11",
        ]
    ]


def test_a_fault_of_gleaners_own_is_an_error_in_json_too(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RecursionError("deep")

    monkeypatch.setattr(client.server._store, "reading", broken)
    answer = client.ask("/v1/totals")
    assert (answer.status, answer.body) == (500, {"error": "RecursionError: see the log of `gleaner store`"})


def test_who_may_ask(client: Client) -> None:
    for token in (None, "", "wrong", TOKEN + "x"):
        answer = client.ask("/v1/cases", token=token)
        assert (answer.status, list(answer.body)) == (401, ["error"])
    assert client.ask("/v1/undo", {}, token=None).status == 401
    assert client.ask("/openapi.json", token=None).status == 401
    answer = client.ask("/v1/totals")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers
    # By its headers alone: it is answered before the body has come.
    for length, status in (("2000000", 413), (None, 411), ("chunked", 411)):
        raw = http.client.HTTPConnection("127.0.0.1", client.server.port, timeout=20)
        raw.putrequest("POST", "/v1/sql")
        raw.putheader("Authorization", f"Bearer {TOKEN}")
        if length == "chunked":  # it counts, whatever length stands beside it
            raw.putheader("Content-Length", "5")
            raw.putheader("Transfer-Encoding", "chunked")
        elif length is not None:
            raw.putheader("Content-Length", length)
        raw.endheaders()
        assert raw.getresponse().status == status
        raw.close()


def test_without_a_token_only_this_machines_names(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as thread:
        owner = thread.submit(StoreOwner.open, tmp_path / "store.duckdb").result()
        server = ApiServer(Served(owner, thread, redacting), "127.0.0.1:0", Keys()).start()
        client = Client(owner, thread, server)
        assert client.ask("/v1/totals", token=None).status == 200
        assert client.ask("/v1/undo", {}, token=None).status == 403, "nobody says so"
        assert client.ask("/v1/totals", token=None, host="localhost:99").status == 200
        assert client.ask("/v1/totals", token=None, host="evil.example").status == 403
        server.stop()
        thread.submit(owner.close).result()
    with pytest.raises(ValueError, match="GLEANER_API_TOKEN"):
        Settings(api="0.0.0.0:8780")
    with pytest.raises(ValueError, match="host:port"):
        Settings(api="8780")
    assert Settings.model_validate({"api": "0.0.0.0:8780", "api_token": "x"}).api
    assert Settings.model_validate({"api": "0.0.0.0:8780", "api_tokens": f"ann:{ANN}"}).api


def test_reads_go_on_while_a_user_is_forgotten(client: Client) -> None:
    """The file is written anew meanwhile; nobody sees an error, nor half of it."""
    seen: list[Answer] = []
    stop = threading.Event()

    def reading() -> None:
        while not stop.is_set():
            seen.append(client.ask("/v1/cases", limit=500))

    threads = [threading.Thread(target=reading) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for n in range(3):
            client.thread.submit(client.owner.forget, Forget(Kind.USER, f"u-{n}", None), MARCH + n).result()
            client.thread.submit(client.owner.publish, MARCH).result()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {answer.status for answer in seen} == {200}
    assert {len(answer.body["items"]) for answer in seen} <= {25, 24, 23, 22}
    assert client.ask("/v1/totals").body["cases"] == 22


async def test_the_store_role_serves_it(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "store_path": tmp_path / "store.duckdb",
            "api": "127.0.0.1:0",
            "api_token": TOKEN,
            "api_tokens": f"ann:{ANN}",
        }
    )
    with ThreadPoolExecutor(1) as thread:
        work = StoreWork(settings, thread, {})
        await work.open()
        assert work.api is not None
        client = Client(work.owner, thread, work.api)
        done = await asyncio.to_thread(client.ask, "/v1/totals")
        me = await asyncio.to_thread(client.ask, "/v1/me", None, ANN)
        assert me.body == {"name": "ann"}
        await work.close()
        assert done.body["cases"] == 0
        with pytest.raises(urllib.error.URLError):
            await asyncio.to_thread(client.ask, "/v1/totals")
        again = StoreWork(settings, thread, {})
        await again.open()
        await again.close()
