"""``gleaner incidents ack|snooze|…|explain|labels``: from the command line to notify and back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from schemas.change import ChangeEvent
from schemas.codec import encode
from schemas.command import Verb
from schemas.incident import Incident, IncidentState
from schemas.signal import SignalName
from schemas.topics import CASE_PREVIEWS, CHANGES, COMMANDS, INCIDENTS, SIGNALS
from sinks.memory import MemorySink
from sinks.outbox import Outbox
from streams.batches import producer
from streams.commands.fail import Failed
from streams.commands.incident_file import incidents
from streams.commands.incidents import app
from streams.notify.reduce import Notify
from streams.settings import Settings
from streams.topics import ensure_topics
from tests.incident.signals import HOUR, T0, alarm, command, recovery
from tests.notify.test_role import produce, running, until
from tests.notify.world import record

CLI = CliRunner()


def gleaner(*arguments: str) -> Result:
    return CLI.invoke(app, list(arguments), catch_exceptions=True)


def failed(result: Result) -> Failed:
    assert isinstance(result.exception, Failed), result.exception
    assert "\n" not in str(result.exception)
    return result.exception


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[Path]:
    """One incident that was called no problem, after a wrong command; one held back; one that stands."""

    async def publish(_: object) -> None:
        """The topic is another test's business."""

    outbox = Outbox.open(tmp_path / "notify.sqlite")
    notify = Notify(Settings(state_dir=tmp_path, group_wait_seconds=0), outbox, publish, publish)
    await notify.handle([record(alarm("s1", SignalName.COST, app="other"))])
    ((cost,),) = [outbox.open_incidents("other", "production", 0)]
    asked = [
        command("c1", Verb.UNACK, cost.id, T0),
        command("c2", Verb.NOT_A_PROBLEM, cost.id, T0 + 1, note="a load test"),
    ]
    await notify.handle([record(one) for one in asked])
    await notify.handle([record(alarm("b1", SignalName.BROKEN_OUTPUT)), record(alarm("s2"))])
    yield tmp_path
    outbox.close()


def ids(state: Path) -> dict[str, str]:
    listed = json.loads(gleaner("list", "--json", "--state", str(state)).stdout)
    return {one["signal"]: one["id"] for one in listed}


def test_list_says_where_each_stands(state: Path) -> None:
    text = gleaner("list", "--state", str(state)).stdout
    assert "P2 · NOT A PROBLEM, says dana" in text
    assert "P2 · FIRING · held back" in text
    assert "NOT A PROBLEM" not in gleaner("list", "--open", "--state", str(state)).stdout


def test_explain_tells_the_whole_story(state: Path) -> None:
    told = " ".join(gleaner("explain", ids(state)["cost_per_request"], "--state", str(state)).stdout.split())
    assert "Cost per request on route /chat rose" in told
    assert "not a problem by dana: a load test" in told
    assert "Asked, and not done" in told
    assert "unack by dana: nothing to do: it is so already" in told
    held = " ".join(gleaner("explain", ids(state)["faithfulness"], "--state", str(state)).stdout.split())
    assert f"broken output rate of incident {ids(state)['broken_output_rate']} explains it" in held
    assert "the output breaks its schema" in held
    data = json.loads(
        gleaner("explain", ids(state)["cost_per_request"], "--json", "--state", str(state)).stdout
    )
    assert [(one["verb"], one["verdict"], one["done"]) for one in data["commands"]] == [
        ("unack", "nothing_to_do", False),
        ("not_a_problem", "not_a_problem", True),
    ]
    assert data["incident"]["label"] == {"actor": "dana", "time": T0 + 1, "note": "a load test"}


def test_labels_are_records_of_alarms(state: Path) -> None:
    (line,) = gleaner("labels", "--json", "--state", str(state)).stdout.splitlines()
    label = json.loads(line)
    assert (label["rule"], label["signal_id"], label["verdict"]) == ("cost_spike", "s1", "false_positive")
    assert "a load test" in gleaner("labels", "--state", str(state)).stdout
    assert gleaner("labels", "--rule", "other", "--state", str(state)).stdout == "no label\n"


def test_without_a_broker_it_says_what_is_needed(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLEANER_BROKERS", "127.0.0.1:1")
    problem = failed(gleaner("ack", ids(state)["faithfulness"], "--state", str(state)))
    assert problem.status == 1
    for part in ("127.0.0.1:1", "nothing was changed", "gleaner up", "GLEANER_BROKERS"):
        assert part in str(problem)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["ack", "nobody"], 1, "no such incident"),
        (["explain", "nobody"], 1, "no such incident"),
        (["resolve", ""], 2, "no id"),
        (["resolve", " "], 2, "no id"),
        (["snooze", "ID"], 2, "--until-deploy"),
        (["snooze", "ID", "--for", "soon"], 2, "30m, 2h or 1d"),
        (["snooze", "ID", "--for", "9999999d"], 2, "--for: is longer than time; mute has no end"),
        (["snooze", "ID", "--for", "99999999999d"], 2, "--for: is longer than time; mute has no end"),
        (["snooze", "ID", "--until", "tomorrow"], 2, "--until: is no time"),
        (["snooze", "ID", "--for", "2h", "--until", "2026-03-01T00:00:00Z"], 2, "one of them"),
        (["ack", "ID", "--note", "x" * 501], 2, "note: String should have at most 500"),
    ],
)
def test_wrong_use_is_one_line(state: Path, arguments: list[str], status: int, says: str) -> None:
    named = [ids(state)["faithfulness"] if one == "ID" else one for one in arguments]
    problem = failed(gleaner(*named, "--state", str(state)))
    assert (problem.status, says in str(problem)) == (status, True), problem


