"""What notify made of a person's command, in words."""

from __future__ import annotations

SAYS = {
    "acked": "acknowledged",
    "unacked": "nobody's again: firing",
    "snoozed": "snoozed; what is new or graver is told on its own",
    "assigned": "assigned",
    "resolved": "resolved",
    "not_a_problem": "resolved, and labelled a false positive; what is, is learned as normal",
    "muted": "muted: edits only; what is new or graver is told on its own",
    "unmuted": "no longer muted",
    "duplicate": "done already",
    "nothing_to_do": "nothing to do: it is so already",
    "is_resolved": "it is resolved already",
    "reopened_since": "it has come back since you asked: look again",
    "no_end": "a snooze has an end: use mute",
    "too_late": "that time is over",
    "unknown_incident": "notify knows no such incident",
}
"""By verdict."""
