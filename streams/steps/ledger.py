"""The ledger of an observations partition: identity to the coordinates of the event that won it.

It holds claim checks, not traces, for the join horizon. It is a fold over the observations topic: the
rolling stage writes it after each commit of its state, and what a crash left unwritten (or a new
machine has not at all) is read again from the topic. Keys carry the app, so two apps never meet.

Identities are kept in buckets, each a join horizon of event time long, and forgotten a bucket at a time:
one is known for at least a horizon of the watermark, for two as a rule. What comes again later is new.
Which is known follows from the log alone, never from when anything was written down or compacted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import inf
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import orjson

from schemas.identity import INDEX_BITS, Coordinates
from schemas.observation import (
    FeedbackRow,
    Flag,
    ObservationBatch,
    Profile,
    Progress,
    Row,
    ScoreRow,
    Source,
    TraceRow,
)
from streams.steps.watermark import Watermark

SCORE_REQUESTED = Flag.SCORE_REQUESTED.value


PLACE = b"@place"
"""Key of the place that it was written at, in the newest bucket; those of identities begin with a letter."""
Marks = dict[Source, int]
JOIN_HORIZON_MS = 14 * 86_400_000
Lookup = Callable[[bytes], bytes | None]


class LedgerStore(Protocol):
    """Bytes to bytes in buckets, named by the event time that they begin at, written in batches together with
    the position that they reach."""

    def lookups(self) -> list[tuple[int, Lookup]]:
        """The buckets that there are, the newest first, and how to ask each for a key."""
        ...

    def write(self, buckets: Mapping[int, Mapping[bytes, bytes]], position: int) -> None:
        """Add to buckets; one that does not exist is made."""
        ...

    def drop(self, bucket: int) -> None:
        """Delete a bucket that is there."""
        ...

    def position(self) -> int:
        """The offset in ``observations`` up to which this ledger is complete; 0 for an empty one."""
        ...


class MemoryLedger:
    """A ledger for one run: replay, tests."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[bytes, bytes]] = {}
        self._position = 0

    def lookups(self) -> list[tuple[int, Lookup]]:
        return [(bucket, self._buckets[bucket].get) for bucket in sorted(self._buckets, reverse=True)]

    def write(self, buckets: Mapping[int, Mapping[bytes, bytes]], position: int) -> None:
        for bucket, entries in buckets.items():
            # Copies: what orjson returns holds on to its whole buffer, 4 KB for the 200 bytes of an entry.
            kept = [(key, bytes(memoryview(value))) for key, value in entries.items()]
            self._buckets.setdefault(bucket, {}).update(kept)
        self._position = position

    def drop(self, bucket: int) -> None:
        del self._buckets[bucket]

    def position(self) -> int:
        return self._position

    def __iter__(self) -> Iterator[bytes]:
        return iter({key for entries in self._buckets.values() for key in entries})


class Known(NamedTuple):
    """What the ledger remembers of a trace: enough to join feedback and to fetch the trace."""

    at: Coordinates
    time: int
    environment: str
    route: str
    conversation_id: str | None
    cost: float | None
    price: int


class Conversation(NamedTuple):
    """First trace's time, and the (time, trace_id) of the first turn that can be scored."""

    first_time: int
    scored_turn: tuple[int, str] | None


