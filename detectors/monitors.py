"""The monitors of a segment by name, and how they are written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from detectors.baseline import Pin
from detectors.blocks import Read
from detectors.memory import UnitMemory
from detectors.monitor import Monitor
from detectors.rule_edits import Under, under


class Monitors:
    """Named monitors; some share a memory of units.

    What is written comes in parts by how often it changes: :meth:`baselines` when one is pinned, the units
    :meth:`remembered` chunk by chunk, what is :meth:`apart` when it changes, :meth:`snapshot` with every
    unit.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, Monitor] = {}

    def add(self, name: str, monitor: Monitor) -> None:
        self._by_name[name] = monitor

    def get(self, name: str) -> Monitor | None:
        return self._by_name.get(name)

    def items(self) -> Iterator[tuple[str, Monitor]]:
        """Each with its name: the signal's, for a second side with ``:failures`` behind it."""
        return iter(self._by_name.items())

    def __iter__(self) -> Iterator[Monitor]:
        return iter(self._by_name.values())

    @property
    def pins(self) -> tuple[Pin | None, ...]:
        """The baselines in force: while they are the same objects, :meth:`baselines` has not changed."""
        return tuple([monitor.detector.pin for monitor in self])

    def baselines(self) -> dict[str, Any]:
        """What normal is, by name: changes when a monitor pins, or learns anew."""
        rules = self.rules()
        return {
            name: {**monitor.detector.baseline(), "rule": rules[name]}
            for name, monitor in self._by_name.items()
        }

    def rules(self) -> dict[str, list[Any]]:
        """What the rules say that the baselines are of, by name, as JSON data."""
        return {name: list(under(monitor.rule)) for name, monitor in self._by_name.items()}

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

    def apart(self) -> dict[str, tuple[int, Callable[[], Any]]]:
        """Further parts: a number above 0 that rises when one changes, and what gives it as JSON data (None:
        there is none): what was before an open alarm, and a sample that is being learned. A part that is no
        longer among them is gone."""
        parts: dict[str, tuple[int, Callable[[], Any]]] = {}
        for name, monitor in self._by_name.items():
            if monitor.track.version:
                parts[f"good:{name}"] = monitor.track.version, monitor.track.good
            for at, version in enumerate(monitor.detector.learning):
                if version:
                    parts[f"learned:{name}:{at}"] = version, partial(monitor.detector.learned, at)
        return parts

    def snapshot(self) -> dict[str, Any]:
        """What changes with every unit, but for what is written apart."""
        return {
            "monitors": {name: monitor.snapshot() for name, monitor in self._by_name.items()},
            "memories": {name: memory.count for name, (memory, _) in self._memories().items()},
        }

    def restore(
        self,
        baselines: dict[str, Any],
        state: dict[str, Any],
        remembered: dict[str, Any],
        apart: dict[str, Any],
    ) -> None:
        """Take over what was written; a monitor that it does not know starts from nothing, and one whose rule
        was edited follows it. A state that does not say what rule it was of is of the rule as it is."""
        for name, (memory, _) in self._memories().items():
            if name in state["memories"]:
                own = f"{name}:"
                parts = {p.removeprefix(own): data for p, data in remembered.items() if p.startswith(own)}
                memory.restore(state["memories"][name], parts)
        for name, monitor in self._by_name.items():
            if name in state["monitors"] and name in baselines:
                own = f"learned:{name}:"
                learned = {int(p.removeprefix(own)): data for p, data in apart.items() if p.startswith(own)}
                good = apart.get(f"good:{name}")
                monitor.restore(baselines[name], state["monitors"][name], good, learned)
                if "rule" in baselines[name]:
                    monitor.edited(Under(*baselines[name]["rule"]))
            else:
                monitor.track.begin()


SHARED = "conversations"
"""The name of the memory that monitors share: all of them watch conversations."""
