"""The next deploy: what a snooze may wait for."""

from __future__ import annotations

from typing import NamedTuple

from detectors.incident.policy import DEPLOYS
from schemas.change import ChangeEvent
from schemas.identity import derive
from schemas.incident import Note
from schemas.lifecycle import Snooze


class Deploy(NamedTuple):
    """A new release, prompt, index or requested model of an app; ``environment`` None is all of them."""

    id: str
    app: str
    environment: str | None
    dimension: str
    current: str
    at: int


def deploy_of(change: ChangeEvent, app: str, at: int) -> Deploy | None:
    """The deploy that a change event announces; None where its dimension is nobody's deploy."""
    if change.dimension not in DEPLOYS:
        return None
    where = (app, change.environment or "", change.dimension)
    identity = derive("deploy", *where, change.previous or "", change.current, at)
    return Deploy(identity, app, change.environment, change.dimension, change.current, at)


def noted(note: Note) -> Deploy | None:
    """The deploy that a note tells of."""
    cause = note.cause
    if cause is None or cause.dimension not in DEPLOYS:
        return None
    return Deploy(
        note.signal_id, note.app, note.environment, cause.dimension, cause.current or "", note.onset
    )


def ends(snooze: Snooze, deploy: Deploy) -> bool:
    """Whether ``deploy`` is the one that the snooze waits for: later than the alarms that it silenced."""
    return snooze.deploy and deploy.at > snooze.after
