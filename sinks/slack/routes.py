"""Which channel an incident is posted in, and whom its escalations mention: pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.incident import Incident
from schemas.signal import Severity
from sinks.slack.allowed import Allowed

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Route(BaseModel):
    """For whom, when, and where to. What is left out matches everything.

    ``app``, ``environment`` and ``owner`` are patterns (``*``, ``?``, ``[…]``); ``owner`` is that of the
    incident's rule in the rules file. ``hours`` (``22:00-06:00`` runs over midnight, and belongs to the day
    on which it begins) and ``days`` are those of ``zone``. ``oncall`` and ``oncall_next`` are ids of users
    and user groups; without them nobody is mentioned.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    app: str = "*"
    environment: str = "*"
    owner: str = "*"
    severity: tuple[Severity, ...] = ()
    days: tuple[Day, ...] = ()
    hours: str = ""
    zone: str = "UTC"
    channel: str = Field(pattern=r"^[CG][A-Z0-9]{2,30}$")
    oncall: str = ""
    oncall_next: str = ""

    @field_validator("hours")
    @classmethod
    def _hours(cls, value: str) -> str:
        if value and not HOURS.fullmatch(value):
            raise ValueError("is a time to a time, such as 09:00-18:00")
        return value

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("is no time zone such as Europe/Berlin") from None
        return value

    @field_validator("oncall", "oncall_next")
    @classmethod
    def _ids(cls, value: str) -> str:
        Allowed.parse(value)
        return value

    def covers(self, incident: Incident, owner: str, now: int) -> bool:
        """Whether ``incident`` takes this route at ``now`` (epoch ms)."""
        return (
            fnmatchcase(incident.app, self.app)
            and fnmatchcase(incident.environment, self.environment)
            and fnmatchcase(owner, self.owner)
            and (not self.severity or incident.severity in self.severity)
            and self._open(now)
        )

    def _open(self, now: int) -> bool:
        here = datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(self.zone))
        match = HOURS.fullmatch(self.hours)
        if match is None:
            return self._day(here)
        first, last = f"{match[1]}:{match[2]}", f"{match[3]}:{match[4]}"
        at = f"{here:%H:%M}"
        if first <= last:
            return first <= at < last and self._day(here)
        if at >= first:
            return self._day(here)
        return at < last and self._day(here - timedelta(days=1))

    def _day(self, here: datetime) -> bool:
        return not self.days or DAYS[here.weekday()] in self.days

    def mentions(self) -> tuple[str, ...]:
        return mentions(self.oncall, self.oncall_next)


def mentions(*levels: str) -> tuple[str, ...]:
    """For each level of escalation whom it mentions; an empty one is the level before it again.

    >>> mentions("U1", "")
    ('<@U1>',)
    """
    return tuple(filter(None, (Allowed.parse(level).who() for level in levels)))


@dataclass(frozen=True)
class Routes:
    """The first route that covers an incident is its own; else ``channel`` and ``oncall``.

    ``owners`` has the owner of each rule by its name. An incident's channel is where its first message went:
    what changes afterwards changes whom an escalation mentions, not where the thread is.
    """

    channel: str
    oncall: tuple[str, ...] = ()
    routes: Sequence[Route] = ()
    owners: Mapping[str, str] = field(default_factory=dict)

    def of(self, incident: Incident, now: int) -> tuple[str, tuple[str, ...]]:
        """Channel and mentions of ``incident`` at ``now`` (epoch ms)."""
        owner = self.owners.get(incident.rule, "")
        for route in self.routes:
            if route.covers(incident, owner, now):
                return route.channel, route.mentions()
        return self.channel, self.oncall

    def channels(self) -> Iterator[str]:
        """Every channel once: where a first message may stand."""
        yield from dict.fromkeys([self.channel, *(route.channel for route in self.routes)])
