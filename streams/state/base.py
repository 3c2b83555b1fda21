"""The store of one observations partition's state: entries and position in one fenced commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Fenced(Exception):
    """Another process has taken this partition over; nothing of this commit has become visible.

    The only right answer is to end the process: whatever it holds in memory is out of date.
    """


class Output(NamedTuple):
    """A message that goes out with a commit; ``topic`` without the deployment's prefix."""

    topic: str
    key: str
    value: bytes


class Opened(NamedTuple):
    """The state as last committed; ``position`` is the next offset of ``observations`` to absorb."""

    position: int
    entries: dict[str, bytes]


class StateStore(Protocol):
    """Opened by one process at a time: ``open`` fences whoever held the partition before."""

    async def open(self) -> Opened:
        """Take the partition over, and read its state back."""
        ...

    async def commit(
        self, position: int, changes: Mapping[str, bytes | None], outputs: Sequence[Output]
    ) -> None:
        """Send the outputs and write the changes (None deletes) with ``position``.

        After it returns all of it survives a crash. A crash within leaves either all of it, or the
        outputs alone, which the next run repeats with the same ids, and windows with the same parts or
        smaller ones (see ``detectors.windows``). Raises ``Fenced``.
        """
        ...

    async def close(self) -> None: ...
