"""A sign of life to somebody else's clock: where the calls stop, that one pages.

An alerting that has died says nothing, which looks like a quiet night. So notify calls an address once a
minute, as long as an alert would arrive; whoever waits for them (a dead man's switch) does the rest.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable

from schemas.base import rfc3339
from sinks.base import Delivered
from sinks.hops import checked_url
from sinks.posting import post_json

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
Ask = Callable[[], Awaitable[str]]
"""Why an alert would not arrive, in a word or two; an empty string where it would."""


class Alive:
    """Calls ``url`` while none of ``asks`` knows a reason not to."""

    def __init__(self, url: str, *asks: Ask) -> None:
        self.url, self.asks = checked_url(url), asks
        self.said = ""
        """Why the last call was not made, or not taken."""

    async def beat(self, now: int) -> bool:
        """One call, at ``now`` (epoch ms), unless there is a reason not to make it; whether it was taken."""
        why = await self._why_not()
        if not why:
            body = json.dumps({"from": "gleaner notify", "at": rfc3339(now)}).encode()
            outcome = await post_json(self.url, body, {}, "heartbeat")
            why = "" if isinstance(outcome, Delivered) else f"the call was not taken: {outcome}"
        if why != self.said:
            log.log(logging.WARNING if why else logging.INFO, "heartbeat: %s", why or "well again")
        self.said = why
        return not why

    async def _why_not(self) -> str:
        for ask in self.asks:
            if why := await ask():
                return why
        return ""
