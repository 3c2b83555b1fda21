"""``gleaner doctor``: gathers what is there, and says what is missing."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.broker import silence_clients, unreachable
from streams.commands.printable import json_line, one_line
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.doctor import Traffic

PREFIX = "GLEANER_"
NOT_SETTINGS = {"test_brokers", "require_kafka", "kills"}
"""Names of the tests' environment."""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per finding")] = False,
) -> None:
    """Say what does not work, what is missing, and what each gap disables; exit 1 if something does not work.

    Looks at settings, broker, topics, rules, judge, store, the last seven days' traffic, and the ways to tell
    people. It sends nothing.

    Example: gleaner doctor
    """
    from streams.doctor import Facts, diagnose

    settings = Settings()
    broker, partitions, configs = asyncio.run(_topics(settings))
    store, age, refused, traffic = _store(settings)
    facts = Facts(
        settings=settings,
        named=_named(os.environ, Path("gleaner.toml")),
        state_dir=_writable(settings.state_dir),
        rules=_rules(settings),
        broker=broker,
        partitions=partitions,
        configs=configs,
        store=store,
        snapshot_age=age,
        refused=refused,
        traffic=traffic,
        judge=_judge(settings),
    )
    findings = diagnose(facts)
    for finding in findings:
        if as_json:
            typer.echo(json_line(finding._asdict()))
        else:
            typer.echo(f"{finding.level:<5}  {one_line(finding.part):<16} {one_line(finding.says)}")
    if any(finding.level == "fault" for finding in findings):
        raise typer.Exit(1)


def _named(environment: Mapping[str, str], file: Path) -> set[str]:
    names = {name.removeprefix(PREFIX).lower() for name in environment if name.startswith(PREFIX)}
    if file.exists():
        names |= set(tomllib.loads(file.read_text(encoding="utf-8")))
    return names - NOT_SETTINGS


def _writable(folder: Path) -> str | None:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        return f"cannot be written to: {error.strerror or error}"


def _rules(settings: Settings) -> str | None:
    from streams.rules_file import RulesError, load_rules

    try:
        load_rules(settings.rules)
    except RulesError as error:
        return str(error)
    return None


def _judge(settings: Settings) -> str | None:
    if not settings.judge_url:
        return None
    if not settings.judge_model:
        return "GLEANER_JUDGE_URL without GLEANER_JUDGE_MODEL: which model is to judge?"
    from importlib.util import find_spec

    return None if find_spec("ragas") else "a judge model needs ragas: install gleaner[judge]"


async def _topics(settings: Settings) -> tuple[str | None, dict[str, int], dict[str, dict[str, str]]]:
    """Why the broker cannot be asked, and partitions and settings by topic."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaConnectionError, KafkaError

    from schemas.topics import TOPICS
    from streams.security import client_security
    from streams.topics import topic_configs

    silence_clients()
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.brokers, request_timeout_ms=5_000, **client_security(settings)
    )
    try:
        await asyncio.wait_for(admin.start(), 15)
    except (KafkaConnectionError, TimeoutError, OSError):
        await admin.close()
        return unreachable(settings), {}, {}
    except KafkaError as error:
        await admin.close()
        return f"refuses: {error}", {}, {}
    try:
        found: list[dict[str, Any]] = await admin.describe_topics()
    except KafkaError as error:
        return f"does not name its topics: {error}", {}, {}
    finally:
        await admin.close()
    there = {topic["topic"]: len(topic["partitions"]) for topic in found}
    partitions = {t.name: there[settings.topic(t)] for t in TOPICS if settings.topic(t) in there}
    try:
        configs = await topic_configs(settings, [topic for topic in TOPICS if topic.name in partitions])
    except KafkaError as error:
        return f"does not tell its topics' settings: {error}", {}, {}
    return None, partitions, configs


def _store(settings: Settings) -> tuple[str | None, float | None, int, dict[str, Traffic]]:
    """Why the store cannot be read, its snapshot's age, refused events, and each app's traffic."""
    from sinks.evalstore import (
        NoStore,
        StoreError,
        event_counters,
        open_for_reading,
        rolling,
        snapshots_of,
        totals,
        window_spans,
    )
    from streams.doctor import Traffic

    path, now = settings.store_file(), time.time()
    try:
        con = open_for_reading(path, int(now * 1000))
    except NoStore:
        return None, None, 0, {}
    except StoreError as error:
        return str(error), None, 0, {}
    try:
        measured: dict[str, dict[str, int]] = {}
        for figure in rolling(con):
            if figure.rolling == "7d":
                by_signal = measured.setdefault(figure.app, {})
                by_signal[figure.signal] = by_signal.get(figure.signal, 0) + figure.n
        counters = event_counters(con)
        spans = window_spans(con)
        traffic = {app: Traffic(measured.get(app, {}), counters[app], spans.get(app, 0)) for app in counters}
        age = now - max(file.stat().st_mtime for file in snapshots_of(path).iterdir())
        return None, age, totals(con).dead_letters, traffic
    except StoreError as error:
        return str(error), None, 0, {}
    finally:
        con.close()


COMMANDS = (doctor,)
