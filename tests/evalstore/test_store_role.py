"""The store role: topics to DuckDB, through redeliveries, kills and records that nobody can read."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord

from schemas.case import CaseReason
from schemas.codec import encode
from schemas.signal import Standing
from schemas.topics import CASES, DEAD_LETTERS, INCIDENTS, SIGNALS, Topic
from sinks.evalstore import CaseFilter, StoreOwner, Totals, list_cases, open_for_reading, totals
from sinks.evalstore.releases.bundle import read_bundle
from sinks.evalstore.releases.freezing import list_releases
from sinks.evalstore.requests import answer_to, ask, pending
from streams.settings import Settings
from streams.store.batch import decode
from streams.store.work import StoreWork, due
from streams.topics import ensure_topics
from tests.delivery.harness import SESSION_MS, least_session_ms
from tests.evalstore.samples import (
    MARCH,
    make_case,
    make_incident,
    make_letter,
    make_recovery,
    make_report,
    make_signal,
    make_window,
)

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0
"""Seconds that anything may take on two busy cores before a test says that it does not happen."""


def record(topic: str, value: bytes | None, offset: int = 0) -> ConsumerRecord[bytes, bytes]:
    size = len(value or b"")
    return ConsumerRecord(topic, 3, offset, MARCH, 0, None, value, None, 0, size, [])


def test_records_are_sorted_by_what_they_are() -> None:
    values = [
        make_case(1),
        make_signal(1),
        make_recovery(1),
        make_window(0, 1.0),
        make_report(0, 1, 1),
        make_incident(1),
        make_letter(1),
        Standing(app="a", environment="e", route="r", at=1, watched=()),
    ]
    topics = [CASES, SIGNALS, SIGNALS, SIGNALS, SIGNALS, INCIDENTS, DEAD_LETTERS, SIGNALS]
    records = [record("x-" + topic.name, encode(value)) for topic, value in zip(topics, values, strict=True)]
    batch, faults = decode(records, "x-", {})
    assert [list(values) for values in batch] == [[value] for value in values]
    assert faults == 0


@pytest.mark.parametrize("value", [None, b"", b"secret {", b'{"case_id": "secret"}', b"\xff\xfesecret"])
def test_what_cannot_be_read_is_kept_with_its_coordinates(
    value: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    batch, faults = decode(
        [record("cases", value, 7), record("cases", encode(make_case(1)))], "", {"cases": "life"}
    )
    assert (faults, len(batch.cases)) == (1, 1)
    (letter,) = batch.dead_letters
    assert tuple(letter.at) == ("life", "cases", 3, 7, 0)
    assert letter.size == len(value or b"")
    assert "cases[3]@7" in caplog.text
    assert "secret" not in caplog.text
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        owner.write(*batch[:-1], now=MARCH)
        assert (owner.counts().cases, owner.counts().own_faults, owner.counts().dead_letters) == (1, 1, 0)


def test_publishing_takes_a_bounded_share() -> None:
    assert not due(29, 30, 1)
    assert due(30, 30, 1)
    assert not due(30, 30, 10)
    assert due(40, 30, 10)


async def test_a_snapshot_that_fails_does_not_stop_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full_disk(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    settings = Settings(store_path=tmp_path / "store.duckdb", snapshot_seconds=0.001)
    with ThreadPoolExecutor(1) as thread:
        work = StoreWork(settings, thread, {})
        with monkeypatch.context() as patch:
            patch.setattr("sinks.evalstore.owner.publish", full_disk)
            await work.open()
            await work.handle([record("cases", encode(make_case(1)))])
        assert "no snapshot was published" in caplog.text
        await work.close()
    with open_for_reading(settings.store_file(), MARCH) as con:
        assert totals(con).cases == 1


async def test_a_request_to_forget_is_done_by_the_owner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As ``gleaner cases forget`` asks while the store runs; what was asked before is done at its start."""
    settings = Settings(store_path=tmp_path / "store.duckdb")
    trace = {"question": "What is my balance?", "user_id": "secret-user"}
    path = settings.store_file()
    early = ask(path, {"forget": {"kind": "trace", "value": "trace-9", "app": None}})
    with ThreadPoolExecutor(1) as thread:
        work = StoreWork(settings, thread, {})
        await work.open()
        cases = [make_case(1, trace=trace), make_case(2), make_case(9)]
        await work.handle([record("cases", encode(case)) for case in cases])
        command = [sys.executable, "-m", "streams.cli", "cases", "forget", "--user", "secret-user", "--json"]
        asking = await asyncio.create_subprocess_exec(
            *command, "--store", str(path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        while asking.returncode is None:
            await work.between_batches()
            await asyncio.sleep(0.05)
        answered, _ = await asking.communicate()
        assert json.loads(answered) == {
            "cases": 1,
            "case_events": 1,
            "dead_letters": 0,
            "mentions": 0,
        }
        assert answer_to(early) == {"cases": 1, "case_events": 1, "dead_letters": 0, "mentions": 0}
        wrong = [
            ask(path, {"forget": {"kind": "planet", "value": "x", "app": None}}),
            ask(path, {"drop": True}),
        ]
        await work.between_batches()
        assert [answer_to(where) for where in wrong] == [{"error": "the request cannot be read"}] * 2
        await work.handle([record("cases", encode(case)) for case in cases])
        assert work.owner.counts().cases == 1
        assert work.written.forgotten == 2
        await work.close()
    assert pending(path) == []
    assert "secret-user" not in caplog.text
    with open_for_reading(path, MARCH) as con:
        assert totals(con).cases == 1


Sent = list[tuple[Topic, bytes | None]]


async def produce(settings: Settings, records: Sent) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.brokers, acks="all")
    await producer.start()
    try:
        for number, (topic, value) in enumerate(records):
            await producer.send(settings.topic(topic), value, key=str(number).encode())
        await producer.flush()
    finally:
        await producer.stop()


def role(settings: Settings) -> subprocess.Popen[bytes]:
    return _started(settings, ["streams.cli", "store"], GLEANER_SESSION_TIMEOUT_MS="6000")


def short_lived(settings: Settings, die: str = "never:0") -> subprocess.Popen[bytes]:
    """The role again, to be killed: Kafka notices it soon. ``die`` as ``dying_store`` has it."""
    session = str(max(SESSION_MS, least_session_ms(settings.brokers)))
    return _started(
        settings, ["tests.evalstore.dying_store"], GLEANER_DIE=die, GLEANER_LEAST_SESSION_MS=session
    )


def _started(settings: Settings, module: list[str], **environment: str) -> subprocess.Popen[bytes]:
    given = {
        "GLEANER_BROKERS": settings.brokers,
        "GLEANER_TOPIC_PREFIX": settings.topic_prefix,
        "GLEANER_STORE_PATH": str(settings.store_path),
        "GLEANER_STATE_DIR": str(settings.state_dir),
        "GLEANER_SNAPSHOT_SECONDS": "0.3",
    }
    return subprocess.Popen([sys.executable, "-m", *module], cwd=ROOT, env=os.environ | given | environment)


async def until(settings: Settings, done: Callable[[Totals], bool]) -> Totals:
    """The totals of the newest snapshot, once they are as expected."""
    found: Totals | None = None
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        try:
            with open_for_reading(settings.store_file(), MARCH) as con:
                found = totals(con)
        except Exception as error:
            # The role is still starting: there is no store yet, or no snapshot.
            if "store" not in str(error):
                raise
            continue
        if done(found):
            return found
    raise AssertionError(f"after {PATIENCE} s: {found}")


@pytest.mark.kafka
@pytest.mark.slow
async def test_killed_and_restarted_the_store_holds_everything_once(kafka: str, tmp_path: Path) -> None:
    settings = Settings(
        brokers=kafka,
        topic_prefix=f"store-{uuid.uuid4().hex[:8]}-",
        store_path=tmp_path / "store.duckdb",
        state_dir=tmp_path / "state",
    )
    await ensure_topics(settings, [CASES, SIGNALS, INCIDENTS, DEAD_LETTERS])
    cases = [make_case(n) for n in range(400)]
    later = [make_case(n, CaseReason.ESCALATION, event="2") for n in range(0, 400, 4)]
    first: Sent = [(CASES, encode(case)) for case in [*cases[:250], *cases[100:250]]]
    first += [
        (CASES, b"not a case"),
        (SIGNALS, encode(make_signal(1))),
        (INCIDENTS, encode(make_incident(1))),
    ]
    second: Sent = [(CASES, encode(case)) for case in [*cases[200:], *later, *later]]
    second += [(SIGNALS, encode(make_window(1, 2.0))), (SIGNALS, None), (INCIDENTS, encode(make_incident(2)))]
    second += [(DEAD_LETTERS, encode(make_letter(1)))]

    process = short_lived(settings)
    try:
        await produce(settings, first)
        await until(settings, lambda found: found.cases > 0)
        process.send_signal(signal.SIGKILL)
        process.wait()

        process = role(settings)
        await produce(settings, second)
        await until(settings, lambda found: found.case_events >= 500 and found.own_faults >= 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()

    with open_for_reading(settings.store_file(), MARCH) as con:
        assert totals(con) == Totals(
            cases=400,
            distinct_cases=400,
            not_replayable=0,
            case_events=500,
            signals=1,
            windows=1,
            incidents=1,
            dead_letters=1,
            own_faults=2,
        )
        assert len(list(list_cases(con, CaseFilter(reason="escalation")))) == 100


async def test_a_release_is_frozen_by_the_owner_while_it_runs(tmp_path: Path) -> None:
    """As ``gleaner release freeze`` asks while the store runs; its second freeze of the name is refused."""
    settings = Settings(store_path=tmp_path / "store.duckdb")
    path = settings.store_file()
    with ThreadPoolExecutor(1) as thread:
        work = StoreWork(settings, thread, {})
        await work.open()
        await work.handle([record("cases", encode(make_case(n))) for n in range(3)])
        await work._publish()
        answers = []
        for app in ("shop", "shop", "other"):
            command = [sys.executable, "-m", "streams.cli", "release", "freeze", "v1", "--json", "--app", app]
            asking = await asyncio.create_subprocess_exec(
                *command, "--store", str(path), cwd=ROOT, stdout=-1, stderr=-1
            )
            while asking.returncode is None:
                await work.between_batches()
                await asyncio.sleep(0.05)
            out, _ = await asking.communicate()
            answers.append((asking.returncode, json.loads(out)["sha256"] if out else None))
        frozen = read_bundle(tmp_path / "store.duckdb.releases" / "v1")
        assert answers == [(0, frozen.frozen.sha256)] * 2 + [(1, None)]
        refused = ask(path, {"freeze": {"release": "v1", "case_ids": [make_case(1).case_id], "options": {}}})
        await work.between_batches()
        reply = answer_to(refused)
        assert reply is not None
        assert reply["refused"] is True
        await work.close()
    with open_for_reading(path, MARCH) as con:
        assert [(one.release, one.cases) for one in list_releases(con)] == [("v1", frozen.frozen.cases)]
