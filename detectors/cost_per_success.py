"""What a successful task costs: requests become dearer, or tasks fail more often. One rule, two monitors."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from typing import Any, NamedTuple

from detectors.alarm import Alarm
from detectors.baseline import HOUR_MS, ArmingPolicy, Pin
from detectors.blocks import Read
from detectors.bounded import BoundedDetector
from detectors.cost import CostDetector
from detectors.esr import rate_bets
from detectors.memory import UnitMemory
from detectors.monitor import Monitor
from detectors.recovery import Return
from detectors.rules import Rule
from detectors.unit import Unit
from schemas.signal import SignalName

COST, FAILURES = 0, 1
"""The sides: dollars of requests, and decided conversations that failed."""


class Told(NamedTuple):
    """What a side has said: at event time ``time``, of ``unit``, the ``place``-th of its batch."""

    time: int
    side: int
    place: int
    unit: Unit
    event: Alarm | Return


class Dollars(NamedTuple):
    """Dollars a success: what was normal, and since the onset, the other side being as it normally is."""

    normal: float
    now: float


class CostPerSuccess:
    """``sum of cost / number of successes``, watched where it comes from.

    With c the mean cost of a request, k requests a conversation, and f the share of conversations that
    fail, a success costs ``c k / (1 - f)``. It rises because c does, or because f does: the costs of
    requests are watched by :class:`~detectors.cost.CostDetector`, the failures by an e-SR, each at twice the
    threshold of the rule's budget.

    **Provable**, where each of the two keeps its bound: false alarms of the two together are at most those
    of the budget (a union bound). Against the mean of the two statistics at the budget's own threshold,
    which has the same bound, it sees a move of one side at the same unit but for the little that the other
    would add; and the sides, whose units come at different times, need not be watched in step.
    **Misleads** as the two sides do; where both have moved at once, each of two alarms tells its half.
    A rise of failures alone is told only once costs are known: a price that is unknown is no number.
    """

    __slots__ = ("_open", "_opened", "_told", "cost", "failures", "rule")

    def __init__(self, rule: Rule, policy: ArmingPolicy, conversations: UnitMemory, failed: Read) -> None:
        self.rule = rule
        halved = 2.0 * rule.budget_weeks
        self.cost = Monitor(
            replace(rule, signal=SignalName.COST, budget_weeks=halved), CostDetector(halved, policy)
        )
        self.failures = Monitor(
            replace(rule, signal=SignalName.TASK_FAILURE, budget_weeks=halved),
            BoundedDetector(rate_bets, halved, policy, rule.min_effect),
            conversations,
            failed,
        )
        self._told: list[Told] = []
        self._open: set[int] = set()
        self._opened = ""
        """Id of the first alarm of what is open."""

    def tell(self, time: int, side: int, place: int, unit: Unit, event: Alarm | Return) -> None:
        """Keep what a side has said, until both have come as far."""
        self._told.append(Told(time, side, place, unit, event))

    @property
    def waiting(self) -> bool:
        return bool(self._told) or max(len(self.cost.pins), len(self.failures.pins)) > 1

    def settle(self) -> list[tuple[Told, Dollars | None]]:
        """What the two have said together, in the order of event time; both must have come as far.

        Alarms with their dollars; of the sides' returns only those after which nothing is open.
        """
        said: list[tuple[Told, Dollars | None]] = []
        for told in sorted(self._told, key=lambda told: told[:3]):
            if isinstance(told.event, Return):
                was_open = told.side in self._open
                self._open.discard(told.side)
                if was_open and not self._open:
                    said.append((told, None))
                continue
            dollars = self._dollars(told, told.event)
            if dollars is not None:
                self._open.add(told.side)
                said.append((told, dollars))
        self._told.clear()
        for monitor in (self.cost, self.failures):
            del monitor.pins[:-1]
        return said

    def first(self, alarm_id: str) -> None:
        """An alarm was told under this id."""
        self._opened = self._opened or alarm_id

    def ended(self) -> str:
        """The first alarm of what has just ended."""
        opened, self._opened = self._opened, ""
        return opened

    def _dollars(self, told: Told, alarm: Alarm) -> Dollars | None:
        cost, failures = as_of(self.cost, told.time), as_of(self.failures, told.time)
        if cost is None:
            return None
        share, many = (failures.mean, requests_each(cost, failures)) if failures is not None else (0.0, 1.0)
        normal = cost.mean * many / (1.0 - min(share, 0.999))
        if told.side == COST:
            return Dollars(normal, normal * (alarm.value / alarm.baseline if alarm.baseline > 0.0 else 1.0))
        return Dollars(normal, normal * (1.0 - min(share, 0.999)) / (1.0 - min(alarm.value, 0.999)))

    def snapshot(self) -> dict[str, Any]:
        return {"open": sorted(self._open), "opened": self._opened}

    def restore(self, state: dict[str, Any]) -> None:
        self._open, self._opened = set(state["open"]), state["opened"]


def as_of(monitor: Monitor, time: int) -> Pin | None:
    """The baseline that was in force at an event time since the last :meth:`CostPerSuccess.settle`."""
    at = bisect_right([since for since, _ in monitor.pins], time) - 1
    return monitor.pins[at][1] if at >= 0 else None


def requests_each(cost: Pin, failures: Pin) -> float:
    """Priced requests a conversation, by the volumes of the two references.

    >>> from detectors.baseline import Stage
    >>> cost = Pin(Stage.PINNED, 0.01, 0.5, 0.1, 9_000, 3 * HOUR_MS, 1e6)
    >>> requests_each(cost, cost._replace(n=4_500))
    2.0
    """
    hourly = [pin.n / max(pin.span_ms, HOUR_MS) for pin in (cost, failures)]
    return max(hourly[0] / hourly[1], 1.0)
