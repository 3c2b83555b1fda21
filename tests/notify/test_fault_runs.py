"""A few of the seeded runs of ``make accept-alerts``, those that found something; and what would be found."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.alerts.faults import run
from benchmarks.alerts.hostile import hostile
from benchmarks.alerts.latency import Measured, Told, percentile, report
from benchmarks.alerts.storm import storm, too_fast
from benchmarks.alerts.story import MINUTE, story
from schemas.signal import Signal
from sinks.delivery import Delivery
from sinks.outbox_rows import Rows
from sinks.slack import render
from sinks.slack import storm as slack_storm

FOUND = (5, 66, 183, 660)
"""A command with what opens its incident; a digest without those that left it; a look without a token; news
that nobody was told of, behind news that wait for Slack."""


@pytest.mark.parametrize("seed", FOUND)
async def test_no_promise_is_broken(tmp_path: Path, seed: int) -> None:
    assert (await run(seed, tmp_path)).broken == []


def test_a_story_is_the_same_at_every_time() -> None:
    assert story(66) == story(66)
    assert story(66) != story(67)
    told = [story(seed) for seed in range(200)]
    for fault in ("drop-accepted", "429:60", "500", "slow:9"):
        assert any(fault in one.faults for one in told)
    assert any(one.revoked for one in told)
    assert any(len(one.crashes) > 1 for one in told)


async def test_a_second_message_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without looking first, what was taken without an answer is sent twice."""

    async def forget(self: Delivery, row: object, *_: object) -> None:
        self.outbox.db.execute("update outbox set state = 'pending' where id = ?", (row.id,))  # type: ignore[attr-defined]

    monkeypatch.setattr(Delivery, "_look", forget)
    broken = [words for seed in range(12) for words in (await run(seed, tmp_path / str(seed))).broken]
    assert any("2 roots, 1 wanted" in words for words in broken)


async def test_a_lost_edit_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rows, "coalesce", lambda *_, **__: None)
    broken = [words for seed in range(6) for words in (await run(seed, tmp_path / str(seed))).broken]
    assert any("does not show" in words for words in broken)


async def test_a_late_page_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the fallback chain nobody is told while the token is revoked."""

    async def nobody(*_: object) -> None:
        """Tells nobody elsewhere."""

    monkeypatch.setattr(Delivery, "_fall_back", nobody)
    revoked = [seed for seed in range(80) if _hides(seed)]
    assert revoked
    broken = [words for seed in revoked[:4] for words in (await run(seed, tmp_path / str(seed))).broken]
    assert any("told after" in words for words in broken)


def _hides(seed: int) -> bool:
    """Whether the token of this run is revoked for long, and something is to be told meanwhile."""
    one = story(seed)
    if one.revoked is None or one.crashes:
        return False
    begin, end = one.revoked
    told = [at for at, event in one.events if isinstance(event, Signal) and begin < at < end - 15 * MINUTE]
    return bool(told)


async def test_three_hundred_segments(tmp_path: Path) -> None:
    held, lines = await storm(tmp_path)
    assert held, lines
    assert too_fast([0.0, 0.0, 0.0, 1.0, 2.0]) == ""
    assert too_fast([0.0, 0.0, 0.0, 0.0]) == "4 writes within 0 s"


async def test_hostile_text(tmp_path: Path) -> None:
    held, lines = await hostile(tmp_path)
    assert held, lines


async def test_a_ping_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "prose", lambda text, limit: text[:limit])
    monkeypatch.setattr(slack_storm, "prose", lambda text, limit: text[:limit])
    held, lines = await hostile(tmp_path)
    assert not held
    assert any("mentions: pinged: <!channel>" in line for line in lines)


def test_the_report_names_each_wait() -> None:
    told = [Told("a", 100.0, 101.5, 100.0 + 6.0 + share / 100) for share in range(100)]
    held, lines = report(Measured(told, 100, 500.0, 1.0, 5.0))
    assert held
    assert lines[1].startswith("known waits: lateness 1.0 s, attribution window 0.0 s")
    assert "group wait 5.0 s" in lines[1]
    assert lines[3] == "beyond the known waits: p50 0.49 s, p99 0.98 s, longest 0.99 s"
    late = report(Measured([told[0]._replace(received=200.0)], 1, 500.0, 1.0, 5.0))
    assert not late[0]
    assert not report(Measured(told, 101, 500.0, 1.0, 5.0))[0], "one that was not told"
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
