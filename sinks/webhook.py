"""A signed webhook as a hop of the fallback chain. It carries numbers and names, and no user's text."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

from schemas.base import rfc3339
from sinks.base import Message, Outcome
from sinks.hops import Stage, checked_url
from sinks.posting import post_json
from sinks.storm_words import headline

TIMESTAMP, SIGNATURE, DELIVERY = "X-Gleaner-Timestamp", "X-Gleaner-Signature", "X-Gleaner-Delivery"


class WebhookHop:
    """POSTs JSON to one address; ``clock`` gives epoch seconds.

    The signature is ``v1=`` and the hexadecimal HMAC-SHA256 of ``timestamp.body`` under the secret, so that
    neither can be changed, and an old request can be told (docs/alerting.md has the receiver's side).
    """

    name = "webhook"
    follows = True

    def __init__(self, url: str, secret: str, clock: Callable[[], float]) -> None:
        if not secret:
            raise ValueError("a webhook needs a secret to sign with")
        self.url, self.secret, self.clock = checked_url(url), secret, clock

    async def tell(self, stage: Stage, message: Message) -> Outcome:
        at = int(self.clock())
        body = payload(stage, message, at)
        headers = {
            TIMESTAMP: str(at),
            SIGNATURE: sign(self.secret, at, body),
            DELIVERY: message.outbox_id,
        }
        return await post_json(self.url, body, headers, self.name)

    async def close(self) -> None:
        """Nothing is held open between calls."""


def payload(stage: Stage, message: Message, at: int) -> bytes:
    """The body: ``at`` in epoch seconds, the incident as ``gleaner incidents list --json`` prints it."""
    incident = message.incident
    body = {
        "version": 1,
        "id": message.outbox_id,
        "stage": stage.value,
        "sent_at": rfc3339(at * 1000),
        "text": headline(message),
        "state": incident.state.value,
        "incident": incident.summary(),
    }
    return json.dumps(body, ensure_ascii=False).encode()


def sign(secret: str, at: int, body: bytes) -> str:
    """The value of the signature's header.

    >>> sign("s3cret", 1772355900, b"{}")
    'v1=62cc22fb77fdeb2a34e914a686d5a538e580ac1c42a8c2e9a223c04ac16d406c'
    """
    return "v1=" + hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
