"""What a monitor asks of a detector; tests/detectors/test_contract.py holds all of them to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from detectors.baseline import Pin
from detectors.unit import Unit


class Detector(Protocol):
    """Learns what is normal, pins it, and watches units (larger is worse) for a rise above it."""

    @property
    def pin(self) -> Pin | None: ...
    @property
    def outliers(self) -> list[int]:
        """Indices of units that stand out by themselves, until the caller clears the list."""

    def run(
        self, units: Sequence[Unit], start: int, stop: int, segments: int, learn: bool
    ) -> tuple[int, bool]:
        """Absorb ``units[start:stop]`` up to the first that fires or pins; how far, and whether it fired."""

    def side(self) -> int:
        """Which of its views of the units has moved: asked at an alarm."""

    def views(self, units: Sequence[Unit], side: int) -> list[float]:
        """That view of units, in [0, 1] when all is well."""

    def usual(self, side: int) -> tuple[float, float]:
        """Mean and variance of that view when all is well."""

    def level(self) -> tuple[float, Callable[[int], float] | None]:
        """The mean of y when all is well, of amounts of its logarithm; what the time of day adds to that."""

    def since_reset(self) -> tuple[int, int]: ...
    def note(self) -> str: ...
    def evidence(self) -> float: ...
    def reset(self) -> None: ...
    def forget(self, since: int, units: list[tuple[int, float]]) -> None: ...
    def repin(self) -> None: ...
    def rescale(self, budget: float) -> None:
        """The rule's budget is so many times the weeks that the pin was made for."""

    def redeclare(self) -> None:
        """The rule's bound is another one than the pin's, or there is one on one side only."""

    def baseline(self) -> dict[str, Any]:
        """What changes with the pin alone."""

    def snapshot(self) -> dict[str, Any]:
        """What changes with every unit."""

    @property
    def learning(self) -> Sequence[int]:
        """A number for each part of what is being learned and is too large to be written with every unit: it
        rises when that part changes. None where there is nothing."""

    def learned(self, part: int) -> Any:
        """Such a part, as JSON data."""

    def restore(
        self, baseline: dict[str, Any], state: dict[str, Any], learned: Mapping[int, Any] | None = None
    ) -> None: ...
