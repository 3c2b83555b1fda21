"""What a person accepts as normal by calling an incident no problem."""

from __future__ import annotations

from schemas.acceptance import WITHOUT_BASELINE, Acceptance
from schemas.command import Command
from schemas.incident import Incident


def accepted(incident: Incident, command: Command, at: int) -> list[Acceptance]:
    """What ``command``, which has called ``incident`` no problem, asks of the owner of its app.

    One for each member whose alarm still stands; what has recovered is normal by the baseline that there is.
    ``at`` is the event time (ms) from which on the level is normal. Whether a member's rule has a baseline
    is the owner's to know, who leaves a declared rule as it is.
    """
    return [
        Acceptance(
            app=incident.app,
            environment=incident.environment,
            route=member.route or incident.route,
            signal=member.signal,
            rule=member.rule,
            author=command.actor,
            timestamp=at,
        )
        for member in incident.members
        if not member.recovered and member.signal not in WITHOUT_BASELINE
    ]
