"""Digests into a channel of Slack, and found there again by their id."""

from __future__ import annotations

from schemas.digest import Digest
from sinks.base import Found, Outcome
from sinks.slack.client import SlackSink
from sinks.slack.digest import EVENT_TYPE, render_digest


class SlackDigests:
    """Posts to ``channel`` by the client of ``sink``."""

    def __init__(self, sink: SlackSink, channel: str) -> None:
        self.sink, self.channel = sink, channel

    async def post_digest(self, digest: Digest, *, text_only: bool) -> Outcome:
        return await self.sink.say(self.channel, render_digest(digest, text_only=text_only))

    async def find_digest(self, digest_id: str, since: int) -> Found:
        return await self.sink.search(self.channel, EVENT_TYPE, digest_id, since)
