"""What the owner holds between hearing of an event and being done with it, and how that survives.

Three kinds of thing are in flight: rows above the watermark (*pending*), conversations that are not
decided, and traces whose score is awaited. Each leaves in the order of a frontier that only rises:
pending rows with the watermark, conversations with their due time, scores with the head of their
app's queue. So they are written as *chunks*: each commit writes one chunk of what has been added or
changed since the last one, and a chunk is deleted once the frontiers have passed everything in it.
Reading the chunks back in order, and leaving out what the frontiers have passed, restores the whole.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from schemas.identity import Coordinates
from schemas.observation import Profile, Row, ScoreRow, TraceRow
from streams.steps.pack import profile_of, row_of

CHUNK_ITEMS = 2_000
"""Items in one chunk, which keeps a chunk well below the 2 MiB of an own message."""


class Result(NamedTuple):
    """A score that has come for a trace; ``at`` is None where the application sent it along."""

    scorer: str
    value: float | None
    low: bool
    at: Coordinates | None


class Pending:
    """A row above the watermark. ``order`` is the order of application."""

    __slots__ = ("app", "at", "order", "profile", "result", "row")

    def __init__(
        self, app: str, row: Row, profile: Profile | None, at: Coordinates, result: Result | None = None
    ) -> None:
        self.app, self.row, self.profile, self.at, self.result = app, row, profile, at, result
        self.order = (row[0], row[1], row[2], app, at)

    def __lt__(self, other: Pending) -> bool:
        return self.order < other.order


class OpenConversation:
    """A conversation whose outcome is not decided yet; ``key`` is its id, or its only trace's."""

    __slots__ = ("app", "escalated", "first_time", "key", "profile", "trace_id", "user_id")

    def __init__(
        self,
        app: str,
        key: str,
        first_time: int,
        trace_id: str,
        profile: Profile,
        user_id: str | None,
        escalated: bool = False,
    ) -> None:
        self.app, self.key, self.first_time, self.trace_id = app, key, first_time, trace_id
        self.profile, self.user_id, self.escalated = profile, user_id, escalated


class Awaited:
    """A trace in its app's queue of scores; ``unit`` is whether it is its conversation's scored turn."""

    __slots__ = ("app", "asked_at", "at", "profile", "result", "row", "seq", "unit")

    def __init__(
        self,
        app: str,
        seq: int,
        row: TraceRow,
        profile: Profile,
        at: Coordinates,
        unit: bool,
        asked_at: int,
        result: Result | None,
    ) -> None:
        self.app, self.seq, self.row, self.profile, self.at = app, seq, row, profile, at
        self.unit, self.asked_at, self.result = unit, asked_at, result


Item = Pending | OpenConversation | Awaited


class Restored(NamedTuple):
    pending: list[Pending]
    conversations: list[OpenConversation]
    awaited: list[Awaited]


class _Chunk(NamedTuple):
    """Up to where a chunk is still needed: a pending time, a first time, a sequence number by app."""

    pending: int
    conversation: int
    queues: dict[str, int]


class ChunkLog:
    """Which chunks exist, what has changed since the last commit, and what the next commit writes."""

    def __init__(self) -> None:
        self._next = 0
        self._alive: dict[int, _Chunk] = {}
        self._dirty: dict[int, Item] = {}

    def touch(self, item: Item) -> None:
        """``item`` is new or has changed."""
        self._dirty[id(item)] = item

    def changes(
        self, watermark: int | None, decided_before: int | None, heads: dict[str, int]
    ) -> dict[str, bytes | None]:
        """State entries to write and to delete (None) now that the frontiers stand here."""
        needed = [i for i in self._dirty.values() if _needed(i, watermark, decided_before, heads)]
        self._dirty = {}
        written: dict[str, bytes | None] = {}
        for start in range(0, len(needed), CHUNK_ITEMS):
            items = needed[start : start + CHUNK_ITEMS]
            written[_name(self._next)] = _encode(items)
            self._alive[self._next] = _extent(items)
            self._next += 1
        for number, chunk in list(self._alive.items()):
            if _passed(chunk, watermark, decided_before, heads):
                del self._alive[number]
                written[_name(number)] = None
        return written

    def restore(
        self,
        entries: dict[str, bytes],
        watermark: int | None,
        decided_before: int | None,
        heads: dict[str, int],
    ) -> Restored:
        """What is in flight, from the chunks among ``entries``."""
        latest: dict[object, Item] = {}
        for name in sorted(n for n in entries if n.startswith(PREFIX)):
            items = _decode(entries[name])
            number = int(name.removeprefix(PREFIX))
            self._alive[number] = _extent(items)
            self._next = max(self._next, number + 1)
            for item in items:
                latest[_identity(item)] = item
        needed = [i for i in latest.values() if _needed(i, watermark, decided_before, heads)]
        return Restored(
            sorted(i for i in needed if isinstance(i, Pending)),
            sorted((i for i in needed if isinstance(i, OpenConversation)), key=lambda c: c.first_time),
            sorted((i for i in needed if isinstance(i, Awaited)), key=lambda a: a.seq),
        )


