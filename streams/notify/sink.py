"""Where these settings say that alerts go."""

from __future__ import annotations

import logging

from sinks.base import Sink
from sinks.console import ConsoleSink
from sinks.outbox import Outbox
from sinks.pace import Paces
from sinks.slack.buttons import Offer
from sinks.slack.charts import Charts
from sinks.slack.client import SlackSink
from sinks.slack.routes import Routes, mentions
from sinks.slack.upload import Uploads
from streams.rules_file import load_rules
from streams.settings import Settings

log = logging.getLogger(__name__)


def sink_of(settings: Settings) -> Sink:
    """Slack where there is a token and a channel, else the console."""
    token = settings.slack_token.get_secret_value()
    if token and settings.slack_channel:
        return SlackSink(
            token,
            settings.slack_channel,
            settings.slack_url,
            offer=Offer(settings.slack_clicks, settings.incident_url, settings.trace_url),
            routes=routes_of(settings),
        )
    missing = "GLEANER_SLACK_CHANNEL" if token else "GLEANER_SLACK_TOKEN"
    log.warning("notify: alerts go to the console: %s is not set", missing)
    return ConsoleSink()


def routes_of(settings: Settings) -> Routes:
    """The routes, and where one asks for them the owners of the rules file; raises ``RulesError``."""
    rules = load_rules(settings.rules) if any(route.owner != "*" for route in settings.routes) else ()
    return Routes(
        settings.slack_channel,
        mentions(settings.slack_oncall, settings.slack_oncall_next),
        settings.routes,
        {rule.name: rule.owner for rule in rules if rule.owner},
    )


def charts_of(settings: Settings, outbox: Outbox, sink: Sink, paces: Paces | None = None) -> Charts | None:
    """What a sink for Slack shows of the signals' recent past; None for other sinks."""
    if not isinstance(sink, SlackSink):
        return None
    sink.charts = Charts(outbox, Uploads(sink.client) if settings.slack_charts else None, paces)
    return sink.charts
