"""The Slack sink: the Web API behind the ``Sink`` protocol. Files go by ``upload``."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from schemas.effect import EffectKind
from schemas.incident import Incident
from sinks.base import (
    Absent,
    Blind,
    Degradable,
    Degrade,
    Delivered,
    Found,
    Message,
    NotSent,
    Outcome,
    Ref,
    Rejected,
    RetryAfter,
    Unknown,
)
from sinks.slack.buttons import Offer
from sinks.slack.charts import Charts
from sinks.slack.failures import outcome
from sinks.slack.picture import NO_PICTURE
from sinks.slack.render import EVENT_TYPE, NO_OFFER, render
from sinks.slack.routes import Routes
from sinks.slack.storm import render_storm

log = logging.getLogger(__name__)

PAGE = 15
"""Messages per page of history: what Slack allows apps from outside its marketplace."""
PAGES = 20
NO_TOKEN = ("token_", "invalid_auth", "not_authed", "account_inactive")
"""Refusals of whoever asks, not of what is asked for."""


class SlackSink:
    """Posts to ``channel``, or to that of the incident's route, with a bot token.

    Its scopes: ``chat:write``, and ``channels:history`` to find lost messages.

    ``url`` is the base of the Web API; a sandbox's works as well as Slack's. ``offer`` says which buttons and
    links messages carry. :meth:`whisper` and :meth:`group` are what the desk for clicks needs of Slack.
    """

    def __init__(
        self,
        token: str,
        channel: str,
        url: str = "https://slack.com/api/",
        timeout_seconds: int = 10,
        offer: Offer = NO_OFFER,
        routes: Routes | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.channel, self.offer, self.clock = channel, offer, clock
        self.routes = routes or Routes(channel, offer.oncall)
        self.charts: Charts | None = None
        """What messages show of the signals' recent past; None: nothing."""
        # The SDK's default handler posts again after a dropped connection: two messages. We look first.
        self.client = AsyncWebClient(token=token, base_url=url, timeout=timeout_seconds, retry_handlers=[])

    @property
    def name(self) -> str:
        return f"slack:{self.channel}"

    def where(self, incident: Incident) -> str:
        """That of the incident's route at this time of day."""
        return self.routes.of(incident, self.clock())[0]

    async def post(self, message: Message) -> Outcome:
        channel, payload = self._render(message)
        answer = await self._send(
            lambda: self.client.chat_postMessage(
                channel=channel, unfurl_links=False, unfurl_media=False, **payload
            )
        )
        return self._without(message, payload, answer)

    async def edit(self, message: Message, ref: Ref) -> Outcome:
        _, payload = self._render(message)
        answer = await self._send(lambda: self.client.chat_update(channel=ref.channel, ts=ref.ts, **payload))
        return self._without(message, payload, answer)

    async def reply(self, message: Message, root: Ref) -> Outcome:
        _, payload = self._render(message)
        return await self._send(
            lambda: self.client.chat_postMessage(
                channel=root.channel, thread_ts=root.ts, unfurl_links=False, unfurl_media=False, **payload
            )
        )

    async def find(self, outbox_id: str, since: int, root: Ref | None, channel: str = "") -> Found:
        """Pages through history (or the thread) for our metadata, since ``since`` (epoch ms).

        Only ``channel`` is looked through where it is known. Else every channel is, since the route may be
        another one by now; while one of them can't be asked yet, nothing is known.
        """
        if root is not None or channel:
            return await self._find(outbox_id, since, root.channel if root else channel, root)
        found: Found = Absent()
        for each in self.routes.channels():
            here = await self._find(outbox_id, since, each, None)
            if isinstance(here, Delivered):
                return here
            if not isinstance(here, Absent | Blind) or isinstance(found, Absent):
                found = here
        return found

    async def _find(
        self, outbox_id: str, since: int, channel: str, root: Ref | None, event_type: str = EVENT_TYPE
    ) -> Found:
        cursor: str | None = None
        oldest = f"{since / 1000:.6f}"
        for _ in range(PAGES):
            answer = await self._page(oldest, cursor, channel, root)
            if not isinstance(answer, dict):
                return answer
            for found in answer.get("messages", []):
                metadata = found.get("metadata") or {}
                if metadata.get("event_type") != event_type:
                    continue
                if metadata.get("event_payload", {}).get("outbox_id") == outbox_id:
                    return Delivered(Ref(channel, found["ts"]))
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return Absent()
        return Blind("the channel is too busy to search")

    async def say(self, channel: str, payload: dict[str, Any]) -> Outcome:
        """A message of its own that is no incident's: a digest."""
        return await self._send(
            lambda: self.client.chat_postMessage(
                channel=channel, unfurl_links=False, unfurl_media=False, **payload
            )
        )

    async def search(self, channel: str, event_type: str, outbox_id: str, since: int) -> Found:
        """What :meth:`say` has sent to ``channel`` at or after ``since`` (epoch ms)."""
        return await self._find(outbox_id, since, channel, None, event_type)

    async def whisper(self, channel: str, user: str, text: str) -> Outcome:
        """A line that only ``user`` sees; Slack forgets it, and doesn't say whether it was read."""
        return await self._send(
            lambda: self.client.chat_postEphemeral(channel=channel, user=user, text=text), "message_ts"
        )

    async def alive(self) -> str:
        """Why Slack would take nothing from this token (``auth.test``, which needs no scope), or nothing."""
        try:
            await self.client.auth_test()
        except Exception as error:
            return f"Slack: {outcome(error)}"
        return ""

    async def group(self, group: str) -> frozenset[str] | None:
        """User ids of a user group's members (scope ``usergroups:read``); None where Slack doesn't say."""
        try:
            response = await self.client.usergroups_users_list(usergroup=group)
        except Exception as error:
            log.warning("user group %s: %s", group, outcome(error))
            return None
        users = response.get("users")
        return frozenset(str(one) for one in users) if isinstance(users, list) else None

    async def close(self) -> None:
        """Nothing is held open between calls."""

    def _render(self, message: Message) -> tuple[str, dict[str, Any]]:
        """The channel of a first message, and the payload."""
        channel, oncall = self.routes.of(message.incident, self.clock())
        offer = replace(self.offer, oncall=oncall)
        if message.storm is not None:
            return message.channel or channel, render_storm(message, message.storm, offer)
        shown = message.kind is not EffectKind.REPLY and message.degrade is Degrade.FULL
        picture = self.charts.picture(message.incident) if self.charts and shown else NO_PICTURE
        return message.channel or channel, render(message, offer, picture)

    def _without(self, message: Message, payload: dict[str, Any], outcome: Outcome) -> Outcome:
        """A message that is refused with a picture is tried again without it before anything else goes.

        Slack refuses the whole of a message whose file it has not looked at yet, or that is gone.
        """
        pictured = any(block["type"] == "image" for block in payload["blocks"])
        if self.charts is None or not pictured or not isinstance(outcome, Degradable):
            return outcome
        self.charts.refused(message.incident.id, self.clock())
        return NotSent(f"refused with its chart: {outcome.why}")

    async def _page(
        self, oldest: str, cursor: str | None, channel: str, root: Ref | None
    ) -> dict[str, Any] | Found:
        options: dict[str, Any] = {"oldest": oldest, "limit": PAGE, "include_all_metadata": True}
        if cursor:
            options["cursor"] = cursor
        try:
            if root is None:
                response = await self.client.conversations_history(channel=channel, **options)
            else:
                response = await self.client.conversations_replies(
                    channel=root.channel, ts=root.ts, **options
                )
            data = response.data
            return data if isinstance(data, dict) else Unknown("not JSON")
        except Exception as error:
            match outcome(error):
                case RetryAfter() | NotSent() | Unknown() as passing:
                    return passing
                case Rejected(why) if why.startswith(NO_TOKEN):
                    # It can't be posted again either: whether it arrived is asked once the token is good.
                    return Unknown(why)
                case Rejected(why):
                    return Blind(why)
                case other:
                    return Unknown(type(other).__name__)

    async def _send(self, call: Callable[[], Awaitable[Any]], ts: str = "ts") -> Outcome:
        try:
            response = await call()
        except Exception as error:
            return outcome(error)
        data = response.data
        if not isinstance(data, dict) or ts not in data:
            return Unknown("an answer without ts")
        return Delivered(Ref(str(data.get("channel", self.channel)), str(data[ts])))
