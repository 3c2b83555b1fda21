"""From alarms to incidents: a pure reducer, the same for production, replay and backtest.

==============  ===================================================================================
module          idea
==============  ===================================================================================
``policy``      how near is the same incident: a frozen value
``placement``   which incident an alarm joins, and why
``members``     an alarm as a member; a refire as a count
``settle``      the incident's own numbers and cause, from its members and evidence
``cases``       which three failing cases an alert shows
``told``          what a change owes to the people who have read the message: effects
``board``       the running state of one app and environment, and the reducer: ``Board.absorb``
``group``       :func:`group`: the incidents of a list of signals, without delivery
==============  ===================================================================================
"""

from detectors.incident.board import Board, Step, Verdict
from detectors.incident.group import group
from detectors.incident.policy import Policy

__all__ = ["Board", "Policy", "Step", "Verdict", "group"]
