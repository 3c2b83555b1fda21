"""What people have called no problem, held against what a set of rules would page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from schemas.incident import Incident
from schemas.lifecycle import LabelRecord
from streams.labels import LabelsError
from streams.lines import read_lines


class Precision(NamedTuple):
    """A rule's incidents, and how many of them fall into what people called no problem of it.

    Nobody has said of the others that they were right: the precision is at most ``1 - false / incidents``.
    """

    rule: str
    incidents: int
    false: int

    @property
    def at_most(self) -> float:
        return 1.0 - self.false / self.incidents


class Held(NamedTuple):
    """``again`` are the labelled incidents, by the ids they had, that would be paged again; ``spared`` those
    that would not."""

    again: list[str]
    spared: list[str]
    rules: list[Precision]

    def data(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {
            "paged_again": self.again,
            "spared": self.spared,
            "rules": {
                one.rule: {
                    "incidents": one.incidents,
                    "no_problem": one.false,
                    "precision_at_most": round(one.at_most, 4),
                }
                for one in self.rules
            },
        }


def load(path: Path) -> list[LabelRecord]:
    """Labels as ``gleaner incidents labels --json`` prints them, one a line. Raises ``LabelsError``."""
    found = []
    try:
        for line in read_lines(path):
            try:
                found.append(LabelRecord.model_validate_json(line.data))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                field = ".".join(map(str, first["loc"]))
                raise LabelsError(f"{path}: line {line.number}: {field}: {first['msg']}") from None
    except OSError as error:
        raise LabelsError(f"{path}: {error.strerror or error}") from error
    return found


def hold(labels: Sequence[LabelRecord], incidents: Sequence[Incident]) -> Held:
    """Which labelled alarms would be raised again: of the same rule and segment, at overlapping times.

    A label is one rule's on one route, and of users' budgets one user's: the other members of its incident
    have labels of their own.
    """
    again = {
        label.incident_id for label in labels if any(_disowned(label, incident) for incident in incidents)
    }
    labelled = list(dict.fromkeys(label.incident_id for label in labels))
    rules = sorted({member.rule for incident in incidents for member in incident.members})
    return Held(
        [one for one in labelled if one in again],
        [one for one in labelled if one not in again],
        [_precision(rule, labels, incidents) for rule in rules],
    )


def _precision(rule: str, labels: Sequence[LabelRecord], incidents: Sequence[Incident]) -> Precision:
    mine = [one for one in incidents if any(member.rule == rule for member in one.members)]
    of = [label for label in labels if label.rule == rule]
    return Precision(rule, len(mine), sum(any(_disowned(label, one) for label in of) for one in mine))


def _disowned(label: LabelRecord, incident: Incident) -> bool:
    return (label.app, label.environment) == (incident.app, incident.environment) and any(
        (member.rule, member.route) == (label.rule, label.route)
        and label.user in ("", member.user)
        and member.onset <= label.last_at
        and label.onset <= member.last_at
        for member in incident.members
    )
