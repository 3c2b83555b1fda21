"""Every setting, its default and what it is for. Environment (``GLEANER_…``) before ``gleaner.toml``.

A setting that changes *which* app or segment an event belongs to does not exist: two runs over the
same log must agree.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from schemas.topics import APP_MESSAGE_BYTES, MAX_EVENT_BYTES, Topic, own_message_bytes
from sinks.hops import PAGERDUTY_URL, checked_url
from sinks.slack.allowed import Allowed
from sinks.slack.routes import Route
from streams.api.keys import Keys, named_tokens
from streams.kafka_names import checked_brokers, checked_prefix
from streams.steps.privacy import Privacy, said
from streams.wrong_setting import WrongSetting

DAILY = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
WEEKLY = re.compile(rf"(mon|tue|wed|thu|fri|sat|sun) {DAILY.pattern}")
EXIT_RESTART = 70
"""Exit status of a role that cannot go on and lost nothing: a supervisor restarts it."""


LOOPBACK = ("127.0.0.1", "localhost", "::1")


def host_and_port(address: str) -> tuple[str, int | None]:
    """
    >>> host_and_port("127.0.0.1:80"), host_and_port("[::1]:80"), host_and_port("here")
    (('127.0.0.1', 80), ('::1', 80), ('', None))
    """
    host, _, port = address.rpartition(":")
    sound = bool(host) and port.isdecimal() and int(port) <= 65535
    return host.removeprefix("[").removesuffix("]"), int(port) if sound else None


Finite = Annotated[float, Field(allow_inf_nan=False, le=1e6)]
"""A number that a clock can be asked with: no more than a million hours or days."""


class _Environment(EnvSettingsSource):
    def prepare_field_value(
        self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool
    ) -> Any:
        try:
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except ValueError as error:
            problem = "is JSON, as in docs/reference.md, and this is not"
            raise WrongSetting(f"setting GLEANER_{field_name.upper()}: {problem}: {error}") from None


def _toml(settings: type[BaseSettings]) -> TomlConfigSettingsSource:
    try:
        return TomlConfigSettingsSource(settings)
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, or too deep
        raise WrongSetting(f"gleaner.toml: not TOML: {error}") from None


class Settings(BaseSettings):
    """Frozen after start; passed down, never looked up from inside a step."""

    model_config = SettingsConfigDict(
        env_prefix="GLEANER_", toml_file="gleaner.toml", frozen=True, extra="ignore"
    )

    brokers: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, host:port, comma-separated")
    broker_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL (TLS), SASL_PLAINTEXT or SASL_SSL"
    )
    broker_ca: Path | None = Field(
        None, description="PEM file of the authorities that the brokers' certificates are checked by"
    )
    broker_cert: Path | None = Field(
        None, description="PEM file of the client's own certificate (mutual TLS)"
    )
    broker_key: Path | None = Field(
        None, description="PEM file of its key; empty: it is in the certificate's"
    )
    broker_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    broker_username: str = Field("", validate_default=True, description="User that SASL authenticates")
    broker_password: SecretStr = Field(
        SecretStr(""), validate_default=True, description="That user's password"
    )
    topic_prefix: str = Field("", description="Put before every topic, group and transactional id")
    partitions: int = Field(4, ge=1, le=1024, description="Partitions of the topics that scale with load")
    replication: int = Field(1, ge=1, le=5, description="Replication factor of the topics that Gleaner makes")
    state_dir: Path = Field(Path("gleaner-data"), description="Everything that a role keeps on this machine")
    embedded: bool = Field(False, description="The broker is the embedded one: state in SQLite, one owner")
    stream_id: str = Field("", description="Names this life of an embedded broker; set by `gleaner up`")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG, INFO, WARNING or ERROR"
    )

    session_timeout_ms: int = Field(
        10_000, ge=6_000, description="A dead worker's partitions move after this"
    )
    heartbeat_ms: int = Field(
        1_000, ge=100, description="Heartbeat of the consumer groups, at most a third of the session timeout"
    )
    stop_seconds: float = Field(
        25, gt=0, description="A role that is told to stop has ended after this, whatever Kafka does"
    )
    flush_size: int = Field(500, ge=1, description="Messages that ingest and harvest flush together")
    flush_seconds: Finite = Field(0.2, gt=0, description="… or after this time, whichever comes first")
    # Above an application's message no event could arrive.
    max_event_bytes: int = Field(
        MAX_EVENT_BYTES,
        ge=1024,
        le=APP_MESSAGE_BYTES,
        description="A larger event is dead-lettered; Gleaner's own topics take twice as much, or 2 MiB",
    )

    lateness_ms: int = Field(
        1_000,
        ge=0,
        description="The watermark stays this far behind event time; what comes later is in no detector",
    )
    conversation_ms: int = Field(
        600_000, ge=1_000, description="A conversation's outcome is decided after this"
    )
    join_horizon_days: Finite = Field(
        14,
        gt=0,
        description="Feedback finds its trace, and a repeated event is known, for this long at least",
    )
    score_wait_ms: int = Field(
        600_000, ge=1_000, description="The faithfulness detector waits this long for a score"
    )
    commit_ms: int = Field(
        2_000,
        ge=10,
        description="The rolling state is committed this often, and at every alarm",
    )
    window_ms: int = Field(300_000, ge=60_000, description="Length of the published event-time windows")
    rules: Path | None = Field(None, description="The rules file (YAML); without it the default rules run")
    segments: int = Field(1, ge=1, description="Segments that share a rule's false-page budget, at least")

    score_rate: Finite = Field(1.0, ge=0, le=1, description="Share of traces that the judge scores")
    rescore: bool = Field(False, description="Score traces again that carry the app's own faithfulness")
    judge_url: str = Field("", description="OpenAI-compatible endpoint; empty: the offline scorer")
    judge_model: str = Field("", description="Model that judges")
    judge_key: SecretStr = Field(SecretStr(""), description="Key of the judge's endpoint")
    judge_tokens_per_hour: int = Field(0, ge=0, description="A judge process spends no more; 0: no limit")
    judge_concurrency: int = Field(8, ge=1, description="Answers that are judged at the same time")
    judge_seconds: Finite = Field(
        60, gt=0, description="An answer not judged within this is unscored: timeout"
    )

    privacy: dict[str, Privacy] = Field(
        {},
        description="By app, `*` for all others: cases hold `full`, `redacted` (default) or `ids_only` text",
    )

    store_path: Path | None = Field(None, description="The DuckDB file; default STATE_DIR/store.duckdb")
    snapshot_seconds: Finite = Field(
        30, gt=0, description="Readers' snapshots are at most this old after a change"
    )

    backup_dir: Path | None = Field(
        None, description="Where the nightly backups go; default: beside the store, in STORE_PATH.backups"
    )
    backup_keep: int = Field(7, ge=0, description="Nightly backups that are kept; 0: none are made")
    night_hour: int = Field(
        2, ge=0, le=23, description="Hour (UTC) of the backup and of the deletion of old windows"
    )
    windows_keep_days: Finite = Field(
        400, gt=8, description="Windows that end so long before their app's newest one are deleted"
    )

    api_token: SecretStr = Field(SecretStr(""), description="Bearer token of the HTTP API, for reading")
    api_tokens: SecretStr = Field(
        SecretStr(""),
        description="Who may write by the HTTP API: `NAME:TOKEN,…`, a bearer token for each reviewer",
    )
    api: str = Field(
        "", description="host:port of the store's HTTP API, such as 127.0.0.1:8780; empty: none is served"
    )

    slack_token: SecretStr = Field(SecretStr(""), description="Bot token; empty: alerts go to the console")
    slack_channel: str = Field("", description="Channel id that pages go to")
    slack_url: str = Field("https://slack.com/api/", description="Base URL of the Web API")
    slack_app_token: SecretStr = Field(
        SecretStr(""), description="App-level token (connections:write): buttons, by Socket Mode"
    )
    slack_signing_secret: SecretStr = Field(
        SecretStr(""), description="The app's signing secret, by which clicks over HTTP are checked"
    )
    slack_http: str = Field("", description="host:port that takes Slack's signed clicks: buttons, by HTTP")
    slack_actors: str = Field(
        "",
        description="Who may click: ids of users (U…) and groups (S…), comma-separated; empty: everybody",
    )
    slack_oncall: str = Field(
        "", description="Whom an escalation mentions: ids of users (U…) and groups (S…), comma-separated"
    )
    slack_oncall_next: str = Field(
        "", description="Whom its second level mentions, in the same form; empty: the same again"
    )
    routes: tuple[Route, ...] = Field(
        (), description="Channel and mentions by app, owner, severity and hours; see docs/alerting.md"
    )
    slack_charts: bool = Field(True, description="Charts in the threads (scopes files:write and files:read)")
    incident_url: str = Field("", description="An incident's page, with {id} for its id: where Open leads to")
    digest_daily: str = Field("", description="When the daily digest is posted, such as 09:00; empty: never")
    digest_weekly: str = Field(
        "", description="When the weekly digest is posted, such as mon 09:00; empty: never"
    )
    digest_zone: str = Field("UTC", description="Time zone of the digests, such as Europe/Berlin")
    digest_channel: str = Field("", description="Channel id of the digests; empty: that of the pages")
    trace_url: str = Field("", description="A trace's page, with {trace_id} for its id: cases link to it")
    fallback_after_minutes: Finite = Field(
        2, gt=0, description="A P1 or P2 that Slack has not taken for this long goes down the fallback chain"
    )
    fallback_channel: str = Field("", description="Fallback: id of a second Slack channel")
    fallback_webhook_url: str = Field("", description="Fallback: address of a signed webhook (https)")
    fallback_webhook_secret: SecretStr = Field(
        SecretStr(""),
        validate_default=True,
        description="What the webhook's requests are signed with",
    )
    fallback_pagerduty_key: SecretStr = Field(
        SecretStr(""), description="Fallback: routing key of a PagerDuty service (Events API v2)"
    )
    fallback_pagerduty_url: str = Field(PAGERDUTY_URL, description="Where PagerDuty takes events")
    alive_url: str = Field(
        "", description="Called once a minute while an alert would arrive: a dead man's switch (https)"
    )
    incident_window_minutes: Finite = Field(
        30, gt=0, description="Alarms whose onsets are this near are one incident"
    )
    incident_quiet_hours: Finite = Field(
        24, gt=0, description="After this long without an alarm a new one opens anew"
    )
    incident_reopen_hours: Finite = Field(
        2, ge=0, description="An alarm this soon after an incident's end reopens it, in the same thread"
    )
    group_wait_seconds: Finite = Field(
        5, ge=0, description="A new incident waits this long for further members and for cases"
    )

    incident_messages_an_hour: int = Field(
        5,
        ge=1,
        description="New incidents of an hour that a channel gets one by one; more come as one digest",
    )

    @field_validator("brokers")
    @classmethod
    def _brokers(cls, value: str) -> str:
        return checked_brokers(value)

    @field_validator("topic_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        return checked_prefix(value)

    @field_validator("heartbeat_ms")
    @classmethod
    def _often(cls, value: int, info: ValidationInfo) -> int:
        session = info.data.get("session_timeout_ms")
        if session is not None and value > session / 3:
            # Kafka's own advice: one or two may be lost before a member is taken for dead.
            raise ValueError(f"is at most a third of GLEANER_SESSION_TIMEOUT_MS, {session}")
        return value

    @field_validator("rules", "store_path", "backup_dir", "state_dir", mode="before")
    @classmethod
    def _path_given(cls, value: object) -> object:
        # An empty path would be the current folder.
        if value == "":
            raise ValueError("is empty: name a path, or leave the setting out")
        return value

    @field_validator("brokers")
    @classmethod
    def _addresses(cls, value: str) -> str:
        if "://" in value:
            raise ValueError("is host:port, several with commas: no URL")
        return value

    @field_validator("broker_ca", "broker_cert", "broker_key")
    @classmethod
    def _encrypted(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None:
            return None
        if not str(info.data.get("broker_protocol")).endswith("SSL"):
            raise ValueError("is for TLS: set GLEANER_BROKER_PROTOCOL to SSL or SASL_SSL")
        if not value.is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @field_validator("broker_username", "broker_password")
    @classmethod
    def _authenticated(cls, value: str | SecretStr, info: ValidationInfo) -> str | SecretStr:
        wanted = str(info.data.get("broker_protocol")).startswith("SASL")
        given = bool(value.get_secret_value() if isinstance(value, SecretStr) else value)
        if wanted and not given:
            raise ValueError(f"is needed: GLEANER_BROKER_PROTOCOL is {info.data['broker_protocol']}")
        if given and not wanted:
            raise ValueError("would not be sent: set GLEANER_BROKER_PROTOCOL to SASL_SSL or SASL_PLAINTEXT")
        return value

    @field_validator("fallback_webhook_url", "fallback_pagerduty_url", "alive_url")
    @classmethod
    def _receiver(cls, value: str) -> str:
        return value and checked_url(value)

    @field_validator("fallback_webhook_secret")
    @classmethod
    def _signed(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if info.data.get("fallback_webhook_url") and not value.get_secret_value():
            raise ValueError("is needed: GLEANER_FALLBACK_WEBHOOK_URL takes signed requests only")
        return value

    @field_validator("digest_daily", "digest_weekly")
    @classmethod
    def _when(cls, value: str, info: ValidationInfo) -> str:
        weekly = info.field_name == "digest_weekly"
        if value and not (WEEKLY if weekly else DAILY).fullmatch(value):
            raise ValueError(f"is a {'day and a ' if weekly else ''}time, such as {'mon ' * weekly}09:00")
        return value

    @field_validator("digest_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, LookupError):
            raise ValueError("is no time zone such as Europe/Berlin") from None
        return value

    @field_validator("api_tokens")
    @classmethod
    def _named(cls, value: SecretStr) -> SecretStr:
        named_tokens(value.get_secret_value())
        return value

    @field_validator("api")
    @classmethod
    def _served(cls, value: str, info: ValidationInfo) -> str:
        if value:
            host, port = host_and_port(value)
            if port is None:
                raise ValueError("is host:port, such as 127.0.0.1:8780")
            tokens = (info.data.get(name) for name in ("api_token", "api_tokens"))
            given = any(token and token.get_secret_value().strip() for token in tokens)
            if host not in LOOPBACK and not given:
                raise ValueError("is open to others, which needs GLEANER_API_TOKENS or GLEANER_API_TOKEN")
        return value

    @field_validator("slack_http")
    @classmethod
    def _address(cls, value: str, info: ValidationInfo) -> str:
        if value:
            host, _, port = value.rpartition(":")
            if not host or not port.isdecimal() or int(port) > 65535:
                raise ValueError("is host:port, such as 127.0.0.1:8765")
            secret = info.data.get("slack_signing_secret")
            if not (secret and secret.get_secret_value().strip()):
                raise ValueError("needs GLEANER_SLACK_SIGNING_SECRET: unsigned clicks are never taken")
        return value

    @field_validator("slack_actors", "slack_oncall", "slack_oncall_next")
    @classmethod
    def _actors(cls, value: str) -> str:
        Allowed.parse(value)
        return value

    @field_validator("incident_url", "trace_url")
    @classmethod
    def _page(cls, value: str, info: ValidationInfo) -> str:
        place = "{trace_id}" if info.field_name == "trace_url" else "{id}"
        if value and not (value.startswith(("https://", "http://")) and place in value):
            raise ValueError(f"is an http(s) address with {place} in it")
        if any(character in value for character in "<>|\"'") or any(map(str.isspace, value)):
            raise ValueError("has a character that no address has")
        return value

    @property
    def slack_clicks(self) -> bool:
        """Whether there is a way to take clicks: what buttons are shown for."""
        return bool(self.slack_app_token.get_secret_value() or self.slack_http)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _Environment(settings_cls), _toml(settings_cls)

    def topic(self, topic: Topic) -> str:
        """The topic's name in this deployment."""
        return self.topic_prefix + topic.name

    def group(self, role: str) -> str:
        """The consumer group of a role in this deployment."""
        return f"{self.topic_prefix}gleaner-{role}"

    def partitions_of(self, topic: Topic) -> int:
        return topic.partitions or self.partitions

    def message_bytes_of(self, topic: Topic) -> int:
        """The largest message that the topic has to take: its ``max.message.bytes``."""
        return topic.max_message_bytes or own_message_bytes(self.max_event_bytes)

    def api_keys(self) -> Keys:
        return Keys(
            self.api_token.get_secret_value().strip(), named_tokens(self.api_tokens.get_secret_value())
        )

    def said_of(self, app: str, text: str) -> str | None:
        """What the app's policy lets in of a reviewer's text."""
        return said(text, self.privacy_of(app))

    def privacy_of(self, app: str) -> Privacy:
        """How much text of an app's cases may be stored."""
        return self.privacy.get(app, self.privacy.get("*", Privacy.REDACTED))

    def store_file(self) -> Path:
        return self.store_path or self.state_dir / "store.duckdb"


def is_secret(name: str) -> bool:
    """Whether a setting's value must never be printed: a secret, or an address, which can hold a password.

    >>> is_secret("broker_password"), is_secret("judge_url"), is_secret("partitions")
    (True, True, False)
    """
    field = Settings.model_fields.get(name)
    return field is None or field.annotation is SecretStr or name.endswith("_url")
