"""The monitors of a segment by name, and how they are written down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from detectors.baseline import Pin
from detectors.memory import Read, UnitMemory
from detectors.monitor import Monitor
from detectors.unit import Unit


class Monitors:
    """Named monitors; some share a memory of units.

    What is written comes in parts by how often it changes: :meth:`baselines` when one is pinned, the units
    :meth:`remembered` chunk by chunk, :attr:`goods` when an alarm opens or ends, :meth:`snapshot` with every
    unit.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, Monitor] = {}

    def add(self, name: str, monitor: Monitor) -> None:
        self._by_name[name] = monitor

    def get(self, name: str) -> Monitor | None:
        return self._by_name.get(name)

    def __iter__(self) -> Iterator[Monitor]:
        return iter(self._by_name.values())

    @property
    def pins(self) -> tuple[Pin | None, ...]:
        """The baselines in force: while they are the same objects, :meth:`baselines` has not changed."""
        return tuple([monitor.detector.pin for monitor in self])

    def baselines(self) -> dict[str, Any]:
        """What normal is, by name: changes when a monitor pins, or learns anew."""
        return {name: monitor.detector.baseline() for name, monitor in self._by_name.items()}

    def _memories(self) -> dict[str, tuple[UnitMemory, list[Read]]]:
        """Each memory of units, by the first monitor that has it, and how its monitors read it."""
        names: dict[int, str] = {}
        memories: dict[str, tuple[UnitMemory, list[Read]]] = {}
        for name, monitor in self._by_name.items():
            memory = monitor.track.memory
            key = names.setdefault(id(memory), SHARED if monitor.shares else name)
            memories.setdefault(key, (memory, []))[1].append(monitor.track.read)
        return memories

    def remembered(self) -> dict[str, Any]:
        """Parts of the memories of units that have changed since the last call, as JSON data."""
        return {
            f"{name}:{part}": data
            for name, (memory, reads) in self._memories().items()
            for part, data in memory.write(reads).items()
        }

    @property
    def goods(self) -> dict[str, list[Unit] | None]:
        """What was before an open alarm, by name; the same objects while nothing changes."""
        return {name: monitor.track.good for name, monitor in self._by_name.items()}

    def good(self, name: str) -> list[Any]:
        """One of :attr:`goods` as JSON data."""
        return self._by_name[name].track.written_good()

    def snapshot(self) -> dict[str, Any]:
        """What changes with every unit, but for :meth:`remembered` and :attr:`goods`."""
        return {
            "monitors": {name: monitor.snapshot() for name, monitor in self._by_name.items()},
            "memories": {name: [m.count, m.users()] for name, (m, _) in self._memories().items()},
        }

    def restore(
        self,
        baselines: dict[str, Any],
        state: dict[str, Any],
        remembered: dict[str, Any],
        goods: dict[str, list[Any]],
    ) -> None:
        """Take over what was written; a monitor that it does not know starts from nothing."""
        for name, (memory, _) in self._memories().items():
            if name in state["memories"]:
                parts = {part: data for part, data in remembered.items() if part.startswith(f"{name}:")}
                count, users = state["memories"][name]
                memory.restore(count, users, parts)
        for name, monitor in self._by_name.items():
            if name in state["monitors"] and name in baselines:
                monitor.restore(baselines[name], state["monitors"][name], goods.get(name))
            else:
                monitor.track.begin()


SHARED = "conversations"
"""The name of the memory that monitors share: all of them watch conversations."""
