"""A person's word that a level is normal now: the baselines that it names are learned anew."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.base import Id, Lax
from schemas.catalog import ABOVE, CATALOG, Measure
from schemas.change import ChangeEvent
from schemas.signal import SignalName

BASELINE: Literal["gleaner.baseline"] = "gleaner.baseline"
"""The dimension that tells an acceptance from a change of the application."""
_UNLEARNED = (Measure.EVENT, Measure.HOURS, Measure.SHARE)
WITHOUT_BASELINE = frozenset(
    {
        *[name for name, about in CATALOG.items() if about.measure in _UNLEARNED],
        *ABOVE.values(),
        SignalName.SPEND,
    }
)  # fmt: skip
"""Signals that nothing is learned of: their rules declare what is right, or tell of an event."""


class Acceptance(ChangeEvent):
    """From ``timestamp`` on, what ``app`` does is normal: learn it anew, and end what is open against the
    old level.

    It names baselines by ``environment``, ``route`` (``*``: that of the routes of little traffic together),
    ``signal`` and ``rule``; what it leaves out it means all of. It goes by the topic ``changes``, and by the
    same line of a file, but is no change of the application: it explains nothing, and ends no snooze. The
    same acceptance said twice is one. A declared line, an objective and a ``bound`` have no baseline: a
    ``signal`` of which nothing is ever learned is refused, and a rule that declares is left as it is.
    """

    dimension: Literal["gleaner.baseline"] = BASELINE
    current: Literal["accepted"] = Field(default="accepted", alias="to")
    route: Id | None = None
    signal: Annotated[SignalName | None, Lax] = None
    rule: Id | None = None

    @model_validator(mode="after")
    def _has_a_baseline(self) -> Acceptance:
        if self.signal in WITHOUT_BASELINE:
            raise ValueError(f"signal: nothing is learned of {self.signal}: there is no baseline to accept")
        return self
