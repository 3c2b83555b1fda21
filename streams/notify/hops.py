"""The fallback chain of these settings: second channel, webhook, PagerDuty, in this order."""

from __future__ import annotations

import time

from sinks.hops import Hop, SinkHop
from sinks.pagerduty import PagerDutyHop
from sinks.slack.buttons import Offer
from sinks.slack.client import SlackSink
from sinks.webhook import WebhookHop
from streams.settings import Settings


def hops_of(settings: Settings) -> list[Hop]:
    """Those that are set; the console, which comes after them, needs no setting."""
    found: list[Hop] = []
    token = settings.slack_token.get_secret_value()
    if token and settings.fallback_channel:
        # No buttons: what stands there is not edited any more.
        offer = Offer(url=settings.incident_url, trace_url=settings.trace_url)
        found.append(SinkHop(SlackSink(token, settings.fallback_channel, settings.slack_url, 5, offer)))
    if settings.fallback_webhook_url:
        secret = settings.fallback_webhook_secret.get_secret_value()
        found.append(WebhookHop(settings.fallback_webhook_url, secret, time.time))
    if key := settings.fallback_pagerduty_key.get_secret_value():
        found.append(PagerDutyHop(key, settings.fallback_pagerduty_url, settings.incident_url))
    return found
