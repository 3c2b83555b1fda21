"""The buttons of an incident's first message, and of a storm's digest: which there are in which state, and
what each carries.

A button carries the incident's or the storm's id and nothing else: what a click does is decided from the
incident as it is then, so a click on an old message is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from schemas.incident import Incident, IncidentState
from sinks.storm import Storm

Block = dict[str, Any]
URL_LENGTH = 3_000


class Press(StrEnum):
    """The ``action_id`` of each button."""

    ACK = "gleaner:ack"
    SNOOZE = "gleaner:snooze"
    ASSIGN = "gleaner:assign"
    NOT_A_PROBLEM = "gleaner:not_a_problem"
    OPEN = "gleaner:open"
    STORM_ACK = "gleaner:storm_ack"
    STORM_LIST = "gleaner:storm_list"


class SnoozeFor(StrEnum):
    """How long: the second half of a snooze option's value."""

    HOUR = "1h"
    DEPLOY = "deploy"


SNOOZES = {SnoozeFor.HOUR: "1 hour", SnoozeFor.DEPLOY: "Until the next deploy"}


@dataclass(frozen=True)
class Offer:
    """What a message offers besides reading.

    ``clicks``: somebody takes clicks; without, Slack would warn whoever clicks, even on a link's button, so
    there are no buttons then, and the link stands in the text. ``url`` is the page of an incident with
    ``{id}`` for its id, or empty. ``oncall`` has, for each level of escalation, the mentions of who is called
    then, the last for every higher one: ids of the settings, and all that ever pings anybody. ``trace_url``
    is the page of a trace in the reader's own viewer, with ``{trace_id}`` in it, or empty.
    """

    clicks: bool = False
    url: str = ""
    trace_url: str = ""
    oncall: tuple[str, ...] = ()

    def link(self, incident: Incident) -> str:
        """The page of ``incident``, or an empty string."""
        return self.url.replace("{id}", incident.id)[:URL_LENGTH]

    def trace_link(self, trace_id: str) -> str:
        """The page of a trace, or an empty string: its id is foreign, and quoted."""
        try:
            url = self.trace_url.replace("{trace_id}", quote(trace_id, safe=""))
        except UnicodeEncodeError:
            return ""  # half a character has no address
        return url if len(url) <= URL_LENGTH else ""

    def mention(self, level: int) -> str:
        """Who is called at ``level``; nobody at 0, which is where an acknowledged incident stands."""
        return self.oncall[min(level, len(self.oncall)) - 1] if self.oncall and level > 0 else ""


def buttons(incident: Incident, offer: Offer) -> Block | None:
    """The actions block, or None where there is nothing to click."""
    if not offer.clicks:
        return None
    elements: list[Block] = []
    if incident.state is not IncidentState.RESOLVED:
        if incident.state is not IncidentState.ACKED:
            elements.append(_button(Press.ACK, "Acknowledge", incident, style="primary"))
        elements += [_snooze(incident), _button(Press.ASSIGN, "Assign to me", incident)]
    if incident.label is None:
        # No colour: next to "Acknowledge", a red button would be the one that the eye goes to.
        elements.append(_button(Press.NOT_A_PROBLEM, "Not a problem", incident, confirm=CONFIRM))
    if link := offer.link(incident):
        elements.append(_button(Press.OPEN, "Open", incident, url=link))
    if not elements:
        return None
    return {"type": "actions", "block_id": f"actions:{incident.revision}", "elements": elements}


def storm_buttons(storm: Storm, offer: Offer) -> Block | None:
    """The actions block of a storm's digest: acknowledge all that is nobody's, list what is open."""
    if not offer.clicks or not storm.open:
        return None
    elements: list[Block] = []
    if free := len(storm.free):
        all_of_it = (
            f"It acknowledges the {free:,} that are nobody's here, in your name."
            if free > 1
            else ("It acknowledges the one that is nobody's here, in your name.")
        )
        confirm = {
            "title": _plain("Acknowledge all of it?"),
            "text": _plain(f"{all_of_it} What has a message of its own keeps its own buttons."),
            "confirm": _plain("Acknowledge all"),
            "deny": _plain("Cancel"),
        }
        elements.append(
            _valued(Press.STORM_ACK, "Acknowledge all", storm.id, style="primary", confirm=confirm)
        )
    elements.append(_valued(Press.STORM_LIST, "List what is open", storm.id))
    return {"type": "actions", "block_id": f"actions:{storm.revision}", "elements": elements}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


CONFIRM = {
    "title": _plain("Not a problem?"),
    "text": _plain(
        "This ends the incident and labels its alarms as false positives of their rules, which learn what is"
        " as normal."
    ),
    "confirm": _plain("Not a problem"),
    "deny": _plain("Cancel"),
}


def _button(press: Press, text: str, incident: Incident, **more: Any) -> Block:
    return _valued(press, text, incident.id, **more)


def _valued(press: Press, text: str, value: str, **more: Any) -> Block:
    return {"type": "button", "action_id": press.value, "text": _plain(text), "value": value, **more}


def _snooze(incident: Incident) -> Block:
    return {
        "type": "static_select",
        "action_id": Press.SNOOZE.value,
        "placeholder": _plain("Snooze…"),
        "options": [
            {"text": _plain(text), "value": f"{incident.id}:{how_long.value}"}
            for how_long, text in SNOOZES.items()
        ],
    }
