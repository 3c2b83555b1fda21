"""*Not a problem* says what is normal: what the topic `changes` is owed survives every crash."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner, Result

from benchmarks.alerts.crashes import Crash, Points
from schemas.command import Verb
from schemas.identity import derive
from schemas.signal import SignalName
from sinks.outbox import Outbox
from sinks.slack.sandbox import Sandbox
from streams.cli import app
from streams.commands.fail import Failed
from streams.notify.reduce import Notify
from tests.incident.signals import MINUTE, T0, alarm, command, recovery
from tests.notify.test_role import Told, made
from tests.notify.world import World, record

__all__ = ["made"]
FIRED = T0 + 20 * MINUTE
ERRORS = alarm("s1", SignalName.ERROR)
INCIDENT = derive("incident", ERRORS.app, ERRORS.environment, ERRORS.rule, ERRORS.id)
ASKED = command("c1", Verb.NOT_A_PROBLEM, INCIDENT, FIRED + MINUTE)


async def test_it_is_owed_until_the_topic_has_it(made: tuple[Notify, Outbox, Told]) -> None:
    notify, outbox, told = made
    notify.wall = lambda: FIRED + 2 * MINUTE
    await notify.handle([record(ERRORS)])
    assert outbox.acceptances() == []
    told.down = True
    with pytest.raises(ConnectionError):
        await notify.handle([record(ASKED)])
    (owed,) = outbox.acceptances()
    assert (owed.signal, owed.rule, owed.author) == (SignalName.ERROR, "errors", "dana")
    assert owed.timestamp == FIRED + 2 * MINUTE, "of the traffic's clock, when it was reduced"
    told.down = False
    notify.wall = lambda: FIRED + 9 * MINUTE
    await notify.tick()
    await notify.handle([record(ASKED)])
    assert told.acceptances == [owed]
    assert outbox.acceptances() == []


async def test_whatever_crashes_one_and_the_same_is_told(tmp_path: Path) -> None:
    """At every point at which a process can end; Slack shows how it ended, and no message says so."""
    end = recovery("r1", FIRED + 3 * MINUTE, SignalName.ERROR, accepted_by="dana")
    batches: list[list[BaseModel]] = [[ERRORS], [ASKED], [end]]
    async with Sandbox() as slack:
        whole = World(tmp_path / "whole", slack, batches)
        points = Points()
        await whole.live(points)
        assert len(whole.accepted) == 1
    assert points.passed > 10
    for at in range(1, points.passed, 2):
        async with Sandbox() as slack:
            world = World(tmp_path / str(at), slack, batches)
            try:
                await world.live(Points(at))
            except Crash:
                await world.live(Points())
            told = {one.model_copy(update={"timestamp": 0}).model_dump_json() for one in world.accepted}
            assert len(told) == 1
            assert len({one.timestamp for one in world.accepted}) == 1, (
                "the same: the app's owner takes it once"
            )
            (root,) = slack.roots()
            assert "NOT A PROBLEM, says dana" in str(root.body["blocks"])
            assert slack.channel.replies(root.ts) == []


def gleaner(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["baselines", "accept", *arguments])


RULES = """
rules:
  - {name: slow, signal: latency_ms, slo: {objective: 0.99}, above: 2000}
  - {name: refusals, signal: refusal_rate, bound: 0.1}
"""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--signal", "spend"], "--signal: nothing is learned of spend: there is no baseline to accept"),
        (["--signal", "latency_ms"], "slow (slo): has no baseline: its level is declared in the rules file"),
        (["--rule", "refusals"], "refusals (bound): has no baseline"),
        (["--rule", "nobody"], "there is no rule nobody"),
        (["--signal", "refusal_rate", "--rule", "slow"], "no rule of shop is of these"),
        (["--at", "yesterday"], "--at: is no time"),
        (["--route", "x" * 300], "--route: String should have at most 256 characters"),
    ],
)
def test_what_has_no_baseline_is_refused(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    monkeypatch.setenv("GLEANER_RULES", str(tmp_path / "rules.yaml"))
    monkeypatch.setenv("GLEANER_STATE_DIR", str(tmp_path))
    failed = gleaner("--app", "shop", *arguments).exception
    assert isinstance(failed, Failed), failed
    assert (says in str(failed), failed.status) == (True, 2), str(failed)


def test_without_a_broker_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLEANER_BROKERS", "127.0.0.1:1")
    monkeypatch.setenv("GLEANER_STATE_DIR", str(tmp_path))
    failed = gleaner("--app", "shop").exception
    assert isinstance(failed, Failed), failed
    assert failed.status == 1
    assert "nothing was changed" in str(failed)