PREFIX = "chunk:"


def _name(number: int) -> str:
    return f"{PREFIX}{number:012d}"


def _identity(item: Item) -> object:
    if isinstance(item, Pending):
        return ("p", item.app, item.at)
    if isinstance(item, OpenConversation):
        return ("v", item.app, item.key, item.first_time)
    return ("q", item.app, item.seq)


def _needed(item: Item, watermark: int | None, decided_before: int | None, heads: dict[str, int]) -> bool:
    if isinstance(item, Pending):
        return watermark is None or item.row.time > watermark
    if isinstance(item, OpenConversation):
        return decided_before is None or item.first_time >= decided_before
    return item.seq >= heads.get(item.app, 0)


def _extent(items: list[Item]) -> _Chunk:
    queues: dict[str, int] = {}
    for item in items:
        if isinstance(item, Awaited):
            queues[item.app] = max(queues.get(item.app, 0), item.seq)
    return _Chunk(
        max((i.row.time for i in items if isinstance(i, Pending)), default=-(2**62)),
        max((i.first_time for i in items if isinstance(i, OpenConversation)), default=-(2**62)),
        queues,
    )


def _passed(chunk: _Chunk, watermark: int | None, decided_before: int | None, heads: dict[str, int]) -> bool:
    return (
        (watermark is not None or chunk.pending == -(2**62))
        and (watermark is None or chunk.pending <= watermark)
        and (
            chunk.conversation == -(2**62)
            or (decided_before is not None and chunk.conversation < decided_before)
        )
        and all(seq < heads.get(app, 0) for app, seq in chunk.queues.items())
    )


def _encode(items: list[Item]) -> bytes:
    profiles: dict[Profile, int] = {}

    def profile(value: Profile | None) -> int | None:
        return None if value is None else profiles.setdefault(value, len(profiles))

    def result(value: Result | None) -> list[Any] | None:
        return None if value is None else [*value[:3], value.at and list(value.at)]

    pending, conversations, awaited = [], [], []
    for item in items:
        if isinstance(item, Pending):
            pending.append(
                [item.app, list(item.row), profile(item.profile), list(item.at), result(item.result)]
            )
        elif isinstance(item, OpenConversation):
            conversations.append(
                [
                    item.app,
                    item.key,
                    item.first_time,
                    item.trace_id,
                    profile(item.profile),
                    item.user_id,
                    item.escalated,
                ]
            )
        else:
            awaited.append(
                [
                    item.app,
                    item.seq,
                    list(item.row),
                    profile(item.profile),
                    list(item.at),
                    item.unit,
                    item.asked_at,
                    result(item.result),
                ]
            )
    return orjson.dumps(
        {"profiles": [list(p) for p in profiles], "p": pending, "v": conversations, "q": awaited}
    )


def _decode(data: bytes) -> list[Item]:
    chunk = orjson.loads(data)
    profiles = [profile_of(fields) for fields in chunk["profiles"]]

    def result(fields: list[Any] | None) -> Result | None:
        return None if fields is None else Result._make([*fields[:3], fields[3] and Coordinates(*fields[3])])

    items: list[Item] = [
        Pending(
            app, row_of(row), None if which is None else profiles[which], Coordinates(*at), result(scored)
        )
        for app, row, which, at, scored in chunk["p"]
    ]
    items += [
        OpenConversation(app, key, first, trace_id, profiles[which], user, escalated)
        for app, key, first, trace_id, which, user, escalated in chunk["v"]
    ]
    for app, seq, row, which, at, unit, asked_at, scored in chunk["q"]:
        trace = row_of(row)
        assert isinstance(trace, TraceRow)
        items.append(
            Awaited(app, seq, trace, profiles[which], Coordinates(*at), unit, asked_at, result(scored))
        )
    return items


def result_of(row: ScoreRow, at: Coordinates) -> Result:
    """A score row as the result that its trace waits for."""
    return Result(row.scorer, row.value, row.low, at)
