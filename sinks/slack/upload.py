"""A picture into a thread of Slack: three calls, after which Slack takes its time to look at it.

``files.getUploadURLExternal`` → the bytes to the URL that it gives → ``files.completeUploadExternal``, which
posts a message. Only the last one shows anything to anybody, so the first two may be repeated at will.
"""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from sinks.base import (
    Absent,
    Blind,
    Delivered,
    Found,
    NotSent,
    Outcome,
    Ref,
    Rejected,
    RetryAfter,
    Unknown,
)
from sinks.slack.failures import outcome

SECONDS = 10.0


@dataclass(frozen=True)
class Uploaded:
    """The bytes are in Slack; nobody sees them yet."""

    file: str


class Uploads:
    """The calls, each answered with an outcome; scopes: ``files:write``, for :meth:`ready` ``files:read``."""

    def __init__(self, client: AsyncWebClient) -> None:
        self.client = client

    async def upload(self, png: bytes, name: str, alt: str) -> Uploaded | Outcome:
        try:
            begun = (
                await self.client.files_getUploadURLExternal(filename=name, length=len(png), alt_txt=alt)
            ).data
        except Exception as error:
            return outcome(error)
        if not isinstance(begun, dict) or not begun.get("upload_url") or not begun.get("file_id"):
            return Unknown("an answer without upload_url")
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(str(begun["upload_url"]), data=png, allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    return Unknown(f"http_{answer.status}")
        except Exception as error:
            return outcome(error)
        return Uploaded(str(begun["file_id"]))

    async def share(self, file: str, title: str, comment: str, root: Ref) -> Outcome:
        """Shows the file in the thread of ``root``; ``comment`` is escaped already."""
        try:
            await self.client.files_completeUploadExternal(
                files=[{"id": file, "title": title}],
                channel_id=root.channel,
                thread_ts=root.ts,
                initial_comment=comment,
            )
        except Exception as error:
            return outcome(error)
        return Delivered(Ref(root.channel, ""))

    async def shared(self, file: str, root: Ref, pages: int = 5) -> Found:
        """Whether the thread of ``root`` shows the file: after an answer that was lost."""
        cursor: str | None = None
        for _ in range(pages):
            try:
                answer = (
                    await self.client.conversations_replies(
                        channel=root.channel, ts=root.ts, limit=15, cursor=cursor
                    )
                ).data
            except Exception as error:
                found = outcome(error)
                match found:
                    case RetryAfter() | NotSent() | Unknown():
                        return found
                    case Rejected(why):
                        return Blind(why)
                    case other:
                        return Unknown(type(other).__name__)
            messages = answer.get("messages", []) if isinstance(answer, dict) else []
            for message in messages:
                if any(one.get("id") == file for one in message.get("files") or ()):
                    return Delivered(Ref(root.channel, str(message.get("ts", ""))))
            metadata = (answer.get("response_metadata") if isinstance(answer, dict) else None) or {}
            cursor = metadata.get("next_cursor")
            if not cursor:
                break
        return Absent()

    async def ready(self, file: str) -> bool | Outcome:
        """Whether Slack has looked at the picture: before that a message with it is refused."""
        try:
            answer = (await self.client.files_info(file=file)).data
        except Exception as error:
            return outcome(error)
        known = answer.get("file") if isinstance(answer, dict) else None
        return isinstance(known, dict) and bool(known.get("mimetype") and known.get("original_w"))
