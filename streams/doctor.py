"""What is missing, and what each gap disables: decided from facts that were gathered. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Literal, NamedTuple

from schemas.signal import SignalName
from schemas.topics import ROLLING_STATE, TOPICS
from sinks.numbers import count, duration
from streams.doctor_topics import of_topics
from streams.settings import Settings

LATE_SHARE = 0.01
"""Share of events that come below the watermark from which on it is said."""
STALE_SNAPSHOTS = 10
"""Times ``snapshot_seconds`` after which a store's newest snapshot is old."""
NEEDS = {
    SignalName.FAITHFULNESS: "question, contexts and answer (or scores.faithfulness): no faithfulness",
    SignalName.COST: "model with input_tokens and output_tokens (or cost_usd): no cost, no spend",
    SignalName.LATENCY: "latency_ms: no latency",
    SignalName.TIME_TO_FIRST_TOKEN: "time_to_first_token_ms: no time to first token",
}


class Finding(NamedTuple):
    """``fault``: something does not work; ``gap``: something is not there, and what that disables."""

    level: Literal["ok", "gap", "fault"]
    part: str
    says: str


class Traffic(NamedTuple):
    """One app's last seven days in the store: units by signal, and what was counted since it began.

    ``span_ms`` of event time lie between the beginning of its first closed window and the end of its last.
    """

    measured: Mapping[str, int]
    counters: Mapping[str, int]
    span_ms: int


class Facts(NamedTuple):
    """What was found on this machine and around it; an error is its text, None where there was none.

    ``partitions`` by topic are those of the topics that exist. ``snapshot_age`` is in seconds, None where
    there is no store yet.
    """

    settings: Settings
    named: Collection[str]
    """``GLEANER_`` names of the environment and keys of gleaner.toml, as settings are called."""
    state_dir: str | None
    rules: str | None
    broker: str | None
    partitions: Mapping[str, int]
    configs: Mapping[str, Mapping[str, str]]
    """Settings by topic, of those that Gleaner may see."""
    store: str | None
    snapshot_age: float | None
    refused: int
    traffic: Mapping[str, Traffic]
    judge: str | None
    """Why a judge by ragas could not start; asked only where one is set."""


def diagnose(facts: Facts) -> list[Finding]:
    """Findings part by part, in the order of an event's way."""
    return [
        *_settings(facts),
        *_broker(facts),
        *_rules(facts),
        *_judge(facts),
        *_store(facts),
        *_traffic(facts),
        *_slack(facts.settings),
        *_fallback(facts.settings),
        *_heartbeat(facts.settings),
        *_api(facts.settings),
    ]


def _settings(facts: Facts) -> Iterator[Finding]:
    known = set(Settings.model_fields)
    for name in sorted(set(facts.named) - known):
        near = get_close_matches(name, known, 1)
        meant = f"; is {_env(near[0])} meant?" if near else ", and is ignored"
        yield Finding("fault", "settings", f"{_env(name)} is no setting{meant}")
    if facts.state_dir is not None:
        yield Finding("fault", "settings", f"GLEANER_STATE_DIR {facts.settings.state_dir}: {facts.state_dir}")
    else:
        yield Finding("ok", "settings", f"state in {facts.settings.state_dir}")


def _broker(facts: Facts) -> Iterator[Finding]:
    settings = facts.settings
    if facts.broker is not None:
        yield Finding("fault", "broker", f"{settings.brokers}: {facts.broker}")
        return
    yield Finding("ok", "broker", f"{settings.brokers} answers")
    # On the embedded broker, which has no transactions, that state is in files.
    expected = [topic for topic in TOPICS if not (settings.embedded and topic is ROLLING_STATE)]
    missing = [settings.topic(topic) for topic in expected if topic.name not in facts.partitions]
    if missing and settings.embedded:
        says = "the embedded broker makes them as it starts: start `gleaner up --embedded` again"
        yield Finding("fault", "topics", f"missing: {', '.join(missing)}: {says}")
    elif missing:
        yield Finding("fault", "topics", f"missing: {', '.join(missing)}: run `gleaner topics create`")
    else:
        yield Finding("ok", "topics", f"all {len(expected)} are there")
    for level, says in of_topics(settings, facts.partitions, facts.configs):
        yield Finding(level, "topics", says)
    for topic in TOPICS:
        there, wanted = facts.partitions.get(topic.name), settings.partitions_of(topic)
        if there is not None and there != wanted:
            said = f"{settings.topic(topic)} has {there} partitions, GLEANER_PARTITIONS says {wanted}"
            yield Finding("gap", "topics", f"{said}: the topic's number counts")


def _rules(facts: Facts) -> Iterator[Finding]:
    if facts.rules is not None:
        yield Finding("fault", "rules", facts.rules)
    elif facts.settings.rules is None:
        yield Finding(
            "gap", "rules", "no GLEANER_RULES: the five default rules run, without owners and runbooks"
        )
    else:
        yield Finding("ok", "rules", str(facts.settings.rules))


def _judge(facts: Facts) -> Iterator[Finding]:
    settings = facts.settings
    if not settings.judge_url:
        yield Finding("gap", "judge", "no GLEANER_JUDGE_URL: the offline scorer judges, by words alone")
    elif facts.judge is not None:
        yield Finding("fault", "judge", facts.judge)
    else:
        yield Finding("ok", "judge", f"{settings.judge_model}, {settings.score_rate:.0%} of the traces")