class Ledger:
    """Reads through to the store; writes stay in memory until ``flush`` puts them down as one batch.

    ``horizon_ms``: for how long of event time an identity is known at least.
    """

    def __init__(self, store: LedgerStore, horizon_ms: int = JOIN_HORIZON_MS) -> None:
        self._store, self._horizon = store, horizon_ms
        self._fresh: dict[bytes, bytes] = {}
        self._turns: dict[bytes, Conversation] = {}
        self._prefixes: dict[str, tuple[bytes, bytes]] = {}
        self._full: dict[int, dict[bytes, bytes]] = {}
        """Of buckets that are not the newest any more, what is not written down yet."""
        self._gone: set[int] = set()
        """Forgotten, and deleted with the next flush: by then the state is written that says so."""
        self._bucket = max((bucket for bucket, _ in store.lookups()), default=0)
        """The newest: what is claimed now goes there."""
        self._settle()

    def forget(self, now: int) -> None:
        """Forget the buckets whose successor began a horizon or more before ``now``, the watermark: all that
        is in them is older still. To be called after a restart, too, once all is folded."""
        while now >= self._forget_at:
            oldest = self._buckets[-1]
            self._full.pop(oldest, None)
            self._gone.add(oldest)
            self._settle()

    def reach(self, rows: Sequence[Row]) -> None:
        """To be called before the rows of a message are claimed, with all of them: where event time has come
        past the newest bucket, they begin the next one."""
        newest = max(map(_time, rows), default=0)
        if newest < self._until:
            return
        if self._fresh or self._turns:
            self._full[self._bucket] = self._entries()
            self._fresh, self._turns = {}, {}
        self._bucket = newest - newest % self._horizon
        self._settle()

    def _entries(self) -> dict[bytes, bytes]:
        return self._fresh | {key: orjson.dumps(turn[:]) for key, turn in self._turns.items()}

    def _settle(self) -> None:
        """What follows from the buckets, looked up once and not for each identity."""
        stored = [one for one in self._store.lookups() if one[0] not in self._gone]
        full: list[tuple[int, Lookup]] = [(bucket, entries.get) for bucket, entries in self._full.items()]
        known = sorted([*full, *stored], key=itemgetter(0), reverse=True)
        self._newest = [get for bucket, get in known if bucket == self._bucket]
        self._older = [get for bucket, get in known if bucket != self._bucket]
        self._lookups = self._newest + self._older
        self._buckets = list(dict.fromkeys([self._bucket, *(bucket for bucket, _ in known)]))
        self._until = self._bucket + self._horizon
        self._forget_at = self._buckets[-2] + self._horizon if len(self._buckets) > 1 else inf

    def trace(self, app: str, trace_id: str) -> Known | None:
        data = self._get(self._prefix(app)[0] + trace_id.encode())
        if data is None:
            return None
        at, *rest = orjson.loads(data)
        return Known(Coordinates(*at), *rest)

    def add_trace(self, app: str, row: TraceRow, at: Coordinates, profile: Profile) -> bool:
        """Claim a trace's identity; False when other coordinates hold it already: a duplicate."""
        key = self._prefix(app)[0] + row[1].encode()
        data = self._get(key)
        if data is not None:
            return bool(Coordinates(*orjson.loads(data)[0]) == at)
        self._fresh[key] = orjson.dumps((at[:], row[0], profile[0], profile[1], row[7], row[10], row[11]))
        return True

    def add_traces(
        self, app: str, rows: Sequence[TraceRow], ats: Sequence[Coordinates], profiles: Sequence[Profile]
    ) -> bool:
        """Claim all of these identities if nobody holds one of them, nor two of them are the same; else
        claim none, and ``add_trace`` tells them apart. The quick way for the many."""
        prefix, fresh = self._prefix(app)[0], self._fresh
        keys = [prefix + row[1].encode() for row in rows]
        claimed = set(keys)
        # The view asks for each of ours; the set would ask for each of all that is fresh.
        if len(claimed) < len(keys) or not fresh.keys().isdisjoint(claimed):
            return False
        for lookup in self._lookups:
            if not all([lookup(key) is None for key in keys]):  # noqa: C419 - half the time of a generator
                return False
        values = [
            orjson.dumps((at[:], row[0], profiles[row[6]][0], profiles[row[6]][1], row[7], row[10], row[11]))
            for row, at in zip(rows, ats, strict=True)
        ]
        fresh.update(zip(keys, values, strict=True))
        for row in rows:
            if row[7] is not None:
                self.note_turn(app, row)
        return True

    def add(self, identity: str, at: Coordinates) -> bool:
        """Claim any other identity (feedback, score, change); False for a duplicate."""
        key = b"i" + identity.encode()
        data = self._get(key)
        if data is not None:
            return bool(Coordinates(*orjson.loads(data)) == at)
        self._fresh[key] = orjson.dumps(list(at))
        return True

    def conversation(self, app: str, conversation_id: str) -> Conversation:
        """A conversation that has been noted."""
        known = self._conversation(self._prefix(app)[1] + conversation_id.encode())
        assert known is not None, "noted when its first trace was absorbed"
        return known

    def _conversation(self, key: bytes) -> Conversation | None:
        known = self._turns.get(key)
        if known is not None:
            return known
        data = self._get(key)
        if data is None:
            return None
        first_time, turn = orjson.loads(data)
        return Conversation(first_time, tuple(turn) if turn else None)

    def note_turn(self, app: str, row: TraceRow) -> Conversation:
        """Remember a turn of a conversation that has an id; returns the conversation with it."""
        assert row.conversation_id is not None
        key = self._prefix(app)[1] + row.conversation_id.encode()
        known, this = self._conversation(key), (row[0], row[1])
        if known is None:
            now = Conversation(row[0], this if scorable(row) else None)
        else:
            first, turn = known
            better = (turn is None or this < turn) and scorable(row)
            if not better and first <= row[0] and (not self._older or self._is_newest(key)):
                return known
            now = Conversation(min(first, row[0]), this if better else turn)
        self._turns[key] = now
        return now

    def flush(self, position: int, watermark: Watermark, marks: Mapping[str, Marks]) -> None:
        """Write down all since the last flush, complete up to ``position``; ``watermark`` and ``marks``, by
        app, are those of that place."""
        place = [(app, [(*source, mark) for source, mark in of.items()]) for app, of in marks.items()]
        entries = self._entries() | {PLACE: orjson.dumps((watermark.snapshot(), place))}
        self._store.write(self._full | {self._bucket: entries}, position)
        self._fresh, self._turns, self._full = {}, {}, {}
        for bucket in {bucket for bucket, _ in self._store.lookups()} & self._gone:
            self._store.drop(bucket)
        self._gone.clear()
        self._settle()

    @property
    def position(self) -> int:
        return self._store.position()

    def written_at(self) -> tuple[dict[str, Any], dict[str, Marks]] | None:
        """The snapshot of the watermark, and the marks by app, at ``position``; None in an empty ledger."""
        data = next((found for get in self._lookups if (found := get(PLACE)) is not None), None)
        if data is None:
            return None
        watermark, place = orjson.loads(data)
        return watermark, {app: {Source(*source): mark for *source, mark in of} for app, of in place}

    def _get(self, key: bytes) -> bytes | None:
        data = self._fresh.get(key)
        if data is None:
            for lookup in self._lookups:
                if (data := lookup(key)) is not None:
                    break
        return data

    def _is_newest(self, key: bytes) -> bool:
        """Whether the newest bucket has it, of those that know it."""
        return key in self._turns or any(get(key) is not None for get in self._newest)

    def _prefix(self, app: str) -> tuple[bytes, bytes]:
        """How the keys of an app's traces and conversations begin: with its length, so that no two mix."""
        prefix = self._prefixes.get(app)
        if prefix is None:
            named = f"{len(app)}:{app}".encode()
            prefix = self._prefixes[app] = b"t" + named, b"c" + named
        return prefix


