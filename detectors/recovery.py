"""Is an alarm over? The same detector, mirrored: bets against "it is still bad"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from detectors.esr import MixtureESR

LEAST_SHIFT = 0.005
"""A move of the mean smaller than this is not told from none by any number of units that come soon."""


@dataclass(frozen=True, slots=True)
class RecoveryPolicy:
    """``fraction`` of the move that may be left when an alarm is over; ``threshold`` units of a signal that
    is still that bad pass, in the mean, until it is called over by mistake."""

    fraction: float = 0.25
    threshold: float = 20_000.0


DEFAULT = RecoveryPolicy()


class Return(NamedTuple):
    """A signal is back. ``value`` is the mean of y over the ``n`` units since ``since`` (at most the units
    remembered one by one); ``bound`` what the mean was shown to be below, None where the proof was made on
    ranks, or where nothing but silence of the detector was there (``quiet``).

    ``renewed``: nothing is back, but what it was bad against no longer counts; the units are the last before.
    ``accepted_by``: because this person (empty: nobody is named) has accepted it as normal from ``since`` on.
    """

    since: int
    n: int
    value: float
    baseline: float
    bound: float | None
    quiet: bool
    opened: tuple[str, int]
    """trace_id and time of the unit on which the rule first fired."""
    renewed: bool = False
    accepted_by: str | None = None


class RecoveryWatch:
    """Watches bounded views of units, in [0, 1] and larger when worse, for a return towards normal.

    With ``shift`` the estimated move, the hypothesis is "still bad"::

        E[view | past] >= usual + fraction * shift      z = 1 - view      e-SR on z, bets shift/4 to 2 shift

    **Provable:** while it is true, the mean run to a wrong all-clear is at least ``threshold`` units, see
    :class:`~detectors.esr.MixtureESR`. **Heuristic:** the shift is estimated, at an alarm it is inflated,
    and so is the bar; measured with a quarter and 20,000: 0 to 3 % of alarms on clear shifts end while
    it is still bad, within 10,000 units, two in five of those on a rate's rise from 2 to 3 %
    (docs/detectors.md).
    Silence never ends an alarm: it takes units.

    >>> watch = RecoveryWatch(usual=0.1, shift=0.4, variance=0.09)
    >>> watch.run([0.5] * 200)
    200
    >>> watch.run([0.1] * 200)
    70
    """

    __slots__ = ("_esr", "shift", "usual")

    def __init__(self, usual: float, shift: float, variance: float, policy: RecoveryPolicy = DEFAULT) -> None:
        self.usual = usual
        self.shift = max(shift, LEAST_SHIFT)
        bar = min(usual + policy.fraction * self.shift, 0.999)
        bets = (0.25 * self.shift, 2.0 * self.shift)
        self._esr = MixtureESR(1.0 - bar, variance, bets, policy.threshold)

    def run(self, views: Sequence[float]) -> int:
        """Absorb views up to the one that shows the return: its index, or how many they are."""
        return self._esr.run([1.0 - min(max(view, 0.0), 1.0) for view in views])

    def since(self) -> int:
        """Units since the estimated return."""
        return self._esr.n - self._esr.change_point()

    def mark(self) -> dict[str, Any]:
        """Where it stands, to come :meth:`back` to."""
        return self._esr.snapshot()

    def back(self, mark: dict[str, Any]) -> None:
        self._esr.restore(mark)

    def snapshot(self) -> dict[str, Any]:
        return {"shift": self.shift, "esr": self._esr.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        self._esr.restore(state["esr"])
