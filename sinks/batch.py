"""What a batch of events changed, as the outbox writes it down in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.acceptance import Acceptance
from schemas.calibration import Calibrations
from schemas.command import Command
from schemas.effect import Effect
from schemas.incident import CasePreview, Incident, Note
from schemas.lifecycle import LabelRecord
from schemas.signal import SignalName, Standing, WindowStat

Units = tuple[str, str, str, SignalName]
"""App, environment, route and signal."""


@dataclass(frozen=True)
class Asked:
    """A command and what became of it."""

    command: Command
    verdict: str
    done: bool


@dataclass(frozen=True)
class Batch:
    """What a batch of events changed: incidents in their last revision, ids of the absorbed events.

    ``due`` has the next timers (by the clock of people, by event time; epoch ms) of every incident that was
    looked at, changed or not; ``data`` up to when units are known; ``clocks`` the watermark of apps.
    """

    incidents: Sequence[Incident] = ()
    effects: Sequence[Effect] = ()
    notes: Sequence[Note] = ()
    previews: Sequence[CasePreview] = ()
    absorbed: Sequence[str] = ()
    due: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict)
    data: Mapping[Units, int] = field(default_factory=dict)
    clocks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    commands: Sequence[Asked] = ()
    labels: Sequence[LabelRecord] = ()
    windows: Sequence[WindowStat] = ()
    standings: Sequence[Standing] = ()
    calibrations: Calibrations | None = None
    acceptances: Sequence[Acceptance] = ()
