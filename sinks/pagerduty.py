"""PagerDuty as a hop of the fallback chain: Events API v2."""

from __future__ import annotations

import json

from schemas.base import rfc3339
from schemas.signal import Severity
from sinks.base import Message, Outcome
from sinks.hops import PAGERDUTY_URL, Stage, checked_url
from sinks.posting import post_json
from sinks.storm_words import action, headline

SUMMARY_LENGTH = 1_024
SEVERITIES = {
    Severity.P1: "critical",
    Severity.P2: "error",
    Severity.P3: "warning",
    Severity.INFO: "info",
}


class PagerDutyHop:
    """Triggers, acknowledges and resolves.

    The incident's id is the ``dedup_key``, so that telling a thing twice is telling it once (https://developer.pagerduty.com/docs/events-api-v2/trigger-events/).
    """

    name = "pagerduty"
    follows = True

    def __init__(self, key: str, url: str = PAGERDUTY_URL, page: str = "") -> None:
        self.key, self.url, self.page = key, checked_url(url), page

    async def tell(self, stage: Stage, message: Message) -> Outcome:
        return await post_json(self.url, event(self.key, stage, message, self.page), {}, self.name)

    async def close(self) -> None:
        """Nothing is held open between calls."""


def event(key: str, stage: Stage, message: Message, page: str = "") -> bytes:
    """The event's body; ``page`` is the incident's page with ``{id}`` for its id, or empty."""
    incident = message.incident
    body: dict[str, object] = {
        "routing_key": key,
        "event_action": stage.value,
        "dedup_key": incident.id,
    }
    if stage is Stage.TRIGGER:
        body["payload"] = {
            "summary": headline(message)[:SUMMARY_LENGTH],
            "source": incident.app or "gleaner",
            "severity": SEVERITIES[incident.severity],
            "timestamp": rfc3339(incident.detected_at),
            "component": incident.route,
            "group": incident.environment,
            "class": incident.rule,
            "custom_details": {"do_first": action(message), "incident": incident.id},
        }
        body["client"] = "Gleaner"
        if page:
            body["client_url"] = page.replace("{id}", incident.id)
    return json.dumps(body, ensure_ascii=False).encode()
