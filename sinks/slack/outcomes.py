"""Slack's answers as outcomes: one table, so that it can grow by one line."""

from __future__ import annotations

from sinks.base import Degradable, LostRoot, Outcome, Rejected, RetryAfter, Unknown

RATE_LIMITED = ("ratelimited", "rate_limited")
UNSURE = ("fatal_error", "internal_error", "request_timeout", "service_unavailable")
LOST = ("message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found")
DEGRADABLE = ("invalid_blocks", "msg_blocks_too_long", "msg_too_long", "metadata_", "no_text")
REJECTED = (
    "channel_not_found",
    "is_archived",
    "not_in_channel",
    "restricted_action",
    "token_",
    "account_inactive",
    "missing_scope",
    "not_authed",
    "invalid_auth",
    "no_permission",
    "not_allowed_token_type",
)
DEFAULT_PAUSE_SECONDS = 30.0


def classify(status: int, error: str | None, retry_after: str | None) -> Outcome:
    """What a refusal means: HTTP ``status``, Slack's ``error`` and the Retry-After header.

    >>> classify(429, None, "7")
    RetryAfter(seconds=7.0)
    >>> classify(200, "invalid_blocks_format", None)
    Degradable(why='invalid_blocks_format')
    >>> classify(502, None, None)
    Unknown(why='http_502', strange=False)
    """
    if status == 429 or error in RATE_LIMITED:
        return RetryAfter(_seconds(retry_after))
    if error is None or status >= 500:
        return Unknown(error or f"http_{status}", strange=status < 500)
    if error in UNSURE:
        return Unknown(error)
    if error in LOST:
        return LostRoot(error)
    if error.startswith(DEGRADABLE):
        return Degradable(error)
    if error.startswith(REJECTED):
        return Rejected(error)
    return Unknown(error[:80], strange=True)


def _seconds(header: str | None) -> float:
    try:
        return max(0.0, float(header)) if header is not None else DEFAULT_PAUSE_SECONDS
    except ValueError:
        return DEFAULT_PAUSE_SECONDS