def _store(facts: Facts) -> Iterator[Finding]:
    if facts.store is not None:
        yield Finding("fault", "store", facts.store)
        return
    if facts.snapshot_age is None:
        yield Finding("gap", "store", f"none yet at {facts.settings.store_file()}: `gleaner store` makes it")
        return
    if facts.snapshot_age > STALE_SNAPSHOTS * facts.settings.snapshot_seconds:
        age = f"the newest snapshot is {facts.snapshot_age:,.0f} s old"
        yield Finding("gap", "store", f"{age}: nothing was written since, or `gleaner store` does not run")
    else:
        yield Finding("ok", "store", f"newest snapshot {facts.snapshot_age:.0f} s old")
    if facts.refused:
        yield Finding("gap", "store", f"{facts.refused:,} events were refused: `gleaner dlq list`")
    if not facts.settings.backup_keep:
        yield Finding("gap", "store", "GLEANER_BACKUP_KEEP is 0: no nightly backup")
    elif facts.settings.backup_dir is None:
        says = "no GLEANER_BACKUP_DIR: nightly backups are on the store's own disk"
        yield Finding("gap", "store", says)


def _traffic(facts: Facts) -> Iterator[Finding]:
    for app, traffic in sorted(facts.traffic.items()):
        lacking = list(_lacking(facts.settings, traffic))
        if not traffic.counters.get("feedback"):
            lacking.append("sends no feedback: no escalations, corrections, negative feedback")
        for says in lacking:
            yield Finding("gap", f"app {app}", says)
        late = traffic.counters.get("late", 0)
        events = sum([traffic.counters.get(kind, 0) for kind in ("traces", "feedback", "changes")])
        if late > LATE_SHARE * events:
            share = f"{late / max(events, 1):.0%} of its events came late and reached no detector"
            yield Finding("gap", f"app {app}", f"{share}: check its clock, or raise GLEANER_LATENESS_MS")
        elif not lacking:
            yield Finding("ok", f"app {app}", "every signal has what it needs")


def _lacking(settings: Settings, traffic: Traffic) -> Iterator[str]:
    """What an app does not send, by its closed windows; of what no window can show yet it says that."""
    if not any(traffic.measured.values()):
        yield "no window of the last seven days: what it sends can't be told (one closes some minutes later)"
        return
    for signal, needs in NEEDS.items():
        if traffic.measured.get(signal):
            continue
        if signal is SignalName.FAITHFULNESS and (why := _unscored(settings, traffic)):
            yield why
        else:
            yield f"sends no {needs}"


def _unscored(settings: Settings, traffic: Traffic) -> str:
    """Why an app that may well send what scoring needs has no window of faithfulness; else nothing."""
    scores, failed = traffic.counters.get("scores", 0), traffic.counters.get("unscored", 0)
    if failed and failed == scores:
        return f"the judge gave no score for any of {count(scores, 'answer')}: no faithfulness"
    if scores or traffic.span_ms <= settings.score_wait_ms + settings.window_ms:
        wait = duration(settings.score_wait_ms)
        return (
            f"no window of faithfulness has closed: they do so {wait} after the others, as scores come late"
        )
    return ""


def _slack(settings: Settings) -> Iterator[Finding]:
    if not settings.slack_token.get_secret_value():
        yield Finding("gap", "slack", "no GLEANER_SLACK_TOKEN: alerts go to the log of `gleaner notify`")
        return
    if not settings.slack_channel:
        yield Finding("fault", "slack", "no GLEANER_SLACK_CHANNEL: alerts have nowhere to go")
    else:
        yield Finding("ok", "slack", f"channel {settings.slack_channel}")
    if not settings.slack_clicks:
        says = "no GLEANER_SLACK_APP_TOKEN or GLEANER_SLACK_HTTP: no buttons, acknowledge at the command line"
        yield Finding("gap", "slack", says)
    if not settings.slack_oncall:
        yield Finding("gap", "slack", "no GLEANER_SLACK_ONCALL: nobody is mentioned when a page escalates")


def _fallback(settings: Settings) -> Iterator[Finding]:
    ways: Sequence[tuple[str, object]] = (
        ("channel", settings.fallback_channel),
        ("webhook", settings.fallback_webhook_url),
        ("PagerDuty", settings.fallback_pagerduty_key.get_secret_value()),
    )
    there = [name for name, given in ways if given]
    if there:
        yield Finding("ok", "fallback", ", ".join(there))
    else:
        yield Finding("gap", "fallback", "none: while Slack is down a page is told in the log alone")


def _heartbeat(settings: Settings) -> Iterator[Finding]:
    if settings.alive_url:
        yield Finding("ok", "heartbeat", "every minute, while an alert would arrive")
    else:
        yield Finding("gap", "heartbeat", "no GLEANER_ALIVE_URL: nobody notices that alerting has died")


def _api(settings: Settings) -> Iterator[Finding]:
    if not settings.api:
        yield Finding("gap", "api", "no GLEANER_API: no HTTP API; the command line reads snapshots")
    elif not settings.api_keys().named:
        why = f"{settings.api}, but no GLEANER_API_TOKENS: nobody can review by it, only read"
        yield Finding("gap", "api", why)
    else:
        yield Finding("ok", "api", settings.api)


def _env(name: str) -> str:
    return f"GLEANER_{name.upper()}"
