"""How far scorers can be trusted: counts of the store, their way to the topic, and the command."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from pydantic import SecretStr
from typer.testing import CliRunner

from schemas.calibration import LEAST, Calibration, Calibrations
from schemas.case import CaseReason, EvalCase
from schemas.topics import CASES, SIGNALS, TOPICS
from sinks.evalstore import StoreOwner
from sinks.evalstore.calibration import calibrations, reviewed_lows
from sinks.evalstore.regroup import Undo
from sinks.evalstore.releases.exact import clopper_pearson
from sinks.evalstore.releases.reviews import Review, Verdict
from sinks.evalstore.requests import answer_to, ask
from sinks.outbox_schema import connect_read_only
from sinks.samples import CALIBRATED, HARDLY
from sinks.slack.sandbox import CHANNEL, TOKEN, Sandbox
from streams.calibrations import AGAIN_SECONDS, EVERY_SECONDS, SHARE, CalibrationRun
from streams.cli import app
from streams.settings import Settings
from streams.store import role
from streams.store.work import StoreWork
from streams.topics import ensure_topics
from tests.evalstore.releases.test_freeze import failure
from tests.evalstore.samples import MARCH
from tests.incident.signals import alarm
from tests.notify.test_role import produce, running, until

RAGAS = "ragas_faithfulness"


def low(number: int, *reasons: CaseReason, scorer: str = RAGAS, version: str = "v2", **more: Any) -> EvalCase:
    """A case that ``scorer`` called low; ``version`` "" has lost its score's record."""
    score: dict[str, Any] = {"scorer": scorer, "value": 0.1}
    if version:
        score["scorer_version"] = version
    return failure(number, *(reasons or (CaseReason.LOW_SCORE,)), score=score, **more)


def say(
    owner: StoreOwner, number: int, verdict: Verdict = Verdict.ACCEPTED, by: str = "ann", at: int = 0
) -> str:
    """The verdict's id; empty where it stands already."""
    return owner.review(Review(failure(number).case_id, verdict, by), MARCH + at).id or ""


def counted(owner: StoreOwner) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {
        (one.scorer, one.version): (one.lows, one.reviewed, one.confirmed)
        for one in reviewed_lows(owner._con)
    }


@pytest.fixture
def owner(tmp_path: Path) -> StoreOwner:
    return StoreOwner.open(tmp_path / "store.duckdb")


def test_near_duplicates_are_one_failure_and_the_latest_verdict_stands(owner: StoreOwner) -> None:
    owner.write([*(low(n, like=0) for n in range(4)), low(10), low(11), low(12)], now=MARCH)
    assert counted(owner) == {(RAGAS, "v2"): (4, 0, 0)}
    assert calibrations(owner._con) == ()
    say(owner, 0)
    say(owner, 1)  # the same failure
    dismissed = say(owner, 10, Verdict.DISMISSED, at=1)
    say(owner, 11, Verdict.DISMISSED, at=1)
    say(owner, 11, Verdict.ACCEPTED, "ben", at=2)
    assert counted(owner) == {(RAGAS, "v2"): (4, 3, 2)}
    (one,) = calibrations(owner._con)
    assert (one.app, one.scorer, one.reviewed, one.confirmed) == ("shop", RAGAS, 3, 2)
    assert (one.share_from, one.share_to) == tuple(clopper_pearson(2, 3))
    owner.undo(Undo("ann", dismissed), MARCH + 3)
    assert counted(owner) == {(RAGAS, "v2"): (4, 2, 2)}


def test_only_what_the_scorer_called_low_and_only_its_newest_version(owner: StoreOwner) -> None:
    owner.write(
        [
            low(0, version="v1"),
            low(1, version="v1"),
            low(2, version="v2"),
            # One whose score is gone from the log is of no known version, and newer than all of them.
            low(3, version=""),
            low(4, scorer="offline_groundedness", version="7"),
            # Called low by the offline scorer too, and by the old judge: one failure of each.
            low(5, scorer="offline_groundedness", version="7", like=2),
            failure(6, CaseReason.ESCALATION),
            low(7, CaseReason.HIGH_COST),  # scored, and not low
            low(8, scorer="app", version=""),
        ],
        now=MARCH,
    )
    for number in range(9):
        say(owner, number, Verdict.DISMISSED if number in (1, 4) else Verdict.ACCEPTED, at=number)
    assert counted(owner) == {
        (RAGAS, "v2"): (1, 1, 1),
        ("offline_groundedness", "7"): (2, 2, 1),
        ("app", ""): (1, 1, 1),
    }


