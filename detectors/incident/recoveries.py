"""What a recovery does: a member is back; with the last of them, the incident is over."""

from __future__ import annotations

from detectors.incident.hold import hold
from detectors.incident.members import recovered, same_rule
from detectors.incident.states import logged, resolved
from detectors.incident.timers import quieted
from detectors.incident.turn import Turn
from detectors.incident.verdict import Verdict
from schemas.effect import NotifyReason
from schemas.incident import IncidentState
from schemas.lifecycle import Happening, Resolution
from schemas.signal import Recovery


def recover(turn: Turn, recovery: Recovery) -> Verdict:
    """Every member of the recovery's rule on its route, in whatever incident, has recovered.

    There may be several: one of each user whose budget begins anew, and a rule that fires again after a quiet
    day, or graver than it was silenced, opens anew beside what is still open.
    Where a person has accepted what is as normal, the last such member ends the incident as that person's
    doing: the edit shows it, and no message says that something is back.
    """
    at, verdict, by = recovery.detected_at, Verdict.UNMATCHED, recovery.accepted_by
    for before in list(turn.incidents.values()):
        own = [member for member in before.members if same_rule(member, recovery)]
        if not own:
            continue
        back = [member.signal_id for member in own if recovered(member, recovery) is not member]
        if not back:
            verdict = Verdict.OVERTAKEN if verdict is Verdict.UNMATCHED else verdict
            continue
        members = tuple(
            recovered(member, recovery) if member.signal_id in back else member for member in before.members
        )
        after = before.model_copy(update={"members": members})
        detail = f"rule {recovery.rule}"
        if by is not None:
            after = logged(after, turn.policy, at, Happening.ACCEPTED, by, f"{detail}, learned anew")
        if before.state is IncidentState.RESOLVED:
            turn.put(after, at, NotifyReason.MEMBER_RECOVERED)
            verdict = Verdict.MEMBER_RECOVERED if verdict is not Verdict.RECOVERED else verdict
            continue
        if by is None:
            after = logged(after, turn.policy, at, Happening.MEMBER_RECOVERED, detail=detail)
        if all(member.recovered for member in members):
            shown = max(member.recovered_at or at for member in members)
            if by is not None:
                after = resolved(after, shown, Resolution.BY_PERSON, by or None)
                after = logged(after, turn.policy, shown, Happening.RESOLVED, by, "accepted as normal")
                turn.put(after, at, NotifyReason.RESOLVED, urgent=True)
                verdict = Verdict.RECOVERED
                continue
            after = resolved(after, shown, Resolution.RECOVERED)
            after = logged(after, turn.policy, shown, Happening.RESOLVED, detail="every member recovered")
            # A silence that somebody asked for holds here, too; the edit tells.
            reply = None if quieted(before) else NotifyReason.RECOVERED
            turn.put(after, at, NotifyReason.RECOVERED, reply, back[0], urgent=True)
            verdict = Verdict.RECOVERED
        else:
            turn.put(after, at, NotifyReason.MEMBER_RECOVERED, urgent=True)
            verdict = Verdict.MEMBER_RECOVERED if verdict is not Verdict.RECOVERED else verdict
    hold(turn, at)
    return verdict
