"""What a user, a support agent or a reviewer said of an answer."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import model_validator

from schemas.base import Amount, EventTime, Id, Name, Number, Value

FeedbackKind = Literal[
    "rating", "thumbs", "accepted", "correction", "escalation", "abandoned", "follow_up", "review"
]
FEEDBACK_KINDS: frozenset[str] = frozenset(get_args(FeedbackKind))

THUMBS: dict[str, float] = {"up": 1.0, "down": -1.0, "1": 1.0, "-1": -1.0, "true": 1.0, "false": -1.0}
LOW_RATING = 2.0
"""A rating at or below this is negative, on the usual scale of 1 to 5."""


class FeedbackEvent(Value):
    """One piece of feedback on a trace; ``trace_id`` and ``kind`` are required.

    ``value`` by kind: a rating's number; thumbs ``up``, ``down``, 1, -1, true or false; for the other
    kinds a flag, where absent means "it happened". ``app`` must be the trace's own (absent on both is
    ``"default"``). ``review_seconds`` is a reviewer's working time.
    """

    trace_id: Id
    kind: FeedbackKind
    feedback_id: Id | None = None
    timestamp: EventTime | None = None
    app: Id | None = None
    value: bool | Number | Name | None = None
    reason: str | None = None
    corrected_answer: str | None = None
    comment: str | None = None
    user_id: Id | None = None
    review_seconds: Amount | None = None

    @model_validator(mode="after")
    def _value_fits_kind(self) -> FeedbackEvent:
        self.number()
        return self

    def number(self) -> float:
        """The value as a number: a rating as given, thumbs as 1 or -1, the other kinds as 1 or 0.

        >>> FeedbackEvent(trace_id="t", kind="thumbs", value="down").number()
        -1.0
        >>> FeedbackEvent(trace_id="t", kind="escalation").number()
        1.0
        """
        value = self.value
        if self.kind == "rating":
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError("value: a rating needs a number")
            return float(value)
        if self.kind == "thumbs":
            if isinstance(value, bool):
                return 1.0 if value else -1.0
            if isinstance(value, int | float) and value in (1, -1):
                return float(value)
            if isinstance(value, str) and value.lower() in THUMBS:
                return THUMBS[value.lower()]
            raise ValueError("value: thumbs are up, down, 1, -1, true or false")
        if value is None:
            return 1.0
        if isinstance(value, str):
            return 0.0 if value.lower() in ("", "0", "false", "no") else 1.0
        return 1.0 if value else 0.0

    def negative(self) -> bool:
        """Whether this says that the answer failed its user.

        >>> FeedbackEvent(trace_id="t", kind="rating", value=2).negative()
        True
        >>> FeedbackEvent(trace_id="t", kind="accepted", value=False).negative()
        True
        """
        number = self.number()
        if self.kind == "rating":
            return number <= LOW_RATING
        if self.kind == "thumbs":
            return number < 0
        if self.kind in ("accepted", "review"):
            return number == 0
        if self.kind == "follow_up":
            return False
        return number == 1
