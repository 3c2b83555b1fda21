"""What Slack sends when somebody clicks, read as a command: pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from pydantic import Field, ValidationError

from schemas.base import Record
from schemas.command import Command, Verb
from schemas.identity import derive
from sinks.clean import clean
from sinks.slack.buttons import Press, SnoozeFor

HOUR_MS = 3_600_000
NAME_LENGTH = 60


class NoClick(StrEnum):
    """Why a payload asks for nothing."""

    OTHER_TYPE = "other_type"
    """Not ``block_actions``: a shortcut, a view, something that this app doesn't use."""
    NOT_OURS = "not_ours"
    """Another app's button, or that of a Gleaner which knows more."""
    A_LINK = "a_link"
    """The browser opens it; Slack tells us all the same."""
    MALFORMED = "malformed"


@dataclass(frozen=True)
class Click:
    """A command, and whom and where to answer: Slack's ids of the user, the channel and the message."""

    command: Command
    user: str
    channel: str
    ts: str


@dataclass(frozen=True)
class Look:
    """Somebody asks for the list of what is open of a storm; ``id`` is the asking's own."""

    id: str
    storm_id: str
    user: str
    channel: str


class _User(Record):
    id: str = Field(pattern=r"^[UW][A-Z0-9]{1,30}$")
    username: str = ""
    name: str = ""


class _Named(Record):
    id: str = Field(min_length=1, max_length=40)


class _Message(Record):
    ts: str = Field(min_length=1, max_length=40)


class _Option(Record):
    value: str = Field(max_length=150)


class _Action(Record):
    action_id: str
    action_ts: str = Field(pattern=r"^\d{1,12}(\.\d{1,9})?$")
    value: str = Field(default="", max_length=2_000)
    selected_option: _Option | None = None


class _Payload(Record):
    user: _User
    channel: _Named
    message: _Message
    actions: tuple[_Action, ...] = Field(min_length=1)


def click_of(payload: object) -> Click | Look | NoClick:
    """The command behind a ``block_actions`` payload; on a storm's digest it names the storm.

    Its id follows from who clicked what where at which instant (Slack's ``action_ts``), all of which are the
    same when Slack delivers a click again, so that one click is one command.
    """
    if not isinstance(payload, dict) or payload.get("type") != "block_actions":
        return NoClick.OTHER_TYPE
    first = (payload.get("actions") or [{}])[0] if isinstance(payload.get("actions"), list) else {}
    action_id = first.get("action_id") if isinstance(first, dict) else None
    if action_id == Press.OPEN:
        return NoClick.A_LINK
    if not isinstance(action_id, str) or action_id not in set(Press):
        return NoClick.NOT_OURS
    try:
        found = _Payload.model_validate(payload)
        return _click(found, Press(action_id))
    except (ValidationError, ValueError):
        return NoClick.MALFORMED


def _click(found: _Payload, press: Press) -> Click | Look:
    action, user = found.actions[0], found.user
    value = action.selected_option.value if action.selected_option else action.value
    text, _, how_long = value.partition(":")
    incident_id = str(UUID(text))
    seconds, _, fraction = action.action_ts.partition(".")
    at = int(seconds) * 1000 + int(fraction[:3].ljust(3, "0"))
    click_id = derive(
        "click", found.channel.id, found.message.ts, user.id, press.value, value, action.action_ts
    )
    if press is Press.STORM_LIST:
        return Look(click_id, incident_id, user.id, found.channel.id)
    actor = clean(user.username or user.name, NAME_LENGTH) or user.id
    verb, until, until_deploy, assignee = Verb.ACK, None, False, None
    match press:
        case Press.SNOOZE:
            verb = Verb.SNOOZE
            until_deploy = SnoozeFor(how_long) is SnoozeFor.DEPLOY
            until = None if until_deploy else at + HOUR_MS
        case Press.ASSIGN:
            verb, assignee = Verb.ASSIGN, actor
        case Press.NOT_A_PROBLEM:
            verb = Verb.NOT_A_PROBLEM
    command = Command(
        id=click_id,
        incident_id=incident_id,
        verb=verb,
        actor=actor,
        time=at,
        until=until,
        until_deploy=until_deploy,
        assignee=assignee,
        # Names can be changed; who it was is the id.
        note=f"clicked in Slack by {user.id}",
    )
    return Click(command, user.id, found.channel.id, found.message.ts)
