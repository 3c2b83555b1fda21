"""A change that somebody made to the application: the first suspect when a signal moves."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from schemas.base import EventTime, Id, Name, Value


class ChangeEvent(Value):
    """``dimension`` of ``app`` went from ``from`` to ``to`` at ``timestamp``.

    It explains incidents; by itself it is evidence and a note, not an incident. ``from`` is a reserved
    word in Python, so the attribute is ``previous`` and the wire name stays ``from``; ``to`` is ``current``.
    """

    model_config = ConfigDict(populate_by_name=True)

    dimension: Id
    current: Name = Field(alias="to")
    previous: Name | None = Field(default=None, alias="from")
    timestamp: EventTime | None = None
    app: Id | None = None
    environment: Id | None = None
    author: Name | None = None
