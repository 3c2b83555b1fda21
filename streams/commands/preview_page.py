"""An alert on the fake Slack's page, as one file that a browser shows without a server."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from sinks.base import Message
from sinks.charts.data import Point
from sinks.series import chart
from sinks.slack.buttons import Offer
from sinks.slack.picture import Picture, sparkline
from sinks.slack.render import render
from sinks.slack.sandbox_channel import Channel
from sinks.slack.sandbox_page import page

CHART = "F0PREVIEW"


def preview_page(message: Message, points: Sequence[Point]) -> str:
    """The page of a channel with nothing but this alert; ``points`` are its signal's past, or none."""
    incident = message.incident
    line = sparkline(points, incident)
    pictures = {}
    if line:
        from sinks.charts import png

        drawn = b64encode(png(chart(incident, list(points)))).decode()
        pictures[CHART] = f"data:image/png;base64,{drawn}"
    picture = Picture(line, CHART if line else "", f"The chart: {line}")
    channel = Channel("preview")
    channel.post(render(message, Offer(clicks=True), picture), incident.detected_at / 1000)
    return page([channel], pictures=pictures)
