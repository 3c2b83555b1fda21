"""What the owner holds between hearing of an event and being done with it, and how that survives.

Three kinds of thing are in flight: rows above the watermark (*pending*), conversations that are not
decided, and traces whose score is awaited. Each leaves in the order of a frontier that only rises:
pending rows with the watermark, conversations with their due time, scores with the head of their
app's queue. So they are written as *chunks*: each commit writes one chunk of what has been added or
changed since the last one, and a chunk is deleted once the frontiers have passed everything in it.
Reading the chunks back in order, and leaving out what the frontiers have passed, restores the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


class Pending(NamedTuple):
    """A row above the watermark. The first five fields are the order of application, and no two agree in
    all of them: sorting pending rows is sorting tuples, without a function in Python."""

    time: int
    trace_id: str
    kind: int
    app: str
    at: Coordinates
    row: Row
    profile: Profile | None


class PendingRows:
    """The rows above the watermark: ``fresh`` since the last commit, and those that a chunk has."""

    def __init__(self) -> None:
        self.fresh: list[Pending] = []
        self._written: list[Pending] = []

    def take(self, watermark: int) -> list[Pending]:
        """Those that the watermark has passed, in the order of application."""
        ready = [item for item in self.fresh if item[0] <= watermark]
        if ready:
            self.fresh = [item for item in self.fresh if item[0] > watermark]
        old = [item for item in self._written if item[0] <= watermark]
        if old:
            self._written = [item for item in self._written if item[0] > watermark]
        ready += old
        ready.sort()
        return ready

    def write(self) -> list[Pending]:
        """Those that no chunk has yet: the next one takes them. Most rows come and go between two commits."""
        fresh, self.fresh = self.fresh, []
        self._written += fresh
        return fresh

    def restore(self, items: list[Pending]) -> None:
        self._written = items


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


Early = Mapping[str, Mapping[str, Result]]
"""By app and trace_id: the scores that have come for traces that are pending."""


class Restored(NamedTuple):
    pending: list[Pending]
    early: dict[Coordinates, Result]
    """The score that has come for a pending trace, by the trace's coordinates."""
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
        self._dirty: list[Item] = []

    def touch(self, item: Item) -> None:
        """``item`` is new or has changed."""
        self._dirty.append(item)

    def changes(
        self,
        watermark: int | None,
        decided_before: int | None,
        heads: dict[str, int],
        pending: Iterable[Pending],
        early: Early,
    ) -> dict[str, bytes | None]:
        """State entries to write and to delete (None) now that the frontiers stand here."""
        changed: dict[int, Item] = {id(item): item for item in (*pending, *self._dirty)}
        needed = [i for i in changed.values() if _needed(i, watermark, decided_before, heads)]
        self._dirty = []
        written: dict[str, bytes | None] = {}
        for start in range(0, len(needed), CHUNK_ITEMS):
            items = needed[start : start + CHUNK_ITEMS]
            written[_name(self._next)] = _encode(items, early)
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
        early: dict[Coordinates, Result] = {}
        for name in sorted(n for n in entries if n.startswith(PREFIX)):
            items = _decode(entries[name], early)
            number = int(name.removeprefix(PREFIX))
            self._alive[number] = _extent(items)
            self._next = max(self._next, number + 1)
            for item in items:
                latest[_identity(item)] = item
        needed = [i for i in latest.values() if _needed(i, watermark, decided_before, heads)]
        return Restored(
            sorted(i for i in needed if isinstance(i, Pending)),
            early,
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


def _encode(items: list[Item], early: Early) -> bytes:
    profiles: dict[Profile, int] = {}

    def profile(value: Profile | None) -> int | None:
        return None if value is None else profiles.setdefault(value, len(profiles))

    def result(value: Result | None) -> list[Any] | None:
        return None if value is None else [*value[:3], value.at and list(value.at)]

    pending, conversations, awaited = [], [], []
    for item in items:
        if isinstance(item, Pending):
            score = early[item.app].get(item.trace_id) if isinstance(item.row, TraceRow) else None
            pending.append([item.app, list(item.row), profile(item.profile), list(item.at), result(score)])
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


def _decode(data: bytes, early: dict[Coordinates, Result]) -> list[Item]:
    """The items of a chunk; the scores of pending traces are added to ``early``."""
    chunk = orjson.loads(data)
    profiles = [profile_of(fields) for fields in chunk["profiles"]]

    def result(fields: list[Any] | None) -> Result | None:
        return None if fields is None else Result._make([*fields[:3], fields[3] and Coordinates(*fields[3])])

    items: list[Item] = []
    for app, fields, which, where, scored in chunk["p"]:
        row, at = row_of(fields), Coordinates(*where)
        items.append(
            Pending(
                row.time, row.trace_id, row.kind, app, at, row, None if which is None else profiles[which]
            )
        )
        if scored is not None:
            early[at] = Result._make([*scored[:3], scored[3] and Coordinates(*scored[3])])
    items += [
        OpenConversation(app, key, first, trace_id, profiles[which], user, escalated)
        for app, key, first, trace_id, which, user, escalated in chunk["v"]
    ]
    for app, seq, fields, which, where, unit, asked_at, scored in chunk["q"]:
        trace = row_of(fields)
        assert isinstance(trace, TraceRow)
        items.append(
            Awaited(app, seq, trace, profiles[which], Coordinates(*where), unit, asked_at, result(scored))
        )
    return items


def result_of(row: ScoreRow, at: Coordinates) -> Result:
    """A score row as the result that its trace waits for."""
    return Result(row.scorer, row.value, row.low, at)
