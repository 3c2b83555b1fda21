"""What a flush of case requests costs: every fetched message is read once, however many cases it holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from schemas.case import CaseReason, CaseRequest, EvalCase
from schemas.codec import encode, split
from schemas.identity import Coordinates, derive
from schemas.incident import CasePreview
from streams.harvest import Harvest
from streams.settings import Settings
from streams.steps import harvest as step_module

CASES = 120


class FakeFetcher:
    def __init__(self, values: dict[Coordinates, bytes | None]) -> None:
        self.values = values

    async def fetch(self, wanted: Iterable[Coordinates]) -> dict[Coordinates, bytes | None]:
        return {at._replace(index=0): self.values[at._replace(index=0)] for at in wanted}


class FakeProducer:
    """Takes cases of up to ``limit`` bytes, as a topic does."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.sent: list[tuple[str, bytes]] = []

    async def send(self, topic: str, value: bytes, key: bytes, partition: None) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(value) > self.limit:
            done.set_exception(MessageSizeTooLargeError())
        else:
            self.sent.append((topic, value))
            done.set_result(None)
        return done

    async def stop(self) -> None:
        pass


def request(index: int, offset: int = 0) -> CaseRequest:
    at = Coordinates("s", "traces", 0, offset, index)
    return CaseRequest(
        case_id=derive("case", offset, index),
        event_id=derive("event", offset, index),
        app="shop",
        environment="prod",
        route="chat",
        trace_id=f"t{offset}-{index}",
        time=0,
        reasons=(CaseReason.ERROR,),
        trace_at=at,
    )


def event(wanted: CaseRequest) -> Any:
    message = SimpleNamespace(value=encode(wanted), partition=0, offset=0, timestamp=0.0)
    return SimpleNamespace(message=message)


def step(tmp_path: Path, values: dict[Coordinates, bytes | None], limit: int = 2**21) -> Harvest:
    made = Harvest(Settings(state_dir=tmp_path))
    made.fetcher = FakeFetcher(values)  # type: ignore[assignment]
    made.out.producer = FakeProducer(limit)
    return made


async def test_a_message_of_many_cases_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = json.dumps([{"trace_id": f"t0-{n}", "answer": f"a{n}"} for n in range(CASES)]).encode()
    alone = json.dumps({"trace_id": "t1-0", "answer": "alone"}).encode()
    values = {Coordinates("s", "traces", 0, 0): array, Coordinates("s", "traces", 0, 1): alone}
    read: list[int] = []

    def counted(data: bytes | None, max_event_bytes: int) -> Any:
        read.append(len(data or b""))
        return split(data, max_event_bytes)

    monkeypatch.setattr(step_module, "split", counted)
    flush = step(tmp_path, {**values})
    requests = [request(n) for n in range(CASES)] + [request(0, offset=1)]
    await flush.flush([event(one) for one in requests])
    assert sorted(read) == [len(alone), len(array)]
    sent: Any = flush.out.producer
    cases = [EvalCase.model_validate_json(value) for topic, value in sent.sent if topic == "cases"]
    answers = [case.trace and case.trace["answer"] for case in cases]
    assert answers == [*(f"a{n}" for n in range(CASES)), "alone"]
    previews = [CasePreview.model_validate_json(v) for topic, v in sent.sent if topic == "case-previews"]
    assert [preview.case_id for preview in previews] == [one.case_id for one in requests]


async def test_a_case_that_its_topic_refuses_goes_without_its_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = ({"trace_id": f"t{n}-0", "answer": "a" * size} for n, size in ((0, 10), (1, 900_000)))
    values = {
        Coordinates("s", "traces", 0, n): json.dumps(trace).encode() for n, trace in enumerate((small, large))
    }
    flush = step(tmp_path, {**values}, limit=2**19)
    topic: Any = flush.out.producer

    async def renew() -> None:
        flush.out.producer = topic

    monkeypatch.setattr(flush.out, "start", renew)
    await flush.flush([event(request(0, offset=n)) for n in range(2)])
    cases = {
        one.trace_id: one for one in (EvalCase.model_validate_json(v) for t, v in topic.sent if t == "cases")
    }
    assert cases["t0-0"].trace == small
    assert cases["t1-0"].trace is None
    assert "trace: larger than a message of Gleaner's" in cases["t1-0"].missing
