"""Files of every earlier version are taken over: nothing owed is forgotten, nothing told is told again."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detectors.incident import Board, Policy
from schemas.command import Verb
from schemas.effect import EffectKind
from schemas.incident import IncidentState
from schemas.signal import SignalName
from sinks.base import Ref
from sinks.delivery import Delivery
from sinks.memory import MemorySink
from sinks.outbox import Outbox
from sinks.outbox_schema import MIGRATIONS, VERSION
from sinks.samples import SAMPLES
from streams.cli import app
from streams.notify.boards import batch_of
from streams.notify.reduce import Notify
from streams.settings import Settings
from tests.incident.signals import HOUR, T0, command, over_budget, recovery

FILES = Path(__file__).parent / "outbox_files"
"""The tables as each version made them, taken from the releases."""
FIELDS = (
    "id", "app", "environment", "route", "signal", "rule", "severity", "state", "onset", "detected_at",
    "baseline", "value", "n", "members", "updated_at",
)  # fmt: skip
"""What an incident of the first version had."""
NOW = 1_772_400_000_000


def shape(path: Path) -> dict[str, object]:
    """Tables with their columns, and indices: what later statements rely on."""
    db = sqlite3.connect(path)
    names = [row[0] for row in db.execute("select name from sqlite_master where type = 'table'")]
    columns = {
        name: sorted(tuple(row[1:6]) for row in db.execute(f"pragma table_info({name})")) for name in names
    }
    indices = sorted(row[0] for row in db.execute("select name from sqlite_master where type = 'index'"))
    version = db.execute("pragma user_version").fetchone()[0]
    db.close()
    return {"columns": columns, "indices": indices, "version": version}


def old_file(path: Path, version: int) -> None:
    """Three incidents: one told, one whose message was being sent at the end, one whose still waits."""
    db = sqlite3.connect(path)
    db.executescript((FILES / f"{version}.sql").read_text(encoding="utf-8"))
    rows = [("cost", "sent", 1), ("faithfulness", "sending", 0), ("escalation", "pending", 0)]
    for name, state, attempts in rows:
        incident = SAMPLES[name].model_dump(mode="json", exclude_none=True, include=set(FIELDS))
        db.execute(
            "insert into incidents (id, app, environment, last_at, revision, published, body)"
            " values (?, ?, ?, 0, 1, 1, ?)",
            (incident["id"], incident["app"], incident["environment"], json.dumps(incident)),
        )
        db.execute(
            "insert into outbox (id, incident_id, kind, reason, revision, state, created_at, not_before,"
            " first_sent_at, attempts) values (?, ?, 'post', 'first', 1, ?, ?, ?, ?, ?)",
            (f"row-{name}", incident["id"], state, NOW, NOW, NOW if state == "sending" else None, attempts),
        )
    db.execute(
        "insert into messages (incident_id, receiver, root_id, channel, ts, revision, sent_at, edited_at)"
        " values (?, 'memory', 'row-cost', 'memory', 'row-cost', 1, ?, ?)",
        (SAMPLES["cost"].id, NOW, NOW),
    )
    db.commit()
    db.close()


def test_every_earlier_version_is_here() -> None:
    assert sorted(MIGRATIONS) == list(range(1, VERSION))
    assert sorted(int(path.stem) for path in FILES.glob("*.sql")) == sorted(MIGRATIONS)


@pytest.mark.parametrize("version", sorted(MIGRATIONS))
async def test_an_old_file_becomes_a_new_one_and_loses_nothing(tmp_path: Path, version: int) -> None:
    path = tmp_path / "notify.sqlite"
    old_file(path, version)
    outbox = Outbox.open(path)
    if version == 1:
        # Timers came with the second: all are looked at at once.
        assert outbox.due(0, {SAMPLES["cost"].app: 1})
    sink = MemorySink()
    # What was being sent had arrived before the process ended.
    sink.known["row-faithfulness"] = Ref("memory", "row-faithfulness")
    delivery = Delivery(outbox, sink, MemorySink())
    delivery.recover(NOW)
    for second in range(10):
        await delivery.step(NOW + second * 1_000)
    assert [message.outbox_id for message in sink.posts] == ["row-escalation"]
    assert {row["state"] for row in outbox.db.execute("select state from outbox")} == {"sent"}

    # The one that was told recovers, and its own message shows it.
    async def publish(_: object) -> None:
        """The topic is another test's business."""

    notify = Notify(Settings(state_dir=tmp_path, group_wait_seconds=0), outbox, publish, publish)
    cost = SAMPLES["cost"]
    back = recovery(
        "r", T0 + HOUR, SignalName.COST, app=cost.app, environment=cost.environment, route=cost.route,
        rule=cost.rule,
    )  # fmt: skip
    later = NOW + 60_000
    outbox.commit(notify._reduce([back], later), later)
    for second in range(10):
        await delivery.step(later + second * 1_000)
    after = outbox.incident(cost.id)
    assert after is not None
    assert (after.posted, after.state, after.recurs) == (True, IncidentState.RESOLVED, 0)
    assert {(one.kind, one.incident.id) for one in (*sink.edits, *sink.replies)} == {
        (EffectKind.EDIT, cost.id),
        (EffectKind.REPLY, cost.id),
    }
    outbox.close()
    fresh = tmp_path / "fresh.sqlite"
    Outbox.open(fresh).close()
    assert shape(path) == shape(fresh)
    Outbox.open(path).close()


@pytest.mark.parametrize("version", [2, 3, 4])
def test_labels_are_kept_and_further_users_have_theirs(tmp_path: Path, version: int) -> None:
    path = tmp_path / "notify.sqlite"
    old_file(path, version)
    db = sqlite3.connect(path)
    db.execute("insert into labels values ('i', 'spend_per_user', '/chat', 7, '{}')")
    db.commit()
    db.close()
    board = Board(Policy(group_wait_ms=0))
    for number, user in enumerate(("ann", "bob")):
        board.absorb(over_budget(f"u{number}", user, T0 + number * HOUR))
    (incident,) = board.incidents.values()
    step = board.absorb(command("no", Verb.NOT_A_PROBLEM, incident.id, T0 + 2 * HOUR))
    outbox = Outbox.open(path)
    outbox.commit(batch_of({}, [step]), NOW)
    rows = outbox.db.execute("select incident_id, user, time from labels order by time, user").fetchall()
    assert [tuple(row) for row in rows] == [
        ("i", "", 7), (incident.id, "ann", T0 + 2 * HOUR), (incident.id, "bob", T0 + 2 * HOUR),
    ]  # fmt: skip
    outbox.close()
    (line, *_) = [one for one in _labels(tmp_path) if one["incident_id"] == incident.id]
    assert (line["user"], line["rule"]) == ("ann", "spend_per_user")


def _labels(state: Path) -> list[dict[str, object]]:
    """As the command line lists them, but the one that has no body."""
    db = sqlite3.connect(state / "notify.sqlite")
    db.execute("delete from labels where incident_id = 'i'")
    db.commit()
    db.close()
    told = CliRunner().invoke(app, ["incidents", "labels", "--json", "--state", str(state)])
    listed = CliRunner().invoke(app, ["incidents", "labels", "--state", str(state)])
    assert "of user bob" in " ".join(listed.stdout.split())
    return [json.loads(line) for line in told.stdout.splitlines()]
