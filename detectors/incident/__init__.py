"""From alarms to incidents: a pure reducer, the same for production, replay and backtest.

==============  ===================================================================================
module          idea
==============  ===================================================================================
``policy``      how near is the same incident, how long each state lasts: a frozen value
``placement``   which incident an alarm joins or reopens, and why
``members``     an alarm as a member; a refire as a count; a recovery as its end
``settle``      the incident's own numbers and cause, from its members and evidence
``cases``       which three failing cases an alert shows
``states``      the states and the steps between them
``alarms``      what an alarm does to the incident that it belongs to
``recoveries``  what a recovery does
``inhibition``  which signal explains which: the table, and who is held back by whom
``hold``        holding back and letting go
``deploys``     the next deploy, which a snooze may wait for
``commands``    what a person's command does
``acceptance``  what is normal because a person has called an incident no problem
``timers``      what is due for an incident, and when
``ticks``       what a timer does
``told``        what a change owes to the people who have read the message: effects
``turn``        one event's changes, collected
``verdict``     what became of an event
``board``       the running state of one app and environment, and the reducer: ``Board.absorb``, ``Board.due``
``group``       :func:`group`: the incidents of a list of signals, without delivery
==============  ===================================================================================
"""

from detectors.incident.acceptance import accepted
from detectors.incident.board import Board, Event, Past
from detectors.incident.commands import labels
from detectors.incident.deploys import Deploy, deploy_of
from detectors.incident.group import group
from detectors.incident.policy import Policy
from detectors.incident.timers import Due
from detectors.incident.turn import Step
from detectors.incident.verdict import DONE, Verdict

__all__ = [
    "DONE",
    "Board",
    "Deploy",
    "Due",
    "Event",
    "Past",
    "Policy",
    "Step",
    "Verdict",
    "accepted",
    "deploy_of",
    "group",
    "labels",
]