def test_without_notify_s_file_an_id_is_whole(tmp_path: Path) -> None:
    assert "no whole id" in str(failed(gleaner("ack", "0b1f", "--state", str(tmp_path))))


@pytest.mark.kafka
async def test_from_the_command_line_to_the_thread_and_back(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ack, a wrong one, a snooze that a deploy ends, a recovery, a label: all on a real Kafka."""
    settings = Settings(
        brokers=kafka,
        topic_prefix=f"ask-{uuid.uuid4().hex[:8]}-",
        partitions=2,
        state_dir=tmp_path,
        group_wait_seconds=0.2,
    )
    for name in ("brokers", "topic_prefix", "state_dir"):
        monkeypatch.setenv(f"GLEANER_{name.upper()}", str(getattr(settings, name)))
    await ensure_topics(settings, (SIGNALS, CASE_PREVIEWS, COMMANDS, CHANGES, INCIDENTS))
    await produce(kafka, settings, (SIGNALS, "support-bot", alarm("s1")))

    def now() -> Incident | None:
        with contextlib.suppress(Failed):  # not there yet
            found = incidents(tmp_path, "select body from incidents", [])
            return found[0] if found else None
        return None

    def is_(state: IncidentState) -> bool:
        incident = now()
        return incident is not None and incident.state is state

    sink = MemorySink()
    async with running(settings, sink):
        await until(lambda: is_(IncidentState.FIRING))
        incident = now()
        assert incident is not None
        acked = await asyncio.to_thread(gleaner, "ack", incident.id[:8], "--by", "dana", "--wait", "90")
        assert acked.stdout == f"{incident.id}: acknowledged\n"
        again = failed(await asyncio.to_thread(gleaner, "ack", incident.id, "--wait", "90"))
        assert (again.status, "it is so already" in str(again)) == (1, True)
        snoozed = await asyncio.to_thread(gleaner, "snooze", incident.id, "--until-deploy", "--wait", "90")
        assert "until the next deploy" in snoozed.stdout
        await change(kafka, settings, ChangeEvent(dimension="release", current="9", app="support-bot"))
        await until(lambda: (one := now()) is not None and one.snooze is None)
        await produce(kafka, settings, (SIGNALS, "support-bot", recovery("r1", T0 + HOUR)))
        await until(lambda: is_(IncidentState.RESOLVED))
        label = await asyncio.to_thread(gleaner, "not-a-problem", incident.id, "--wait", "90")
        assert "labelled a false positive" in label.stdout
    assert len(sink.posts) == 1
    assert [one.reason.value for one in sink.replies] == ["snooze_over", "recovered"]
    listed = gleaner("labels", "--json").stdout
    assert json.loads(listed)["incident_id"] == incident.id
    history = [entry.what.value for entry in (now() or incident).history]
    assert history == [
        "opened", "told", "acked", "snoozed", "snooze_over", "member_recovered", "resolved", "not_a_problem",
    ]  # fmt: skip


@pytest.mark.kafka
async def test_a_storm_is_acknowledged_by_its_id(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        brokers=kafka,
        topic_prefix=f"ask-{uuid.uuid4().hex[:8]}-",
        partitions=2,
        state_dir=tmp_path,
        group_wait_seconds=0.2,
    )
    for name in ("brokers", "topic_prefix", "state_dir"):
        monkeypatch.setenv(f"GLEANER_{name.upper()}", str(getattr(settings, name)))
    await ensure_topics(settings, (SIGNALS, CASE_PREVIEWS, COMMANDS, CHANGES, INCIDENTS))
    apps = [f"app-{number}" for number in range(12)]
    await produce(kafka, settings, *((SIGNALS, app, alarm(f"s-{app}", app=app)) for app in apps))
    sink = MemorySink()
    async with running(settings, sink):
        await until(lambda: any(one.storm for one in sink.posts))
        (storm,) = [one.storm for one in sink.posts if one.storm]
        await until(lambda: len(sink.posts) - 1 + len(storm_of(tmp_path, storm.id)) == len(apps))
        number = len(storm_of(tmp_path, storm.id))
        acked = await asyncio.to_thread(gleaner, "ack", storm.id[:8], "--by", "dana", "--wait", "90")
        assert acked.stdout == f"{number} incidents of the storm: {number} acknowledged\n"
        assert {one.state for one in storm_of(tmp_path, storm.id)} == {IncidentState.ACKED}
        again = failed(await asyncio.to_thread(gleaner, "ack", storm.id, "--wait", "90"))
        assert (again.status, str(again)) == (
            1,
            f"{number} incidents of the storm: {number} nothing to do: it is so already",
        )
        over = await asyncio.to_thread(gleaner, "resolve", storm.id, "--wait", "90")
        assert f"{number} resolved" in over.stdout
    nothing = failed(gleaner("ack", storm.id[:8]))
    assert (nothing.status, "all of this storm is over" in str(nothing)) == (1, True)


def storm_of(state: Path, storm_id: str) -> list[Incident]:
    return incidents(
        state,
        "select i.body from storm_members as m join incidents as i on i.id = m.incident_id"
        " where storm_id = ?",
        [storm_id],
    )


async def change(brokers: str, settings: Settings, event: ChangeEvent) -> None:
    out = producer(settings)
    await out.start()
    await out.send_and_wait(settings.topic(CHANGES), encode(event))
    await out.stop()
