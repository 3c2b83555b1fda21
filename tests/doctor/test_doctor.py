"""What is missing is said, with what that disables; what does not work is the answer no."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from pydantic import SecretStr
from typer.testing import CliRunner

from schemas.signal import SignalName
from schemas.topics import TOPICS
from streams.cli import app
from streams.doctor import Facts, Finding, Traffic, diagnose
from streams.settings import Settings
from streams.topics import configuration

ALL = {topic.name: Settings().partitions_of(topic) for topic in TOPICS}
CONFIGS = {topic.name: configuration(topic, Settings()) for topic in TOPICS}

DAY_MS = 86_400_000
OTHERS = {name.value: 5 for name in SignalName if name is not SignalName.FAITHFULNESS}


def facts(settings: Settings | None = None, **changed: Any) -> Facts:
    """Of a deployment in which everything works, and little is set."""
    well = Facts(
        settings=settings or Settings(),
        named=(),
        state_dir=None,
        rules=None,
        broker=None,
        partitions=ALL,
        configs=CONFIGS,
        store=None,
        snapshot_age=3.0,
        refused=0,
        traffic={},
        judge=None,
    )
    return well._replace(**changed)


def configure(settings: Settings, name: str, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": settings.brokers})
    resource = ConfigResource(ConfigResource.Type.TOPIC, settings.topic_prefix + name)
    for key, value in config.items():
        resource.add_incremental_config(ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET))
    admin.incremental_alter_configs([resource])[resource].result(30)


def of(part: str, level: str, found: list[Finding]) -> list[str]:
    return [finding.says for finding in found if finding.part == part and finding.level == level]


def test_a_bare_deployment_has_gaps_and_no_fault() -> None:
    found = diagnose(facts())
    assert not [finding for finding in found if finding.level == "fault"]
    gaps = {finding.part for finding in found if finding.level == "gap"}
    assert gaps == {"rules", "judge", "store", "slack", "fallback", "heartbeat", "api"}


def test_a_full_one_has_neither(tmp_path: Path) -> None:
    settings = Settings(
        rules=tmp_path / "rules.yaml",
        judge_url="http://127.0.0.1/v1",
        judge_model="m",
        backup_dir=tmp_path,
        slack_token=SecretStr("xoxb-1"),
        slack_channel="C1",
        slack_app_token=SecretStr("xapp-1"),
        slack_oncall="S1",
        fallback_channel="C2",
        alive_url="https://switch.example/1",
        api="127.0.0.1:8780",
        api_tokens=SecretStr("ann:0123456789abcdef"),
    )
    measured = dict.fromkeys((name.value for name in SignalName), 5)
    traffic = {"shop": Traffic(measured, {"traces": 1_000, "late": 10, "feedback": 3}, DAY_MS)}
    assert {finding.level for finding in diagnose(facts(settings, traffic=traffic))} == {"ok"}


def test_an_api_by_which_nobody_can_review_is_a_gap() -> None:
    found = of("api", "gap", diagnose(facts(Settings(api="127.0.0.1:8780"))))
    assert found == ["127.0.0.1:8780, but no GLEANER_API_TOKENS: nobody can review by it, only read"]


@pytest.mark.parametrize(
    ("changed", "part", "says"),
    [
        (
            {"named": {"broker", "brokers"}},
            "settings",
            "GLEANER_BROKER is no setting; is GLEANER_BROKERS meant?",
        ),
        ({"named": {"colour"}}, "settings", "GLEANER_COLOUR is no setting, and is ignored"),
        ({"state_dir": "cannot be written to"}, "settings", "cannot be written to"),
        ({"broker": "cannot be reached"}, "broker", "127.0.0.1:9092: cannot be reached"),
        ({"rules": "rules.yaml: not YAML"}, "rules", "rules.yaml: not YAML"),
        ({"store": "no eval store"}, "store", "no eval store"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_does_not_work_is_a_fault(changed: dict[str, Any], part: str, says: str) -> None:
    found = of(part, "fault", diagnose(facts(**changed)))
    assert any(says in one for one in found)


def test_topics_that_are_missing_are_named() -> None:
    there = {name: n for name, n in ALL.items() if name not in ("cases", "signals")}
    assert of("topics", "fault", diagnose(facts(partitions=there))) == [
        "missing: signals, cases: run `gleaner topics create`"
    ]
    said = of("topics", "gap", diagnose(facts(partitions={**ALL, "traces": 9})))
    assert said == ["traces has 9 partitions, GLEANER_PARTITIONS says 4: the topic's number counts"]


@pytest.mark.parametrize(
    ("topic", "config", "level", "says"),
    [
        (
            "rolling-state",
            {"cleanup.policy": "delete"},
            "fault",
            "rolling-state has cleanup.policy=delete, and must have compact: what is old would be lost",
        ),
        (
            "calibrations",
            {"cleanup.policy": "compact,delete"},
            "fault",
            "calibrations has cleanup.policy=compact,delete, and must have compact: what is old is lost",
        ),
        (
            "observations",
            {"cleanup.policy": "compact"},
            "fault",
            "observations has cleanup.policy=compact, and must have delete: messages of one key replace each",
        ),
        (
            "observations",
            {"max.message.bytes": "65536"},
            "fault",
            "observations takes messages of 65,536 bytes at most, and must take 2,097,152: what is larger",
        ),
        (
            "traces",
            {"max.message.bytes": "1048588"},
            "gap",
            "traces takes messages of 1,048,588 bytes at most: applications may send 8,388,608",
        ),
        (
            "observations",
            {"retention.ms": "3600000"},
            "gap",
            "observations keeps 0.0417 days, and 14 are meant: what is older cannot be read again",
        ),
    ],
)
def test_topics_that_others_have_made_are_checked(
    topic: str, config: dict[str, str], level: str, says: str
) -> None:
    found = diagnose(facts(configs=CONFIGS | {topic: CONFIGS[topic] | config}))
    (said,) = of("topics", level, found)
    assert says in said
    assert not of("topics", "fault" if level == "gap" else "gap", found)


def test_topics_that_keep_more_than_is_meant_are_well() -> None:
    more = {"retention.ms": "-1", "max.message.bytes": str(2**30)}
    found = diagnose(facts(configs={name: config | more for name, config in CONFIGS.items()}))
    assert [finding.level for finding in found if finding.part == "topics"] == ["ok"]


def test_settings_of_topics_that_may_not_be_seen_are_a_gap() -> None:
    seen = {name: config for name, config in CONFIGS.items() if name not in ("traces", "scores")}
    (said,) = of("topics", "gap", diagnose(facts(configs=seen)))
    assert said.startswith(
        "settings may not be seen of traces, scores: clean-up, sizes and retention are not"
    )


def test_a_state_with_fewer_partitions_than_observations_is_a_fault() -> None:
    found = of("topics", "fault", diagnose(facts(partitions={**ALL, "rolling-state": 2})))
    assert found == [
        "rolling-state has 2 partitions and observations has 4: a partition without a state cannot be opened"
    ]


def test_what_an_app_does_not_send_is_said_with_what_that_disables() -> None:
    traffic = {
        "lab": Traffic({"latency_ms": 7, "time_to_first_token_ms": 7}, {"traces": 9, "feedback": 1}, DAY_MS),
        "shop": Traffic({"faithfulness": 0, "cost_per_request": 7}, {"traces": 100, "late": 3}, DAY_MS),
        "bot": Traffic(
            dict.fromkeys((name.value for name in SignalName), 1), {"traces": 9, "feedback": 1}, DAY_MS
        ),
    }
    found = diagnose(facts(traffic=traffic))
    assert "sends no model with input_tokens" in of("app lab", "gap", found)[1]
    assert of("app bot", "ok", found) == ["every signal has what it needs"]
    assert of("app shop", "gap", found) == [
        "sends no question, contexts and answer (or scores.faithfulness): no faithfulness",
        "sends no latency_ms: no latency",
        "sends no time_to_first_token_ms: no time to first token",
        "sends no feedback: no escalations, corrections, negative feedback",
        "3% of its events came late and reached no detector: check its clock, or raise GLEANER_LATENESS_MS",
    ]


@pytest.mark.parametrize(
    ("measured", "counters", "span_ms", "gaps"),
    [
        ({}, {"traces": 9}, 0, ["no window of the last seven days"]),
        (OTHERS, {"traces": 9}, 600_000, ["no window of faithfulness has closed: they do so 10 min after"]),
        (OTHERS, {"traces": 9, "scores": 1}, DAY_MS, ["no window of faithfulness has closed"]),
        (OTHERS, {"traces": 9, "scores": 9, "unscored": 8}, DAY_MS, ["no window of faithfulness has closed"]),
        (OTHERS, {"traces": 9, "scores": 9, "unscored": 9}, DAY_MS, ["the judge gave no score for any of 9"]),
        (OTHERS, {"traces": 9}, DAY_MS, ["sends no question, contexts and answer"]),
    ],
)
def test_what_no_window_can_show_yet_is_not_held_against_the_app(
    measured: dict[str, int], counters: dict[str, int], span_ms: int, gaps: list[str]
) -> None:
    traffic = {"shop": Traffic(measured, {"feedback": 1, **counters}, span_ms)}
    found = of("app shop", "gap", diagnose(facts(traffic=traffic)))
    assert len(found) == len(gaps), found
    assert all(says.startswith(gap) for says, gap in zip(found, gaps, strict=True)), found


def test_the_embedded_broker_has_no_topic_for_state() -> None:
    embedded, there = Settings(embedded=True), {name: n for name, n in ALL.items() if name != "rolling-state"}
    found = diagnose(facts(embedded, partitions=there))
    assert of("topics", "fault", found) == []
    assert of("topics", "ok", found) == [f"all {len(TOPICS) - 1} are there"]
    assert of("topics", "fault", diagnose(facts(partitions=there))) == [
        "missing: rolling-state: run `gleaner topics create`"
    ]
    found = diagnose(facts(embedded, partitions={}))
    assert "start `gleaner up --embedded` again" in of("topics", "fault", found)[0]


def test_topics_of_the_embedded_broker_are_not_said_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLEANER_EMBEDDED", "true")
    done = CliRunner().invoke(app, ["topics", "create"])
    assert (done.exit_code, "embedded broker" in done.stdout, "were there" in done.stdout) == (0, True, False)


def test_a_slack_without_channel_is_a_fault() -> None:
    found = diagnose(facts(Settings(slack_token=SecretStr("xoxb-1"))))
    assert of("slack", "fault", found) == ["no GLEANER_SLACK_CHANNEL: alerts have nowhere to go"]
    assert "xoxb" not in str([finding.says for finding in found])


@pytest.mark.kafka
def test_on_a_real_broker(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gleaner.toml").write_text('brokerz = "x"\n')
    for name, value in (
        ("BROKERS", kafka),
        ("TOPIC_PREFIX", f"dr-{uuid.uuid4().hex[:8]}."),
        ("PARTITIONS", "1"),
    ):
        monkeypatch.setenv(f"GLEANER_{name}", value)

    def findings() -> tuple[int, dict[str, list[str]]]:
        done = CliRunner().invoke(app, ["doctor", "--json"])
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        faults = [row for row in rows if row["level"] == "fault"]
        return done.exit_code, {row["part"]: [row["says"]] for row in faults}

    status, faults = findings()
    assert status == 1
    assert faults["settings"] == ["GLEANER_BROKERZ is no setting; is GLEANER_BROKERS meant?"]
    assert faults["topics"][0].count("dr-") == len(TOPICS)
    (tmp_path / "gleaner.toml").unlink()
    assert CliRunner().invoke(app, ["topics", "create"]).exit_code == 0
    assert findings() == (0, {})
    settings = Settings()
    configure(settings, "rolling-state", **{"cleanup.policy": "delete"})
    status, faults = findings()
    assert status == 1
    assert "rolling-state has cleanup.policy=delete, and must have compact" in faults["topics"][0]
    monkeypatch.setenv("GLEANER_BROKERS", "127.0.0.1:1")
    status, faults = findings()
    assert status == 1
    assert "cannot be reached" in faults["broker"][0]