def test_a_verdict_on_a_failure_counts_whatever_else_it_is(owner: StoreOwner) -> None:
    """The reviewed case was a complaint; its near-duplicate is the one that was called low."""
    owner.write([failure(0, CaseReason.ESCALATION, like=1), low(1)], now=MARCH)
    say(owner, 0)
    assert counted(owner) == {(RAGAS, "v2"): (1, 1, 1)}


@pytest.mark.parametrize("seed", range(5))
def test_the_counts_are_those_of_a_count_by_hand(owner: StoreOwner, seed: int) -> None:
    source = random.Random(seed)
    cases = []
    for number in range(60):
        of = source.randrange(25)
        version = source.choice(["v1", "v2"])
        scorer = source.choice([RAGAS, "offline_groundedness"])
        reason = source.choice([CaseReason.LOW_SCORE, CaseReason.LOW_SCORE, CaseReason.ERROR])
        cases.append((number, of, scorer, version, reason))
    owner.write([low(n, r, like=of, scorer=s, version=v) for n, of, s, v, r in cases], now=MARCH)
    verdicts: dict[int, Verdict] = {}
    for at in range(30):
        number, of, *_ = source.choice(cases)
        verdicts[of] = source.choice(list(Verdict))
        say(owner, number, verdicts[of], source.choice(["ann", "ben"]), at)
    expected = {}
    called = [one for one in cases if one[4] is CaseReason.LOW_SCORE]
    for name in {scorer for _, _, scorer, _, _ in called}:
        newest = max(one for one in called if one[2] == name)[3]
        groups = {of for _, of, scorer, version, _ in called if (scorer, version) == (name, newest)}
        said = [verdicts[of] for of in groups if of in verdicts]
        expected[name, newest] = (len(groups), len(said), said.count(Verdict.ACCEPTED))
    assert counted(owner) == expected


def test_the_samples_intervals_are_the_exact_ones() -> None:
    for one in (CALIBRATED, HARDLY):
        assert (one.share_from, one.share_to) == pytest.approx(
            clopper_pearson(one.confirmed, one.reviewed), abs=5e-5
        )


ONE = Calibration(app="shop", scorer=RAGAS, reviewed=2, confirmed=1)


async def test_it_is_published_when_it_changes_and_once_an_hour() -> None:
    now, sent = [0.0], []
    found: list[tuple[Calibration, ...]] = [()]

    async def read() -> Any:
        return found[0]

    async def send(told: Calibrations) -> None:
        sent.append((now[0], told.figures))

    run = CalibrationRun(read, send, lambda: now[0], lambda: 7)
    for second in range(0, 7_500, 5):
        now[0] = float(second)
        if second == 100:
            found[0] = (ONE,)
        await run.step()
    assert sent == [
        (0.0, ()),
        (120.0, (ONE,)),
        (120 + AGAIN_SECONDS, (ONE,)),
        (120 + 2 * AGAIN_SECONDS, (ONE,)),
    ]


async def test_a_large_store_is_looked_at_less_often() -> None:
    now, looks = [0.0], []

    async def read() -> Any:
        looks.append(now[0])
        now[0] += 3.0
        return ()

    async def send(_: Calibrations) -> None:
        pass

    run = CalibrationRun(read, send, lambda: now[0])
    while now[0] < 1_000:
        await run.step()
        now[0] += 1.0
    assert len(looks) == 4
    assert all(later - earlier >= 3.0 / SHARE for earlier, later in itertools.pairwise(looks))


async def test_a_failure_waits_for_the_next_look(caplog: pytest.LogCaptureFixture) -> None:
    now, sent = [0.0], []
    broken: list[Exception] = [KafkaConnectionError("password hunter2"), ValueError("a bug")]

    async def read() -> Any:
        if broken and isinstance(broken[0], ValueError):
            raise broken.pop(0)
        return (ONE,)

    async def send(told: Calibrations) -> None:
        if broken:
            raise broken.pop(0)
        sent.append(now[0])

    run = CalibrationRun(read, send, lambda: now[0])
    for second in range(300):
        now[0] = float(second)
        await run.step()
    assert sent == [2 * EVERY_SECONDS]
    assert "KafkaConnectionError" in caplog.text
    assert "hunter2" not in caplog.text
    assert "calibrations were not read" in caplog.text


