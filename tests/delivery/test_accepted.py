"""What a person accepts on the command line is in the log: production and replay say the same of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.base import rfc3339
from schemas.signal import Recovery
from schemas.topics import CHANGES
from streams.cli import app
from streams.replay import replay
from tests.delivery.events import START, STEP_MS, Event, write
from tests.delivery.harness import Deployment, expected

pytestmark = pytest.mark.slow
AT = START + 1_000 * STEP_MS
"""While faithfulness, escalations and cost of the shop's are all worse than they were."""


async def test_production_ends_alarms_where_a_replay_does(
    embedded: Deployment, events: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.publish(event for event in events if event.time <= AT)
    for name in ("brokers", "topic_prefix", "state_dir"):
        monkeypatch.setenv(f"GLEANER_{name.upper()}", str(getattr(embedded.settings, name)))
    asked = ["baselines", "accept", "--app", "shop", "--route", "search", "--by", "dana", "--at", rfc3339(AT)]
    done = await asyncio.to_thread(CliRunner().invoke, app, asked, catch_exceptions=False)
    assert f"what shop/(any)/search brings from {rfc3339(AT)} on is normal" in done.stdout
    embedded.publish(event for event in events if event.time > AT)

    (said,) = [line for line in map(json.loads, map(_text, embedded.read(CHANGES))) if "author" in line]
    file = [*events, Event("changes", AT, said)]
    whole = expected(file, tmp_path)
    # Nothing dies here: a session that outlives a pause of the machine costs nothing.
    worker = embedded.start(session_timeout_ms=60_000)
    embedded.release()
    await embedded.until(lambda: worker.text().count("opened at") == 4, "its partitions opened")
    await embedded.finish(whole)

    again = replay([write(file, tmp_path / "again.jsonl")])
    ended = [one for one in again.signals if isinstance(one, Recovery)]
    accepted = [one for one in ended if one.accepted_by == "dana"]
    assert {one.rule for one in accepted} == {
        "faithfulness_drop",
        "escalation_spike",
        "cost_per_success_rise",
    }
    assert {one.route for one in accepted} == {"search"}
    live = {one.id: one for one in embedded.records() if isinstance(one, Recovery)}
    assert live == {one.id: one for one in ended}


def _text(message: object) -> bytes:
    value = message.value()  # type: ignore[attr-defined]
    assert isinstance(value, bytes)
    return value
