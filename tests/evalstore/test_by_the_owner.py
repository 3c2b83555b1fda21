"""Several commands at once on one store: each is done, once, whoever comes to own it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sinks.evalstore import StoreOwner, open_for_reading
from sinks.evalstore.asked import perform
from sinks.evalstore.requests import Asked, answer, pending, read
from streams.commands.fail import Failed
from streams.commands.owner import by_the_owner
from tests.evalstore.releases.test_freeze import failure
from tests.evalstore.samples import MARCH, as_written, make_case

ROOT = Path(__file__).parents[2]
REVIEWS = "SELECT actor, verdict FROM case_reviews ORDER BY ALL"


def said(actor: str, number: int = 1) -> dict[str, Any]:
    return {"review": {"case_id": make_case(number).case_id, "verdict": "dismissed", "actor": actor}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        owner.write([failure(n) for n in range(3)], now=MARCH)
        owner.publish(MARCH)
    return tmp_path / "store.duckdb"


def asked_while(path: Path, request: dict[str, Any], owned: Callable[[StoreOwner, Path], None]) -> Any:
    """The answer to what is asked while another owns the store, and lets go once it has done ``owned``."""
    with ThreadPoolExecutor(1) as thread:
        with StoreOwner.open(path) as owner:
            asking = thread.submit(by_the_owner, path, request, 60)
            while not pending(path):
                assert not asking.done()
                time.sleep(0.01)
            owned(owner, pending(path)[0])
        return asking.result()


def kept(path: Path, query: str = REVIEWS) -> list[tuple[Any, ...]]:
    assert list(path.parent.glob("store.duckdb.requests/*")) == [], "no request, no answer is left"
    with StoreOwner.open(path) as owner:
        return owner._con.execute(query).fetchall()


def test_commands_side_by_side_are_all_done_once(path: Path) -> None:
    """As the processes that they are. No ``gleaner store`` runs."""
    names = ["ann", "ben", "cleo", "dan"]
    command = [sys.executable, "-m", "streams.cli", "cases", "review", "trace-1", "--dismiss", "--json"]
    running = [
        subprocess.Popen(
            [*command, "--actor", name, "--store", str(path), "--timeout", "60"], cwd=ROOT, stdout=-1
        )
        for name in names
    ]
    answers = [json.loads(each.communicate()[0]) for each in running]
    assert [each.returncode for each in running] == [0] * 4
    assert [one["actor"] for one in answers] == names
    assert kept(path) == [(name, "dismissed") for name in names]
    with open_for_reading(path, MARCH) as con:
        assert con.execute("SELECT count(*) FROM case_reviews").fetchone() == (4,)


def test_an_owner_that_only_ends_is_followed(path: Path) -> None:
    done = asked_while(path, said("ann"), lambda owner, request: None)
    assert done["cases"] == 1
    assert kept(path) == [("ann", "dismissed")]


def test_an_owner_that_answers_has_done_it(path: Path) -> None:
    def owned(owner: StoreOwner, request: Path) -> None:
        wanted, at, name = read(request)
        answer(
            request, perform(owner, wanted, as_written, MARCH, asked=at, name=name)[1] | {"by": "the owner"}
        )

    assert asked_while(path, said("ann"), owned)["by"] == "the owner"
    assert kept(path) == [("ann", "dismissed")]


def test_an_owner_that_is_killed_before_it_answers(path: Path) -> None:
    """It is asked for again, under the request's name, and is done once: verdicts, undos."""

    def owned(owner: StoreOwner, request: Path) -> None:
        wanted, at, name = read(request)
        assert at is not None
        perform(owner, wanted, as_written, MARCH, asked=at, name=name)

    asked_while(path, said("ann", 1), owned)
    asked_while(path, said("ann", 2), owned)
    assert kept(path) == [("ann", "dismissed")] * 2
    done = asked_while(path, {"undo": {"id": None, "actor": "ann"}}, owned)
    assert done["kind"] == "dismissed"
    assert len(kept(path, "FROM undone")) == 1, "and not the verdict before it, too"


def test_an_owner_that_is_killed_between_answer_and_request(path: Path) -> None:
    def owned(owner: StoreOwner, request: Path) -> None:
        wanted, at, name = read(request)
        reply = perform(owner, wanted, as_written, MARCH, asked=at, name=name)[1] | {"by": "the owner"}
        request.with_name(request.name.replace(".ask.", ".answer.")).write_text(json.dumps(reply))

    assert asked_while(path, said("ann"), owned)["by"] == "the owner"
    assert kept(path) == [("ann", "dismissed")]


def test_what_is_refused_is_refused_by_whoever_does_it(path: Path) -> None:
    with pytest.raises(Failed, match="no such case"):
        asked_while(path, said("ann", 99), lambda owner, request: None)
    assert kept(path) == []


def test_a_request_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "old.ask.json").write_text(json.dumps(said("ann")))
    assert read(tmp_path / "old.ask.json") == Asked(said("ann"), None, "old")


def test_one_after_the_other_from_many_threads(path: Path) -> None:
    barrier = threading.Barrier(8)

    def one(number: int) -> Any:
        barrier.wait()
        return by_the_owner(path, said(f"reviewer-{number}"), 60)

    with ThreadPoolExecutor(8) as threads:
        ids = {done["id"] for done in threads.map(one, range(8))}
    assert len(ids) == 8
    assert kept(path) == [(f"reviewer-{number}", "dismissed") for number in range(8)]