async def test_a_slow_broker_holds_up_no_batch_and_no_end(tmp_path: Path) -> None:
    sent, never = asyncio.Event(), asyncio.Event()

    async def send(_: Calibrations) -> None:
        sent.set()
        await never.wait()

    with ThreadPoolExecutor(1) as thread:
        work = StoreWork(Settings(store_path=tmp_path / "store.duckdb"), thread, {})
        await work.open()
        work.calibrating = CalibrationRun(work.calibrations, send)
        async with asyncio.timeout(30):
            while not sent.is_set():
                await work.between_batches()
                await asyncio.sleep(0)
            await work.between_batches()
            await work.close()


def test_the_command_prints_them(owner: StoreOwner, tmp_path: Path) -> None:
    def scorers(*options: str) -> str:
        done = CliRunner().invoke(app, ["scorers", "--store", str(owner.path), *options])
        assert done.exit_code == 0, done.output
        return " ".join(done.stdout.split())

    owner.publish(MARCH)
    assert scorers() == "no answer has been called low yet"
    owner.write([low(n) for n in range(48)], now=MARCH)
    owner.publish(MARCH + 1)
    assert "nobody has looked" in scorers()
    assert "start here: gleaner cases list --reason low_score --by-rank" in scorers()
    for number in range(LEAST - 1):
        say(owner, number)
    owner.publish(MARCH + 2)
    assert f"{RAGAS} v2 48 9 9 under 10 reviewed" in scorers()
    for number in range(LEAST - 1, 48):
        say(owner, number, Verdict.ACCEPTED if number < 41 else Verdict.DISMISSED)
    owner.publish(MARCH + 3)
    assert f"shop {RAGAS} v2 48 48 41 85%, 95%: 72% to 94%" in scorers("--app", "shop")
    assert json.loads(scorers("--json")) == reviewed_lows(owner._con)[0]._asdict()
    assert scorers("--app", "desk") == "no answer of desk has been called low yet"
    owner.close()


@pytest.mark.kafka
async def test_from_a_review_to_the_footer_of_a_page(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store and notify, each with its own file; all that passes between them is the topic."""
    monkeypatch.setattr("streams.calibrations.EVERY_SECONDS", 0.2)
    async with Sandbox() as slack:
        settings = Settings(
            brokers=kafka,
            topic_prefix=f"calibration-{uuid.uuid4().hex[:8]}-",
            partitions=1,
            state_dir=tmp_path / "notify",
            store_path=tmp_path / "elsewhere" / "store.duckdb",
            group_wait_seconds=0,
            slack_token=SecretStr(TOKEN),
            slack_channel=CHANNEL,
            slack_url=slack.url,
        )
        await ensure_topics(settings, TOPICS)
        cases = [low(n) for n in range(12)]
        await produce(kafka, settings, *((CASES, one.case_id, one) for one in cases))
        stop = asyncio.Event()
        storing = asyncio.create_task(role.run(settings, stop))
        path = settings.store_file()

        def known() -> Calibrations | None:
            file = settings.state_dir / "notify.sqlite"
            if not file.exists():
                return None
            with closing(connect_read_only(file)) as db:
                row = db.execute("select body from calibrations").fetchone()
            return Calibrations.model_validate_json(row["body"]) if row else None

        def reviewed() -> int:
            return sum(one.reviewed for one in found.figures) if (found := known()) is not None else -1

        try:
            async with running(settings):
                await until(lambda: reviewed() == 0, 60)  # nothing is reviewed: another thing than not known
                for number, one in enumerate(cases):
                    await said_of(path, one, "accepted" if number else "dismissed")
                await until(lambda: reviewed() == 12, 60)
                await produce(kafka, settings, (SIGNALS, "shop", alarm("s1", app="shop", scorer=RAGAS)))
                await produce(kafka, settings, (SIGNALS, "desk", alarm("s2", app="desk", scorer=RAGAS)))
                await until(lambda: len(slack.roots()) == 2, 60)
        finally:
            stop.set()
            await asyncio.wait_for(storing, 60)
        shop, desk = (
            next(str(one.body["blocks"][-1]) for one in slack.roots() if f"on {name} " in one.body["text"])
            for name in ("shop", "desk")
        )
        assert f"{RAGAS}: 11 of 12 lows confirmed by reviewers (92%, 95%: 62% to 100%)" in shop
        assert f"{RAGAS} not calibrated yet: 0 of its lows reviewed" in desk


async def said_of(path: Path, case: EvalCase, verdict: str) -> None:
    """As ``gleaner cases review`` says it to the store's owner; again where the case has not come yet."""
    review = {"case_id": case.case_id, "verdict": verdict, "actor": "ann", "note": None}
    async with asyncio.timeout(60):
        while True:
            answered = ask(path, {"review": review})
            await until(answered.exists, 60)
            if "error" not in (answer_to(answered) or {}):
                return
