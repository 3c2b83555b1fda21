"""Which three failing cases an alert shows."""

from __future__ import annotations

from collections.abc import Iterable

from detectors.incident.placement import last_alarm
from detectors.incident.policy import Policy
from schemas.catalog import CATALOG
from schemas.incident import CasePreview, Incident
from schemas.signal import SignalName


def relevant(preview: CasePreview, incident: Incident, policy: Policy) -> bool:
    """Whether a case shows this incident: its routes, since its onset, failing in a way that it measures.

    An example that a detector named is always relevant: the detector saw it fail.
    """
    if any(preview.trace_id in member.examples for member in incident.members):
        return True
    start = min(member.onset for member in incident.members)
    return (
        any(preview.route == member.route for member in incident.members)
        and start <= preview.time <= last_alarm(incident) + policy.quiet_ms
        and (not preview.reasons or any(_tells(preview, member.signal) for member in incident.members))
    )


def choose(incident: Incident, previews: Iterable[CasePreview], policy: Policy) -> tuple[CasePreview, ...]:
    """The incident's cases: those it already shows, filled up with the best of ``previews``.

    Best first: the detector's own examples, then cases of the gravest member's signal, then the lowest
    score, the highest cost, the earliest. What is shown stays: a case that vanishes while somebody
    reads it helps nobody.
    """
    shown = incident.cases[: policy.cases]
    taken = {case.case_id for case in shown}
    fresh = {
        preview.case_id: preview
        for preview in previews
        if preview.case_id not in taken and relevant(preview, incident, policy)
    }

    def order(preview: CasePreview) -> tuple[bool, bool, float, float, int, str]:
        return (
            preview.trace_id not in incident.examples,
            not _tells(preview, incident.signal),
            preview.score if preview.score is not None else 2.0,
            -(preview.cost or 0.0),
            preview.time,
            preview.case_id,
        )

    return (*shown, *sorted(fresh.values(), key=order)[: policy.cases - len(shown)])


def _tells(preview: CasePreview, signal: SignalName) -> bool:
    return not CATALOG[signal].cases.isdisjoint(preview.reasons)
