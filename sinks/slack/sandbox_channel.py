"""A channel of the fake Slack: its messages, and the rules by which Slack refuses one."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sinks.slack.limits import problems, texts

PING = re.compile(r"<(?!!date\^)[!@#][^>]*>")
"""What would notify people: any unescaped mention. Ours come from configuration alone."""
MENTION = re.compile(r"<(?:@|!subteam\^)([A-Z0-9]+)>")


@dataclass
class Posted:
    """A message as Slack keeps it; ``visible_at`` is when history begins to show it (epoch seconds)."""

    ts: str
    body: dict[str, Any]
    thread_ts: str | None
    visible_at: float
    edits: int = 0


class Refusal(Exception):
    """Slack says no: ``ok: false`` with this error."""

    def __init__(self, error: str, details: list[str] | None = None) -> None:
        super().__init__(error)
        self.error, self.details = error, details or []


@dataclass
class Channel:
    id: str
    name: str = "alerts"
    archived: bool = False
    joined: bool = True
    paused_until: float = 0.0
    messages: list[Posted] = field(default_factory=list)
    pings: list[str] = field(default_factory=list)
    """Every text that would have pinged somebody; a test asserts that there is none."""
    _bucket: tuple[float, float] | None = None
    mentions: frozenset[str] = frozenset()
    """Ids of users and groups that may be mentioned: the test's copy of what the settings name."""
    ready: Callable[[str, float], bool] = lambda file_id, now: True
    """Whether a file may stand in an image block at a time (epoch seconds)."""
    per_second: float | None = None
    """Messages that the channel takes a second, after a burst of ``burst``; None: as many as come."""
    burst: int = 3
    whispers: list[tuple[str, str]] = field(default_factory=list)
    """Ephemeral messages: user and text. Slack keeps none; the page shows the newest."""

    def throttle(self, now: float) -> float:
        """Seconds to wait before the channel takes another message; 0 takes one."""
        if now < self.paused_until:
            return self.paused_until - now
        if self.per_second is None:
            return 0.0
        tokens, at = self._bucket or (float(self.burst), now)
        tokens = min(self.burst, tokens + (now - at) * self.per_second)
        if tokens < 1.0:
            self._bucket = tokens, now
            return (1.0 - tokens) / self.per_second
        self._bucket = tokens - 1.0, now
        return 0.0

    def post(self, body: dict[str, Any], now: float, visible_after: float = 0.0) -> Posted:
        self._admit(body, now)
        thread_ts = body.get("thread_ts")
        if thread_ts is not None and not any(
            one.ts == thread_ts and one.thread_ts is None for one in self.messages
        ):
            raise Refusal("thread_not_found")
        message = Posted(self._next_ts(now), copy.deepcopy(body), thread_ts, now + visible_after)
        self.messages.append(message)
        return message

    def whisper(self, body: dict[str, Any]) -> None:
        """An ephemeral message. Whoever it mentions is not notified: only ``user`` sees it."""
        user = body.get("user")
        if not isinstance(user, str) or not user:
            raise Refusal("user_not_in_channel")
        self._admit(body, 0.0)
        self.whispers.append((user, str(body.get("text", ""))))

    def update(self, body: dict[str, Any], now: float = 0.0) -> Posted:
        found = self.at(body.get("ts"))
        if found is None:
            raise Refusal("message_not_found")
        self._admit(body, now)
        # The pessimistic reading of the documentation: what an edit leaves out stays.
        found.body = found.body | copy.deepcopy(body)
        found.edits += 1
        return found

    def history(self, now: float, oldest: float, metadata: bool, thread: str | None) -> list[dict[str, Any]]:
        """What history (newest first) or a thread (oldest first, with its root) shows at ``now``."""
        shown = []
        for one in self.messages:
            in_view = one.thread_ts is None if thread is None else thread in (one.ts, one.thread_ts)
            if not in_view or one.visible_at > now or float(one.ts) < oldest:
                continue
            hidden = {"token", "channel", "ts", "thread_ts"} | (set() if metadata else {"metadata"})
            view = {key: value for key, value in one.body.items() if key not in hidden}
            shown.append(view | {"ts": one.ts, "type": "message"})
        return shown if thread is not None else shown[::-1]

    def at(self, ts: object) -> Posted | None:
        return next((one for one in self.messages if one.ts == ts), None)

    def roots(self) -> list[Posted]:
        return [one for one in self.messages if one.thread_ts is None]

    def replies(self, ts: str) -> list[Posted]:
        return [one for one in self.messages if one.thread_ts == ts]

    def _admit(self, body: dict[str, Any], now: float) -> None:
        if self.archived:
            raise Refusal("is_archived")
        if not self.joined:
            raise Refusal("not_in_channel")
        if not body.get("text") and not body.get("blocks"):
            if body.get("files"):
                return  # a file needs no words
            raise Refusal("no_text")
        found = problems({"text": body.get("text"), "blocks": body.get("blocks", [])})
        if any("characters of text" in one for one in found):
            raise Refusal("msg_blocks_too_long", found)
        if found:
            raise Refusal("no_text" if found[0].startswith("/text") else "invalid_blocks", found)
        for at, block in enumerate(body.get("blocks", [])):
            if block["type"] == "image" and not self.ready(block["slack_file"]["id"], now):
                raise Refusal("invalid_blocks", [f"/blocks/{at}/slack_file: invalid slack file"])
        metadata = body.get("metadata")
        if metadata is not None and not (
            isinstance(metadata, dict)
            and isinstance(metadata.get("event_type"), str)
            and isinstance(metadata.get("event_payload"), dict)
            and all(not isinstance(value, dict | list) for value in metadata["event_payload"].values())
        ):
            raise Refusal("metadata_must_be_flat")
        said = [body.get("text", ""), *texts(body.get("blocks", []))]
        for ping in (match for text in said for match in PING.findall(text)):
            named = MENTION.fullmatch(ping)
            if named is None or named[1] not in self.mentions:
                self.pings.append(ping)

    def _next_ts(self, now: float) -> str:
        """Grows with every message, as Slack's do, whatever the clock says."""
        micros = round(now * 1_000_000)
        if self.messages:
            micros = max(micros, round(float(self.messages[-1].ts) * 1_000_000) + 1)
        return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"
