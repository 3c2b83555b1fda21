"""Wrong use is one plain message and status 2, never a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streams.health import Heartbeat
from streams.settings import Settings

GLEANER = [sys.executable, "-P", "-m", "streams.cli"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command"),
        (["publish"], "Missing argument"),
        (["publish", "no-such-file.jsonl"], "no-such-file.jsonl: no such file"),
        (["publish", "--topic", "cases", "x"], "--topic: is auto, traces, feedback or changes"),
        (["replay", "no-such-file.jsonl", "--store", "s.duckdb"], "no such file"),
        (["worker", "--only", "store"], "--only: is ingest or rolling"),
        (["health", "broker"], "role: is one of worker"),
        (["incidents", "list"], "notify"),
        (["cases", "list"], "no eval store"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use(arguments: list[str], says: str, tmp_path: Path) -> None:
    done = subprocess.run([*GLEANER, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert says in " ".join(done.stderr.split()), done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [*GLEANER, "topics", "list"],
        cwd=tmp_path,
        env=os.environ | {"GLEANER_PARTITIONS": "many"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "GLEANER_PARTITIONS" in done.stderr


def test_a_password_in_an_address_is_not_repeated(tmp_path: Path) -> None:
    done = subprocess.run(
        [*GLEANER, "topics", "list"],
        cwd=tmp_path,
        env=os.environ | {"GLEANER_FALLBACK_WEBHOOK_URL": "https://gleaner:hunter2@alerts.example/"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "GLEANER_FALLBACK_WEBHOOK_URL" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_secret_is_never_printed(tmp_path: Path) -> None:
    """A password that would not be sent is refused, and nobody reads it in the log."""
    env = {**os.environ, "GLEANER_BROKER_PASSWORD": "hunter2", "GLEANER_BROKER_PROTOCOL": "PLAINTEXT"}
    done = subprocess.run(
        [*GLEANER, "topics", "list"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "GLEANER_BROKER_PASSWORD" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


def test_health_is_of_all_roles_that_are_named(tmp_path: Path) -> None:
    def health(*roles: str) -> int:
        env = {**os.environ, "GLEANER_STATE_DIR": str(tmp_path)}
        return subprocess.run(
            [*GLEANER, "health", *roles], env=env, check=False, capture_output=True
        ).returncode

    Heartbeat(Settings(state_dir=tmp_path), "worker").beat()
    assert [health("worker"), health("worker", "rolling")] == [0, 1]
    Heartbeat(Settings(state_dir=tmp_path), "rolling").beat()
    assert health("worker", "rolling") == 0


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ROUTES", "not json", "setting GLEANER_ROUTES: is JSON"),
        ("PRIVACY", "full", "setting GLEANER_PRIVACY: is JSON"),
        ("LOG_LEVEL", "LOUD", "setting GLEANER_LOG_LEVEL: input should be"),
        ("JOIN_HORIZON_DAYS", "inf", "setting GLEANER_JOIN_HORIZON_DAYS: input should be"),
        ("INCIDENT_QUIET_HOURS", "nan", "setting GLEANER_INCIDENT_QUIET_HOURS: input should be"),
    ],
)
def test_a_setting_that_cannot_be_read_is_one_line(tmp_path: Path, name: str, value: str, says: str) -> None:
    env = {**os.environ, f"GLEANER_{name}": value}
    done = subprocess.run(
        [*GLEANER, "topics", "list"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert says.lower() in done.stderr.lower()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BROKERS", "kafka://kafka-1:9092", "without a scheme"),
        ("BROKERS", "kafka-1:9092,", "'' is none"),
        ("BROKERS", "kafka-1:port", "'kafka-1:port' is none"),
        ("BROKERS", "kafka-1:99999", "'kafka-1:99999' is none"),
        ("BROKERS", "user:secret@kafka-1:9092", "is none"),
        ("TOPIC_PREFIX", "a/b", "'.', '_' and '-'"),
        ("TOPIC_PREFIX", "a\n", "'.', '_' and '-'"),
        ("TOPIC_PREFIX", "a" * 236, "235 characters"),
        ("HEARTBEAT_MS", "3334", "a third of GLEANER_SESSION_TIMEOUT_MS, 10000"),
        ("MAX_EVENT_BYTES", str(8 * 2**20 + 1), "8388608"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"GLEANER_{name}", value)
    with pytest.raises(ValueError, match=re.escape(says)) as refused:
        Settings()
    (error,) = refused.value.errors()  # type: ignore[attr-defined]
    assert error["loc"] == (name.lower(),)
    assert "secret" not in error["msg"]


def test_what_can_work_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLEANER_BROKERS", "kafka-1:9092, [::1]:19092,kafka_3.example")
    monkeypatch.setenv("GLEANER_TOPIC_PREFIX", "a" * 235)
    monkeypatch.setenv("GLEANER_SESSION_TIMEOUT_MS", "6000")
    monkeypatch.setenv("GLEANER_HEARTBEAT_MS", "2000")
    monkeypatch.setenv("GLEANER_MAX_EVENT_BYTES", str(8 * 2**20))
    assert Settings().heartbeat_ms == 2_000


def test_a_broken_settings_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "gleaner.toml").write_text("brokers = \n")
    done = subprocess.run([*GLEANER, "doctor"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("gleaner: gleaner.toml: not TOML: ")
    assert len(done.stderr.splitlines()) == 1
