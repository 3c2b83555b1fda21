"""What an exception of the SDK or of aiohttp means, as an outcome."""

from __future__ import annotations

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from sinks.base import NotSent, Outcome, Unknown
from sinks.slack.outcomes import classify


def outcome(error: Exception) -> Outcome:
    """What an exception of the SDK or of aiohttp means. Anything else is a mistake of ours, and is raised."""
    match error:
        case SlackApiError():
            response = error.response
            data = getattr(response, "data", None)
            name = data.get("error") if isinstance(data, dict) else None
            status = getattr(response, "status_code", None) or getattr(response, "status", None) or 500
            headers = getattr(response, "headers", None) or {}
            return classify(int(status), name, headers.get("Retry-After"))
        case aiohttp.ClientConnectorError():
            return NotSent("no connection")
        case TimeoutError():
            return Unknown("timeout")
        case aiohttp.ClientError() | SlackClientError() | OSError():
            return Unknown(type(error).__name__)
        case _:
            raise error