class Rebuild:
    """Absorbs messages again, for their identities alone: how a missing part of a ledger is made good.

    It goes on with the watermark and the marks that the ledger was written with, and so forgets where the
    first run did, and passes over what that passed over.
    """

    def __init__(self, ledger: Ledger, lateness_ms: int) -> None:
        self.ledger, self.watermark = ledger, Watermark(lateness_ms)
        self.marks: dict[str, Marks] = {}
        if (place := ledger.written_at()) is not None:
            state, self.marks = place
            self.watermark.restore(state)
            if self.watermark.value is not None:
                ledger.forget(self.watermark.value)

    def flush(self, position: int) -> None:
        self.ledger.flush(position, self.watermark, self.marks)

    def absorb(self, message: ObservationBatch | Progress) -> None:
        if isinstance(message, Progress):
            if self.watermark.report(message) and self.watermark.value is not None:
                self.ledger.forget(self.watermark.value)
            return
        ledger, batch = self.ledger, message
        ledger.reach(batch.rows)
        marks = self.marks.setdefault(batch.app, {})
        for row in batch.rows:
            source, mark = batch.sources[row.source], row.offset << INDEX_BITS | row.element
            if mark <= marks.get(source, -1):
                continue  # a redelivery
            marks[source] = mark
            at = coordinates(source, row.offset, row.element)
            if isinstance(row, TraceRow):
                if ledger.add_trace(batch.app, row, at, batch.profiles[row.profile]) and row.conversation_id:
                    ledger.note_turn(batch.app, row)
            elif isinstance(row, FeedbackRow):
                ledger.add(row.feedback_id, at)
            elif isinstance(row, ScoreRow):
                ledger.add(row.score_id, at)
            else:
                ledger.add(row.change_id, at)


def scorable(row: TraceRow) -> bool:
    """Whether a faithfulness score comes with the trace or was asked for."""
    return row[15] is not None or bool(row[9] & SCORE_REQUESTED)


_time = itemgetter(0)
_coordinates = partial(tuple.__new__, Coordinates)


def coordinates(source: Source, offset: int, index: int) -> Coordinates:
    return _coordinates((source[0], source[1], source[2], offset, index))
